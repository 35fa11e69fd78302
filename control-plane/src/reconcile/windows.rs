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
    let seen = Seen::of(&app.nodes.views());
    let open = app.store.documents(DocumentKind::Window, false, u64::MAX, OVERRIDES_MAX).await?;
    let mut changes = Vec::new();
    for document in &open {
        let before = read_window(document)?;
        let after = next(app, before.clone(), &seen).await?;
        let is_due = app.clock.now_ms() % UPDATE_MS < 1_000
            || after.state != before.state
            || after.spans.len() != before.spans.len();
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
            && matches!(one.state, OverrideState::Pending | OverrideState::Active)
            && !open.iter().any(|document| document.id == one.id);
        if is_new {
            let number = app.store.documents_head(DocumentKind::Window).await? + 1;
            changes.push(Change::Document(write(&opened(&one, &seen), number, 1)?));
        }
    }
    if changes.is_empty() { Ok(()) } else { Ok(app.store.commit(changes).await?) }
}

/// Every partition is in it from the beginning: of a worker that dies before it says that it writes at ONE, nobody would
/// know that it did.
fn opened(one: &Override, seen: &Seen) -> ConsistencyWindow {
    let mut window = ConsistencyWindow {
        id: one.id.clone(),
        state: WindowState::Open,
        who: one.who.clone(),
        reason: one.reason.clone(),
        opened_ms: one.created_ms,
        closed_ms: None,
        verified_ms: None,
        spans: Vec::new(),
    };
    seen.live.iter().chain(&seen.lost).for_each(|position| cover_one(&mut window, position, position.read));
    window
}

async fn next(app: &App, mut window: ConsistencyWindow, seen: &Seen) -> Result<ConsistencyWindow, AppError> {
    cover(&mut window, seen);
    if window.state == WindowState::Open {
        let one = match app.override_document(&window.id).await {
            Ok((one, _)) => Some(one),
            Err(AppError::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        if one.as_ref().is_none_or(is_over) {
            window.state = WindowState::Rewriting;
            window.closed_ms = Some(one.and_then(|one| one.ended_ms).unwrap_or_else(|| app.clock.now_ms()));
        }
        return Ok(window);
    }
    // A replica that has just begun to listen does not know who still writes at ONE.
    if rewrite(&mut window, seen) && app.nodes.had_time() {
        window.state = WindowState::Verified;
        window.verified_ms = Some(app.clock.now_ms());
    }
    Ok(window)
}

/// What workers say of the partitions that they store.
#[derive(Debug, Default)]
struct Seen {
    /// Of workers that are heard.
    live: Vec<Position>,
    /// The last word of those that are not.
    lost: Vec<Position>,
}

impl Seen {
    fn of(views: &[NodeView]) -> Self {
        let mut seen = Self::default();
        for view in views {
            let to = if view.lost { &mut seen.lost } else { &mut seen.live };
            to.extend(view.report.positions.iter().cloned());
        }
        seen
    }

    fn live_of<'a>(&'a self, lane: &'a str, partition: u32) -> impl Iterator<Item = &'a Position> {
        self.live.iter().filter(move |it| it.lane == lane && it.partition == partition)
    }

    fn is_live(&self, lane: &str, partition: u32) -> bool {
        self.live_of(lane, partition).next().is_some()
    }
}

/// Moves the rewriting on. True when every row of the window is at quorum.
fn rewrite(window: &mut ConsistencyWindow, seen: &Seen) -> bool {
    for span in &mut window.spans {
        // Whoever stores the partition now: its commit pointer covers what is at quorum.
        let reached =
            seen.live_of(&span.lane, span.partition).map(|it| it.committed.max(it.rewriting)).max().unwrap_or(0);
        span.rewritten_to = span.rewritten_to.max(reached.min(span.to));
    }
    // A worker that has not heard of the end yet still writes at ONE.
    let is_written_at_one = seen.live.iter().any(|position| position.window == window.id);
    // What a worker wrote last before it died is known once another one has its partitions, and they are in the spans.
    let is_all_heard = seen.lost.iter().all(|position| seen.is_live(&position.lane, position.partition))
        && window.spans.iter().all(|span| seen.is_live(&span.lane, span.partition));
    !seen.live.is_empty()
        && !is_written_at_one
        && is_all_heard
        && window.spans.iter().all(|span| span.rewritten_to >= span.to)
}

/// Notes what is written at ONE. Of a worker that is lost while the window is open nobody knows whether it heard of it:
/// its partitions are covered as if, up to their ends.
fn cover(window: &mut ConsistencyWindow, seen: &Seen) {
    for position in seen.live.iter().chain(&seen.lost) {
        if position.window == window.id {
            cover_one(window, position, position.read);
        }
    }
    if window.state == WindowState::Open {
        let orphans = seen.lost.iter().filter(|position| !seen.is_live(&position.lane, position.partition));
        orphans.for_each(|position| cover_one(window, position, position.end));
    }
}

fn cover_one(window: &mut ConsistencyWindow, position: &Position, to: u64) {
    let known = window.spans.iter_mut().find(|it| it.lane == position.lane && it.partition == position.partition);
    match known {
        Some(span) => span.to = span.to.max(to),
        None => window.spans.push(WindowSpan {
            lane: position.lane.clone(),
            partition: position.partition,
            from: position.committed,
            to,
            rewritten_to: position.committed,
        }),
    }
}

fn write(window: &ConsistencyWindow, number: u64, revision: u64) -> Result<Document, AppError> {
    let body = serde_json::to_string(window).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    let is_ended = window.state == WindowState::Verified;
    Ok(Document { kind: DocumentKind::Window, id: window.id.clone(), number, is_ended, revision, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(state: WindowState) -> ConsistencyWindow {
        ConsistencyWindow {
            id: "ov-1".into(),
            state,
            who: "ann".into(),
            reason: "peak".into(),
            opened_ms: 1,
            closed_ms: None,
            verified_ms: None,
            spans: Vec::new(),
        }
    }

    fn position(partition: u32, committed: u64, read: u64, end: u64, window: &str) -> Position {
        Position { lane: "direct".into(), partition, read, committed, end, window: window.into(), rewriting: 0 }
    }

    #[test]
    fn a_window_is_verified_once_what_was_written_at_one_is_below_the_commit_pointer() {
        let mut it = window(WindowState::Open);
        cover(&mut it, &Seen { live: vec![position(0, 10, 50, 60, "ov-1")], lost: vec![] });
        it.state = WindowState::Rewriting;
        let still = Seen { live: vec![position(0, 10, 60, 60, "ov-1")], lost: vec![] };
        cover(&mut it, &still);
        assert!(!rewrite(&mut it, &still), "a worker still writes at ONE");
        let behind = Seen { live: vec![position(0, 59, 70, 70, "")], lost: vec![] };
        assert!(!rewrite(&mut it, &behind));
        let done = Seen { live: vec![position(0, 60, 70, 70, "")], lost: vec![] };
        assert!(rewrite(&mut it, &done));
        assert_eq!((it.spans[0].from, it.spans[0].to, it.spans[0].rewritten_to), (10, 60, 60));
    }

    #[test]
    fn nothing_is_verified_while_nobody_tells_of_a_partition() {
        // The worker died before it said that it writes at ONE.
        let mut it = window(WindowState::Open);
        let silent = Seen { live: vec![], lost: vec![position(3, 5, 8, 9, "")] };
        cover(&mut it, &silent);
        it.state = WindowState::Rewriting;
        assert!(!rewrite(&mut it, &silent));
        assert!(!rewrite(&mut it, &Seen::default()), "nobody is heard at all");
        assert!(!rewrite(&mut window(WindowState::Rewriting), &Seen::default()), "nor was anybody before");
        let taken = |committed| Seen { live: vec![position(3, committed, 9, 9, "")], lost: silent.lost.clone() };
        assert!(!rewrite(&mut it, &taken(5)));
        assert!(rewrite(&mut it, &taken(9)));
    }
}
