//! From reports of nodes to samples of the fleet.

use std::collections::{BTreeMap, VecDeque};

use domain::detect::{FleetSample, GatewaySample};
use protocol::{admin::NodeRole, node::Figures};

use crate::app::nodes::NodeView;

/// Samples kept: 15 minutes.
const KEPT: usize = 900;

/// The recent past of the fleet, and what each node had counted last.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    samples: VecDeque<FleetSample>,
    counted: BTreeMap<String, Counted>,
}

/// Totals of a node, as it reported them last.
#[derive(Debug, Clone, Default)]
struct Counted {
    incarnation: u64,
    accepted: u64,
    delivered: u64,
    figures: Figures,
}

impl Samples {
    /// Takes a second in.
    pub(crate) fn take(&mut self, at_ms: u64, views: &[NodeView]) {
        let mut sample = FleetSample { at_ms, ..FleetSample::default() };
        for view in views {
            self.add(&mut sample, view);
        }
        self.counted.retain(|id, _| views.iter().any(|view| view.record.id == *id));
        if self.samples.len() >= KEPT {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    /// Oldest first.
    pub(crate) fn all(&mut self) -> &[FleetSample] {
        self.samples.make_contiguous()
    }

    fn add(&mut self, sample: &mut FleetSample, view: &NodeView) {
        let is_gateway = view.record.role == NodeRole::Gateway;
        if is_gateway {
            sample.gateways.push(GatewaySample {
                id: view.record.id.clone(),
                is_live: !view.lost,
                is_leaving: view.desired.drain.is_some() || view.desired.restart_incarnation == view.record.incarnation,
                connections: view.report.connections,
                silent_ms: view.heard_ms_ago,
            });
        }
        if view.lost {
            return;
        }
        let now = Counted {
            incarnation: view.record.incarnation,
            accepted: view.report.accepted_total,
            delivered: view.report.delivered_total,
            figures: view.report.figures.unwrap_or_default(),
        };
        // A new life counts from 0: what it counted before its first report here is not of this second.
        let before = self.counted.insert(view.record.id.clone(), now.clone());
        let before = before.filter(|before| before.incarnation == now.incarnation).unwrap_or_else(|| now.clone());
        let (was, is) = (&before.figures, &now.figures);
        if is_gateway {
            sample.accepted += now.accepted.saturating_sub(before.accepted);
            sample.delivered += now.delivered.saturating_sub(before.delivered);
        }
        sample.dedup_lookups += is.dedup_lookups_total.saturating_sub(was.dedup_lookups_total);
        sample.dedup_hits += is.dedup_hits_total.saturating_sub(was.dedup_hits_total);
        sample.heartbeats += is.heartbeats_total.saturating_sub(was.heartbeats_total);
        sample.heartbeat_errors += is.heartbeat_errors_total.saturating_sub(was.heartbeat_errors_total);
        sample.false_offline += is.false_offline_total.saturating_sub(was.false_offline_total);
        sample.stale_overwrites += is.stale_overwrites_total.saturating_sub(was.stale_overwrites_total);
        sample.flip_flops += is.flip_flops_total.saturating_sub(was.flip_flops_total);
        sample.fanout_messages += is.fanout_messages_total.saturating_sub(was.fanout_messages_total);
        sample.writes += is.writes_total.saturating_sub(was.writes_total);
        sample.write_errors += is.write_errors_total.saturating_sub(was.write_errors_total);
        sample.fanout_queue += is.fanout_queue;
        sample.lag_records += view.report.lag_records;
        let worst = |known: &mut u64, seen: u64| *known = (*known).max(seen);
        worst(&mut sample.presence_cpu_percent, is.presence_cpu_percent);
        worst(&mut sample.fanout_p99_ms, is.fanout_p99_ms);
        worst(&mut sample.write_p99_ms, is.write_p99_ms);
        worst(&mut sample.pending_compactions, is.pending_compactions);
        worst(&mut sample.lag_ms, view.report.lag_ms);
        let presence = view.report.edges.iter().find(|edge| edge.name == "presence");
        worst(&mut sample.presence_p99_ms, presence.map_or(0, |edge| edge.p99_ms));
    }
}
