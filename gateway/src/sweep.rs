//! One task that looks at every connection each second, so that an idle one needs no timer of its own.

use std::sync::{Arc, atomic::Ordering};

use protocol::frames::CloseCode;
use tokio::time::{Duration, MissedTickBehavior, interval};

use crate::{gateway::Shared, hub::Conn};

const EVERY: Duration = Duration::from_secs(1);
/// Without a heartbeat for so long a connection is closed with 4010.
const SILENCE_MS: u64 = 90_000;
/// A write that makes no progress for so long closes with 4008; so long may a frame be incomplete.
const STALL_MS: u64 = 30_000;
/// Connections between two looks at the clock of the runtime: a sweep of 50,000 must not hold up deliveries.
const YIELD_EVERY: usize = 1_000;

pub(crate) async fn run(shared: Arc<Shared>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let now_ms = shared.now_ms();
        for (n, conn) in shared.hub.all().iter().enumerate() {
            look_at(&shared, conn, now_ms);
            if n % YIELD_EVERY == YIELD_EVERY - 1 {
                tokio::task::yield_now().await;
            }
        }
    }
}

fn look_at(shared: &Shared, conn: &Conn, now_ms: u64) {
    let silent_ms = now_ms.saturating_sub(conn.heard_ms.load(Ordering::Relaxed));
    let mut io = conn.io.lock();
    let (stalled_ms, partial_ms) = io.stalled_since_ms();
    let since = |ms: u64| if ms == 0 { 0 } else { now_ms.saturating_sub(ms) };
    if since(stalled_ms) >= STALL_MS {
        // Nothing can be written, so nothing can be said.
        shared.metrics.slow_consumers.inc();
        io.abort();
    } else if now_ms >= conn.expires_ms {
        io.close(CloseCode::Unauthorized);
    } else if silent_ms >= SILENCE_MS {
        io.close(CloseCode::NoHeartbeat);
    } else if since(partial_ms) >= STALL_MS {
        io.close(CloseCode::Violation);
    } else if silent_ms >= SILENCE_MS / 2 && silent_ms < SILENCE_MS / 2 + EVERY.as_millis() as u64 && io.ping() {
        // A transport keepalive for a client that is late with its heartbeat: a dead peer shows as a broken write.
        io.flush_for_owner(now_ms);
    }
}
