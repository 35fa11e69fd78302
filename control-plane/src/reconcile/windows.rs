//! Keeps the ledger of downgraded consistency: what each window covers, how far it is written again, and when every row
//! of it is at quorum. The workers do the work; the commit pointer tells how far it is (I6).

use protocol::{
    admin::{ConsistencyWindow, Lever, Override, OverrideState, WindowSpan, WindowState},
    node::Position,
};

use crate::{
    app::{
        App,
        consistency::read_window,
        nodes::NodeView,
        overrides::{OVERRIDES_MAX, is_over, read},
    },
    error::AppError,
    store::{Change, Document, DocumentKind, StoreError},
};

/// While a window is open its offsets grow all the time: they are written down this often.
const UPDATE_MS: u64 = 5_000;

/// One pass over the windows that are not verified.
pub(super) async fn pass(app: &App) -> Result<(), AppError> {
    let _writing = app.writing.lock().await;
    let views: Vec<NodeView> = app.nodes.views().into_iter().filter(|view| !view.lost).collect();
    let open = app.store.documents(DocumentKind::Window, false, u64::MAX, OVERRIDES_MAX).await?;
    let mut changes = Vec::new();
    for document in &open {
        let before = read_window(document)?;
        let after = next(app, before.clone(), &views).await?;
        let is_due = app.clock.now_ms() % UPDATE_MS < 1_000 || after.state != before.state;
        if after != before && is_due {
            if after.state == WindowState::Verified {
                tracing::info!(window = after.id, records = after.records(), "a window is verified");
            }
            changes.push(Change::Document(write(&after, document.number, document.revision + 1)?));
        }
    }
    for one in app.store.documents(DocumentKind::Override, false, u64::MAX, OVERRIDES_MAX).await? {
        let one = read(&one)?;
        let is_new = matches!(one.lever, Lever::ConsistencyOne { .. })
            && one.state == OverrideState::Active
            && !open.iter().any(|document| document.id == one.id);
        if is_new {
            let number = app.store.documents_head(DocumentKind::Window).await? + 1;
            changes.push(Change::Document(write(&opened(&one), number, 1)?));
        }
    }
    if changes.is_empty() { Ok(()) } else { Ok(app.store.commit(changes).await?) }
}

fn opened(one: &Override) -> ConsistencyWindow {
    ConsistencyWindow {
        id: one.id.clone(),
        state: WindowState::Open,
        who: one.who.clone(),
        reason: one.reason.clone(),
        opened_ms: one.created_ms,
        closed_ms: None,
        verified_ms: None,
        spans: Vec::new(),
    }
}

async fn next(app: &App, mut window: ConsistencyWindow, views: &[NodeView]) -> Result<ConsistencyWindow, AppError> {
    let positions = || views.iter().flat_map(|view| &view.report.positions);
    for position in positions() {
        if position.window == window.id {
            cover(&mut window, position);
        }
    }
    if window.state == WindowState::Open {
        let one = app.override_document(&window.id).await.map(|(one, _)| one);
        if one.as_ref().map_or(true, is_over) {
            window.state = WindowState::Rewriting;
            window.closed_ms = Some(one.ok().and_then(|one| one.ended_ms).unwrap_or_else(|| app.clock.now_ms()));
        }
        return Ok(window);
    }
    for span in &mut window.spans {
        let of_span = |it: &&Position| it.lane == span.lane && it.partition == span.partition;
        // Whoever stores the partition now: its commit pointer covers what is at quorum.
        let reached = positions().filter(of_span).map(|it| it.committed.max(it.rewriting)).max().unwrap_or(0);
        span.rewritten_to = span.rewritten_to.max(reached.min(span.to));
    }
    // A worker that has not heard of the end yet still writes at ONE.
    let is_written_at_one = positions().any(|position| position.window == window.id);
    if !is_written_at_one && window.spans.iter().all(|span| span.rewritten_to >= span.to) {
        window.state = WindowState::Verified;
        window.verified_ms = Some(app.clock.now_ms());
    }
    Ok(window)
}

fn cover(window: &mut ConsistencyWindow, position: &Position) {
    let known = window.spans.iter_mut().find(|it| it.lane == position.lane && it.partition == position.partition);
    match known {
        Some(span) => span.to = span.to.max(position.read),
        None => window.spans.push(WindowSpan {
            lane: position.lane.clone(),
            partition: position.partition,
            from: position.committed,
            to: position.read,
            rewritten_to: position.committed,
        }),
    }
}

fn write(window: &ConsistencyWindow, number: u64, revision: u64) -> Result<Document, AppError> {
    let body = serde_json::to_string(window).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    let is_ended = window.state == WindowState::Verified;
    Ok(Document { kind: DocumentKind::Window, id: window.id.clone(), number, is_ended, revision, body })
}
