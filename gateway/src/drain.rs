//! Draining: no new connections, `migrate` spread over the window, the rest closed after the deadline.

use std::sync::{Arc, atomic::Ordering};

use domain::DrainPlan;
use parking_lot::Mutex;
use protocol::{
    frames::{CloseCode, ServerFrame},
    node::{DrainOrder, DrainPhase, DrainReport},
};
use rand::seq::SliceRandom as _;
use tokio::time::{Duration, Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{gateway::Shared, hub::Conn, socket::text_frame};

/// How often a step is taken. Each step takes its share in random order: the jitter of a drain.
const STEP: Duration = Duration::from_millis(100);

#[derive(Default)]
struct State {
    report: DrainReport,
    /// Ends the task of the order in force.
    running: Option<CancellationToken>,
}

/// What a gateway knows of its drain.
#[derive(Default)]
pub(crate) struct Drain {
    state: Mutex<State>,
}

impl Drain {
    /// True from the order to the undrain: also when drained.
    pub(crate) fn refuses_connections(&self) -> bool {
        !matches!(self.state.lock().report.phase(), DrainPhase::Active | DrainPhase::Cancelled)
    }

    pub(crate) fn report(&self) -> DrainReport {
        self.state.lock().report.clone()
    }
}

impl Shared {
    /// Puts the wanted drain in force: begins one, goes on with the one that runs, or ends it.
    pub(crate) fn order_drain(self: &Arc<Self>, order: Option<DrainOrder>) {
        let mut state = self.drain.state.lock();
        let Some(order) = order else {
            if let Some(running) = state.running.take() {
                running.cancel();
                state.report.set_phase(DrainPhase::Cancelled);
            } else {
                state.report = DrainReport::default();
            }
            return;
        };
        if state.report.operation == order.operation {
            return;
        }
        if let Some(running) = state.running.take() {
            running.cancel();
        }
        // Those whom an earlier drain told and who stayed are told again.
        self.hub.all().iter().for_each(|conn| conn.told_to_migrate.store(false, Ordering::Relaxed));
        let plan = DrainPlan {
            connections: self.hub.connections(),
            deadline_ms: order.deadline_ms,
            rate_per_s: order.rate_per_s,
        };
        state.report = DrainReport {
            operation: order.operation,
            phase: DrainPhase::Draining.into(),
            connections_at_start: plan.connections as u64,
            ..DrainReport::default()
        };
        let stop = self.stop.child_token();
        state.running = Some(stop.clone());
        tracing::info!(connections = plan.connections, deadline_ms = plan.deadline_ms, "draining");
        self.tasks.spawn(run(self.clone(), plan, stop));
    }
}

async fn run(shared: Arc<Shared>, plan: DrainPlan, stop: CancellationToken) {
    let began = Instant::now();
    let mut steps = interval(STEP);
    steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut told, mut evicted) = (0, 0);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = steps.tick() => {}
        }
        let elapsed_ms = began.elapsed().as_millis() as u64;
        let mut conns = shared.hub.all();
        conns.shuffle(&mut *shared.rng.lock());
        told += migrate(&shared, &conns, plan.migrated_by(elapsed_ms).saturating_sub(told), plan.within_ms(elapsed_ms));
        evicted += evict(&conns, plan.evicted_by(elapsed_ms).saturating_sub(evicted));

        let mut state = shared.drain.state.lock();
        if stop.is_cancelled() {
            return;
        }
        state.report.told_to_migrate = told as u64;
        state.report.evicted = evicted as u64;
        if plan.is_evicting(elapsed_ms) {
            state.report.set_phase(DrainPhase::Evicting);
        }
        // Drained is what the gateway counts itself, not what was hoped for.
        if shared.hub.connections() == 0 {
            state.report.set_phase(if evicted > 0 { DrainPhase::Forced } else { DrainPhase::Drained });
            state.running = None;
            tracing::info!(told, evicted, took_ms = elapsed_ms, "drained");
            return;
        }
    }
}

fn migrate(shared: &Shared, conns: &[Arc<Conn>], n: usize, within_ms: u64) -> usize {
    let frame = text_frame(&ServerFrame::Migrate { within_ms }.encode());
    let untold = conns.iter().filter(|conn| !conn.told_to_migrate.load(Ordering::Relaxed)).take(n);
    untold
        .map(|conn| {
            conn.told_to_migrate.store(true, Ordering::Relaxed);
            conn.send(frame.clone(), shared.now_ms());
        })
        .count()
}

fn evict(conns: &[Arc<Conn>], n: usize) -> usize {
    conns
        .iter()
        .filter(|conn| conn.io.lock().closing().is_none())
        .take(n)
        .map(|conn| conn.close(CloseCode::GoingAway))
        .count()
}
