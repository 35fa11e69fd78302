//! A gateway's HTTP: conversations, with a service token. The first gateway that can be reached answers.

use std::time::Duration;

use protocol::http::{ConversationCreated, ConversationDetail, CreateConversation};
use reqwest::{Client, Method, Response, StatusCode};
use serde::{Deserialize, Serialize};

use crate::{
    api::segment,
    commands::token::sign_service,
    context::Context,
    error::{CommandError, Kind},
    http_client::client,
};

const WHAT: &str = "gateway";
const CALL_DEADLINE: Duration = Duration::from_secs(20);

/// The gateways of a context.
pub struct GatewayApi {
    client: Client,
    urls: Vec<String>,
    token: String,
}

/// A gateway's error, with a code that may be newer than this program.
#[derive(Deserialize)]
struct Refusal {
    error: RefusalDetail,
}

#[derive(Deserialize)]
struct RefusalDetail {
    code: String,
    message: String,
}

/// A call without a body.
const NOTHING: Option<&()> = None;

impl GatewayApi {
    /// The gateways of a context, and a service token for them.
    pub fn new(name: &str, context: &Context) -> Result<Self, CommandError> {
        if context.gateways.is_empty() {
            return Err(CommandError::usage(format!("context {name} names no gateway"))
                .hint(format!("chatctl context set {name} --gateway http://HOST:PORT")));
        }
        let token = match &context.service_token {
            Some(token) => token.clone(),
            None => sign_service(context, Duration::from_secs(300))?,
        };
        let urls = context.gateways.iter().map(|url| url.trim_end_matches('/').to_owned()).collect();
        Ok(Self { client: client(context)?, urls, token })
    }

    /// Finds out whether any gateway can be reached at all, whatever it says.
    pub async fn reach(&self) -> Result<(), CommandError> {
        let mut unreachable = CommandError::usage("no gateway is known");
        for url in &self.urls {
            let answer = self.client.get(format!("{url}/healthz")).timeout(CALL_DEADLINE).send().await;
            match answer {
                Ok(_) => return Ok(()),
                Err(error) => unreachable = CommandError::from_transport(WHAT, url, &error),
            }
        }
        Err(unreachable)
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<Response, CommandError> {
        let mut unreachable = None;
        for url in &self.urls {
            let mut request = self.client.request(method.clone(), format!("{url}{path}")).bearer_auth(&self.token);
            if let Some(body) = body {
                request = request.json(body);
            }
            match request.timeout(CALL_DEADLINE).send().await {
                Ok(response) if response.status().is_success() => return Ok(response),
                Ok(response) => return Err(refused(response).await),
                // Only a call that surely never arrived goes to the next gateway.
                Err(error) if error.is_connect() => {
                    unreachable = Some(CommandError::from_transport(WHAT, url, &error));
                }
                Err(error) => return Err(CommandError::from_transport(WHAT, url, &error)),
            }
        }
        Err(unreachable.unwrap_or_else(|| CommandError::usage("no gateway is known")))
    }

    /// Creates a conversation; true when it was new.
    pub async fn create(&self, request: &CreateConversation) -> Result<(ConversationCreated, bool), CommandError> {
        let response = self.call(Method::POST, "/v1/conversations", Some(request)).await?;
        let is_new = response.status() == StatusCode::CREATED;
        Ok((response.json().await.map_err(|_| unreadable())?, is_new))
    }

    /// One conversation.
    pub async fn show(&self, id: &str) -> Result<ConversationDetail, CommandError> {
        let response = self.call(Method::GET, &format!("/v1/conversations/{}", segment(id)), NOTHING).await;
        let response = response.map_err(|error| named(error, id))?;
        response.json().await.map_err(|_| unreadable())
    }

    /// Makes a group a channel.
    pub async fn convert(&self, id: &str) -> Result<(), CommandError> {
        let path = format!("/v1/conversations/{}/convert", segment(id));
        self.call(Method::POST, &path, Some(&serde_json::json!({ "kind": "channel" })))
            .await
            .map(drop)
            .map_err(|error| named(error, id))
    }

    /// Adds or removes a member; done also when already so.
    pub async fn member(&self, id: &str, user: &str, is_added: bool) -> Result<(), CommandError> {
        let method = if is_added { Method::PUT } else { Method::DELETE };
        let path = format!("/v1/conversations/{}/members/{}", segment(id), segment(user));
        self.call(method, &path, NOTHING).await.map(drop).map_err(|error| named(error, id))
    }
}

/// Says which conversation it is that a gateway does not know.
fn named(error: CommandError, id: &str) -> CommandError {
    match error.kind {
        Kind::NotFound => CommandError::new(Kind::NotFound, format!("there is no conversation {id:?}"))
            .hint("chatctl conversation create makes one"),
        _ => error,
    }
}

fn unreadable() -> CommandError {
    CommandError::failed("the gateway answered what this chatctl cannot read")
}

async fn refused(response: Response) -> CommandError {
    let status = response.status();
    let Ok(Refusal { error }) = response.json().await else {
        return CommandError::failed(format!("the gateway answered {status}, not as a gateway does"));
    };
    let kind = match error.code.as_str() {
        "not_found" => Kind::NotFound,
        "invalid" | "too_large" => Kind::Usage,
        "conflict" | "group_full" => Kind::Refused,
        _ => Kind::Failed,
    };
    CommandError::new(kind, error.message)
}
