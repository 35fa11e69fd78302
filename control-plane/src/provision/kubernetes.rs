//! Nodes as a Kubernetes cluster has them. Gateways and workers are StatefulSets, told by their scale sub-resource: the
//! highest ordinals go first, as the names that [`crate::scale`] drains. Nodes of the message store are the size of a
//! datacenter of a K8ssandraCluster.

use std::{fmt, path::PathBuf, str::FromStr};

use kube::{
    Api, Client, Config, Error,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};
use tokio::time::{Duration, timeout};

use super::{Kind, ProvisionError};

/// Of one call of the cluster's API.
const DEADLINE: Duration = Duration::from_secs(10);

/// How the cluster's API is reached.
#[derive(Debug, Clone)]
pub enum Access {
    /// `$KUBECONFIG`, `~/.kube/config`, or the service account of the pod this runs in.
    Inferred,
    /// A kubeconfig file.
    File(PathBuf),
}

/// A datacenter of a K8ssandraCluster: `CLUSTER/DATACENTER`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreDatacenter {
    cluster: String,
    datacenter: String,
}

impl FromStr for StoreDatacenter {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((cluster, datacenter)) if !cluster.is_empty() && !datacenter.is_empty() => {
                Ok(Self { cluster: cluster.to_owned(), datacenter: datacenter.to_owned() })
            }
            _ => Err("is not CLUSTER/DATACENTER"),
        }
    }
}

impl fmt::Display for StoreDatacenter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.cluster, self.datacenter)
    }
}

/// Where a fleet lives in a cluster.
#[derive(Clone)]
pub struct Kubernetes {
    client: Client,
    namespace: String,
    gateways: String,
    workers: String,
    store: Option<StoreDatacenter>,
}

impl fmt::Debug for Kubernetes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kubernetes").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl Kubernetes {
    /// Names of the StatefulSets of gateways and workers in a namespace, and the datacenter of the message store, if it
    /// may be scaled. Reads how the cluster is reached, but does not call it: a control plane starts without it.
    pub async fn new(
        access: &Access,
        namespace: String,
        gateways: String,
        workers: String,
        store: Option<StoreDatacenter>,
    ) -> Result<Self, String> {
        let config = match access {
            Access::Inferred => Config::infer().await.map_err(|error| error.to_string())?,
            Access::File(path) => {
                let read = Kubeconfig::read_from(path).map_err(|error| error.to_string())?;
                let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await;
                config.map_err(|error| error.to_string())?
            }
        };
        let client = Client::try_from(config).map_err(|error| error.to_string())?;
        Ok(Self { client, namespace, gateways, workers, store })
    }

    pub(super) async fn scale(&self, kind: Kind, count: u64, is_down: bool) -> Result<(), ProvisionError> {
        match kind {
            Kind::Gateways => self.stateful_set(&self.gateways, count, is_down).await,
            Kind::Workers => self.stateful_set(&self.workers, count, is_down).await,
            Kind::StoreNodes => self.datacenter(count).await,
        }
    }

    /// Sets the replicas of a StatefulSet. On the way up a set that has more keeps them. On the way down a gateway that
    /// nobody drained, since another one of the fleet is lost, drains itself at SIGTERM.
    async fn stateful_set(&self, name: &str, count: u64, is_down: bool) -> Result<(), ProvisionError> {
        let what = || format!("statefulset {}/{name}", self.namespace);
        let api = self.api("apps", "v1", "StatefulSet", "statefulsets");
        let scale = within(what, api.get_scale(name)).await?;
        let now = scale.spec.and_then(|spec| spec.replicas).unwrap_or(0);
        let now = u64::try_from(now).unwrap_or(0);
        if now == count || (now > count && !is_down) {
            return Ok(());
        }
        // Without the version it was read with, two that scale at once would both believe they had.
        let version = scale.metadata.resource_version;
        let patch = json!({ "metadata": { "resourceVersion": version }, "spec": { "replicas": count } });
        within(what, api.patch_scale(name, &PatchParams::default(), &Patch::Merge(patch))).await.map(drop)
    }

    /// Raises the size of the datacenter; never lowers it.
    async fn datacenter(&self, count: u64) -> Result<(), ProvisionError> {
        let Some(store) = &self.store else {
            let why =
                "no datacenter may be scaled: set provision.kubernetes.store, or add the nodes by hand".to_owned();
            return Err(ProvisionError::Kubernetes { what: "store nodes".to_owned(), why });
        };
        let what = || format!("k8ssandracluster {}/{store}", self.namespace);
        let failed = |why: &str| ProvisionError::Kubernetes { what: what(), why: why.to_owned() };
        let api = self.api("k8ssandra.io", "v1alpha1", "K8ssandraCluster", "k8ssandraclusters");
        let cluster = within(what, api.get(&store.cluster)).await?;
        let datacenters = cluster.data.pointer("/spec/cassandra/datacenters").and_then(Value::as_array);
        let named = |it: &Value| it.pointer("/metadata/name").and_then(Value::as_str) == Some(&store.datacenter);
        let found = datacenters.and_then(|all| all.iter().enumerate().find(|(_, it)| named(it)));
        let (at, datacenter) = found.ok_or_else(|| failed("it has no such datacenter"))?;
        let size = datacenter.get("size").and_then(Value::as_u64).ok_or_else(|| failed("it has no size"))?;
        if size >= count {
            return Ok(());
        }
        // The tests keep a list that changed meanwhile from having another datacenter of it resized.
        let path = format!("/spec/cassandra/datacenters/{at}");
        let patch = json!([
            { "op": "test", "path": format!("{path}/metadata/name"), "value": store.datacenter },
            { "op": "test", "path": format!("{path}/size"), "value": size },
            { "op": "replace", "path": format!("{path}/size"), "value": count },
        ]);
        let patch = serde_json::from_value(patch).map_err(|error| failed(&error.to_string()))?;
        within(what, api.patch(&store.cluster, &PatchParams::default(), &Patch::Json::<()>(patch))).await.map(drop)
    }

    fn api(&self, group: &str, version: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk(group, version, kind);
        let resource = ApiResource::from_gvk_with_plural(&kind, plural);
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }
}

/// A call under its deadline. What the cluster refuses is told in its words, with what to do where that is known.
async fn within<T>(
    what: impl Fn() -> String,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, ProvisionError> {
    let why = match timeout(DEADLINE, call).await {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(Error::Api(status))) => match status.code {
            404 => format!("{}; check provision.kubernetes.* and the namespace", status.message),
            401 | 403 => format!("{}; docs/operations.md has the role it needs", status.message),
            409 | 422 => format!("{}; somebody else scales it: try again", status.message),
            _ => status.message,
        },
        Ok(Err(error)) => format!("its api cannot be called: {error}"),
        Err(_) => format!("its api did not answer within {} s", DEADLINE.as_secs()),
    };
    Err(ProvisionError::Kubernetes { what: what(), why })
}
