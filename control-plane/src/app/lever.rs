//! Levers as the stream to the nodes carries them.

use protocol::{
    admin::{BreakerState, Lever},
    node::{self, r#override::Lever as Wire},
};

use crate::store::OverrideRecord;

/// An override for a node.
pub(crate) fn to_wire(record: &OverrideRecord) -> node::Override {
    let lever = match record.lever.clone() {
        Lever::Breaker { name, state } => {
            let state = match state {
                BreakerState::Open => node::BreakerState::Open,
                BreakerState::Closed => node::BreakerState::Closed,
                BreakerState::HalfOpen => node::BreakerState::HalfOpen,
            };
            Wire::Breaker(node::ForcedBreaker { name, state: state.into() })
        }
        Lever::ConsistencyOne { .. } => Wire::ConsistencyOne(node::ConsistencyOne {}),
        Lever::HeartbeatRate { per_s } => Wire::HeartbeatRate(node::HeartbeatRate { per_s }),
        Lever::Batch { conversation, window_ms } => Wire::Batch(node::Batch { conversation, window_ms }),
        Lever::StoreLatency { store, latency_ms } => Wire::StoreLatency(node::StoreLatency { store, latency_ms }),
        Lever::StoreErrors { store, percent } => {
            Wire::StoreErrors(node::StoreErrors { store, percent: percent.into() })
        }
        Lever::DropAcks { percent } => Wire::DropAcks(node::Percent { percent: percent.into() }),
        Lever::DropFrames { percent } => Wire::DropFrames(node::Percent { percent: percent.into() }),
        Lever::DelayFrames { delay_ms } => Wire::DelayFrames(node::DelayFrames { delay_ms }),
        Lever::Kill => Wire::Kill(node::Kill {}),
        Lever::Pause => Wire::Pause(node::Pause {}),
    };
    node::Override { id: record.id.clone(), until_ms: record.until_ms, for_ms: record.for_ms, lever: Some(lever) }
}
