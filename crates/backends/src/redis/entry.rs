//! What the registry keeps, as text: entries and leases.

use domain::{DeviceId, NodeId};
use redis::Value;

use super::{parse, registry::STORE};
use crate::port::{GatewayLease, Gateways, Route, StoreError, StoreResult};

/// The leases, as one look showed them.
pub(super) struct Leases {
    live: Vec<(GatewayLease, u64)>,
    ended: Vec<NodeId>,
    memory_ms: u64,
}

impl Leases {
    /// Of answers to `HGETALL` and `TIME` of the server that has them.
    pub(super) fn read(leases: Value, time: &Value) -> StoreResult<Self> {
        let (seconds, micros): (u64, u64) = parse(STORE, time.clone())?;
        let now_us = seconds * 1_000_000 + micros;
        let leases: Vec<(String, String)> = parse(STORE, leases)?;
        let (mut live, mut ended) = (Vec::with_capacity(leases.len()), Vec::new());
        for (gateway, text) in leases {
            let lease = read_lease(&gateway, &text)?;
            match lease.expiry_ms > now_us / 1_000 {
                true => live.push((lease.lease, lease.holding)),
                false => ended.push(lease.lease.gateway),
            }
        }
        // A holding is the time when it began: what is held since then shows that nothing was lost since then.
        let oldest = live.iter().map(|(_, holding)| *holding).min();
        let memory_ms = oldest.map_or(0, |began_us| now_us.saturating_sub(began_us) / 1_000);
        Ok(Self { live, ended, memory_ms })
    }

    pub(super) fn live(&self, route: &Route) -> bool {
        self.live.iter().any(|(lease, _)| lease.incarnation == route.incarnation && lease.gateway == route.gateway)
    }

    /// Those that were held from that look to this one.
    pub(super) fn held_since(&self, before: &Self) -> Vec<(NodeId, u64)> {
        let held = self.live.iter().filter(|lease| before.live.contains(lease));
        held.map(|(lease, _)| (lease.gateway.clone(), lease.incarnation)).collect()
    }

    pub(super) fn into_gateways(self) -> Gateways {
        let mut live: Vec<_> = self.live.into_iter().map(|(lease, _)| lease).collect();
        live.sort();
        Gateways { live, ended: self.ended, memory_ms: self.memory_ms }
    }
}

/// A lease as it is kept. Times are of its server's clock.
struct KnownLease {
    lease: GatewayLease,
    expiry_ms: u64,
    holding: u64,
}

fn read_lease(gateway: &str, text: &str) -> StoreResult<KnownLease> {
    let corrupt = || StoreError::corrupt(STORE, format_args!("lease of {gateway}: {text}"));
    let mut parts = text.splitn(4, ' ');
    let mut number = || parts.next().and_then(|part| part.parse::<u64>().ok()).ok_or_else(corrupt);
    let (incarnation, expiry_ms, holding) = (number()?, number()?, number()?);
    let link = parts.next().ok_or_else(corrupt)?.to_owned();
    let gateway = NodeId::parse(gateway).map_err(|_| corrupt())?;
    Ok(KnownLease { lease: GatewayLease { gateway, incarnation, link }, expiry_ms, holding })
}

/// An entry, `version gateway incarnation`.
pub(super) fn read_entry(entry: &str) -> StoreResult<Route> {
    let corrupt = || StoreError::corrupt(STORE, format_args!("entry {entry}"));
    let (version, route) = entry.split_once(' ').ok_or_else(corrupt)?;
    let (gateway, incarnation) = route.split_once(' ').ok_or_else(corrupt)?;
    Ok(Route {
        gateway: NodeId::parse(gateway).map_err(|_| corrupt())?,
        incarnation: incarnation.parse().map_err(|_| corrupt())?,
        session_version: version.parse().map_err(|_| corrupt())?,
    })
}

/// The live entries of a user, as the script of that name answers.
pub(super) fn read_devices(answer: Value) -> StoreResult<Vec<(DeviceId, Route)>> {
    let entries: Vec<(String, String)> = parse(STORE, answer)?;
    let read = |(device, entry): (String, String)| {
        let corrupt = |_| StoreError::corrupt(STORE, format_args!("device {device}"));
        Ok((DeviceId::parse(&device).map_err(corrupt)?, read_entry(&entry)?))
    };
    entries.into_iter().map(read).collect()
}
