//! `chat-gateway`: one gateway in a process of its own.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use backends::{
    Clock, Stores,
    grpc::listen_links,
    levers::{LeverRules, wait_out_kill},
    node::{kept, run_node},
    production::{Program, Refusal, STORES, Setting, Settings, fate, tls},
};
use chat_gateway::{Addresses, Auth, Gateway, GatewayConfig, GatewayNode, JwtKey, Limits};
use domain::NodeId;
use tokio::time::Duration;
use tokio_util::sync::CancellationToken;

const GATEWAY: &[Setting] = &[
    Setting::new::<NodeId>("node.id", None, "name of this gateway"),
    Setting::new::<String>("node.zone", Some(""), "its failure domain"),
    Setting::new::<PathBuf>("node.state_dir", Some("."), "directory that keeps what the control plane ordered"),
    Setting::new::<SocketAddr>("listen", Some("127.0.0.1:7401"), "where clients connect"),
    Setting::new::<String>("advertise", Some(""), "host:port clients are told; as listen if left out"),
    Setting::new::<SocketAddr>("link.listen", Some("127.0.0.1:7501"), "where workers connect"),
    Setting::new::<String>("link.advertise", Some(""), "host:port workers dial; as link.listen if left out"),
    Setting::new::<String>(
        "control_plane",
        None,
        "host:port of the control plane's node port; of each replica, separated by commas",
    ),
    Setting::new::<PathBuf>("jwt.secret_file", Some(""), "file with the HS256 secret of clients' tokens"),
    Setting::new::<PathBuf>("jwt.public_key_file", Some(""), "PEM file with the EdDSA key of clients' tokens"),
    Setting::new::<usize>("limits.connections", Some("50000"), "most connections; less if fewer files may be open"),
    Setting::new::<usize>("limits.connections_per_address", Some("50000"), "most connections of one address"),
    Setting::new::<u64>("drain.deadline_ms", Some("30000"), "how long SIGTERM gives clients to move"),
    Setting::new::<bool>("allow_faults", Some("false"), "take orders to inject faults: only for tests and drills"),
    Setting::new::<u32>("drain.rate_per_s", Some("2000"), "clients told to move a second, at SIGTERM"),
];

/// Files the process needs beside its connections.
const FILES_RESERVED: u64 = 200;

fn main() -> ExitCode {
    let program = Program {
        name: "chat-gateway",
        about: "Accepts chat clients over WebSocket, takes what they send, delivers what they get",
        tables: &[GATEWAY, STORES, tls::TLS],
    };
    program.main(run)
}

async fn run(settings: Settings, stop: CancellationToken) -> Result<(), Refusal> {
    let clock = Clock::System;
    let auth = auth(&settings)?;
    let certificates = tls::read(&settings)?;
    let dial = Arc::new(tls::dial(certificates.as_ref())?);
    let state_file = settings.get::<PathBuf>("node.state_dir").join(format!("{}.desired", node_id(&settings)));
    wait_out_kill(&kept(&state_file).await, clock, &stop).await;
    // Listeners first: a second gateway on the same ports must not touch anything.
    let listener = tls::listen(settings.get("listen")).await?;
    let links = tls::bind(settings.get("link.listen"), certificates.as_ref()).await?;
    let Some(stores) = Stores::connect(&settings, clock, &stop).await? else { return Ok(()) };
    let probes = tokio::spawn(stores.clone().probe(stop.clone()));

    let servers = CancellationToken::new();
    let (streams, serving) =
        listen_links(links, certificates.as_ref(), servers.clone()).map_err(|error| Box::new(error) as Refusal)?;
    let gateway = Gateway::start(config(&settings, clock), clock, auth, stores, streams);
    let address = |key: &str, listen: &str| {
        settings.get_if_set(key).unwrap_or_else(|| settings.get::<SocketAddr>(listen).to_string())
    };
    let advertised = address("advertise", "listen");
    let addresses =
        Addresses { client_url: format!("ws://{advertised}/v1/ws"), http_url: format!("http://{advertised}") };
    let node = Arc::new(GatewayNode { gateway: gateway.clone(), addresses });
    let control_plane = settings.get::<String>("control_plane");
    let agent = run_node(node, dial, control_plane, Some(state_file), clock.now_ms(), servers.clone());
    let agent = tokio::spawn(agent);
    let fate = tokio::spawn(fate::obey(gateway.levers().clone(), clock, stop.clone()));
    gateway.serve(listener);
    tracing::info!(%advertised, "the gateway serves");

    stop.cancelled().await;
    let deadline = Duration::from_millis(settings.get("drain.deadline_ms"));
    gateway.drain(deadline, settings.get("drain.rate_per_s")).await;
    gateway.shutdown().await;
    servers.cancel();
    serving.ended().await;
    // They end with their tokens.
    let _ = tokio::join!(agent, probes, fate);
    Ok(())
}

fn node_id(settings: &Settings) -> NodeId {
    settings.get("node.id")
}

fn config(settings: &Settings, clock: Clock) -> GatewayConfig {
    let incarnation = clock.now_ms();
    let link = settings.get_if_set("link.advertise");
    let link = link.unwrap_or_else(|| settings.get::<SocketAddr>("link.listen").to_string());
    let mut config = GatewayConfig::new(node_id(settings), incarnation, link, incarnation);
    config.levers = LeverRules { faults: settings.get("allow_faults"), is_process: true };
    config.zone = settings.get("node.zone");
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1_024);
    let connections = settings.get::<usize>("limits.connections").min(files.saturating_sub(FILES_RESERVED) as usize);
    tracing::info!(files, connections, "capacity follows from the open-files limit");
    let connections_per_address = settings.get("limits.connections_per_address");
    config.limits = Limits { connections, connections_per_address, ..Limits::default() };
    config
}

fn auth(settings: &Settings) -> Result<Auth, Refusal> {
    let read = |path: PathBuf| {
        let read = std::fs::read(&path);
        read.map_err(|error| Box::new(format!("cannot read {}: {error}", path.display())) as Refusal)
    };
    let key = match (settings.get_if_set("jwt.secret_file"), settings.get_if_set("jwt.public_key_file")) {
        (Some(path), None) => JwtKey::Hs256(read(path)?.trim_ascii().to_vec()),
        (None, Some(path)) => JwtKey::EdDsa(read(path)?),
        _ => return Err(Box::new("set one of jwt.secret_file and jwt.public_key_file")),
    };
    Auth::new(&key).map_err(|error| Box::new(error) as Refusal)
}
