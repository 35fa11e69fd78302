//! Events of operations: a stream of them, or those that have happened.

use std::time::Duration;

use futures_util::StreamExt as _;
use protocol::admin::OperationEvent;
use reqwest::{Method, Response};

use super::{Api, segment};
use crate::{error::CommandError, sse::SseReader};

/// When no event came for this long, those that have happened are read.
const EVENTS_QUIET: Duration = Duration::from_millis(250);

impl Api {
    /// The stream of an operation's events. It has no deadline of its own: its reader has.
    pub(crate) async fn operation_events(&self, id: &str, after: u64) -> Result<Response, CommandError> {
        let path = format!("/v1/operations/{}/events", segment(id));
        self.send(self.request(Method::GET, &path).query(&[("after", after)])).await
    }

    /// The events of an operation after a sequence number that have happened by now.
    pub async fn operation_event_list(&self, id: &str, after: u64) -> Result<Vec<OperationEvent>, CommandError> {
        let mut bytes = self.operation_events(id, after).await?.bytes_stream();
        let (mut reader, mut events) = (SseReader::default(), Vec::<OperationEvent>::new());
        // The stream of an operation that goes on has no end: quiet is the end.
        while let Ok(Some(Ok(bytes))) = tokio::time::timeout(EVENTS_QUIET, bytes.next()).await {
            for data in reader.push(&bytes).map_err(CommandError::failed)? {
                let event = serde_json::from_str(&data)
                    .map_err(|_| CommandError::failed("the control plane sent an event this chatctl cannot read"))?;
                events.push(event);
            }
            if events.last().is_some_and(|event| event.state.is_final()) {
                break;
            }
        }
        Ok(events)
    }
}
