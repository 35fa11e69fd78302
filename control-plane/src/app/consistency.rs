//! The consistency of stored messages: how it is, and the ledger of downgrades.

use std::collections::BTreeMap;

use protocol::admin::{Consistency, ConsistencyWindow, Lag, Lever, StoreNode};

use super::{App, nodes::NodeView};
use crate::{
    error::AppError,
    store::{Document, DocumentKind, StoreError},
};

/// Windows in the answer.
const WINDOWS_MAX: usize = 200;

impl App {
    /// How stored messages are written now.
    pub async fn consistency(&self) -> Result<Consistency, AppError> {
        let overrides = self.overrides(false).await?;
        let downgrade = overrides.iter().find(|one| matches!(one.lever, Lever::ConsistencyOne { .. }));
        let views: Vec<NodeView> = self.nodes.views().into_iter().filter(|view| !view.lost).collect();
        let figures = || views.iter().filter_map(|view| view.report.figures.as_ref());
        Ok(Consistency {
            level: if downgrade.is_some() { "ONE" } else { "LOCAL_QUORUM" }.to_owned(),
            override_id: downgrade.map(|one| one.id.clone()),
            left_ms: downgrade.map_or(0, |one| one.left_ms),
            store_nodes: store_nodes(&views),
            canaries_ok: figures().map(|figures| figures.canaries_ok_total).sum(),
            canaries_failed: figures().map(|figures| figures.canaries_failed_total).sum(),
            lag_records: self.lag().iter().map(|lag| lag.end.saturating_sub(lag.committed)).sum(),
            windows: self.windows(false).await?,
        })
    }

    /// The ledger: windows of downgrades, newest first; all, or those that are not verified.
    pub async fn windows(&self, all: bool) -> Result<Vec<ConsistencyWindow>, AppError> {
        let documents = self.store.documents(DocumentKind::Window, all, u64::MAX, WINDOWS_MAX).await?;
        documents.iter().map(read_window).collect()
    }

    /// Where each partition's persister stands.
    pub fn lag(&self) -> Vec<Lag> {
        let mut lags: BTreeMap<(String, u32), Lag> = BTreeMap::new();
        for view in self.nodes.views().iter().filter(|view| !view.lost) {
            for position in &view.report.positions {
                let lag = Lag {
                    lane: position.lane.clone(),
                    partition: position.partition,
                    node: view.record.id.clone(),
                    read: position.read,
                    committed: position.committed,
                    end: position.end,
                    window: Some(position.window.clone()).filter(|window| !window.is_empty()),
                };
                // Of two that claim a partition the one that is further counts.
                let known = lags.entry((lag.lane.clone(), lag.partition)).or_insert_with(|| lag.clone());
                if lag.read > known.read {
                    *known = lag;
                }
            }
        }
        lags.into_values().collect()
    }
}

/// The message store's nodes: down when any worker finds them down.
fn store_nodes(views: &[NodeView]) -> Vec<StoreNode> {
    let mut nodes: BTreeMap<String, StoreNode> = BTreeMap::new();
    for seen in views.iter().flat_map(|view| &view.report.store_nodes) {
        let node = nodes.entry(seen.name.clone()).or_insert_with(|| StoreNode {
            name: seen.name.clone(),
            up: true,
            pending_compactions: 0,
            write_p99_ms: 0,
        });
        node.up &= seen.up;
        node.pending_compactions = node.pending_compactions.max(seen.pending_compactions);
        node.write_p99_ms = node.write_p99_ms.max(seen.write_p99_ms);
    }
    nodes.into_values().collect()
}

/// Reads a window back.
pub(crate) fn read_window(document: &Document) -> Result<ConsistencyWindow, AppError> {
    Ok(serde_json::from_str(&document.body).map_err(|error| StoreError::Corrupt(error.to_string()))?)
}
