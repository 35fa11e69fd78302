//! `chat-control-plane`: the control plane in a process of its own.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use backends::{
    Clock,
    grpc::listen_nodes,
    production::{Program, Refusal, Setting, Settings, tls},
};
use chat_control_plane::{ControlPlane, ControlPlaneConfig, store::SqliteStore};
use tokio_util::sync::CancellationToken;

const CONTROL_PLANE: &[Setting] = &[
    Setting::new::<SocketAddr>("listen", Some("127.0.0.1:7400"), "where chatctl connects"),
    Setting::new::<SocketAddr>("nodes.listen", Some("127.0.0.1:7500"), "where gateways and workers connect"),
    Setting::new::<PathBuf>("data_dir", None, "directory for its state"),
    Setting::new::<String>(
        "webhooks",
        Some(""),
        "URLs that are told of incidents, separated by commas; .../api/v2/alerts is an Alertmanager",
    ),
    Setting::new::<PathBuf>("admin_token_file", None, "file with the secret of the first admin token"),
];

fn main() -> ExitCode {
    let program = Program {
        name: "chat-control-plane",
        about: "Watches the gateways and workers of a fleet, and steers them",
        tables: &[CONTROL_PLANE, tls::TLS],
    };
    program.main(run)
}

async fn run(settings: Settings, stop: CancellationToken) -> Result<(), Refusal> {
    let clock = Clock::System;
    let certificates = tls::read(&settings)?;
    let path: PathBuf = settings.get("admin_token_file");
    let admin_token = std::fs::read_to_string(&path);
    let admin_token = admin_token.map_err(|error| refused(format!("cannot read {}: {error}", path.display())))?;
    let listener = tls::listen(settings.get("listen")).await?;
    let nodes = tls::bind(settings.get("nodes.listen"), certificates.as_ref()).await?;
    let data: PathBuf = settings.get("data_dir");
    std::fs::create_dir_all(&data).map_err(|error| refused(format!("cannot make {}: {error}", data.display())))?;
    let store = SqliteStore::open(&data.join("control.sqlite")).await.map_err(refused)?;

    let servers = CancellationToken::new();
    let (streams, serving) = listen_nodes(nodes, certificates.as_ref(), servers.clone()).map_err(refused)?;
    let webhooks: String = settings.get("webhooks");
    let webhooks = webhooks.split(',').map(str::trim).filter(|url| !url.is_empty()).map(str::to_owned).collect();
    let config =
        ControlPlaneConfig { admin_token: admin_token.trim().to_owned(), clock, seed: clock.now_ms(), webhooks };
    let control = ControlPlane::start(config, Arc::new(store), streams).await.map_err(refused)?;
    control.serve(listener).map_err(refused)?;

    stop.cancelled().await;
    control.shutdown().await;
    servers.cancel();
    serving.ended().await;
    Ok(())
}

fn refused(error: impl std::fmt::Display + Send + Sync + 'static) -> Refusal {
    Box::new(error)
}
