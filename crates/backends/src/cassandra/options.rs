//! How to reach Cassandra, and how its driver is set up.

use std::{fmt, sync::Arc};

use scylla::{
    client::{
        execution_profile::{ExecutionProfile, ExecutionProfileHandle},
        session_builder::SessionBuilder,
    },
    policies::{load_balancing::DefaultPolicy, speculative_execution::SimpleSpeculativeExecutionPolicy},
    statement::Consistency,
};
use tokio::time::Duration;

use crate::port::{StoreError, StoreResult};

/// As errors name it.
pub(super) const STORE: &str = "cassandra";
/// What a call of this adapter may take. Below [`crate::port::CALL_DEADLINE`].
pub(super) const CALL: Duration = Duration::from_secs(4);
/// What one attempt of a statement may take, speculative executions included.
pub(super) const ATTEMPT: Duration = Duration::from_secs(1);
/// When a statement that has no answer yet is sent to another node, too. Above the p99 of a cluster that is well, so
/// that it costs nothing there; once only, so that a cluster under water gets at most twice the load.
const SPECULATE_AFTER: Duration = Duration::from_millis(250);
/// A node that answers no keepalive for this long loses its connections: one that is stopped stays connected, and
/// until it is dropped every statement sent to it first waits for the speculative execution.
const KEEPALIVE: Duration = Duration::from_secs(1);
/// What establishing a connection may take.
const CONNECT: Duration = Duration::from_secs(2);

/// How many replicas must have a write before it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WriteConsistency {
    /// Most of those in the local datacenter.
    LocalQuorum,
    /// Any one. Only while the commit pointer stands still, see the design.
    One,
}

impl WriteConsistency {
    pub(super) fn of_driver(self) -> Consistency {
        match self {
            Self::LocalQuorum => Consistency::LocalQuorum,
            Self::One => Consistency::One,
        }
    }
}

/// Who logs in. Never shows its password.
#[derive(Clone)]
pub struct Credentials {
    /// The role.
    pub user: String,
    /// Its password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// How to reach Cassandra, and how the fleet's keyspace is.
#[derive(Debug, Clone)]
pub struct CassandraOptions {
    /// `host:port` of some nodes. The others are found through them.
    pub contact_points: Vec<String>,
    /// The datacenter that statements are sent to. `None`: any.
    pub local_datacenter: Option<String>,
    /// Letters, digits and `_`. Created when it is missing.
    pub keyspace: String,
    /// Replicas of each row (in the local datacenter, when there is one), for a keyspace that is created.
    pub replication: u32,
    /// `None` when the cluster asks for none.
    pub credentials: Option<Credentials>,
}

impl CassandraOptions {
    /// Refuses what would end up in CQL and does not belong there.
    pub(super) fn check(&self) -> StoreResult<()> {
        let is_name = |text: &str, more: &str| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        let refused = |why: String| Err(StoreError::corrupt(STORE, why));
        if !is_name(&self.keyspace, "_") || self.keyspace.len() > 48 {
            return refused(format!("{:?} is no name of a keyspace", self.keyspace));
        }
        if let Some(name) = self.local_datacenter.as_deref().filter(|name| !is_name(name, "_-.")) {
            return refused(format!("{name:?} is no name of a datacenter"));
        }
        if self.replication == 0 || self.contact_points.is_empty() {
            return refused("it takes a contact point and a replica".to_owned());
        }
        Ok(())
    }

    /// How the keyspace is replicated, in CQL.
    pub(super) fn replication_cql(&self) -> String {
        match &self.local_datacenter {
            Some(name) => format!("{{'class': 'NetworkTopologyStrategy', '{name}': {}}}", self.replication),
            None => format!("{{'class': 'SimpleStrategy', 'replication_factor': {}}}", self.replication),
        }
    }

    /// For a session. Reads are at LOCAL_QUORUM and never at less.
    pub(super) fn session(&self) -> SessionBuilder {
        let mut session = SessionBuilder::new()
            .known_nodes(&self.contact_points)
            .keyspaces_to_fetch([&self.keyspace])
            .default_execution_profile_handle(self.profile())
            .connection_timeout(CONNECT)
            .hostname_resolution_timeout(Some(CONNECT))
            .keepalive_interval(KEEPALIVE)
            .keepalive_timeout(KEEPALIVE)
            .tcp_nodelay(true)
            .schema_agreement_interval(Duration::from_millis(100));
        if let Some(Credentials { user, password }) = &self.credentials {
            session = session.user(user, password);
        }
        session
    }

    fn profile(&self) -> ExecutionProfileHandle {
        // Latency awareness stays off: it would be another thing that moves while the cluster is under water.
        let mut policy = DefaultPolicy::builder().token_aware(true);
        if let Some(name) = &self.local_datacenter {
            // Another datacenter's LOCAL_QUORUM is not ours.
            policy = policy.prefer_datacenter(name.clone()).permit_dc_failover(false);
        }
        let speculation = SimpleSpeculativeExecutionPolicy { max_retry_count: 1, retry_interval: SPECULATE_AFTER };
        ExecutionProfile::builder()
            .consistency(Consistency::LocalQuorum)
            .request_timeout(Some(ATTEMPT))
            .load_balancing_policy(policy.build())
            .speculative_execution_policy(Some(Arc::new(speculation)))
            .build()
            .into_handle()
    }
}
