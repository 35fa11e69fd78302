//! From reports of nodes to samples of the fleet.

use std::collections::{BTreeMap, VecDeque};

use domain::detect::{FleetSample, GatewaySample, Loss};
use protocol::{
    admin::{Incident, Mode, NodeRole},
    node::{Figures, Report},
};

use crate::app::nodes::NodeView;

/// Samples kept: 15 minutes.
const KEPT: usize = 900;

/// The recent past of the fleet, and what each node had counted last.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    samples: VecDeque<FleetSample>,
    counted: BTreeMap<String, Counted>,
    /// Gateways that are lost, until they are heard again.
    losses: BTreeMap<String, Loss>,
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
        self.losses.retain(|id, _| views.iter().any(|view| view.record.id == *id));
        let live = sample.live_connections();
        for gateway in &mut sample.gateways {
            let Some(loss) = self.losses.get_mut(&gateway.id) else { continue };
            loss.step(live);
            (gateway.needed, gateway.is_back) = (loss.needed(), loss.is_back());
        }
        if self.samples.len() >= KEPT {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    /// Oldest first.
    pub(crate) fn all(&mut self) -> &[FleetSample] {
        self.samples.make_contiguous()
    }

    /// Takes up an open incident of an earlier control plane: what its gateway dropped is written there alone.
    pub(crate) fn take_over(&mut self, incident: &Incident) {
        let evidence = |name| incident.evidence.iter().find(|it| it.figure == name);
        let (Mode::GatewayCrash, Some(gateway)) = (incident.mode, incident.params.get("gateway")) else { return };
        let (Some(dropped), Some(fleet)) = (evidence(Loss::DROPPED), evidence(Loss::FLEET)) else { return };
        // Counts of connections are far below where a float is not exact.
        self.losses.insert(gateway.clone(), Loss::resumed(dropped.value as u64, fleet.threshold as u64));
    }

    /// A lost gateway's connections, as far as it is known that they were dropped.
    fn lose(&mut self, at_ms: u64, view: &NodeView) -> u64 {
        let (id, connections) = (&view.record.id, view.report.connections);
        if !self.losses.contains_key(id) && connections > 0 {
            // When it was heard last: since then its users may have come to other gateways.
            let heard_ms = at_ms.saturating_sub(view.heard_ms_ago);
            let then = self.samples.iter().rev().find(|it| it.at_ms <= heard_ms).or_else(|| self.samples.front());
            let before = then.map_or(0, FleetSample::live_connections);
            self.losses.insert(id.clone(), Loss::new(connections, before));
        }
        self.losses.get(id).map_or(0, Loss::connections)
    }

    fn add(&mut self, sample: &mut FleetSample, view: &NodeView) {
        let id = &view.record.id;
        let is_gateway = view.record.role == NodeRole::Gateway;
        // A node that registered and did not report yet, or not to this control plane.
        let is_silent = view.report == Report::default();
        if !view.lost && !is_silent {
            self.losses.remove(id);
        }
        if is_gateway {
            let is_lost = view.lost || self.losses.contains_key(id);
            sample.gateways.push(GatewaySample {
                id: id.clone(),
                is_live: !is_lost,
                is_leaving: view.desired.drain.is_some() || view.desired.restart_incarnation == view.record.incarnation,
                connections: if is_lost { self.lose(sample.at_ms, view) } else { view.report.connections },
                silent_ms: view.heard_ms_ago,
                ..GatewaySample::default()
            });
        }
        if view.lost || is_silent {
            // What it counted while it was not heard is not of the second in which it is heard again.
            self.counted.remove(id);
            return;
        }
        if view.report.figures.is_some() {
            *if is_gateway { &mut sample.gateways_measured } else { &mut sample.workers_measured } += 1;
        }
        let now = Counted {
            incarnation: view.record.incarnation,
            accepted: view.report.accepted_total,
            delivered: view.report.delivered_total,
            figures: view.report.figures.unwrap_or_default(),
        };
        // A new life counts from 0: what it counted before its first report here is not of this second.
        let before = self.counted.insert(id.clone(), now.clone());
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
        worst(&mut sample.direct_p99_ms, is.direct_p99_ms);
        worst(&mut sample.fanout_p99_ms, is.fanout_p99_ms);
        worst(&mut sample.write_p99_ms, is.write_p99_ms);
        worst(&mut sample.pending_compactions, is.pending_compactions);
        worst(&mut sample.lag_ms, view.report.lag_ms);
        let presence = view.report.edges.iter().find(|edge| edge.name == "presence");
        worst(&mut sample.presence_p99_ms, presence.map_or(0, |edge| edge.p99_ms));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{DesiredRecord, NodeRecord};

    fn view(id: &str, incarnation: u64, report: Report) -> NodeView {
        let record = NodeRecord {
            id: id.into(),
            role: NodeRole::Gateway,
            roles: Vec::new(),
            incarnation,
            client_url: String::new(),
            http_url: String::new(),
            software: String::new(),
            capacity: 50_000,
            zone: String::new(),
        };
        NodeView {
            record,
            lost: false,
            given_up: false,
            heard_ms_ago: 0,
            report,
            desired: DesiredRecord::default(),
            acked: 0,
            nack: None,
        }
    }

    fn report(connections: u64, total: u64) -> Report {
        let figures = Figures { dedup_lookups_total: total, stale_overwrites_total: total, ..Figures::default() };
        Report { connections, accepted_total: total, figures: Some(figures), ..Report::default() }
    }

    /// The second's accepted, lookups and overwrites.
    fn second(samples: &mut Samples, at_s: u64, views: &[NodeView]) -> (u64, u64, u64) {
        samples.take(at_s * 1_000, views);
        let last = samples.all().last().unwrap();
        (last.accepted, last.dedup_lookups, last.stale_overwrites)
    }

    #[test]
    fn totals_become_what_was_counted_in_the_second() {
        let mut samples = Samples::default();
        // Known from the store, not heard by this control plane yet: what it counted before is not of now.
        assert_eq!(second(&mut samples, 1, &[view("gw-1", 1, Report::default())]), (0, 0, 0));
        assert_eq!(second(&mut samples, 2, &[view("gw-1", 1, report(5, 1_000))]), (0, 0, 0));
        assert_eq!(second(&mut samples, 3, &[view("gw-1", 1, report(5, 1_007))]), (7, 7, 7));
        // A second in which no report came.
        assert_eq!(second(&mut samples, 4, &[view("gw-1", 1, report(5, 1_007))]), (0, 0, 0));
        // Another life: registered, then reporting.
        assert_eq!(second(&mut samples, 5, &[view("gw-1", 2, Report::default())]), (0, 0, 0));
        assert_eq!(second(&mut samples, 6, &[view("gw-1", 2, report(5, 40))]), (0, 0, 0));
        assert_eq!(second(&mut samples, 7, &[view("gw-1", 2, report(5, 50))]), (10, 10, 10));
        // Cut off for a while: it comes back with all it counted meanwhile.
        let lost = NodeView { lost: true, heard_ms_ago: 3_000, ..view("gw-1", 2, report(5, 50)) };
        assert_eq!(second(&mut samples, 8, &[lost]), (0, 0, 0));
        assert_eq!(second(&mut samples, 9, &[view("gw-1", 2, report(5, 9_000))]), (0, 0, 0));
        assert_eq!(second(&mut samples, 10, &[view("gw-1", 2, report(5, 9_001))]), (1, 1, 1));
    }

    #[test]
    fn what_a_fleet_had_before_a_loss_is_from_when_the_gateway_was_heard_last() {
        let mut samples = Samples::default();
        let other = |connections| view("gw-2", 1, report(connections, 1));
        for at_s in 1..=10 {
            samples.take(at_s * 1_000, &[view("gw-1", 1, report(1_000, 1)), other(500)]);
        }
        // Its users come to the other one before it is called lost.
        for silent_s in 1..=3 {
            let silent =
                NodeView { lost: silent_s == 3, heard_ms_ago: silent_s * 1_000, ..view("gw-1", 1, report(1_000, 1)) };
            samples.take((10 + silent_s) * 1_000, &[silent, other(500 + silent_s * 200)]);
        }
        let gateway = &samples.all().last().unwrap().gateways[0];
        assert_eq!(
            (gateway.is_live, gateway.connections, gateway.needed, gateway.is_back),
            (false, 1_000, 1_450, false)
        );
        for silent_s in 4..=8 {
            let heard_ms_ago = silent_s * 1_000;
            let lost = NodeView { lost: true, heard_ms_ago, ..view("gw-1", 1, report(1_000, 1)) };
            samples.take((10 + silent_s) * 1_000, &[lost, other(1_450)]);
        }
        assert!(samples.all().last().unwrap().gateways[0].is_back);
    }

    #[test]
    fn the_past_is_bounded() {
        let mut samples = Samples::default();
        for at_s in 1..=2_000 {
            samples.take(at_s * 1_000, &[]);
        }
        let all = samples.all();
        assert_eq!((all.len(), all[0].at_ms, all[899].at_ms), (900, 1_101_000, 2_000_000));
    }
}
