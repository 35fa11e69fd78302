//! The whole fleet on one page.

use domain::detect::{FailureMode, FleetSample};
use protocol::admin::{ConsistencyNow, Incident, Light, LightState, NodeRole, Overview, Point};

use super::{App, incidents, nodes::NodeView};
use crate::{detect::to_mode, error::AppError, store::OperationFilter};

/// Seconds of one point of the history.
const POINT_S: usize = 5;
/// A light is near when its figure has this share of its threshold.
const NEAR: f64 = 0.7;

impl App {
    /// The whole fleet on one page.
    pub async fn overview(&self) -> Result<Overview, AppError> {
        let views = self.nodes.views();
        let open = self.incidents(false, None, Some(500)).await?.items;
        let overrides = self.overrides(false).await?;
        let consistency = self.consistency().await?;
        let running = self.store.operations(OperationFilter::Active, u64::MAX, 500).await?;
        let (lights, now, history) = {
            let mut samples = self.samples.lock();
            let all = samples.all();
            let points = all.rchunks(POINT_S).rev().map(point);
            (lights(all, &open), all.last().map(|last| point(std::slice::from_ref(last))), points.collect())
        };
        let of = |role: NodeRole, lost: bool| {
            views.iter().filter(|view| view.record.role == role && view.lost == lost).count() as u64
        };
        let live = || views.iter().filter(|view| !view.lost);
        Ok(Overview {
            at_ms: self.clock.now_ms(),
            gateways_live: of(NodeRole::Gateway, false),
            gateways_lost: of(NodeRole::Gateway, true),
            workers_live: of(NodeRole::Worker, false),
            workers_lost: of(NodeRole::Worker, true),
            users: live().map(|view| view.report.users).sum(),
            capacity: live().map(|view| view.record.capacity).sum(),
            now: now.unwrap_or_default(),
            history,
            lights,
            incidents_open: open.len() as u64,
            operations_running: running.len() as u64,
            overrides,
            consistency: ConsistencyNow {
                level: consistency.level,
                override_id: consistency.override_id,
                left_ms: consistency.left_ms,
            },
            troubles: troubles(&views),
        })
    }
}

fn troubles(views: &[NodeView]) -> Vec<String> {
    let trouble = |view: &NodeView| match (view.lost, view.report.trouble.is_empty()) {
        (true, _) => Some(format!("{}: not heard for {} s", view.record.id, view.heard_ms_ago / 1_000)),
        (false, false) => Some(format!("{}: {}", view.record.id, view.report.trouble)),
        (false, true) => None,
    };
    views.iter().filter_map(trouble).collect()
}

/// The lights of the failure modes.
fn lights(samples: &[FleetSample], open: &[Incident]) -> Vec<Light> {
    FailureMode::ALL
        .into_iter()
        .map(|mode| {
            let reading = mode.read(samples);
            let incident = open.iter().find(|incident| incidents::key(incident).0 == to_mode(mode));
            let key = reading.key;
            let state = match incident {
                Some(_) => LightState::Firing,
                None if !mode.is_measured(samples) => LightState::Unknown,
                None if !reading.findings.is_empty() => LightState::Firing,
                None if key.value >= key.threshold * NEAR && key.value > 0.0 => LightState::Near,
                None => LightState::Good,
            };
            Light {
                mode: to_mode(mode),
                state,
                figure: key.name.to_owned(),
                value: key.value,
                unit: key.unit.to_owned(),
                threshold: key.threshold,
                incident: incident.map(|incident| incident.id.clone()),
            }
        })
        .collect()
}

/// Some seconds as one point: rates are their mean, the rest their worst.
fn point(samples: &[FleetSample]) -> Point {
    let seconds = samples.len().max(1) as f64;
    let worst = |of: fn(&FleetSample) -> u64| samples.iter().map(of).max().unwrap_or(0);
    Point {
        at_ms: samples.last().map_or(0, |last| last.at_ms),
        connections: samples.last().map_or(0, FleetSample::live_connections),
        messages_per_s: samples.iter().map(|it| it.accepted).sum::<u64>() as f64 / seconds,
        deliveries_per_s: samples.iter().map(|it| it.delivered).sum::<u64>() as f64 / seconds,
        delivery_p99_ms: worst(|it| it.direct_p99_ms),
        lag_records: worst(|it| it.lag_records),
        lag_ms: worst(|it| it.lag_ms),
        write_p99_ms: worst(|it| it.write_p99_ms),
    }
}
