//! `chat-control-plane`: the control plane in a process of its own.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use backends::{
    Clock,
    grpc::listen_nodes,
    production::{Program, Refusal, Setting, Settings, tls},
};
use chat_control_plane::{
    Access, ApiCertificate, Command, ControlPlane, ControlPlaneConfig, Kubernetes, Provisioner, Rates, Replica,
    StoreDatacenter, check_webhook,
    store::{MysqlStore, SqliteStore, Store},
};
use domain::{NodeId, StoreScaling};
use tokio_util::sync::CancellationToken;

/// The store of a control plane that is the only one.
const SQLITE: &str = "sqlite";

const CONTROL_PLANE: &[Setting] = &[
    Setting::new::<SocketAddr>("listen", Some("127.0.0.1:7400"), "where chatctl connects"),
    Setting::new::<String>("api.certificate", Some(""), "PEM file with the certificate of the API: https"),
    Setting::new::<String>("api.key", Some(""), "PEM file with its private key"),
    Setting::new::<bool>(
        "api.plaintext",
        Some("false"),
        "serve other machines without TLS: only where a proxy in front speaks it",
    ),
    Setting::new::<SocketAddr>("nodes.listen", Some("127.0.0.1:7500"), "where gateways and workers connect"),
    Setting::new::<PathBuf>("data_dir", Some(""), "directory for its state, when that is in SQLite"),
    Setting::new::<String>(
        "store.url",
        Some(SQLITE),
        "where its state is: sqlite, or mysql://user:password@host:port/database, which several replicas may share",
    ),
    Setting::new::<NodeId>(
        "replica.id",
        Some(""),
        "name of this replica; each of those that share a store has its own",
    ),
    Setting::new::<String>(
        "advertise",
        Some(""),
        "URL of its API, as other replicas tell callers; from `listen` if empty",
    ),
    Setting::new::<String>(
        "webhooks",
        Some(""),
        "URLs that are told of incidents, separated by commas; .../api/v2/alerts is an Alertmanager",
    ),
    Setting::new::<String>("webhooks_ca", Some(""), "PEM file with the CA of https web hooks [default: the machine's]"),
    Setting::new::<u64>(
        "autoscale.store_nodes_max",
        Some("0"),
        "up to so many nodes of the message store it asks for one when writes were slow for 5 min; 0: never",
    ),
    Setting::new::<u64>("autoscale.cool_down_s", Some("1800"), "between two such nodes, s"),
    Setting::new::<f64>("capacity.messages_per_s", Some("8000"), "messages a second that a worker bears"),
    Setting::new::<f64>("capacity.deliveries_per_s", Some("80000"), "deliveries a second that a worker bears"),
    Setting::new::<f64>("capacity.rows_per_s", Some("20000"), "rows a second that a node of the message store bears"),
    Setting::new::<f64>("price.gateway_per_h", Some("0"), "price of a gateway an hour, for plans"),
    Setting::new::<f64>("price.worker_per_h", Some("0"), "price of a worker an hour, for plans"),
    Setting::new::<f64>("price.store_node_per_h", Some("0"), "price of a node of the message store an hour, for plans"),
    Setting::new::<PathBuf>("admin_token_file", None, "file with the secret of the first admin token"),
];

/// Who adds and removes nodes; nobody if none of it is set.
const PROVISION: &[Setting] = &[
    Setting::new::<Command>(
        "provision.command",
        Some(""),
        "program that adds and removes nodes: COMMAND gateways|workers|store-nodes COUNT up|down",
    ),
    Setting::new::<String>(
        "provision.kubernetes.namespace",
        Some(""),
        "namespace of the fleet: nodes are added and removed by Kubernetes",
    ),
    Setting::new::<PathBuf>(
        "provision.kubernetes.kubeconfig",
        Some(""),
        "how its API is reached [default: KUBECONFIG, ~/.kube/config or the pod's service account]",
    ),
    Setting::new::<String>("provision.kubernetes.gateways", Some("chat-gateway"), "StatefulSet of the gateways"),
    Setting::new::<String>("provision.kubernetes.workers", Some("chat-worker"), "StatefulSet of the workers"),
    Setting::new::<StoreDatacenter>(
        "provision.kubernetes.store",
        Some(""),
        "K8ssandraCluster of the message store, as CLUSTER/DATACENTER; unset: its nodes are added by hand",
    ),
];

fn main() -> ExitCode {
    let program = Program {
        name: "chat-control-plane",
        about: "Watches the gateways and workers of a fleet, and steers them",
        tables: &[CONTROL_PLANE, PROVISION, tls::TLS],
    };
    program.main(run)
}

async fn run(settings: Settings, stop: CancellationToken) -> Result<(), Refusal> {
    let clock = Clock::System;
    let certificates = tls::read(&settings)?;
    let path: PathBuf = settings.get("admin_token_file");
    let admin_token = std::fs::read_to_string(&path);
    let admin_token = admin_token.map_err(|error| refused(format!("cannot read {}: {error}", path.display())))?;
    let certificate = api_certificate(&settings)?;
    let listener = tls::listen(settings.get("listen")).await?;
    let nodes = tls::bind(settings.get("nodes.listen"), certificates.as_ref()).await?;
    let (replica, store) = (replica(&settings, certificate.is_some())?, open(&settings).await?);

    let servers = CancellationToken::new();
    let (streams, serving) = listen_nodes(nodes, certificates.as_ref(), servers.clone()).map_err(refused)?;
    let webhooks: String = settings.get("webhooks");
    let webhooks: Vec<String> =
        webhooks.split(',').map(str::trim).filter(|url| !url.is_empty()).map(str::to_owned).collect();
    webhooks.iter().try_for_each(|url| check_webhook(url)).map_err(refused)?;
    let config = ControlPlaneConfig {
        webhooks,
        webhooks_ca: settings.get_if_set::<String>("webhooks_ca").map(|path| read(&path)).transpose()?,
        provisioner: provisioner(&settings).await?,
        rates: rates(&settings),
        autoscale: StoreScaling {
            nodes_max: settings.get("autoscale.store_nodes_max"),
            cool_down_ms: settings.get::<u64>("autoscale.cool_down_s").saturating_mul(1_000),
        },
        ..ControlPlaneConfig::new(admin_token.trim().to_owned(), clock, clock.now_ms())
    };
    if config.autoscale.nodes_max > 0 && matches!(config.provisioner, Provisioner::None) {
        return Err(refused(
            "autoscale.store_nodes_max: nobody can add nodes; set provision.command or provision.kubernetes.*, too",
        ));
    }
    let control = ControlPlane::start_replica(config, replica, store, streams).await.map_err(refused)?;
    match certificate {
        Some(certificate) => control.serve_tls(listener, &certificate).map_err(refused)?,
        None => control.serve(listener).map_err(refused)?,
    }

    stop.cancelled().await;
    control.shutdown().await;
    servers.cancel();
    serving.ended().await;
    Ok(())
}

async fn provisioner(settings: &Settings) -> Result<Provisioner, Refusal> {
    let command = settings.get_if_set::<Command>("provision.command");
    let namespace = settings.get_if_set::<String>("provision.kubernetes.namespace");
    match (command, namespace) {
        (None, None) => Ok(Provisioner::None),
        (Some(command), None) => Ok(Provisioner::Command(command)),
        (None, Some(namespace)) => {
            let file = settings.get_if_set::<PathBuf>("provision.kubernetes.kubeconfig");
            let access = file.map_or(Access::Inferred, Access::File);
            let set = |key| settings.get::<String>(key);
            let (gateways, workers) = (set("provision.kubernetes.gateways"), set("provision.kubernetes.workers"));
            let store = settings.get_if_set("provision.kubernetes.store");
            let cluster = Kubernetes::new(&access, namespace, gateways, workers, store).await;
            let cluster = cluster.map_err(|error| refused(format!("provision.kubernetes: {error}")))?;
            Ok(Provisioner::Kubernetes(Box::new(cluster)))
        }
        _ => Err(refused("provision.command and provision.kubernetes.namespace are both set: choose one")),
    }
}

/// What the API shows its callers. Tokens are sent to it: without TLS only this machine may call.
fn api_certificate(settings: &Settings) -> Result<Option<ApiCertificate>, Refusal> {
    let path = |key| settings.get_if_set::<String>(key);
    let listen: SocketAddr = settings.get("listen");
    match (path("api.certificate"), path("api.key")) {
        (Some(certificate), Some(key)) => {
            Ok(Some(ApiCertificate { certificate: read(&certificate)?, key: read(&key)? }))
        }
        (None, None) if listen.ip().is_loopback() || settings.get("api.plaintext") => Ok(None),
        (None, None) => Err(refused(format!(
            "{listen} can be reached from other machines: set api.certificate and api.key, or api.plaintext = true where a \
             proxy in front speaks TLS"
        ))),
        _ => Err(refused("api.certificate and api.key go together: set both or none")),
    }
}

fn read(path: &str) -> Result<Vec<u8>, Refusal> {
    std::fs::read(path).map_err(|error| refused(format!("cannot read {path}: {error}")))
}

fn rates(settings: &Settings) -> Rates {
    let known = Rates::default();
    let rates = Rates {
        messages_per_s: settings.get("capacity.messages_per_s"),
        deliveries_per_s: settings.get("capacity.deliveries_per_s"),
        rows_per_s: settings.get("capacity.rows_per_s"),
        gateway_price_per_h: settings.get("price.gateway_per_h"),
        worker_price_per_h: settings.get("price.worker_per_h"),
        store_price_per_h: settings.get("price.store_node_per_h"),
        ..known
    };
    let as_assumed = (rates.messages_per_s, rates.deliveries_per_s, rates.rows_per_s)
        == (known.messages_per_s, known.deliveries_per_s, known.rows_per_s);
    Rates { source: if as_assumed { known.source } else { "configured: capacity.*" }, ..rates }
}

/// Opens the store. What it says of its address never has the password in it.
async fn open(settings: &Settings) -> Result<Arc<dyn Store>, Refusal> {
    let url: String = settings.get("store.url");
    if url.starts_with("mysql://") {
        return Ok(Arc::new(MysqlStore::open(&url).await.map_err(refused)?));
    }
    if url != SQLITE {
        return Err(refused("store.url: is neither sqlite nor a mysql:// URL"));
    }
    let data = settings.get_if_set::<PathBuf>("data_dir");
    let data = data.ok_or_else(|| refused("data_dir: is not set; SQLite needs it"))?;
    std::fs::create_dir_all(&data).map_err(|error| refused(format!("cannot make {}: {error}", data.display())))?;
    Ok(Arc::new(SqliteStore::open(&data.join("control.sqlite")).await.map_err(refused)?))
}

/// Two replicas of one name would both lead, so those that can share a store must be told theirs.
fn replica(settings: &Settings, has_tls: bool) -> Result<Replica, Refusal> {
    let id = settings.get_if_set::<NodeId>("replica.id").map(|id| id.to_string());
    if id.is_none() && settings.get::<String>("store.url") != SQLITE {
        return Err(refused("replica.id: is not set; each replica needs a name of its own"));
    }
    let scheme = if has_tls { "https" } else { "http" };
    let listen = || format!("{scheme}://{}", settings.get::<SocketAddr>("listen"));
    Ok(Replica {
        id: id.unwrap_or_else(|| Replica::default().id),
        url: settings.get_if_set("advertise").unwrap_or_else(listen),
    })
}

fn refused(error: impl std::fmt::Display + Send + Sync + 'static) -> Refusal {
    Box::new(error)
}
