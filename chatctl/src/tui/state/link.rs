//! Whether the control plane answers. While it does not, it is asked again and again, more and more rarely.

/// The first wait before it is asked again.
const WAIT_MIN_MS: u64 = 500;
/// The longest.
const WAIT_MAX_MS: u64 = 5_000;

/// It does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lost {
    /// Since when, ms since the epoch.
    pub(crate) since_ms: u64,
    /// Why.
    pub(crate) why: String,
    /// When it is asked next.
    pub(crate) next_ms: u64,
    tries: u32,
}

/// The way to the control plane.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Link {
    /// None while it answers.
    pub(crate) lost: Option<Lost>,
}

impl Link {
    /// A call did not come through. While it is lost, only the call that asks for it counts.
    pub(super) fn failed(&mut self, now_ms: u64, why: String, is_probe: bool) {
        match &mut self.lost {
            None => self.lost = Some(Lost { since_ms: now_ms, why, next_ms: now_ms + WAIT_MIN_MS, tries: 0 }),
            Some(lost) if is_probe => {
                lost.tries += 1;
                lost.why = why;
                lost.next_ms = now_ms + (WAIT_MIN_MS << lost.tries.min(8)).min(WAIT_MAX_MS);
            }
            Some(_) => {}
        }
    }

    /// A call came through. True when it was lost before.
    pub(super) fn came(&mut self) -> bool {
        self.lost.take().is_some()
    }
}
