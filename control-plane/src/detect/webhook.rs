//! Tells others of incidents: web hooks, and Alertmanagers, which are told in their own shape.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use futures_util::future::join_all;
use parking_lot::Mutex;
use protocol::admin::{Incident, IncidentState};
use reqwest::Certificate;
use serde_json::{Value, json};
use tokio::{
    sync::Notify,
    time::{Duration, sleep},
};
use tokio_rustls::rustls::crypto::ring;
use tokio_util::sync::CancellationToken;

/// Events that may wait for one hook. Past it the oldest is dropped, and that is logged: the newest matter most.
const WAITING_MAX: usize = 1_000;
/// A hook may take so long.
const CALL_DEADLINE: Duration = Duration::from_secs(5);
/// Tries of an event after the first; twice as long before each.
const RETRIES: u32 = 5;
/// Before the first retry.
const BACKOFF: Duration = Duration::from_secs(1);
/// The path by which an Alertmanager is known.
const ALERTMANAGER: &str = "/api/v2/alerts";
/// An Alertmanager is told this often of what is still open: by its default it ends an alert it did not hear of for
/// 5 minutes.
pub(super) const REPEAT_MS: u64 = 60_000;

/// Something that happened to an incident.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Opened(Incident),
    Resolved(Incident),
}

/// Who is told.
#[derive(Debug, Default)]
pub(crate) struct Hooks {
    hooks: Vec<Hook>,
    /// Where the API is served.
    address: OnceLock<(&'static str, SocketAddr)>,
    /// Whom those with an https URL are signed by; none: whoever the machine believes.
    ca: Option<Vec<u8>>,
}

/// One of them, and what waits for it: a hook that is down does not delay the others.
#[derive(Debug)]
struct Hook {
    url: String,
    is_alertmanager: bool,
    waiting: Mutex<VecDeque<Event>>,
    pushed: Notify,
}

/// Checks the URL of a web hook.
pub fn check_webhook(url: &str) -> Result<(), String> {
    match reqwest::Url::parse(url) {
        // Not in the text: a URL may hold a secret.
        Err(error) => Err(format!("a web hook is no URL: {error}")),
        Ok(url) if !["http", "https"].contains(&url.scheme()) || !url.has_host() => {
            Err("a web hook has no http or https URL".to_owned())
        }
        Ok(_) => Ok(()),
    }
}

impl Hooks {
    pub(crate) fn new(urls: Vec<String>, ca: Option<Vec<u8>>) -> Self {
        let hooks = urls.into_iter().map(|url| Hook {
            is_alertmanager: url.ends_with(ALERTMANAGER),
            url,
            waiting: Mutex::default(),
            pushed: Notify::new(),
        });
        Self { hooks: hooks.collect(), address: OnceLock::new(), ca }
    }

    /// The API is served here: alerts say so.
    pub(crate) fn served_at(&self, scheme: &'static str, address: SocketAddr) {
        // The first one stands: it is the one that was configured.
        let _ = self.address.set((scheme, address));
    }

    pub(crate) fn push(&self, event: Event) {
        for hook in &self.hooks {
            let mut waiting = hook.waiting.lock();
            if waiting.len() >= WAITING_MAX {
                waiting.pop_front();
                tracing::warn!("a web hook does not keep up: its oldest event is dropped");
            }
            waiting.push_back(event.clone());
            hook.pushed.notify_one();
        }
    }

    /// Tells Alertmanagers what is still open. One that is behind hears of it later.
    pub(super) fn repeat(&self, open: &[Incident]) {
        for hook in self.hooks.iter().filter(|hook| hook.is_alertmanager) {
            let mut waiting = hook.waiting.lock();
            if waiting.is_empty() {
                waiting.extend(open.iter().take(WAITING_MAX).cloned().map(Event::Opened));
                hook.pushed.notify_one();
            }
        }
    }

    /// Delivers until `stop`.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let client = match self.client() {
            Ok(client) => client,
            Err(error) => return tracing::error!(%error, "web hooks cannot be called"),
        };
        let delivering = join_all(self.hooks.iter().map(|hook| hook.run(&client, &self)));
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            _ = delivering => {}
        }
    }

    fn client(&self) -> Result<reqwest::Client, reqwest::Error> {
        // The first one stands; all of them are the same.
        let _ = ring::default_provider().install_default();
        let builder = reqwest::Client::builder().timeout(CALL_DEADLINE);
        match &self.ca {
            Some(ca) => builder.tls_certs_only(Certificate::from_pem_bundle(ca)?).build(),
            // A machine that believes nobody can call the others all the same.
            None if self.hooks.iter().all(|hook| !hook.url.starts_with("https:")) => builder.tls_certs_only([]).build(),
            None => builder.build(),
        }
    }

    /// An incident in the shape of Alertmanager's API, version 2.
    pub(crate) fn alert(&self, incident: &Incident) -> Value {
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
        // An address that means "all of this machine's" leads nobody anywhere.
        if let Some((scheme, address)) = self.address.get().filter(|(_, address)| !address.ip().is_unspecified()) {
            alert["generatorURL"] = format!("{scheme}://{address}/v1/incidents/{}", incident.id).into();
        }
        if let (IncidentState::Resolved, Some(resolved_ms)) = (incident.state, incident.resolved_ms) {
            alert["endsAt"] = rfc3339(resolved_ms).into();
        }
        alert
    }
}

impl Hook {
    async fn run(&self, client: &reqwest::Client, hooks: &Hooks) {
        loop {
            let next = self.waiting.lock().pop_front();
            match next {
                Some(event) => self.deliver(client, hooks, &event).await,
                None => self.pushed.notified().await,
            }
        }
    }

    async fn deliver(&self, client: &reqwest::Client, hooks: &Hooks, event: &Event) {
        let body = if self.is_alertmanager { json!([hooks.alert(event.incident())]) } else { event.body() };
        let mut pause = BACKOFF;
        for attempt in 0..=RETRIES {
            if attempt > 0 {
                sleep(pause).await;
                pause *= 2;
            }
            let sent = client.post(&self.url).json(&body).send().await;
            match sent.and_then(reqwest::Response::error_for_status) {
                Ok(_) => return,
                // Without the URL: it may hold a secret.
                Err(error) => {
                    tracing::warn!(error = %error.without_url(), attempt, "a web hook does not take an event")
                }
            }
        }
        tracing::error!(incident = event.incident().id, "a web hook never took an event: it is given up");
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

fn rfc3339(ms: u64) -> String {
    let nanos = i128::from(ms) * 1_000_000;
    let time = time::OffsetDateTime::from_unix_timestamp_nanos(nanos).ok();
    time.and_then(|time| time.format(&time::format_description::well_known::Rfc3339).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
    use protocol::admin::{Mode, Severity};
    use tokio::{net::TcpListener, sync::mpsc, time::timeout};

    use super::*;

    fn incident(number: u64) -> Incident {
        Incident {
            id: format!("inc-{number}-0000"),
            number,
            revision: 1,
            mode: Mode::LostAck,
            severity: Severity::Warning,
            state: IncidentState::Open,
            summary: "acks do not arrive".into(),
            evidence: Vec::new(),
            runbook: Mode::LostAck.runbook().into(),
            params: Default::default(),
            opened_ms: 1_700_000_000_000,
            seen_ms: 1_700_000_000_000,
            acknowledged_by: None,
            resolved_ms: None,
            resolved_by: None,
        }
    }

    /// Serves both kinds of hooks; says `503` to the first call.
    async fn receiver() -> (SocketAddr, mpsc::Receiver<Value>) {
        type Told = (mpsc::Sender<Value>, Arc<Mutex<u32>>);
        async fn take(State((told, calls)): State<Told>, Json(body): Json<Value>) -> StatusCode {
            let call = {
                let mut calls = calls.lock();
                *calls += 1;
                *calls
            };
            if call == 1 {
                return StatusCode::SERVICE_UNAVAILABLE;
            }
            told.send(body).await.unwrap();
            StatusCode::OK
        }
        let (told, bodies) = mpsc::channel(100);
        let state: Told = (told, Arc::default());
        let router = Router::new().route("/hook", post(take)).route(ALERTMANAGER, post(take)).with_state(state);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (address, bodies)
    }

    #[tokio::test]
    async fn hooks_are_told_again_until_they_take_it_and_one_that_is_down_delays_no_other() {
        let (address, mut bodies) = receiver().await;
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let hooks = Arc::new(Hooks::new(vec![format!("http://{closed}/hook"), format!("http://{address}/hook")], None));
        let stop = CancellationToken::new();
        let running = tokio::spawn(hooks.clone().run(stop.clone()));
        hooks.push(Event::Opened(incident(1)));
        let ended = Incident { state: IncidentState::Resolved, resolved_ms: Some(1_700_000_060_000), ..incident(1) };
        hooks.push(Event::Resolved(ended));
        // Not for a plain hook: it was told once.
        hooks.repeat(&[incident(7)]);
        for event in ["opened", "resolved"] {
            let body = timeout(Duration::from_secs(20), bodies.recv()).await.unwrap().unwrap();
            assert_eq!((&body["event"], &body["incident"]["id"]), (&event.into(), &"inc-1-0000".into()));
        }
        stop.cancel();
        running.await.unwrap();
        assert!(bodies.try_recv().is_err());
    }

    #[tokio::test]
    async fn an_alertmanager_gets_alerts_and_is_reminded_of_what_is_open() {
        let (address, mut bodies) = receiver().await;
        let hooks = Arc::new(Hooks::new(vec![format!("http://{address}{ALERTMANAGER}")], None));
        hooks.served_at("http", "127.0.0.1:7400".parse().unwrap());
        let stop = CancellationToken::new();
        let running = tokio::spawn(hooks.clone().run(stop.clone()));
        hooks.repeat(&[incident(1)]);
        let alert = json!([{
            "labels": {
                "alertname": "lost_ack", "severity": "warning", "incident": "inc-1-0000", "service": "chatfleet",
            },
            "annotations": { "summary": "acks do not arrive", "runbook": "lost-ack" },
            "startsAt": "2023-11-14T22:13:20Z",
            "generatorURL": "http://127.0.0.1:7400/v1/incidents/inc-1-0000",
        }]);
        assert_eq!(timeout(Duration::from_secs(20), bodies.recv()).await.unwrap().unwrap(), alert);
        let ended = Incident { state: IncidentState::Resolved, resolved_ms: Some(1_700_000_060_000), ..incident(1) };
        hooks.push(Event::Resolved(ended));
        let body = timeout(Duration::from_secs(20), bodies.recv()).await.unwrap().unwrap();
        assert_eq!(body[0]["endsAt"], "2023-11-14T22:14:20Z");
        stop.cancel();
        running.await.unwrap();
    }

    #[test]
    fn what_waits_is_bounded_and_the_oldest_goes() {
        let hooks =
            Hooks::new(vec!["http://127.0.0.1:1/hook".into(), format!("http://127.0.0.1:1{ALERTMANAGER}")], None);
        (1..=1_500).for_each(|number| hooks.push(Event::Opened(incident(number))));
        // One that is behind is not reminded on top.
        hooks.repeat(&[incident(9_000)]);
        for hook in &hooks.hooks {
            let waiting = hook.waiting.lock();
            let ends = [waiting.front(), waiting.back()].map(|event| event.unwrap().incident().number);
            assert_eq!((waiting.len(), ends), (1_000, [501, 1_500]));
        }
    }

    #[test]
    fn urls_that_cannot_be_called_are_refused_without_showing_them() {
        assert_eq!(check_webhook("http://alerts.local:9093/api/v2/alerts"), Ok(()));
        assert_eq!(check_webhook("https://example.test/s3cret"), Ok(()));
        for url in ["s3cret", "ftp://example.test/s3cret", "http://", "mailto:s3cret@x"] {
            let why = check_webhook(url).unwrap_err();
            assert!(!why.contains("s3cret"), "{why}");
        }
    }
}
