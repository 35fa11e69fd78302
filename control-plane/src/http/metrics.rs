//! `GET /metrics`: what the control plane knows, as Prometheus text.

use std::fmt::Write as _;

use axum::{extract::State, http::header::CONTENT_TYPE, response::IntoResponse};
use protocol::admin::{LightState, Mode, NodeStatus};

use super::{Http, problem::Answer};

/// Prometheus text.
#[utoipa::path(get, path = "/metrics", tag = "health", responses((status = 200, content_type = "text/plain")), security(()))]
pub(super) async fn metrics(State(http): State<Http>) -> Answer<impl IntoResponse> {
    let (overview, nodes) = (http.app.overview().await?, http.app.nodes());
    let open = http.app.incidents(false, None, Some(500)).await?.items;
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, values: Vec<(String, f64)>| {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (labels, value) in values {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let one = |value: f64| vec![(String::new(), value)];
    let mut counts: std::collections::BTreeMap<String, f64> = std::collections::BTreeMap::new();
    for node in &nodes {
        let status = if node.status == NodeStatus::Live { "live" } else { "lost" };
        *counts.entry(format!("{{role=\"{}\",status=\"{status}\"}}", node.role)).or_default() += 1.0;
    }
    gauge("chat_control_nodes", "nodes that are known", counts.into_iter().collect());
    let of_mode = |mode: Mode| open.iter().filter(|incident| incident.mode == mode).count() as f64;
    let by_mode = Mode::ALL.iter().map(|mode| (format!("{{mode=\"{mode}\"}}"), of_mode(*mode)));
    gauge("chat_incidents_open", "incidents that are not resolved", by_mode.collect());
    let firing = |state: LightState| f64::from(u8::from(state == LightState::Firing));
    let lights = overview.lights.iter().map(|light| (format!("{{mode=\"{}\"}}", light.mode), firing(light.state)));
    gauge("chat_light_firing", "1 while the rule of a failure mode holds or its incident is open", lights.collect());
    gauge("chat_control_leads", "1 while this replica leads", one(f64::from(u8::from(http.app.seat.check().is_ok()))));
    gauge("chat_connections", "connections of live gateways", one(overview.now.connections as f64));
    gauge("chat_users", "users connected", one(overview.users as f64));
    gauge("chat_messages_per_second", "messages accepted a second", one(overview.now.messages_per_s));
    gauge("chat_lag_records", "records behind the commit pointers", one(overview.now.lag_records as f64));
    gauge("chat_lag_ms", "age of the oldest record behind them", one(overview.now.lag_ms as f64));
    gauge("chat_write_p99_ms", "p99 of writes to the message store", one(overview.now.write_p99_ms as f64));
    gauge("chat_overrides", "overrides in force or pending", one(overview.overrides.len() as f64));
    gauge("chat_operations_running", "operations that go on", one(overview.operations_running as f64));
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4")], text))
}
