//! Runs programs of a fleet and starts again what dies.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};

use tokio::{
    process::Command,
    task::JoinHandle,
    time::{Duration, Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::settle::Settler;
use crate::{
    commands::fleet::{
        place::{Place, terminate},
        process::Process,
    },
    error::CommandError,
};

/// A program that died is started again after this; twice as long each time it dies soon, up to the second.
const RESTART_MIN: Duration = Duration::from_millis(200);
const RESTART_MAX: Duration = Duration::from_secs(5);
/// A program that ran this long did not die soon.
const STEADY: Duration = Duration::from_secs(20);
/// How long a program may take to end after SIGTERM: a gateway drains for 30 s.
const STOP_DEADLINE: Duration = Duration::from_secs(45);

/// Starts programs of a fleet.
pub(super) struct Keeper {
    pub(super) place: Arc<Place>,
    pub(super) settler: Settler,
    /// Stops all of them.
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
}

/// A program that is kept running.
pub(super) struct Kept {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Keeper {
    /// Keeps a program running until it is stopped, or all are.
    pub(super) fn start(&self, process: &mut Process) -> Result<Kept, CommandError> {
        let program = program(process.program())?;
        let config = self.settler.settle(&self.place, process)?;
        let stop = self.stop.child_token();
        let task = self.tasks.spawn(keep(process.name.clone(), program, config, self.place.clone(), stop.clone()));
        Ok(Kept { stop, task })
    }
}

impl Kept {
    /// Begins to stop it: SIGTERM, at which a gateway drains itself.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    pub(super) async fn ended(self) {
        let _ = self.task.await;
    }
}

/// Runs a program again and again, until `stop`; then ends it.
async fn keep(name: String, program: PathBuf, config: PathBuf, place: Arc<Place>, stop: CancellationToken) {
    let mut pause = RESTART_MIN;
    while !stop.is_cancelled() {
        let began = Instant::now();
        let ended = run_once(&name, &program, &config, &place, &stop).await;
        place.forget_pid(&name);
        if stop.is_cancelled() {
            return;
        }
        pause = if began.elapsed() >= STEADY { RESTART_MIN } else { pause };
        tracing::warn!(name, ended, restart_ms = pause.as_millis() as u64, "a program ended; it is started again");
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(pause) => {}
        }
        pause = (pause * 2).min(RESTART_MAX);
    }
}

/// Runs a program to its end; says how it ended.
async fn run_once(name: &str, program: &Path, config: &Path, place: &Place, stop: &CancellationToken) -> String {
    let log = fs::OpenOptions::new().create(true).append(true).open(place.log(name));
    let log = match log.and_then(|log| Ok((log.try_clone()?, log))) {
        Ok(log) => log,
        Err(error) => return format!("its log cannot be opened: {error}"),
    };
    let spawned = Command::new(program)
        .arg("--config")
        .arg(config)
        .stdin(Stdio::null())
        .stdout(log.0)
        .stderr(log.1)
        // Ctrl-C is for the supervisor, which stops the programs in order.
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => return format!("{} cannot be started: {error}", program.display()),
    };
    let Some(pid) = child.id() else { return "it ended at once".to_owned() };
    if let Err(error) = place.keep_pid(name, pid) {
        tracing::warn!(%error, name, "the pid is not kept: fleet status will not show it");
    }
    tokio::select! {
        ended = child.wait() => return ended.map_or_else(|error| error.to_string(), |status| status.to_string()),
        () = stop.cancelled() => {}
    }
    let _ = terminate(pid);
    match timeout(STOP_DEADLINE, child.wait()).await {
        Ok(ended) => ended.map_or_else(|error| error.to_string(), |status| status.to_string()),
        Err(_) => {
            tracing::warn!(name, "it did not stop in time and is killed");
            let _ = child.kill().await;
            "killed".to_owned()
        }
    }
}

/// A program of the fleet: beside chatctl.
fn program(name: &str) -> Result<PathBuf, CommandError> {
    let me = std::env::current_exe().map_err(|error| CommandError::failed(format!("cannot find chatctl: {error}")))?;
    let path = me.with_file_name(name);
    if path.is_file() {
        return Ok(path);
    }
    let error = CommandError::failed(format!("{} is missing", path.display()));
    Err(error.hint("cargo build --release --workspace builds all programs"))
}
