//! What an operator makes of a process: it restarts, dies or stands still.

use std::{process::Command, sync::Arc};

use rustix::process::{Pid, Signal, getpid, kill_process};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    Clock,
    levers::{FATE_GRACE, Fate, Levers},
};

/// Waits for orders about this process until `stop`; a restart cancels `stop`, so that the process ends in order and
/// its supervisor starts the next.
pub async fn obey(levers: Arc<Levers>, clock: Clock, stop: CancellationToken) {
    let mut orders = levers.watch();
    let mut obeyed = None;
    loop {
        let fate = orders.borrow_and_update().fate;
        if fate != obeyed {
            obeyed = fate;
            // So that the control plane hears that it was told, and the order is kept on disk.
            sleep(FATE_GRACE).await;
            match fate {
                None => {}
                Some(Fate::Restart) => {
                    tracing::warn!("restarting by order of the control plane");
                    stop.cancel();
                }
                Some(Fate::Kill(_)) => {
                    tracing::warn!("killed by a fault");
                    send(getpid(), Signal::KILL);
                }
                Some(Fate::Pause(until_ms)) => pause(until_ms.saturating_sub(clock.now_ms())),
            }
        }
        let changed: Result<(), _> = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            changed = orders.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}

/// Stands still. Something outside must wake this process: a shell that sleeps.
fn pause(for_ms: u64) {
    let me = getpid();
    let script = format!("sleep {}; kill -CONT {}", for_ms as f64 / 1_000.0, me.as_raw_nonzero());
    match Command::new("sh").args(["-c", &script]).spawn() {
        Ok(mut waker) => {
            tracing::warn!(for_ms, "paused by a fault");
            send(me, Signal::STOP);
            tracing::warn!("goes on after a pause");
            // It ends with the signal that woke us.
            let _ = waker.wait();
        }
        Err(error) => tracing::error!(%error, "cannot pause: nothing would wake this process again"),
    }
}

fn send(pid: Pid, signal: Signal) {
    if let Err(error) = kill_process(pid, signal) {
        tracing::error!(%error, ?signal, "cannot signal this process");
    }
}
