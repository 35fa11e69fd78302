//! Which of a user's connections is the current one (I7, failure mode 5: split brain).

/// The version of a new session: it grows even when the registry lost everything (the clock) and even when the clock
/// stands still or jumps back (the previous version).
pub fn next_session_version(previous: Option<u64>, now_ms: u64) -> u64 {
    previous.map_or(now_ms, |previous| now_ms.max(previous + 1))
}

/// What the registry's view of a device means for a connection that holds `mine`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The registry names this session: it is the current one.
    Current,
    /// A higher version is registered: close this connection with 4001.
    Superseded,
    /// The registry forgot the session. When it forgot the gateway, too, both are entered again; else what was sent
    /// meanwhile passed the session by, and it must resume.
    Forgotten,
}

/// Compares a connection's version with the registered one.
pub fn standing(registered: Option<u64>, mine: u64) -> Standing {
    match registered {
        Some(version) if version > mine => Standing::Superseded,
        Some(version) if version == mine => Standing::Current,
        _ => Standing::Forgotten,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn versions_only_grow(clock in proptest::collection::vec(0_u64..1 << 52, 1..50)) {
            let mut last = None;
            for now_ms in clock {
                let next = next_session_version(last, now_ms);
                prop_assert!(last.is_none_or(|last| next > last));
                prop_assert!(next >= now_ms);
                last = Some(next);
            }
        }
    }

    #[test]
    fn only_a_higher_version_supersedes() {
        assert_eq!(standing(Some(3), 3), Standing::Current);
        assert_eq!(standing(Some(4), 3), Standing::Superseded);
        assert_eq!(standing(Some(2), 3), Standing::Forgotten);
        assert_eq!(standing(None, 3), Standing::Forgotten);
    }
}
