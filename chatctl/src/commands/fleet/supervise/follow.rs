//! Follows the counts that `fleet scale` writes: starts nodes, stops those that were added, and tells chatctl which
//! gateways there are.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{admin::NodeStatus, identity::ProgramRole};
use tokio::time::{Duration, sleep};
use tokio_util::sync::CancellationToken;

use super::keep::{Keeper, Kept};
use crate::{
    api::Api,
    commands::fleet::{counts::Counts, growth::Growth, plan::Plan, ports::Ports, process::Process},
    context::{Context, ContextFile},
    error::{CommandError, Kind},
    http_client::client,
};

/// Between two looks at the counts.
const LOOK: Duration = Duration::from_secs(1);
/// A gateway that does not say by then that it takes clients is asked again at the next look.
const ANSWER_DEADLINE: Duration = Duration::from_secs(1);

/// Adds nodes, and takes away those that it added.
pub(super) struct Follower {
    name: String,
    keeper: Keeper,
    ports: Ports,
    pools: [Pool; 2],
    /// As chatctl knows it; its gateways are those that serve.
    context: Context,
    /// Nodes that were taken away and that the control plane still lists.
    gone: BTreeSet<String>,
}

/// Added nodes of a kind, by their number.
struct Pool {
    growth: Growth,
    nodes: BTreeMap<u64, Node>,
}

struct Node {
    process: Process,
    kept: Kept,
}

impl Node {
    /// Where clients reach it, if it is a gateway.
    fn url(&self) -> Option<String> {
        self.process.client_address().map(|listen| format!("http://{listen}"))
    }
}

impl Follower {
    pub(super) fn new(plan: &Plan, keeper: Keeper, context: Context) -> Self {
        let pools = plan.growths.clone().map(|growth| Pool { growth, nodes: BTreeMap::new() });
        Self { name: plan.name.clone(), keeper, ports: Ports::of(plan), pools, context, gone: BTreeSet::new() }
    }

    /// Starts what was added before the supervisor was stopped, each where it was; gives those.
    pub(super) fn start(&mut self) -> Result<Vec<Process>, CommandError> {
        let counts = Counts::read(&self.keeper.place)?;
        for pool in &self.pools {
            // What was on its way out when a supervisor was killed.
            let unwanted = pool.growth.all_names().skip(counts.of(pool.growth.role) as usize);
            unwanted.for_each(|name| self.keeper.place.forget(&name));
        }
        self.add(counts)?;
        let added: Vec<Process> = self.nodes().map(|node| node.process.clone()).collect();
        let gateways: Vec<String> = self.nodes().filter_map(Node::url).collect();
        self.context.gateways.extend(gateways);
        Ok(added)
    }

    /// Where clients reach the gateways that serve.
    pub(super) fn gateways(&self) -> Vec<String> {
        self.context.gateways.clone()
    }

    /// Follows the counts until `stop`, which stops the nodes, too.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(LOOK) => {}
            }
            if let Err(error) = self.step().await {
                tracing::warn!(%error, "the fleet is not scaled as it should be; it is tried again");
            }
        }
    }

    async fn step(&mut self) -> Result<(), CommandError> {
        let counts = Counts::read(&self.keeper.place)?;
        self.add(counts)?;
        self.admit().await?;
        self.remove(counts).await?;
        self.retire().await
    }

    /// Has the control plane forget what is gone for good: else it stays listed as lost. What cannot be forgotten yet is
    /// tried again at the next look.
    async fn retire(&mut self) -> Result<(), CommandError> {
        if self.gone.is_empty() {
            return Ok(());
        }
        let api = Api::new(&self.context)?;
        for name in self.gone.clone() {
            if forget(&api, &name).await? {
                self.gone.remove(&name);
            }
        }
        Ok(())
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.pools.iter().flat_map(|pool| pool.nodes.values())
    }

    /// Starts the nodes that are missing.
    fn add(&mut self, counts: Counts) -> Result<(), CommandError> {
        for pool in &mut self.pools {
            for n in 1..=counts.of(pool.growth.role) {
                if pool.nodes.contains_key(&n) {
                    continue;
                }
                let mut process = pool.growth.process(n);
                if process.role == ProgramRole::Gateway {
                    self.ports.assign(&self.keeper.place, &mut process)?;
                }
                let kept = self.keeper.start(&mut process)?;
                tracing::info!(name = process.name, "a node is added");
                self.gone.remove(&process.name);
                pool.nodes.insert(n, Node { process, kept });
            }
        }
        Ok(())
    }

    /// Tells chatctl of the gateways that have begun to take clients.
    async fn admit(&mut self) -> Result<(), CommandError> {
        let new: Vec<String> =
            self.nodes().filter_map(Node::url).filter(|url| !self.context.gateways.contains(url)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let client = client(&self.context)?;
        for url in new {
            let answer = client.get(format!("{url}/readyz")).timeout(ANSWER_DEADLINE).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                self.context.gateways.push(url);
                self.tell_chatctl()?;
            }
        }
        Ok(())
    }

    /// Stops the nodes that are not wanted any more, the last first, and waits until they have ended.
    async fn remove(&mut self, counts: Counts) -> Result<(), CommandError> {
        let mut leaving = Vec::new();
        for pool in &mut self.pools {
            leaving.extend(pool.nodes.split_off(&(counts.of(pool.growth.role) + 1)).into_values().rev());
        }
        if leaving.is_empty() {
            return Ok(());
        }
        // Before they refuse them, so that no client is sent there.
        let gone: Vec<String> = leaving.iter().filter_map(Node::url).collect();
        self.context.gateways.retain(|url| !gone.contains(url));
        let told = self.tell_chatctl();
        leaving.iter().for_each(|node| node.kept.stop());
        for Node { process, kept } in leaving {
            kept.ended().await;
            self.ports.release(&process);
            self.keeper.place.forget(&process.name);
            tracing::info!(name = process.name, "a node that was added is gone");
            self.gone.insert(process.name);
        }
        told
    }

    /// Refreshes the gateways of the fleet's context, as long as it is this fleet's.
    fn tell_chatctl(&self) -> Result<(), CommandError> {
        let mut file = ContextFile::load()?;
        let ours = |kept: &&mut Context| kept.control_plane == self.context.control_plane;
        match file.contexts.get_mut(&self.name).filter(ours) {
            Some(kept) => kept.gateways.clone_from(&self.context.gateways),
            None => return Ok(()),
        }
        file.save()
    }
}

/// False while a node is believed to live, or an operation counts on it.
async fn forget(api: &Api, name: &str) -> Result<bool, CommandError> {
    let forgotten = match api.node(name).await {
        Ok(node) if node.status == NodeStatus::Live => return Ok(false),
        Ok(_) => api.node_forget(name, "the fleet was scaled down").await.map(drop),
        Err(error) => Err(error),
    };
    match forgotten.map_err(|error| (error.kind, error)) {
        // One that is not found never came, or the control plane took it away itself.
        Ok(()) | Err((Kind::NotFound, _)) => Ok(true),
        Err((Kind::Refused, _)) => Ok(false),
        Err((_, error)) => Err(error),
    }
}
