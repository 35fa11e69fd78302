//! One conversation: what was seen of it, what is asked about it, what is sent into it.

use std::collections::VecDeque;

use super::{outbox::Outbox, view::View};

/// A request that is answered with `messages`. One is under way at a time, so that each page has one meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    Sync,
    History { before: Option<u64>, limit: usize },
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Conversation {
    pub(crate) view: View,
    pub(crate) outbox: Outbox,
    /// Pages of it come by themselves until `synced`.
    pub(crate) replaying: bool,
    /// The program wants to be told when it has everything.
    pub(crate) sync_wanted: bool,
    /// Under way, and until when it is waited for.
    pub(crate) request: Option<(Request, u64)>,
    /// Asked for by the program, waiting for their turn. Bounded; see `Core`.
    pub(crate) histories: VecDeque<(Option<u64>, usize)>,
    /// No sync before then.
    pub(crate) sync_at_ms: u64,
    /// Pages in a row that brought nothing new.
    pub(crate) fruitless: u32,
    /// It stands in the queue for a sync.
    pub(crate) queued: bool,
    /// The server will not let this user read it.
    pub(crate) barred: bool,
    /// The earliest wake-up that is set for it.
    pub(crate) armed_ms: Option<u64>,
}

impl Conversation {
    pub(crate) fn at(last: u64) -> Self {
        Self { view: View::at(last), ..Self::default() }
    }

    /// Something must be fetched.
    pub(crate) fn needs_sync(&self) -> bool {
        !self.replaying && !self.barred && (self.sync_wanted || self.view.is_behind())
    }

    /// When it wants to be looked at next.
    pub(crate) fn due_ms(&self, window: usize) -> Option<u64> {
        let request = match &self.request {
            Some((_, deadline_ms)) => Some(*deadline_ms),
            // A queued one is looked at when its turn comes.
            None if self.needs_sync() && !self.queued => Some(self.sync_at_ms),
            None => None,
        };
        [request, self.outbox.due_ms(window)].into_iter().flatten().min()
    }
}
