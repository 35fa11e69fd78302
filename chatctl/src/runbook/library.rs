//! The runbooks that come with chatctl, from the folder `runbooks/` of the project.

use super::{Runbook, parse};
use crate::error::{CommandError, Kind};

/// Files and their texts.
const TEXTS: [(&str, &str); 9] = [
    ("gateway-crash.md", include_str!("../../../runbooks/gateway-crash.md")),
    ("lost-ack.md", include_str!("../../../runbooks/lost-ack.md")),
    ("presence-storm.md", include_str!("../../../runbooks/presence-storm.md")),
    ("write-timeouts.md", include_str!("../../../runbooks/write-timeouts.md")),
    ("split-brain.md", include_str!("../../../runbooks/split-brain.md")),
    ("fanout-delay.md", include_str!("../../../runbooks/fanout-delay.md")),
    ("rolling-restart.md", include_str!("../../../runbooks/rolling-restart.md")),
    ("event-day.md", include_str!("../../../runbooks/event-day.md")),
    ("control-plane-lost.md", include_str!("../../../runbooks/control-plane-lost.md")),
];

/// All of them, in the order of the failure modes.
pub(crate) fn all() -> Vec<Runbook> {
    // The tests read each of them: one that cannot be read is not released.
    TEXTS.iter().filter_map(|(_, text)| parse(text).ok()).collect()
}

/// One by its id.
pub(crate) fn find(id: &str) -> Result<Runbook, CommandError> {
    let found = all().into_iter().find(|runbook| runbook.id == id);
    found.ok_or_else(|| {
        CommandError::new(Kind::NotFound, format!("there is no runbook {id:?}")).hint("chatctl runbook list shows all")
    })
}

#[cfg(test)]
pub(super) fn texts() -> &'static [(&'static str, &'static str)] {
    &TEXTS
}
