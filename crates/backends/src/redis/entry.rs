//! What the registry keeps, as text: entries and leases.

use domain::{DeviceId, NodeId};
use redis::Value;

use super::{parse, registry::STORE};
use crate::port::{GatewayLease, Route, StoreError, StoreResult};

/// The leases that live.
pub(super) struct Leases(Vec<GatewayLease>);

impl Leases {
    /// Of answers to `HGETALL` and `TIME` of the server that has them.
    pub(super) fn read(leases: Value, time: Value) -> StoreResult<Self> {
        let (seconds, micros): (u64, u64) = parse(STORE, time)?;
        let leases: Vec<(String, String)> = parse(STORE, leases)?;
        let now_ms = seconds * 1_000 + micros / 1_000;
        let mut live = Vec::with_capacity(leases.len());
        for (gateway, lease) in leases {
            let (lease, expiry_ms) = read_lease(&gateway, &lease)?;
            if expiry_ms > now_ms {
                live.push(lease);
            }
        }
        Ok(Self(live))
    }

    pub(super) fn live(&self, route: &Route) -> bool {
        self.0.iter().any(|lease| lease.incarnation == route.incarnation && lease.gateway == route.gateway)
    }

    /// By name.
    pub(super) fn into_sorted(mut self) -> Vec<GatewayLease> {
        self.0.sort();
        self.0
    }
}

/// A lease and when it runs out, ms of its server's clock.
fn read_lease(gateway: &str, lease: &str) -> StoreResult<(GatewayLease, u64)> {
    let corrupt = || StoreError::corrupt(STORE, format_args!("lease of {gateway}: {lease}"));
    let mut parts = lease.splitn(4, ' ');
    let mut number = || parts.next()?.parse::<u64>().ok();
    let (incarnation, expiry_ms, _holding) =
        (number().ok_or_else(corrupt)?, number().ok_or_else(corrupt)?, number().ok_or_else(corrupt)?);
    let link = parts.next().ok_or_else(corrupt)?.to_owned();
    let gateway = NodeId::parse(gateway).map_err(|_| corrupt())?;
    Ok((GatewayLease { gateway, incarnation, link }, expiry_ms))
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
