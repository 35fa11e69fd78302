//! What nodes say of themselves. The tables are of the node that is asked, so each question is pinned to one.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use parking_lot::Mutex;
use scylla::{
    client::session::Session,
    cluster::NodeRef,
    policies::load_balancing::{NodeIdentifier, SingleTargetLoadBalancingPolicy},
    response::query_result::QueryRowsResult,
    statement::{Consistency, Statement},
};

use super::{
    call::{corrupt, unavailable},
    link::Linked,
};
use crate::port::StoreResult;

/// No write takes less than this, in ms. A median below it is in another unit than its column's name says: nodes of
/// 5.0.9 tell a thousandth of what it is, with three digits behind the point, so that most medians are 0.
const WRITE_AT_LEAST_MS: f64 = 0.002;
/// Writes a second of a table, from which on its median is one: it fades where nothing is written.
const WRITES_AT_LEAST: f64 = 1.0;

/// Versions of the server whose latencies were seen to be a thousandth of what they are. Remembered: on a node under
/// water they look like the latencies of one that is well.
#[derive(Debug, Default)]
pub(super) struct Thousandths(Mutex<BTreeSet<String>>);

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeHealth {
    /// The node, `host:port`.
    pub address: String,
    /// Where it is.
    pub datacenter: Option<String>,
    /// False when it does not answer.
    pub is_answering: bool,
    /// Compactions that wait. `None` when it does not tell.
    pub pending_compactions: Option<u64>,
    /// Half of the writes it coordinates take less, in the slowest of the fleet's tables. To 1,000 us where the node
    /// tells thousandths. `None` without writes, and when it does not tell.
    pub write_p50_us: Option<u64>,
    /// The same for 99 in 100 of them.
    pub write_p99_us: Option<u64>,
}

/// Asks all nodes at once.
pub(super) async fn read(linked: &Linked) -> StoreResult<Vec<NodeHealth>> {
    let cluster = linked.session.get_cluster_state();
    Ok(join_all(cluster.get_nodes_info().iter().map(|node| of_node(linked, node))).await)
}

async fn of_node(linked: &Linked, node: NodeRef<'_>) -> NodeHealth {
    let (version, compactions, writes) = tokio::join!(
        version(&linked.session, node),
        pending_compactions(&linked.session, node),
        write_latencies(&linked.session, node),
    );
    let latencies = version.as_ref().ok().zip(said(node, writes));
    let latencies = latencies.and_then(|(version, writes)| writes.figures(linked, version));
    NodeHealth {
        address: node.address.to_string(),
        datacenter: node.datacenter.clone(),
        is_answering: version.is_ok(),
        pending_compactions: said(node, compactions).flatten(),
        write_p50_us: latencies.map(|(p50_us, _)| p50_us),
        write_p99_us: latencies.map(|(_, p99_us)| p99_us),
    }
}

/// A figure is missed, and the others are as they are.
fn said<T>(node: NodeRef<'_>, answer: StoreResult<T>) -> Option<T> {
    answer.inspect_err(|error| tracing::debug!(%error, node = %node.address, "a node did not tell")).ok()
}

async fn ask(session: &Session, node: NodeRef<'_>, cql: &str) -> StoreResult<QueryRowsResult> {
    let mut statement = Statement::new(cql);
    statement.set_consistency(Consistency::LocalOne);
    let only = SingleTargetLoadBalancingPolicy::new(NodeIdentifier::Node(node.clone()), None);
    statement.set_load_balancing_policy(Some(only));
    let answer = session.query_unpaged(statement, ()).await.map_err(unavailable)?;
    answer.into_rows_result().map_err(corrupt)
}

async fn pending_compactions(session: &Session, node: NodeRef<'_>) -> StoreResult<Option<u64>> {
    // There is no table of compactions that wait; they are tasks of this pool.
    let cql = "SELECT pending_tasks FROM system_views.thread_pools WHERE name = 'CompactionExecutor'";
    let answer = ask(session, node, cql).await?;
    let row = answer.maybe_first_row::<(i32,)>().map_err(corrupt)?;
    Ok(row.and_then(|(pending,)| u64::try_from(pending).ok()))
}

async fn version(session: &Session, node: NodeRef<'_>) -> StoreResult<String> {
    let answer = ask(session, node, "SELECT release_version FROM system.local").await?;
    answer.first_row::<(String,)>().map(|(version,)| version).map_err(corrupt)
}

/// What a table of latencies has of a table: keyspace, writes a second, median, 99th percentile.
type Latency = (String, f64, f64, f64);

/// Latencies of writes, as the node tells them.
struct Latencies {
    on_disk: Vec<Latency>,
    coordinated: Vec<Latency>,
}

async fn write_latencies(session: &Session, node: NodeRef<'_>) -> StoreResult<Latencies> {
    let read = async |table: &str| {
        let cql = format!("SELECT keyspace_name, per_second, p50th_ms, p99th_ms FROM system_views.{table}");
        let answer = ask(session, node, &cql).await?;
        answer.rows::<Latency>().map_err(corrupt)?.collect::<Result<Vec<_>, _>>().map_err(corrupt)
    };
    let (on_disk, coordinated) = (read("local_write_latency").await?, read("coordinator_write_latency").await?);
    Ok(Latencies { on_disk, coordinated })
}

impl Latencies {
    /// Median and 99th percentile in us, the highest of the keyspace's tables.
    fn figures(&self, linked: &Linked, version: &str) -> Option<(u64, u64)> {
        let written = self.on_disk.iter().filter(|(_, per_second, ..)| *per_second >= WRITES_AT_LEAST);
        let least = written.map(|(_, _, p50, _)| *p50).min_by(f64::total_cmp);
        let mut thousandths = linked.thousandths.0.lock();
        if least.is_some_and(|least| least < WRITE_AT_LEAST_MS) {
            thousandths.insert(version.to_owned());
        }
        let us_per_unit = match (thousandths.contains(version), least) {
            (true, _) => 1_000_000.0,
            (false, Some(_)) => 1_000.0,
            // Nothing tells the unit.
            (false, None) => return None,
        };
        let ours =
            self.coordinated.iter().filter(|(name, per_second, ..)| *name == linked.keyspace && *per_second > 0.0);
        let highest =
            ours.map(|(_, _, p50, p99)| (*p50, *p99)).reduce(|one, other| (one.0.max(other.0), one.1.max(other.1)));
        let us = |value: f64| (value * us_per_unit).round() as u64;
        highest.map(|(p50, p99)| (us(p50), us(p99)))
    }
}
