//! The gateway as a node of the control plane: what it reports, and what it is told to do.

use async_trait::async_trait;
use protocol::node::{Desired, DrainPhase, Register, Report, Role, question};

use crate::{gateway::Gateway, questions};

/// Where a gateway is reached.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    /// ws://host:port/v1/ws
    pub client_url: String,
    /// http://host:port
    pub http_url: String,
}

impl Gateway {
    /// Its first word to the control plane.
    fn register(&self, addresses: &Addresses) -> Register {
        let config = &self.shared.config;
        Register {
            node: config.node.to_string(),
            role: Role::Gateway.into(),
            incarnation: config.incarnation,
            client_url: addresses.client_url.clone(),
            http_url: addresses.http_url.clone(),
            software: concat!("chatfleet ", env!("CARGO_PKG_VERSION")).to_owned(),
            capacity: config.limits.connections as u64,
            zone: config.zone.clone(),
            desired_version: 0,
            roles: Vec::new(),
        }
    }

    /// How it stands, each second.
    fn report(&self) -> Report {
        let shared = &self.shared;
        let drain = shared.drain.report();
        let at_rest = matches!(drain.phase(), DrainPhase::Active | DrainPhase::Cancelled);
        // A drain is no trouble: it is what was ordered.
        let unready = if at_rest { shared.readiness().err().unwrap_or("") } else { "" };
        let down = shared.ports.dependencies.trouble();
        let trouble: Vec<&str> = [unready, &down].into_iter().filter(|trouble| !trouble.is_empty()).collect();
        Report {
            connections: shared.hub.connections() as u64,
            users: shared.hub.users() as u64,
            drain: Some(drain),
            accepted_total: shared.metrics.accepted.get(),
            delivered_total: shared.metrics.delivered.get(),
            refused_total: shared.metrics.refused.get(),
            slow_consumers_total: shared.metrics.slow_consumers.get(),
            trouble: trouble.join("; "),
            edges: shared.ports.dependencies.report(),
            overrides: shared.levers.ids(),
            figures: Some(shared.figures.report(
                shared.now_ms(),
                shared.metrics.duplicates.get(),
                shared.metrics.superseded.get(),
            )),
            ..Report::default()
        }
    }

    /// Puts the desired state in force, or says why not.
    fn apply(&self, desired: &Desired) -> Result<(), String> {
        if let Some(drain) = &desired.drain
            && (drain.operation.is_empty() || drain.rate_per_s == 0)
        {
            return Err("drain: needs an operation and a rate above 0".into());
        }
        if self.shared.stop.is_cancelled() {
            return Err("the gateway is stopping".into());
        }
        self.shared.levers.apply(desired)?;
        self.shared.order_drain(desired.drain.clone());
        Ok(())
    }

    /// True while workers know it: its lease is held.
    pub fn is_leased(&self) -> bool {
        self.shared.holding.lock().is_some()
    }
}

/// A gateway in its role as a node.
pub struct GatewayNode {
    /// Which.
    pub gateway: Gateway,
    /// Where it is reached.
    pub addresses: Addresses,
}

#[async_trait]
impl backends::node::Node for GatewayNode {
    fn register(&self) -> Register {
        self.gateway.register(&self.addresses)
    }

    fn report(&self) -> Report {
        self.gateway.report()
    }

    fn apply(&self, desired: &Desired) -> Result<(), String> {
        self.gateway.apply(desired)
    }

    async fn answer(&self, question: question::Kind) -> Result<String, String> {
        questions::answer(&self.gateway.shared, question).await
    }
}
