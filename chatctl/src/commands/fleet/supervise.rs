//! Runs the programs of a fleet and starts again what dies.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};

use protocol::{admin::NodeStatus, identity::ProgramRole};
use serde_json::json;
use tokio::{
    process::Command,
    time::{Duration, Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    certificates,
    place::{Place, SUPERVISOR, terminate},
    plan::{Plan, put},
};
use crate::{
    api::Api,
    commands::{
        dev::announce,
        ready::{self, ReadyFile, ReadyGateway},
    },
    context::{Context, Jwt},
    error::{CommandError, Kind},
    session::Session,
    signals::Signals,
};

/// A fleet that is not ready by then has failed to start. Kafka and Cassandra may be starting, too.
const READY_DEADLINE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// A program that died is started again after this; twice as long each time it dies soon, up to the second.
const RESTART_MIN: Duration = Duration::from_millis(200);
const RESTART_MAX: Duration = Duration::from_secs(5);
/// A program that ran this long did not die soon.
const STEADY: Duration = Duration::from_secs(20);
/// How long a program may take to end after SIGTERM: a gateway drains for 30 s.
const STOP_DEADLINE: Duration = Duration::from_secs(45);

pub(super) async fn up(session: &Session, mut plan: Plan, ready_file: Option<PathBuf>) -> Result<(), CommandError> {
    let began = Instant::now();
    let place = Place::of(&plan)?;
    place.make()?;
    if let Some(pid) = place.pid(SUPERVISOR) {
        let why = format!("fleet {} runs already, as process {pid}", plan.name);
        return Err(CommandError::new(Kind::Refused, why).hint("chatctl fleet down -f FILE stops it"));
    }
    let mut signals = Signals::listen()?;
    if let Some(path) = &ready_file {
        ready::remove_stale(path);
    }
    place.keep_pid(SUPERVISOR, std::process::id())?;
    let done = run(session, &mut plan, Arc::new(place), ready_file, &mut signals, began).await;
    Place::of(&plan)?.forget_pid(SUPERVISOR);
    done
}

async fn run(
    session: &Session,
    plan: &mut Plan,
    place: Arc<Place>,
    ready_file: Option<PathBuf>,
    signals: &mut Signals,
    began: Instant,
) -> Result<(), CommandError> {
    let context = settle(plan, &place)?;
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    for process in &plan.processes {
        let program = program(process.program())?;
        let config = place.write(&format!("{}.toml", process.name), &process.settings.to_string())?;
        tasks.spawn(keep(process.name.clone(), program, config, place.clone(), stop.clone()));
    }
    tasks.close();
    let served = serve(session, plan, &context, ready_file, signals, began).await;
    stop.cancel();
    tokio::select! {
        () = tasks.wait() => {}
        () = signals.next() => {
            session.ui.note("stopped at once: the programs are killed");
            std::process::exit(1);
        }
    }
    served
}

/// Makes the secrets and certificates, and completes the settings.
fn settle(plan: &mut Plan, place: &Place) -> Result<Context, CommandError> {
    let secrets = place.secrets()?;
    let admin = place.write("admin.token", &secrets.admin_token)?;
    let jwt = place.write("jwt.secret", &secrets.jwt_secret)?;
    let path = |path: &Path| toml::Value::String(path.display().to_string());
    for process in &mut plan.processes {
        let settings = &mut process.settings;
        match process.role {
            ProgramRole::ControlPlane => {
                settings.insert("admin_token_file".to_owned(), path(&admin));
                settings.insert("data_dir".to_owned(), path(&place.path("control-plane")));
            }
            role => {
                put(settings, "node", "state_dir", &place.path("").display().to_string());
                if role == ProgramRole::Gateway {
                    put(settings, "jwt", "secret_file", &jwt.display().to_string());
                }
            }
        }
    }
    certificates::make(place, &mut plan.processes)?;
    Ok(Context {
        ca: None,
        control_plane: format!("http://{}", plan.control_plane),
        admin_token: Some(secrets.admin_token),
        gateways: plan.gateways.iter().map(|(_, listen)| format!("http://{listen}")).collect(),
        service_token: None,
        production: false,
        jwt: Some(Jwt { alg: "HS256".to_owned(), secret: secrets.jwt_secret }),
    })
}

/// From the start to the first signal.
async fn serve(
    session: &Session,
    plan: &Plan,
    context: &Context,
    ready_file: Option<PathBuf>,
    signals: &mut Signals,
    began: Instant,
) -> Result<(), CommandError> {
    tokio::select! {
        ready = until_ready(plan, context) => ready?,
        () = signals.next() => return Err(CommandError::failed("stopped before the fleet was ready")),
    }
    announce(session, &plan.name, context);
    let gateway = |(id, listen): &(String, String)| ReadyGateway {
        id: id.clone(),
        ws: format!("ws://{listen}/v1/ws"),
        http: format!("http://{listen}"),
    };
    let gateways: Vec<_> = plan.gateways.iter().map(gateway).collect();
    let file = match &ready_file {
        Some(path) => Some(ReadyFile::write(path, &gateways, context, false)?),
        None => None,
    };
    let took = began.elapsed();
    let mut text = format!(
        "Fleet {} is ready, after {:.1} s.\n\n  control plane  {}\n",
        plan.name,
        took.as_secs_f64(),
        context.control_plane
    );
    for one in &gateways {
        text.push_str(&format!("  {:<13}  {}\n", one.id, one.ws));
    }
    text.push_str("\nchatctl in another terminal finds it. Ctrl-C drains and stops.");
    let data = json!({ "fleet": plan.name, "control_plane": context.control_plane, "gateways": gateways,
        "ready_after_ms": took.as_millis() as u64, "pid": std::process::id() });
    session.ui.say(&text, &data)?;
    signals.next().await;
    session.ui.note("stopping: clients are drained and what was accepted is finished; again to stop at once");
    drop(file);
    Ok(())
}

/// Waits until the control plane knows every node as live and every gateway takes clients.
async fn until_ready(plan: &Plan, context: &Context) -> Result<(), CommandError> {
    let deadline = Instant::now() + READY_DEADLINE;
    loop {
        let why = match in_the_way(plan, context).await {
            None => return Ok(()),
            Some(why) => why,
        };
        if Instant::now() >= deadline {
            let error = CommandError::new(Kind::TimedOut, format!("the fleet is not ready after 60 s: {why}"));
            return Err(error.hint("the logs of its programs say more; `chatctl fleet status -o wide` names them"));
        }
        sleep(LOOK).await;
    }
}

async fn in_the_way(plan: &Plan, context: &Context) -> Option<String> {
    let nodes = match Api::new(context) {
        Ok(api) => api.nodes().await,
        Err(error) => return Some(error.to_string()),
    };
    let nodes = match nodes {
        Ok(nodes) => nodes,
        Err(error) => return Some(error.to_string()),
    };
    for process in plan.processes.iter().filter(|process| process.role != ProgramRole::ControlPlane) {
        match nodes.iter().find(|node| node.id == process.name) {
            Some(node) if node.status == NodeStatus::Live && node.trouble.is_empty() => {}
            Some(node) if !node.trouble.is_empty() => return Some(format!("{}: {}", process.name, node.trouble)),
            _ => return Some(format!("{} has not registered", process.name)),
        }
    }
    None
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
