//! How many nodes a load needs. A pure rule; where the numbers come from is for the caller to say.

/// What one node bears.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NodeCapacity {
    /// Connections of a gateway.
    pub connections: u64,
    /// Messages a second through a worker.
    pub messages_per_s: f64,
    /// Deliveries a second of a worker: messages times members.
    pub deliveries_per_s: f64,
    /// Rows a second into a node of the message store, its replicas included.
    pub rows_per_s: f64,
}

/// What a fleet bears now, or shall.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Load {
    /// Connections.
    pub connections: u64,
    /// Messages a second.
    pub messages_per_s: f64,
    /// Deliveries a second.
    pub deliveries_per_s: f64,
}

/// Counts of nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Gateways.
    pub gateways: u64,
    /// Workers.
    pub workers: u64,
    /// Nodes of the message store.
    pub store_nodes: u64,
}

/// Share of its capacity that a node may use: the rest is for the failure of another, and for what nobody foresaw. The
/// same 80% that drains guard.
pub const HEADROOM: f64 = 0.8;

impl Load {
    /// So many times this load.
    pub fn times(self, factor: f64) -> Self {
        Self {
            connections: (self.connections as f64 * factor).ceil() as u64,
            messages_per_s: self.messages_per_s * factor,
            deliveries_per_s: self.deliveries_per_s * factor,
        }
    }
}

/// The nodes that a load needs. One gateway more than its connections need, so that one may be lost or drained; never
/// fewer store nodes than replicas.
pub fn needed(load: Load, node: NodeCapacity, replicas: u64) -> Counts {
    let nodes = |of: f64, each: f64| if of <= 0.0 { 0 } else { (of / (each * HEADROOM)).ceil() as u64 };
    let gateways = nodes(load.connections as f64, node.connections as f64).max(1) + 1;
    let by_messages = nodes(load.messages_per_s, node.messages_per_s);
    let by_deliveries = nodes(load.deliveries_per_s, node.deliveries_per_s);
    let rows_per_s = load.messages_per_s * replicas as f64;
    Counts {
        gateways,
        workers: by_messages.max(by_deliveries).max(1),
        store_nodes: nodes(rows_per_s, node.rows_per_s).max(replicas),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NODE: NodeCapacity = NodeCapacity {
        connections: 50_000,
        messages_per_s: 8_000.0,
        deliveries_per_s: 400_000.0,
        rows_per_s: 30_000.0,
    };

    #[test]
    fn five_times_the_load_of_an_evening() {
        let load = Load { connections: 70_000, messages_per_s: 6_000.0, deliveries_per_s: 120_000.0 };
        assert_eq!(needed(load, NODE, 3), Counts { gateways: 3, workers: 1, store_nodes: 3 });
        // 350,000 connections at 40,000 a gateway are 9, and one more.
        assert_eq!(needed(load.times(5.0), NODE, 3), Counts { gateways: 10, workers: 5, store_nodes: 4 });
        assert_eq!(needed(Load::default(), NODE, 1), Counts { gateways: 2, workers: 1, store_nodes: 1 });
    }

    proptest! {
        /// With one gateway lost nobody passes the headroom, and more load never needs fewer nodes.
        #[test]
        fn one_gateway_may_be_lost(connections in 0_u64..5_000_000, rate in 0.0..1e6_f64) {
            let load = Load { connections, messages_per_s: rate, deliveries_per_s: rate * 30.0 };
            let counts = needed(load, NODE, 3);
            let bearable = (counts.gateways - 1) as f64 * NODE.connections as f64 * HEADROOM;
            prop_assert!(connections as f64 <= bearable + 1.0);
            let more = needed(load.times(1.5), NODE, 3);
            prop_assert!(more.gateways >= counts.gateways && more.workers >= counts.workers);
            prop_assert!(more.store_nodes >= counts.store_nodes);
        }
    }
}
