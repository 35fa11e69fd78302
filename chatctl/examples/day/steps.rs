//! The steps of the day. Each says in a few words what came of it.

use std::{thread::sleep, time::Duration};

use serde_json::Value;

use crate::{
    fleet::{Fleet, until},
    planes::{PLANES, lose_leader},
};

/// Gateways and workers of the file.
const NODES: usize = 6;
/// A node of Cassandra that is lost and comes back.
const STORE_NODE: &str = "cassandra-3";

/// A step.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    /// So long clients talk beside it: longer than it takes.
    pub(crate) load_s: u64,
    pub(crate) run: fn(&Fleet) -> Result<String, String>,
}

pub(crate) const STEPS: &[Step] = &[
    Step { name: "an ordinary morning", load_s: 12, run: ordinary },
    Step { name: "three times the load is expected", load_s: 25, run: grow },
    Step { name: "what was added has clients and partitions", load_s: 12, run: shares },
    Step { name: "writes to one replica", load_s: 15, run: downgrade },
    Step { name: "nodes are lost", load_s: 40, run: lose_nodes },
    Step { name: "writes to a quorum again, all verified", load_s: 25, run: restore },
    Step { name: "a gateway is drained", load_s: 25, run: drain },
    Step { name: "all workers are restarted", load_s: 45, run: restart_workers },
    Step { name: "all gateways are restarted", load_s: 60, run: restart_gateways },
    Step { name: "rows are checked against the log", load_s: 25, run: reconcile },
    Step { name: "what was added goes", load_s: 35, run: shrink },
    Step { name: "a person adds a gateway and takes it away", load_s: 60, run: by_hand },
];

fn ordinary(fleet: &Fleet) -> Result<String, String> {
    // A plan is made of what is measured: once the report of a node has the load in it.
    let planned = until("a load three times as high needs more nodes", || {
        let plan = fleet.json(&["prescale", "plan", "--factor", "3"]).ok()?;
        (added(&plan, "gateways") > 0 && added(&plan, "workers") > 0).then_some(plan)
    })?;
    let more = |what: &str| domain::counted(added(&planned, what) as u64, what);
    Ok(format!("{} and {} to add", more("gateways"), more("workers")))
}

fn added(plan: &Value, what: &str) -> usize {
    let rows = plan["rows"].as_array().into_iter().flatten();
    rows.filter(|row| row["what"] == what).filter_map(|row| row["add"].as_u64()).sum::<u64>() as usize
}

fn grow(fleet: &Fleet) -> Result<String, String> {
    let said = through_takeover(fleet, &["prescale", "apply", "--factor", "3", "--yes"])?;
    until("the nodes that were added are there, and all are well", || {
        let nodes = fleet.json(&["node", "list"]).ok()?;
        let nodes = nodes.as_array()?;
        let well = |node: &Value| node["status"] == "live" && node["trouble"] == "";
        (nodes.len() > NODES && nodes.iter().all(well)).then_some(())
    })?;
    Ok(said)
}

fn shares(fleet: &Fleet) -> Result<String, String> {
    until("the new gateway has clients", || (connections(fleet, "gw-3")? > 0).then_some(()))?;
    until("the new worker has partitions", || {
        let node = fleet.json(&["node", "show", "added-worker-1"]).ok()?;
        (node["partitions"].as_u64()? > 0).then_some(())
    })?;
    Ok(String::new())
}

fn connections(fleet: &Fleet, gateway: &str) -> Option<u64> {
    fleet.json(&["gateway", "show", gateway]).ok()?["connections"].as_u64()
}

fn downgrade(fleet: &Fleet) -> Result<String, String> {
    fleet.json(&["consistency", "set", "one", "--for", "5m", "--reason", "the day", "--yes"])?;
    let took = lose_leader(fleet)?;
    until("every node that stores writes to one replica", || {
        let held = fleet.json(&["override", "list"]).ok()?;
        held.as_array()?.iter().any(|it| it["state"] == "active").then_some(())
    })?;
    Ok(format!("in force; another leads after {:.1} s", took.as_secs_f64()))
}

fn lose_nodes(fleet: &Fleet) -> Result<String, String> {
    if fleet.has_ring {
        fleet.stack(&["kill", STORE_NODE])?;
    }
    fleet.signal("gw-1", "KILL")?;
    fleet.signal("persister-1", "KILL")?;
    // So long the fleet lives without the store's node.
    sleep(Duration::from_secs(5));
    if fleet.has_ring {
        fleet.stack(&["start", STORE_NODE])?;
    }
    until("every node is back", || {
        let nodes = fleet.json(&["node", "list"]).ok()?;
        nodes.as_array()?.iter().all(|node| node["status"] == "live" && node["trouble"] == "").then_some(())
    })?;
    Ok(format!("gw-1, persister-1{}", if fleet.has_ring { ", a node of Cassandra" } else { "" }))
}

fn restore(fleet: &Fleet) -> Result<String, String> {
    fleet.json(&["consistency", "restore"])?;
    let took = lose_leader(fleet)?;
    fleet.json(&["consistency", "verify", "--timeout", "60s"])?;
    let ledger = fleet.json(&["consistency", "ledger"])?;
    let window = &ledger[0];
    let spans = window["spans"].as_array().into_iter().flatten();
    let rows: u64 = spans.filter_map(|it| Some(it["to"].as_u64()? - it["from"].as_u64()?)).sum();
    if window["state"] != "verified" || rows == 0 {
        return Err(format!("the window is not verified, or empty: {window}"));
    }
    Ok(format!("{rows} rows verified; another leads after {:.1} s", took.as_secs_f64()))
}

fn drain(fleet: &Fleet) -> Result<String, String> {
    let said = through_takeover(fleet, &["gateway", "drain", "gw-1", "--deadline", "12s", "--force", "--yes"])?;
    fleet.json(&["gateway", "undrain", "gw-1"])?;
    Ok(said)
}

fn restart_workers(fleet: &Fleet) -> Result<String, String> {
    through_takeover(fleet, &["rollout", "restart", "workers", "--max-unavailable", "2", "--yes"])
}

fn restart_gateways(fleet: &Fleet) -> Result<String, String> {
    through_takeover(fleet, &["rollout", "restart", "gateways", "--deadline", "8s", "--yes"])
}

fn reconcile(fleet: &Fleet) -> Result<String, String> {
    through_takeover(fleet, &["reconcile", "run"])
}

fn shrink(fleet: &Fleet) -> Result<String, String> {
    let said = through_takeover(fleet, &["prescale", "revert", "--yes"])?;
    until("only the programs of the file run", || {
        (fleet.verb("status", &[]).ok()?.as_array()?.len() == NODES + PLANES.len()).then_some(())
    })?;
    fleet.wait_ready()?;
    Ok(said)
}

/// Nobody drains it by an operation: it drains itself, and the control plane forgets it when it has ended.
fn by_hand(fleet: &Fleet) -> Result<String, String> {
    fleet.verb("scale", &["gateways", "3"])?;
    fleet.wait_nodes(NODES + 1)?;
    fleet.verb("scale", &["gateways", "2"])?;
    fleet.wait_ready()?;
    Ok("it is forgotten".to_owned())
}

/// Begins an operation, loses the control plane that leads, and waits for the operation's end under the other one.
fn through_takeover(fleet: &Fleet, command: &[&str]) -> Result<String, String> {
    let begun = fleet.json(command)?;
    let id = begun["id"].as_str().or(begun["operation"]["id"].as_str());
    let id = id.ok_or_else(|| format!("{command:?} began no operation: {begun}"))?;
    let took = lose_leader(fleet)?;
    let ended = until(&format!("operation {id} has ended"), || {
        let operation = fleet.json(&["operation", "show", id]).ok()?;
        let goes_on = operation["state"] == "running" || operation["state"] == "cancelling";
        (!goes_on).then_some(operation)
    })?;
    if ended["state"] != "succeeded" {
        return Err(format!("operation {id}: {ended}"));
    }
    // It begins in epoch 1.
    if ended["epoch"].as_u64() < Some(2) {
        return Err(format!("operation {id} was over before its control plane was lost: {ended}"));
    }
    Ok(format!("{id}, driven by {}; another leads after {:.1} s", ended["epoch"], took.as_secs_f64()))
}
