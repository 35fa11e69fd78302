//! When the fleet asks for another node of the message store by itself.

/// The rule: the store has been tired for minutes ([`crate::detect::store_is_tired`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreScaling {
    /// Never more nodes than this; 0: the fleet asks for none.
    pub nodes_max: u64,
    /// Between two nodes, ms. A new node needs its time until it bears load: asking again before says nothing.
    pub cool_down_ms: u64,
}

impl Default for StoreScaling {
    /// Off. The cool-down is what a node takes to get its data, as plans assume it.
    fn default() -> Self {
        Self { nodes_max: 0, cool_down_ms: 30 * 60_000 }
    }
}

/// What the rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreAdvice {
    /// Nothing is to be done.
    Hold,
    /// One more node.
    Add,
    /// One more is wanted, and there are as many as there may be.
    AtCeiling,
    /// One more is wanted, and the last one was asked for too short a time ago.
    CoolingDown {
        /// Until one may be asked for, ms.
        left_ms: u64,
    },
}

impl StoreScaling {
    /// `asked_ms`: when a node was asked for last.
    pub fn advise(&self, is_tired: bool, nodes: u64, asked_ms: Option<u64>, now_ms: u64) -> StoreAdvice {
        if !is_tired || self.nodes_max == 0 {
            return StoreAdvice::Hold;
        }
        if nodes >= self.nodes_max {
            return StoreAdvice::AtCeiling;
        }
        let free_ms = asked_ms.map_or(0, |asked_ms| asked_ms.saturating_add(self.cool_down_ms));
        match free_ms.checked_sub(now_ms) {
            Some(left_ms) if left_ms > 0 => StoreAdvice::CoolingDown { left_ms },
            _ => StoreAdvice::Add,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_node_at_a_time_up_to_the_ceiling() {
        let rule = StoreScaling { nodes_max: 4, cool_down_ms: 1_000 };
        assert_eq!(rule.advise(false, 3, None, 5_000), StoreAdvice::Hold);
        assert_eq!(rule.advise(true, 3, None, 5_000), StoreAdvice::Add);
        assert_eq!(rule.advise(true, 3, Some(4_500), 5_000), StoreAdvice::CoolingDown { left_ms: 500 });
        assert_eq!(rule.advise(true, 3, Some(4_000), 5_000), StoreAdvice::Add);
        assert_eq!(rule.advise(true, 4, None, 5_000), StoreAdvice::AtCeiling);
        assert_eq!(StoreScaling::default().advise(true, 1, None, 5_000), StoreAdvice::Hold);
    }

    proptest! {
        /// However tired the store, in any time there are at most so many nodes asked for as cool-downs fit in it.
        #[test]
        fn a_store_that_stays_tired_grows_by_the_cool_down(step_ms in 1_u64..5_000, cool_down_ms in 1_u64..100_000) {
            let rule = StoreScaling { nodes_max: u64::MAX, cool_down_ms };
            let (mut nodes, mut asked_ms) = (3, None);
            let end_ms = 200_000;
            for now_ms in (0..end_ms).step_by(step_ms as usize) {
                if rule.advise(true, nodes, asked_ms, now_ms) == StoreAdvice::Add {
                    nodes += 1;
                    asked_ms = Some(now_ms);
                }
            }
            prop_assert!(nodes - 3 <= end_ms / cool_down_ms + 1);
        }
    }
}
