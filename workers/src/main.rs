//! `chat-worker`: one worker in a process of its own, with the roles it is given.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use backends::{
    Clock,
    node::run_node,
    production::{Program, Refusal, STORES, Setting, Settings, Stores, tls},
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
    Setting::new::<String>("control_plane", None, "host:port of the control plane's node port"),
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
    let certificates = tls::read(&settings)?;
    let dial = Arc::new(tls::dial(certificates.as_ref())?);
    let Some(stores) = Stores::connect(&settings, clock, &stop).await? else { return Ok(()) };
    let probes = tokio::spawn(stores.clone().probe(stop.clone()));
    let Stores { log, messages, recent, registry, directory, dependencies, .. } = stores;
    let ports = Ports { log, messages, recent, registry, directory, gateways: dial.clone(), dependencies };
    let node: NodeId = settings.get("node.id");
    let Roles(roles) = settings.get("roles");
    let config = WorkerConfig { node: node.clone(), roles, planted: domain::Planted::default() };
    let worker = Worker::start(config, ports);

    let agents = CancellationToken::new();
    let state_file = settings.get::<PathBuf>("node.state_dir").join(format!("{node}.desired"));
    let incarnation = clock.now_ms();
    let status = Arc::new(WorkerNode::new(&worker, incarnation));
    let control_plane = settings.get::<String>("control_plane");
    let agent = run_node(status, dial, control_plane, Some(state_file), incarnation, agents.clone());
    let agent = tokio::spawn(agent);
    tracing::info!(%node, "the worker works");

    stop.cancelled().await;
    worker.shutdown().await;
    agents.cancel();
    // They end with their tokens.
    let _ = tokio::join!(agent, probes);
    Ok(())
}
