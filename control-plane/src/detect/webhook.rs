//! Tells others of incidents: web hooks, and Alertmanagers, which are told in their own shape.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use protocol::admin::{Incident, IncidentState};
use serde_json::{Value, json};
use tokio::{
    sync::Notify,
    time::{Duration, sleep},
};
use tokio_util::sync::CancellationToken;

/// Events that may wait. Past it the oldest is dropped, and that is logged: the newest matter most.
const WAITING_MAX: usize = 1_000;
/// A hook may take so long.
const CALL_DEADLINE: Duration = Duration::from_secs(5);
/// Tries of an event; twice as long between them each time.
const TRIES: u32 = 5;
const BACKOFF: Duration = Duration::from_secs(1);
/// The path by which an Alertmanager is known.
const ALERTMANAGER: &str = "/api/v2/alerts";

/// Something that happened to an incident.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Opened(Incident),
    Resolved(Incident),
}

/// Events on their way.
#[derive(Debug, Default)]
pub(crate) struct Hooks {
    urls: Vec<String>,
    waiting: Mutex<VecDeque<Event>>,
    pushed: Notify,
}

impl Hooks {
    pub(crate) fn new(urls: Vec<String>) -> Self {
        Self { urls, ..Self::default() }
    }

    pub(crate) fn push(&self, event: Event) {
        if self.urls.is_empty() {
            return;
        }
        let mut waiting = self.waiting.lock();
        if waiting.len() >= WAITING_MAX {
            waiting.pop_front();
            tracing::warn!("web hooks do not keep up: the oldest event is dropped");
        }
        waiting.push_back(event);
        self.pushed.notify_one();
    }

    /// Delivers until `stop`.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let client = match reqwest::Client::builder().timeout(CALL_DEADLINE).build() {
            Ok(client) => client,
            Err(error) => return tracing::error!(%error, "web hooks cannot be called"),
        };
        loop {
            let next = self.waiting.lock().pop_front();
            let Some(event) = next else {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    () = self.pushed.notified() => continue,
                }
            };
            for url in &self.urls {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    () = deliver(&client, url, &event) => {}
                }
            }
        }
    }
}

async fn deliver(client: &reqwest::Client, url: &str, event: &Event) {
    let body = if url.ends_with(ALERTMANAGER) { json!([alert(event.incident())]) } else { event.body() };
    let mut pause = BACKOFF;
    for attempt in 1..=TRIES {
        let outcome = client.post(url).json(&body).send().await.and_then(reqwest::Response::error_for_status);
        match outcome {
            Ok(_) => return,
            // Without the URL: it may hold a secret.
            Err(error) => tracing::warn!(error = %error.without_url(), attempt, "a web hook does not take an event"),
        }
        sleep(pause).await;
        pause *= 2;
    }
}

impl Event {
    fn incident(&self) -> &Incident {
        match self {
            Self::Opened(incident) | Self::Resolved(incident) => incident,
        }
    }

    fn body(&self) -> Value {
        let event = match self {
            Self::Opened(_) => "opened",
            Self::Resolved(_) => "resolved",
        };
        json!({ "event": event, "incident": self.incident() })
    }
}

/// An incident in the shape of Alertmanager's API, version 2.
pub(crate) fn alert(incident: &Incident) -> Value {
    let mut alert = json!({
        "labels": {
            "alertname": incident.mode,
            "severity": incident.severity,
            "incident": incident.id,
            "service": "chatfleet",
        },
        "annotations": {
            "summary": incident.summary,
            "runbook": incident.runbook,
        },
        "startsAt": rfc3339(incident.opened_ms),
    });
    if let (IncidentState::Resolved, Some(resolved_ms)) = (incident.state, incident.resolved_ms) {
        alert["endsAt"] = rfc3339(resolved_ms).into();
    }
    alert
}

fn rfc3339(ms: u64) -> String {
    let nanos = i128::from(ms) * 1_000_000;
    let time = time::OffsetDateTime::from_unix_timestamp_nanos(nanos).ok();
    time.and_then(|time| time.format(&time::format_description::well_known::Rfc3339).ok()).unwrap_or_default()
}
