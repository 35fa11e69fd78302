//! A circuit breaker: stops calling a store that fails, and tries a few calls before it trusts it again. Time is passed
//! in; one that is forced stays where it is put until it is let go.

use crate::rolling::{Rolling, RollingSums};

/// When a breaker opens, and how it closes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerRule {
    /// Errors of 100 calls of the last ten seconds that open it.
    pub error_percent: u64,
    /// Fewer calls than this never open it.
    pub calls_min: u64,
    /// How long it stays open before it lets probes through.
    pub open_ms: u64,
    /// Probes that must succeed, one after another or at once, before it closes.
    pub probes: u32,
}

/// Presence: 5% errors over at least 50 calls open it for 10 s (design, Numbers; failure mode 3). What is lost meanwhile
/// are heartbeats, and the next ones make up for them.
pub const PRESENCE_RULE: BreakerRule = BreakerRule { error_percent: 5, calls_min: 50, open_ms: 10_000, probes: 3 };

/// Stores that messages stand on. Only a store that fails most calls is given a rest, and a short one: an open breaker
/// turns some errors into nothing but errors.
pub const STORE_RULE: BreakerRule = BreakerRule { error_percent: 50, calls_min: 20, open_ms: 1_000, probes: 2 };

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerPosition {
    /// Calls pass.
    Closed,
    /// Calls are refused.
    Open,
    /// A few calls pass as probes.
    HalfOpen,
}

/// May a call pass?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Pass,
    /// It may, and its outcome decides.
    Probe,
    /// It may not.
    Refuse,
}

/// A breaker.
#[derive(Debug, Clone)]
pub struct Breaker {
    rule: BreakerRule,
    position: BreakerPosition,
    since_ms: u64,
    forced: Option<BreakerPosition>,
    calls: Rolling,
    /// Probes under way, and those that succeeded since it is half open.
    probing: u32,
    succeeded: u32,
}

impl Breaker {
    /// A closed one.
    pub fn new(rule: BreakerRule, now_ms: u64) -> Self {
        Self {
            rule,
            position: BreakerPosition::Closed,
            since_ms: now_ms,
            forced: None,
            calls: Rolling::default(),
            probing: 0,
            succeeded: 0,
        }
    }

    fn go(&mut self, position: BreakerPosition, now_ms: u64) {
        self.position = position;
        self.since_ms = now_ms;
        (self.probing, self.succeeded) = (0, 0);
        if position == BreakerPosition::Closed {
            // What failed before the rest says nothing about the store now.
            self.calls.clear();
        }
    }

    /// Asks for a call to pass. Each one that passes must be followed by [`Breaker::done`], or by [`Breaker::left`] where
    /// nobody waited for its end.
    pub fn admit(&mut self, now_ms: u64) -> Admission {
        match self.forced {
            Some(BreakerPosition::Open) => return Admission::Refuse,
            Some(_) => return Admission::Pass,
            None => {}
        }
        if self.position == BreakerPosition::Open && now_ms >= self.since_ms + self.rule.open_ms {
            self.go(BreakerPosition::HalfOpen, now_ms);
        }
        match self.position {
            BreakerPosition::Closed => Admission::Pass,
            BreakerPosition::Open => Admission::Refuse,
            // A caller that vanished with its probe must not hold the breaker for ever.
            BreakerPosition::HalfOpen if now_ms >= self.since_ms + self.rule.open_ms.max(1_000) => {
                self.go(BreakerPosition::HalfOpen, now_ms);
                self.probing = 1;
                Admission::Probe
            }
            BreakerPosition::HalfOpen if self.probing + self.succeeded < self.rule.probes => {
                self.probing += 1;
                Admission::Probe
            }
            BreakerPosition::HalfOpen => Admission::Refuse,
        }
    }

    /// A call that passed has ended.
    pub fn done(&mut self, now_ms: u64, admission: Admission, is_error: bool, took_us: u64) {
        self.calls.note(now_ms, is_error, took_us);
        match (admission, self.position) {
            (Admission::Probe, BreakerPosition::HalfOpen) if is_error => self.go(BreakerPosition::Open, now_ms),
            (Admission::Probe, BreakerPosition::HalfOpen) => {
                self.probing = self.probing.saturating_sub(1);
                self.succeeded += 1;
                if self.succeeded >= self.rule.probes {
                    self.go(BreakerPosition::Closed, now_ms);
                }
            }
            (_, BreakerPosition::Closed) if is_error && self.forced.is_none() => {
                let sums = self.calls.sums(now_ms);
                let is_bad = sums.errors * 100 > sums.calls * self.rule.error_percent;
                if sums.calls >= self.rule.calls_min && is_bad {
                    self.go(BreakerPosition::Open, now_ms);
                }
            }
            _ => {}
        }
    }

    /// A call that passed was given up by its caller before it said anything about the store: another one may probe.
    pub fn left(&mut self, admission: Admission) {
        if admission == Admission::Probe && self.position == BreakerPosition::HalfOpen {
            self.probing = self.probing.saturating_sub(1);
        }
    }

    /// Holds it open or closed, or lets it go: then it begins closed, with no memory.
    pub fn force(&mut self, forced: Option<BreakerPosition>, now_ms: u64) {
        if self.forced == forced {
            return;
        }
        self.forced = forced;
        self.go(forced.unwrap_or(BreakerPosition::Closed), now_ms);
    }

    /// Where it stands, and for how long, ms.
    pub fn position(&self, now_ms: u64) -> (BreakerPosition, u64) {
        (self.position, now_ms.saturating_sub(self.since_ms))
    }

    /// The calls of the last ten seconds, or since it closed.
    pub fn sums(&self, now_ms: u64) -> RollingSums {
        self.calls.sums(now_ms)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn call(breaker: &mut Breaker, now_ms: u64, is_error: bool) -> Admission {
        let admission = breaker.admit(now_ms);
        if admission != Admission::Refuse {
            breaker.done(now_ms, admission, is_error, 1_000);
        }
        admission
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::new(PRESENCE_RULE, 0);
        for n in 0..60 {
            call(&mut breaker, 1_000, n % 10 == 0);
        }
        assert_eq!(breaker.position(1_000).0, BreakerPosition::Open);
        breaker
    }

    #[test]
    fn few_calls_and_few_errors_leave_it_closed() {
        let mut breaker = Breaker::new(PRESENCE_RULE, 0);
        (0..49).for_each(|_| {
            call(&mut breaker, 0, true);
        });
        assert_eq!(breaker.position(0).0, BreakerPosition::Closed, "49 calls say nothing");
        let mut breaker = Breaker::new(PRESENCE_RULE, 0);
        (0..1_000).for_each(|n| {
            call(&mut breaker, 0, n % 20 == 19);
        });
        assert_eq!(breaker.position(0).0, BreakerPosition::Closed, "5% is not above 5%");
        // Errors of long ago do not count.
        let mut breaker = Breaker::new(PRESENCE_RULE, 0);
        (0..49).for_each(|_| {
            call(&mut breaker, 0, true);
        });
        (0..100).for_each(|n| {
            call(&mut breaker, 20_000, n == 0);
        });
        assert_eq!(breaker.position(20_000).0, BreakerPosition::Closed);
    }

    #[test]
    fn a_probe_whose_caller_left_makes_room_for_another() {
        let mut breaker = opened();
        let probes: Vec<_> = (0..3).map(|_| breaker.admit(11_000)).collect();
        assert_eq!(probes, [Admission::Probe; 3]);
        assert_eq!(breaker.admit(11_001), Admission::Refuse);
        breaker.left(Admission::Probe);
        assert_eq!(breaker.admit(11_002), Admission::Probe);
        // One that passed before it opened was no probe.
        breaker.left(Admission::Pass);
        assert_eq!(breaker.admit(11_003), Admission::Refuse);
        (0..3).for_each(|_| breaker.done(11_010, Admission::Probe, false, 1_000));
        assert_eq!(breaker.position(11_010).0, BreakerPosition::Closed);
    }

    #[test]
    fn it_opens_rests_probes_and_closes() {
        let mut breaker = opened();
        assert_eq!(call(&mut breaker, 10_999, false), Admission::Refuse);
        let probes: Vec<_> = (0..5).map(|_| breaker.admit(11_000)).collect();
        assert_eq!(probes[..4], [Admission::Probe, Admission::Probe, Admission::Probe, Admission::Refuse]);
        (0..3).for_each(|_| breaker.done(11_010, Admission::Probe, false, 1_000));
        assert_eq!(breaker.position(11_010), (BreakerPosition::Closed, 0));
        assert_eq!(call(&mut breaker, 11_011, true), Admission::Pass);
        assert_eq!(breaker.position(11_011).0, BreakerPosition::Closed, "it starts with no memory");
    }

    #[test]
    fn a_failed_probe_opens_it_again_and_a_lost_one_does_not_hold_it() {
        let mut breaker = opened();
        assert_eq!(call(&mut breaker, 11_000, true), Admission::Probe);
        assert_eq!(breaker.position(11_000), (BreakerPosition::Open, 0));
        assert_eq!(breaker.admit(20_999), Admission::Refuse);
        (0..3).for_each(|_| assert_eq!(breaker.admit(21_000), Admission::Probe));
        // Their callers never come back.
        assert_eq!(breaker.admit(25_000), Admission::Refuse);
        assert_eq!(breaker.admit(31_000), Admission::Probe);
    }

    #[test]
    fn a_forced_one_stays_and_begins_anew_when_it_is_let_go() {
        let mut breaker = Breaker::new(PRESENCE_RULE, 0);
        breaker.force(Some(BreakerPosition::Closed), 0);
        (0..500).for_each(|_| assert_eq!(call(&mut breaker, 0, true), Admission::Pass));
        breaker.force(Some(BreakerPosition::Open), 5_000);
        assert_eq!(call(&mut breaker, 3_600_000, false), Admission::Refuse);
        assert_eq!(breaker.position(3_600_000), (BreakerPosition::Open, 3_595_000));
        breaker.force(None, 3_600_000);
        assert_eq!(call(&mut breaker, 3_600_000, true), Admission::Pass);
    }

    proptest! {
        /// Whatever happens, a store that is well again is called again within the rest, and a minute of health closes.
        #[test]
        fn health_closes_it(calls in prop::collection::vec((0_u64..500, any::<bool>(), any::<bool>()), 0..300)) {
            let mut breaker = Breaker::new(PRESENCE_RULE, 0);
            let mut now_ms = 0;
            for (step_ms, is_error, is_lost) in calls {
                now_ms += step_ms;
                let admission = breaker.admit(now_ms);
                if admission != Admission::Refuse && !is_lost {
                    breaker.done(now_ms, admission, is_error, 1);
                }
            }
            for _ in 0..600 {
                now_ms += 100;
                call(&mut breaker, now_ms, false);
            }
            prop_assert_eq!(breaker.position(now_ms).0, BreakerPosition::Closed);
        }
    }
}
