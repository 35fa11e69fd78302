//! Brings overrides to the nodes, and takes them back. One node of an override's scope is told first: when it refuses,
//! nobody else is told, and the override is refused. What a node acknowledged it takes back by itself when the time has
//! come; what is done here then is bookkeeping.

use protocol::admin::{Override, OverrideState};

use crate::{
    app::{
        App,
        nodes::NodeView,
        overrides::{FLEET, OVERRIDES_MAX, concerns, is_over, read, write},
    },
    error::AppError,
    store::{Change, DesiredRecord, Document, DocumentKind, OverrideRecord},
};

/// One pass over all overrides and nodes.
pub(super) async fn pass(app: &App) -> Result<(), AppError> {
    let _writing = app.writing.lock().await;
    let documents = app.store.documents(DocumentKind::Override, false, u64::MAX, OVERRIDES_MAX).await?;
    let views = app.nodes.views();
    let mut changes = Vec::new();
    let mut active = Vec::new();
    for document in documents {
        let known = read(&document)?;
        let next = next(app, known.clone(), &views);
        if next.state != known.state {
            tracing::info!(id = %next.id, state = %next.state, by = next.ended_by.as_deref().unwrap_or(""), "override");
            changes.push(saved(&next, &document)?);
            changes.extend(next.ended_by.as_deref().map(|by| app.audit_override_ended(&next, by)));
        }
        if !is_over(&next) {
            active.push(next);
        }
    }
    let desired: Vec<DesiredRecord> = views.iter().filter_map(|view| desired(&active, view, &views)).collect();
    changes.extend(desired.iter().cloned().map(Change::Desired));
    if changes.is_empty() {
        return Ok(());
    }
    app.store.commit(changes).await?;
    desired.into_iter().for_each(|desired| app.nodes.desire(desired));
    Ok(())
}

fn saved(one: &Override, document: &Document) -> Result<Change, AppError> {
    Ok(Change::Document(write(one, document.number, document.revision + 1)?))
}

/// What becomes of an override by what is known of its nodes.
fn next(app: &App, mut one: Override, views: &[NodeView]) -> Override {
    if let Some((node, reason)) = views.iter().find_map(|view| Some((&view.record.id, refusal(&one, view)?))) {
        let by = format!("{node} refused it: {reason}");
        app.end(&mut one, OverrideState::Refused, by);
    } else if app.clock.now_ms() >= one.until_ms {
        app.end(&mut one, OverrideState::Ended, "time".to_owned());
    } else if one.state == OverrideState::Pending && views.iter().any(|view| has_taken(&one, view)) {
        one.state = OverrideState::Active;
    }
    one
}

fn record_on<'a>(one: &Override, view: &'a NodeView) -> Option<&'a OverrideRecord> {
    view.desired.overrides.iter().find(|record| record.id == one.id)
}

/// The node acknowledged a state with this override in it.
fn has_taken(one: &Override, view: &NodeView) -> bool {
    record_on(one, view).is_some_and(|record| view.acked >= record.since_version)
}

/// The node refused the state in force, and this override is what is new in it.
fn refusal<'a>(one: &Override, view: &'a NodeView) -> Option<&'a str> {
    let record = record_on(one, view)?;
    view.refusal().filter(|_| view.acked < record.since_version)
}

/// The new desired state of a node, when its overrides must change.
fn desired(active: &[Override], view: &NodeView, views: &[NodeView]) -> Option<DesiredRecord> {
    let version = view.desired.version + 1;
    let wanted = active.iter().filter(|one| reaches(one, view) && may_be_told(one, view, views));
    let mut overrides: Vec<OverrideRecord> = wanted
        .map(|one| match record_on(one, view) {
            Some(known) => known.clone(),
            None => OverrideRecord {
                id: one.id.clone(),
                lever: one.lever.clone(),
                until_ms: one.until_ms,
                for_ms: one.until_ms.saturating_sub(one.created_ms),
                since_version: version,
            },
        })
        .collect();
    overrides.sort_by(|a, b| a.id.cmp(&b.id));
    (overrides != view.desired.overrides).then(|| DesiredRecord { version, overrides, ..view.desired.clone() })
}

fn reaches(one: &Override, view: &NodeView) -> bool {
    (one.scope == FLEET || one.scope == view.record.id) && concerns(&one.lever, view)
}

/// Before it is acknowledged anywhere only the first live node of the scope is told.
fn may_be_told(one: &Override, view: &NodeView, views: &[NodeView]) -> bool {
    if one.state == OverrideState::Active || record_on(one, view).is_some() {
        return true;
    }
    let is_asked = views.iter().any(|other| !other.lost && record_on(one, other).is_some());
    let first = views.iter().find(|other| !other.lost && reaches(one, other));
    !is_asked && first.is_some_and(|first| first.record.id == view.record.id)
}
