//! One contract, every store.

#![allow(clippy::unwrap_used)]

#[cfg(feature = "production")]
mod mysql;

use std::sync::Arc;

use chat_control_plane::store::{
    AuditChain, Change, DesiredRecord, Document, DocumentKind, DrainRecord, FIRST_HASH, Leadership, MemoryStore,
    NewAudit, NodeRecord, OperationFilter, SqliteStore, Store, StoreError, TokenRecord,
};
use protocol::admin::{
    NodeRole, Operation, OperationEvent, OperationKind, OperationPhase, OperationState, Progress, Role, Token,
};

fn operation(number: u64, state: OperationState, epoch: u64) -> Operation {
    Operation {
        id: format!("op-{number}"),
        number,
        epoch,
        revision: 1,
        kind: OperationKind::Drain,
        target: "gw-1".into(),
        state,
        phase: OperationPhase::Ordered,
        progress: Progress::default(),
        drain: None,
        detail: serde_json::Value::Null,
        reason: "because".into(),
        who: "ann".into(),
        created_ms: 1,
        updated_ms: 2,
        ended_ms: None,
        error: None,
    }
}

fn put(operation: &Operation) -> Change {
    Change::Operation(Box::new(operation.clone()))
}

fn event(sequence: u64) -> OperationEvent {
    OperationEvent {
        operation: "op-1".into(),
        sequence,
        at_ms: sequence,
        state: OperationState::Running,
        phase: OperationPhase::Draining,
        progress: Progress::default(),
        message: "going on".into(),
    }
}

fn audit(action: &str) -> Change {
    Change::Audit(NewAudit {
        at_ms: 5,
        who: "ann".into(),
        role: Role::Operator,
        action: action.into(),
        target: "gw-1".into(),
        reason: "🙂 \0 because".into(),
        before: String::new(),
        after: String::new(),
        result: "done".into(),
    })
}

async fn operations_and_events(store: &dyn Store) {
    assert_eq!(store.operations_head().await, Ok(0));
    let first = operation(1, OperationState::Running, 1);
    store.commit(vec![put(&first), Change::Event(event(1)), Change::Event(event(2))]).await.unwrap();
    store.commit(vec![put(&operation(2, OperationState::Failed, 1))]).await.unwrap();
    store.commit(vec![put(&operation(3, OperationState::Cancelling, 1))]).await.unwrap();
    assert_eq!(store.operations_head().await, Ok(3));
    assert_eq!(store.operation("op-1").await, Ok(Some(first.clone())));
    assert_eq!(store.operation("op-9").await, Ok(None));

    let numbers = async |filter, before, limit| -> Vec<u64> {
        store.operations(filter, before, limit).await.unwrap().iter().map(|operation| operation.number).collect()
    };
    assert_eq!(numbers(OperationFilter::All, u64::MAX, 10).await, [3, 2, 1]);
    assert_eq!(numbers(OperationFilter::All, 3, 1).await, [2]);
    assert_eq!(numbers(OperationFilter::Active, u64::MAX, usize::MAX).await, [3, 1]);
    assert_eq!(numbers(OperationFilter::In(OperationState::Failed), u64::MAX, 10).await, [2]);

    let sequences: Vec<_> = store.events("op-1", 1, 10).await.unwrap().iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, [2]);
    assert!(store.events("op-1", u64::MAX, 10).await.unwrap().is_empty());
    assert!(store.events("op-2", 0, 10).await.unwrap().is_empty());
}

async fn an_older_epoch_changes_nothing(store: &dyn Store) {
    let newer = Operation { epoch: 2, ..operation(1, OperationState::Succeeded, 2) };
    store.commit(vec![put(&newer)]).await.unwrap();
    let head = store.audit(u64::MAX, 1).await.unwrap();
    let stale = store.commit(vec![audit("stale"), put(&operation(1, OperationState::Failed, 1))]).await;
    assert_eq!(stale, Err(StoreError::Superseded("op-1".into())));
    assert_eq!(store.operation("op-1").await, Ok(Some(newer)));
    assert_eq!(store.audit(u64::MAX, 1).await.unwrap(), head, "all or nothing");
    // A number that another control plane took.
    let twin = Operation { id: "op-1-other".into(), ..operation(1, OperationState::Running, 1) };
    assert!(matches!(store.commit(vec![put(&twin)]).await, Err(StoreError::Unavailable(_))));
}

async fn records(store: &dyn Store) {
    let drain = DrainRecord { operation: "op-1".into(), deadline_ms: 1, rate_per_s: 2 };
    let desired = DesiredRecord { node: "gw-1".into(), ..DesiredRecord::default() }.next(Some(drain.clone()));
    let later = desired.next(None);
    assert_eq!((desired.version, later.version, &later.previous), (1, 2, &Some(drain)));
    let node = NodeRecord {
        id: "gw-1".into(),
        role: NodeRole::Worker,
        roles: vec!["fanout".into()],
        incarnation: 7,
        client_url: "ws://a".into(),
        http_url: "http://a".into(),
        software: "s".into(),
        capacity: 3,
        zone: "z".into(),
    };
    store.commit(vec![Change::Desired(desired), Change::Node(node.clone())]).await.unwrap();
    store.commit(vec![Change::Desired(later.clone())]).await.unwrap();
    assert_eq!(store.desired().await.unwrap(), [later]);
    assert_eq!(store.nodes().await.unwrap(), [node]);

    let token = |id: &str, created_ms, revoked_ms| TokenRecord {
        token: Token {
            id: id.into(),
            name: "ann".into(),
            role: Role::Viewer,
            created_ms,
            expires_ms: Some(9),
            revoked_ms,
        },
        hash: format!("hash of {id}"),
    };
    store.commit(vec![Change::Token(token("a", 2, None)), Change::Token(token("b", 1, None))]).await.unwrap();
    store.commit(vec![Change::Token(token("a", 2, Some(8)))]).await.unwrap();
    assert_eq!(store.tokens().await.unwrap(), [token("b", 1, None), token("a", 2, Some(8))]);
    assert_eq!(store.token_by_hash("hash of a").await, Ok(Some(token("a", 2, Some(8)))));
    assert_eq!(store.token_by_hash("a").await, Ok(None));
}

async fn the_audit_is_a_chain(store: &dyn Store) {
    let before = store.audit_from(0, 100).await.unwrap().len() as u64;
    store.commit(vec![audit("one"), audit("two")]).await.unwrap();
    store.commit(vec![audit("three")]).await.unwrap();
    let entries = store.audit_from(0, 100).await.unwrap();
    assert_eq!(entries.len() as u64, before + 3);
    assert_eq!(entries[0].previous_hash, FIRST_HASH);
    let check = |entries: &[protocol::admin::AuditEntry]| {
        let mut chain = AuditChain::default();
        entries.iter().for_each(|entry| chain.check(entry));
        chain.verdict()
    };
    let verdict = check(&entries);
    assert!(verdict.intact);
    assert_eq!((verdict.entries, &verdict.head), (before + 3, &entries.last().unwrap().hash));
    let newest: Vec<_> = store.audit(before + 3, 2).await.unwrap().into_iter().map(|entry| entry.action).collect();
    assert_eq!(newest, ["two", "one"]);

    let mut changed = entries.clone();
    changed[1].who = "eve".into();
    assert_eq!(check(&changed).broken.as_deref(), Some("entry 2 was changed"));
    let mut cut = entries.clone();
    cut.remove(1);
    assert_eq!(check(&cut).broken.as_deref(), Some("entry 2 is missing: 3 follows 1"));
    let mut moved = entries;
    moved[1].action = "one|two".into();
    moved[1].target = String::new();
    assert!(!check(&moved).intact);
}

fn window(number: u64, revision: u64, is_ended: bool) -> Document {
    let body = format!("{{\"of\":\"🙂 {number}\"}}");
    Document { kind: DocumentKind::Window, id: format!("win-{number}"), number, is_ended, revision, body }
}

async fn documents(store: &dyn Store) {
    let kind = DocumentKind::Window;
    assert_eq!(store.documents_head(kind).await, Ok(0));
    let all = (1..=4).map(|number| Change::Document(window(number, 1, number == 2)));
    store.commit(all.collect()).await.unwrap();
    // The same name in another kind is another thing; names differ by case.
    let other = Document { kind: DocumentKind::Event, ..window(9, 1, false) };
    let upper = Document { id: "WIN-9".into(), ..other.clone() };
    store.commit(vec![Change::Document(other.clone()), Change::Document(upper.clone())]).await.unwrap();
    assert_eq!(store.document(DocumentKind::Event, "win-9").await, Ok(Some(other)));
    assert_eq!(store.document(DocumentKind::Event, "WIN-9").await, Ok(Some(upper)));
    assert_eq!(store.document(kind, "win-9").await, Ok(None));
    assert_eq!(store.document(kind, "win-2").await, Ok(Some(window(2, 1, true))));
    assert_eq!(store.documents_head(kind).await, Ok(4));

    let numbers = async |all, before, limit| -> Vec<u64> {
        store.documents(kind, all, before, limit).await.unwrap().iter().map(|document| document.number).collect()
    };
    assert_eq!(numbers(false, u64::MAX, 10).await, [4, 3, 1]);
    assert_eq!(numbers(true, u64::MAX, usize::MAX).await, [4, 3, 2, 1]);
    assert_eq!(numbers(true, 4, 2).await, [3, 2]);
    assert_eq!(numbers(false, 3, 2).await, [1]);

    // Somebody else was first: nothing of the commit is done.
    let head = store.audit(u64::MAX, 1).await.unwrap();
    for stale in [window(1, 1, true), window(1, 3, true), window(7, 2, false)] {
        let refused = store.commit(vec![audit("stale"), Change::Document(stale.clone())]).await;
        assert_eq!(refused, Err(StoreError::Stale(stale.id)));
    }
    assert_eq!(store.audit(u64::MAX, 1).await.unwrap(), head, "all or nothing");
    store.commit(vec![Change::Document(window(1, 2, true))]).await.unwrap();
    assert_eq!(numbers(false, u64::MAX, 10).await, [4, 3]);

    store.commit(vec![Change::Forget(kind, 3)]).await.unwrap();
    assert_eq!(numbers(true, u64::MAX, 10).await, [4, 3]);
    assert_eq!(store.documents_head(DocumentKind::Event).await, Ok(9), "another kind");
}

async fn one_leads(store: &dyn Store) {
    const TTL: u64 = 6_000;
    let lead = async |holder: &str, now_ms| store.lead(holder, now_ms, TTL).await.unwrap();
    let of = |is_leader, holder: &str, epoch| Leadership {
        is_leader,
        holder: holder.into(),
        epoch,
        address: format!("http://{holder}"),
    };
    assert_eq!(lead("a http://a", 10_000).await, of(true, "a", 1));
    assert_eq!(lead("b http://b", 15_999).await, of(false, "a", 1));
    assert_eq!(lead("a http://a", 14_000).await, of(true, "a", 1), "renewed");
    assert_eq!(lead("b http://b", 19_999).await, of(false, "a", 1));
    assert_eq!(store.commit(vec![Change::Led(1), audit("led")]).await, Ok(()));
    assert_eq!(lead("b http://b", 20_000).await, of(true, "b", 2), "its time is over");
    let head = store.audit(u64::MAX, 1).await.unwrap();
    assert_eq!(store.commit(vec![audit("late"), Change::Led(1)]).await, Err(StoreError::Deposed));
    assert_eq!(store.audit(u64::MAX, 1).await.unwrap(), head, "nothing of it is done");
    // Not its to give up.
    store.resign("a http://a").await.unwrap();
    assert_eq!(lead("a http://a", 20_001).await, of(false, "b", 2));
    store.resign("b http://b").await.unwrap();
    assert_eq!(lead("a http://a", 20_002).await, of(true, "a", 3), "given up");
    // Who comes back under its name goes on, wherever it is now.
    assert_eq!(lead("a http://a", 20_003).await, of(true, "a", 3));
    store.resign("a http://a").await.unwrap();
}

async fn contract(store: Arc<dyn Store>) {
    store.ping().await.unwrap();
    the_audit_is_a_chain(&*store).await;
    operations_and_events(&*store).await;
    an_older_epoch_changes_nothing(&*store).await;
    records(&*store).await;
    documents(&*store).await;
    one_leads(&*store).await;
    at_once(&store).await;
}

/// Two that write at once, over stores of their own if need be: one chain, one leader, one creation.
async fn at_once(store: &Arc<dyn Store>) {
    let writers: Vec<_> = (0..8_u64)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0..5 {
                    store.commit(vec![audit(&format!("{writer}/{n}"))]).await.unwrap();
                }
                let twin = Document { id: "twin".into(), body: writer.to_string(), ..window(50, 1, false) };
                let is_first = store.commit(vec![Change::Document(twin)]).await;
                let leads = store.lead(&format!("r-{writer} http://r"), 100_000, 6_000).await.unwrap().is_leader;
                (is_first.is_ok(), leads)
            })
        })
        .collect();
    let (mut firsts, mut leaders) = (0, 0);
    for writer in writers {
        let (is_first, leads) = writer.await.unwrap();
        firsts += u32::from(is_first);
        leaders += u32::from(leads);
    }
    assert_eq!((firsts, leaders), (1, 1));
    let mut chain = AuditChain::default();
    store.audit_from(0, 1_000).await.unwrap().iter().for_each(|entry| chain.check(entry));
    let verdict = chain.verdict();
    assert!(verdict.intact && verdict.entries >= 40, "{verdict:?}");
}

#[tokio::test]
async fn memory() {
    contract(Arc::new(MemoryStore::default())).await;
}

#[tokio::test]
async fn sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.db");
    let store = SqliteStore::open(&path).await.unwrap();
    contract(Arc::new(store.clone())).await;
    store.close().await;
    let again = SqliteStore::open(&path).await.unwrap();
    assert_eq!(again.operations_head().await, Ok(3), "it outlives the process");
    the_audit_is_a_chain(&again).await;
    again.close().await;

    std::fs::write(dir.path().join("foreign.db"), "not a database at all, but long enough to be looked at").unwrap();
    let foreign = SqliteStore::open(&dir.path().join("foreign.db")).await;
    assert!(matches!(foreign, Err(StoreError::Corrupt(_))));
}
