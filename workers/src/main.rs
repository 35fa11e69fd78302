//! `chat-worker`: one worker in a process of its own, with the roles it is given.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use backends::{
    Clock, Stores,
    levers::{LeverRules, wait_out_kill},
    node::{kept, run_node},
    production::{Program, Refusal, STORES, Setting, Settings, fate, tls},
};
use chat_workers::{Ports, Roles, Worker, WorkerConfig, WorkerNode};
use domain::NodeId;
use tokio_util::sync::CancellationToken;

const WORKER: &[Setting] = &[
    Setting::new::<NodeId>("node.id", None, "name of this worker"),
    Setting::new::<PathBuf>("node.state_dir", Some("."), "directory that keeps what the control plane ordered"),
    Setting::new::<Roles>(
        "roles",
        Some("all"),
        "what it does: sequencer-direct, sequencer-group, fanout, persister-direct, persister-group, separated by commas",
    ),
    Setting::new::<bool>("allow_faults", Some("false"), "take orders to inject faults: only for tests and drills"),
    Setting::new::<String>(
        "control_plane",
        None,
        "host:port of the control plane's node port; of each replica, separated by commas",
    ),
];

fn main() -> ExitCode {
    let program = Program {
        name: "chat-worker",
        about: "Numbers, delivers and stores messages",
        tables: &[WORKER, STORES, tls::TLS],
    };
    program.main(run)
}

async fn run(settings: Settings, stop: CancellationToken) -> Result<(), Refusal> {
    let clock = Clock::System;
    let node: NodeId = settings.get("node.id");
    let state_file = settings.get::<PathBuf>("node.state_dir").join(format!("{node}.desired"));
    wait_out_kill(&kept(&state_file).await, clock, &stop).await;
    let certificates = tls::read(&settings)?;
    let dial = Arc::new(tls::dial(certificates.as_ref())?);
    let Some(stores) = Stores::connect(&settings, clock, &stop).await? else { return Ok(()) };
    let probes = tokio::spawn(stores.clone().probe(stop.clone()));
    let Roles(roles) = settings.get("roles");
    let config = WorkerConfig {
        roles,
        levers: LeverRules { faults: settings.get("allow_faults"), is_process: true },
        ..WorkerConfig::new(node.clone(), clock.now_ms(), clock)
    };
    let worker = Worker::start(config, Ports::new(stores, dial.clone()));

    let agents = CancellationToken::new();
    let status = Arc::new(WorkerNode::new(&worker));
    let control_plane = settings.get::<String>("control_plane");
    let agent = run_node(status, dial, control_plane, Some(state_file), clock.now_ms(), agents.clone());
    let agent = tokio::spawn(agent);
    let fate = tokio::spawn(fate::obey(worker.levers().clone(), clock, stop.clone()));
    tracing::info!(%node, "the worker works");

    stop.cancelled().await;
    worker.shutdown().await;
    agents.cancel();
    // They end with their tokens.
    let _ = tokio::join!(agent, probes, fate);
    Ok(())
}
