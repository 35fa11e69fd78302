//! The control plane's HTTP. Every call has a deadline; every refusal becomes a [`CommandError`].

mod events;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use protocol::admin::{
    AuditEntry, AuditVerdict, Breaker, Call, Changed, ConfirmRequest, Consistency, ConsistencyWindow, CreateEvent,
    CreateOverride, CreateToken, DrainPreview, DrainRequest, Gateway, Incident, KickRequest, Kicked, Lag, NOT_LEADER,
    Node, Operation, OperationState, Override, Overview, Page, PrescalePlan, PrescaleRequest, ProblemBody,
    ReasonRequest, ReconcileRequest, RevertRequest, RolloutRequest, RunRequest, ScaleEvent, Token, TokenCreated,
    UserSession, WhoAmI,
};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde::{Serialize, de::DeserializeOwned};

use crate::{context::Context, error::CommandError, http_client::client};

/// In place of the URL of a replica.
const NOWHERE: &str = "http://control-plane";
const WHAT: &str = "control plane";
/// A call that takes longer has failed. The server gives up after 15 s.
const CALL_DEADLINE: Duration = Duration::from_secs(20);

/// What calls give that may find that it is so already.
type ChangeResult<T> = Result<Changed<T>, CommandError>;

/// A control plane to talk to.
#[derive(Clone)]
pub struct Api {
    client: Client,
    /// Of each replica; at least one.
    urls: Vec<String>,
    /// The one that answered last. Clones share it.
    at: Arc<AtomicUsize>,
    token: Option<String>,
}

impl Api {
    /// The control plane of a context.
    pub fn new(context: &Context) -> Result<Self, CommandError> {
        let urls = context.control_plane.split(',').map(|url| url.trim().trim_end_matches('/').to_owned()).collect();
        Ok(Self { client: client(context)?, urls, at: Arc::default(), token: context.admin_token.clone() })
    }

    /// The client that it calls with.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The replica that is asked first.
    fn url(&self) -> &str {
        &self.urls[self.at.load(Ordering::Relaxed)]
    }

    /// `path` is put after the URL of a replica when it is sent.
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{NOWHERE}{path}"));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Asks one replica after another, until one is reached that leads.
    async fn send(&self, request: RequestBuilder) -> Result<Response, CommandError> {
        let request = request.build().map_err(|_| CommandError::failed("cannot make a request"))?;
        let path = request.url().as_str().strip_prefix(NOWHERE).unwrap_or_default().to_owned();
        let first = self.at.load(Ordering::Relaxed);
        let mut answer = Err(CommandError::failed("the context names no control plane"));
        for at in (first..self.urls.len()).chain(0..first) {
            let url = &self.urls[at];
            let mut again = request.try_clone().ok_or_else(|| CommandError::failed("cannot make a request"))?;
            *again.url_mut() = format!("{url}{path}")
                .parse()
                .map_err(|_| CommandError::failed(format!("{url:?} is no URL")).hint("see chatctl context show"))?;
            match self.client.execute(again).await {
                Ok(response) => {
                    let sent = accept(url, response).await;
                    if !matches!(&sent, Err(error) if error.message == NOT_LEADER) {
                        self.at.store(at, Ordering::Relaxed);
                        return sent;
                    }
                    answer = sent;
                }
                // Nothing was sent, so nothing was done.
                Err(error) if error.is_connect() => answer = Err(CommandError::from_transport(WHAT, url, &error)),
                Err(error) => return Err(CommandError::from_transport(WHAT, url, &error)),
            }
        }
        answer
    }

    async fn read<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, CommandError> {
        let response = self.send(request.timeout(CALL_DEADLINE)).await?;
        response.json().await.map_err(|error| {
            if error.is_decode() {
                CommandError::failed(format!("{} answered what this chatctl cannot read", self.url()))
            } else {
                CommandError::from_transport(WHAT, self.url(), &error)
            }
        })
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CommandError> {
        self.read(self.request(Method::GET, path)).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, CommandError> {
        self.read(self.request(Method::POST, path).json(body)).await
    }

    /// All gateways.
    pub async fn gateways(&self) -> Result<Vec<Gateway>, CommandError> {
        Ok(self.get::<Page<Gateway>>("/v1/gateways").await?.items)
    }

    /// One gateway.
    pub async fn gateway(&self, id: &str) -> Result<Gateway, CommandError> {
        self.get(&format!("/v1/gateways/{}", segment(id))).await
    }

    /// Begins to drain a gateway.
    pub async fn drain(&self, id: &str, request: &DrainRequest) -> ChangeResult<Operation> {
        self.post(&format!("/v1/gateways/{}/drain", segment(id)), request).await
    }

    /// What a drain would do.
    pub async fn drain_preview(&self, id: &str, request: &DrainRequest) -> Result<DrainPreview, CommandError> {
        let request = DrainRequest { dry_run: true, ..request.clone() };
        self.post(&format!("/v1/gateways/{}/drain", segment(id)), &request).await
    }

    /// Puts a gateway back into service.
    pub async fn undrain(&self, id: &str, reason: &str) -> ChangeResult<Operation> {
        self.post(&format!("/v1/gateways/{}/undrain", segment(id)), &why(reason)).await
    }

    /// One node.
    pub async fn node(&self, id: &str) -> Result<Node, CommandError> {
        self.get(&format!("/v1/nodes/{}", segment(id))).await
    }

    /// Forgets a node that is gone for good.
    pub async fn node_forget(&self, id: &str, reason: &str) -> Result<Node, CommandError> {
        self.read(self.request(Method::DELETE, &format!("/v1/nodes/{}", segment(id))).json(&why(reason))).await
    }

    /// All nodes.
    pub async fn nodes(&self) -> Result<Vec<Node>, CommandError> {
        Ok(self.get::<Page<Node>>("/v1/nodes").await?.items)
    }

    /// Operations, newest first.
    pub async fn operations(&self, state: Option<OperationState>, limit: u32) -> Result<Vec<Operation>, CommandError> {
        let mut request = self.request(Method::GET, "/v1/operations").query(&[("limit", limit)]);
        if let Some(state) = state {
            request = request.query(&[("state", state.as_str())]);
        }
        Ok(self.read::<Page<Operation>>(request).await?.items)
    }

    /// One operation.
    pub async fn operation(&self, id: &str) -> Result<Operation, CommandError> {
        self.get(&format!("/v1/operations/{}", segment(id))).await
    }

    /// Cancels an operation.
    pub async fn cancel(&self, id: &str, reason: &str) -> ChangeResult<Operation> {
        self.post(&format!("/v1/operations/{}/cancel", segment(id)), &why(reason)).await
    }

    /// Overrides, newest first: those in force, or all.
    pub async fn overrides(&self, all: bool) -> Result<Vec<Override>, CommandError> {
        Ok(self.get::<Page<Override>>(&format!("/v1/overrides?all={all}")).await?.items)
    }

    /// One override.
    pub async fn override_show(&self, id: &str) -> Result<Override, CommandError> {
        self.get(&format!("/v1/overrides/{}", segment(id))).await
    }

    /// Forces something for a while.
    pub async fn override_create(&self, request: &CreateOverride) -> Result<Override, CommandError> {
        self.post("/v1/overrides", request).await
    }

    /// Ends an override before its time.
    pub async fn override_end(&self, id: &str, reason: &str) -> ChangeResult<Override> {
        self.read(self.request(Method::DELETE, &format!("/v1/overrides/{}", segment(id))).json(&why(reason))).await
    }

    /// Ends whatever holds something; empty when nothing does.
    pub async fn override_revert(&self, request: &RevertRequest) -> Result<Vec<Override>, CommandError> {
        Ok(self.post::<Page<Override>>("/v1/overrides/revert", request).await?.items)
    }

    /// Every breaker of every node that is heard.
    pub async fn breakers(&self) -> Result<Vec<Breaker>, CommandError> {
        Ok(self.get::<Page<Breaker>>("/v1/breakers").await?.items)
    }

    /// What a factor of today's load needs.
    pub async fn prescale_plan(&self, factor: f64) -> Result<PrescalePlan, CommandError> {
        self.get(&format!("/v1/capacity?factor={factor}")).await
    }

    /// Adds nodes, or takes away what the last prescale added.
    pub async fn prescale(&self, request: &PrescaleRequest) -> ChangeResult<Operation> {
        self.post("/v1/prescale", request).await
    }

    /// Events that the fleet is scaled for, newest first.
    pub async fn scale_events(&self) -> Result<Vec<ScaleEvent>, CommandError> {
        Ok(self.get::<Page<ScaleEvent>>("/v1/events").await?.items)
    }

    /// Plans an event.
    pub async fn event_add(&self, request: &CreateEvent) -> Result<ScaleEvent, CommandError> {
        self.post("/v1/events", request).await
    }

    /// Forgets an event.
    pub async fn event_remove(&self, name: &str, reason: &str) -> ChangeResult<ScaleEvent> {
        self.read(self.request(Method::DELETE, &format!("/v1/events/{}", segment(name))).json(&why(reason))).await
    }

    /// Begins to compare stored rows with the log.
    pub async fn reconcile(&self, request: &ReconcileRequest) -> Result<Operation, CommandError> {
        self.post("/v1/reconciliations", request).await
    }

    /// Begins to restart nodes, a few at a time.
    pub async fn rollout(&self, request: &RolloutRequest) -> Result<Operation, CommandError> {
        self.post("/v1/rollouts", request).await
    }

    /// Pauses an operation, or resumes it.
    pub async fn operation_pause(&self, id: &str, is_paused: bool, reason: &str) -> ChangeResult<Operation> {
        let verb = if is_paused { "pause" } else { "resume" };
        self.post(&format!("/v1/operations/{}/{verb}", segment(id)), &why(reason)).await
    }

    /// Begins a run of a runbook.
    pub async fn runbook_run(&self, request: &RunRequest) -> Result<Operation, CommandError> {
        self.post("/v1/runbooks/runs", request).await
    }

    /// Types the word that a step of a run asks for.
    pub async fn runbook_confirm(&self, id: &str, request: &ConfirmRequest) -> Result<Operation, CommandError> {
        self.post(&format!("/v1/operations/{}/confirm", segment(id)), request).await
    }

    /// Makes a call of a runbook without changing anything.
    pub(crate) async fn dry_call(&self, call: &Call) -> Result<serde_json::Value, CommandError> {
        let method = Method::from_bytes(call.method.as_bytes()).unwrap_or(Method::GET);
        let request = self.request(method, &call.path);
        let request = if call.body.is_null() { request } else { request.json(&call.body) };
        self.read(request).await
    }

    /// One incident.
    pub async fn incident(&self, id: &str) -> Result<Incident, CommandError> {
        self.get(&format!("/v1/incidents/{}", segment(id))).await
    }

    /// Whatever a path answers.
    pub(crate) async fn raw(&self, path: &str) -> Result<serde_json::Value, CommandError> {
        self.get(path).await
    }

    /// A user's sessions, of all gateways.
    pub async fn sessions(&self, user: &str) -> Result<Vec<UserSession>, CommandError> {
        Ok(self.get::<Page<UserSession>>(&format!("/v1/sessions/{}", segment(user))).await?.items)
    }

    /// Closes a user's connections.
    pub async fn kick(&self, user: &str, request: &KickRequest) -> Result<Kicked, CommandError> {
        self.post(&format!("/v1/sessions/{}/kick", segment(user)), request).await
    }

    /// How stored messages are written now.
    pub async fn consistency(&self) -> Result<Consistency, CommandError> {
        self.get("/v1/consistency").await
    }

    /// The ledger of downgrades, newest first.
    pub async fn windows(&self, all: bool) -> Result<Vec<ConsistencyWindow>, CommandError> {
        Ok(self.get::<Page<ConsistencyWindow>>(&format!("/v1/consistency/windows?all={all}")).await?.items)
    }

    /// Where each partition's persister stands.
    pub async fn lag(&self) -> Result<Vec<Lag>, CommandError> {
        Ok(self.get::<Page<Lag>>("/v1/lag").await?.items)
    }

    /// The audit, newest first.
    pub async fn audit(&self, limit: u32) -> Result<Vec<AuditEntry>, CommandError> {
        Ok(self.get::<Page<AuditEntry>>(&format!("/v1/audit?limit={limit}")).await?.items)
    }

    /// Checks the audit's chain.
    pub async fn audit_verify(&self) -> Result<AuditVerdict, CommandError> {
        self.get("/v1/audit/verify").await
    }

    /// All control-plane tokens.
    pub async fn tokens(&self) -> Result<Vec<Token>, CommandError> {
        Ok(self.get::<Page<Token>>("/v1/tokens").await?.items)
    }

    /// Makes a control-plane token.
    pub async fn token_create(&self, request: &CreateToken) -> Result<TokenCreated, CommandError> {
        self.post("/v1/tokens", request).await
    }

    /// Ends a control-plane token.
    pub async fn token_revoke(&self, id: &str) -> ChangeResult<Token> {
        self.read(self.request(Method::DELETE, &format!("/v1/tokens/{}", segment(id)))).await
    }

    /// The whole fleet on one page.
    pub async fn overview(&self) -> Result<Overview, CommandError> {
        self.get("/v1/overview").await
    }

    /// Incidents, newest first: those that are not resolved, or all.
    pub async fn incidents(&self, all: bool) -> Result<Vec<Incident>, CommandError> {
        Ok(self.get::<Page<Incident>>(&format!("/v1/incidents?all={all}")).await?.items)
    }

    /// Takes an incident.
    pub async fn incident_ack(&self, id: &str, reason: &str) -> ChangeResult<Incident> {
        self.post(&format!("/v1/incidents/{}/ack", segment(id)), &why(reason)).await
    }

    /// Says that an incident is over.
    pub async fn incident_resolve(&self, id: &str, reason: &str) -> ChangeResult<Incident> {
        self.post(&format!("/v1/incidents/{}/resolve", segment(id)), &why(reason)).await
    }

    /// Whose token this is, and what it allows.
    pub async fn whoami(&self) -> Result<WhoAmI, CommandError> {
        self.get("/v1/whoami").await
    }
}

fn why(reason: &str) -> ReasonRequest {
    ReasonRequest { reason: reason.to_owned() }
}

async fn accept(url: &str, response: Response) -> Result<Response, CommandError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    match response.json::<ProblemBody>().await {
        Ok(problem) => Err(problem.error.into()),
        Err(_) => Err(CommandError::failed(format!("{url} answered {status}, not as a control plane does"))
            .hint("does the context name a control plane? see chatctl context show")),
    }
}

/// A name as one segment of a path, whatever is in it.
pub(crate) fn segment(name: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~');
    let encode = |byte: u8| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    match name {
        // A dot may not be a whole segment: it would be a step in the path.
        "." | ".." => name.bytes().map(|byte| format!("%{byte:02X}")).collect(),
        _ => name.bytes().map(|byte| if byte == b'.' { ".".to_owned() } else { encode(byte) }).collect(),
    }
}
