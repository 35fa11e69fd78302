//! How chat clients of this program get into a fleet: gateways' URLs, users' tokens, new conversations.

use std::{sync::Arc, time::Duration};

use client::{
    BoxFuture, TcpConnect, TokenError, TokenSource,
    swarm::{Conversations, CreateError},
};
use protocol::{frames, http::CreateConversation};
use tokio::time::{Instant, sleep};

use crate::{
    api::Api,
    commands::token::sign_user,
    context::Context,
    error::{CommandError, Kind},
    gateway_api::GatewayApi,
    session::Session,
};

/// How long a client's token counts. It asks for another when one has expired.
const TOKEN_TTL: Duration = Duration::from_secs(3_600);
/// How long a conversation may take to be created while gateways come and go.
const CREATE_DEADLINE: Duration = Duration::from_secs(15);
const CREATE_RETRY: Duration = Duration::from_millis(500);

/// The way into a fleet.
pub(crate) struct Access {
    /// Opens connections to its gateways.
    pub(crate) connect: Arc<TcpConnect>,
    /// Signs users' tokens.
    pub(crate) tokens: Arc<Tokens>,
    /// Its gateways' HTTP.
    pub(crate) gateways: Arc<GatewayApi>,
}

impl Access {
    /// Finds the gateways of the context in use, and that at least one answers.
    pub(crate) async fn find(session: &Session) -> Result<Self, CommandError> {
        let (name, mut context) = session.context()?;
        // A context that cannot sign is found out before anything is asked.
        sign_user(&context, "nobody", TOKEN_TTL)?;
        let urls = gateways(&context).await?;
        if context.gateways.is_empty() {
            context.gateways = urls.iter().map(|url| http_url(url)).collect();
        }
        let gateways = GatewayApi::new(&name, &context)?;
        gateways.reach().await?;
        let connect = TcpConnect::new(&urls).map_err(|error| CommandError::usage(error.to_string()))?;
        Ok(Self { connect: Arc::new(connect), tokens: Arc::new(Tokens(context)), gateways: Arc::new(gateways) })
    }
}

/// The gateways' WebSocket URLs as the control plane knows them; without a control plane, as the context does: chat goes
/// on without it.
async fn gateways(context: &Context) -> Result<Vec<String>, CommandError> {
    let known: Vec<String> = match Api::new(context)?.gateways().await {
        Ok(known) => known.into_iter().map(|one| one.client_url).filter(|url| !url.is_empty()).collect(),
        Err(_) if !context.gateways.is_empty() => Vec::new(),
        Err(error) => return Err(error),
    };
    match known.is_empty() {
        false => Ok(known),
        true if context.gateways.is_empty() => Err(CommandError::failed("the control plane knows no gateway")),
        true => Ok(context.gateways.iter().map(|url| ws_url(url)).collect()),
    }
}

fn ws_url(http: &str) -> String {
    let url = http.trim_end_matches('/');
    let rest = url.strip_prefix("http");
    rest.map_or_else(|| url.to_owned(), |rest| format!("ws{rest}/v1/ws"))
}

fn http_url(ws: &str) -> String {
    let url = ws.strip_suffix("/v1/ws").unwrap_or(ws);
    url.strip_prefix("ws").map_or_else(|| url.to_owned(), |rest| format!("http{rest}"))
}

/// Signs users' tokens with the context's secret.
pub(crate) struct Tokens(Context);

impl TokenSource for Tokens {
    fn token(&self, user: &str) -> BoxFuture<'static, Result<String, TokenError>> {
        let token = sign_user(&self.0, user, TOKEN_TTL)
            .map_err(|error| TokenError { user: user.to_owned(), why: error.to_string() });
        Box::pin(async move { token })
    }
}

/// Creates conversations; a gateway that is away or drains for a moment is asked again.
pub(crate) struct Creator(pub(crate) Arc<GatewayApi>);

impl Conversations for Creator {
    fn create(&self, kind: frames::Kind, members: Vec<String>) -> BoxFuture<'static, Result<String, CreateError>> {
        let gateways = self.0.clone();
        Box::pin(async move {
            let count = members.len();
            let request = CreateConversation { kind, members, id: None };
            let deadline = Instant::now() + CREATE_DEADLINE;
            loop {
                match gateways.create(&request).await {
                    Ok((created, _)) => return Ok(created.id),
                    Err(error)
                        if matches!(error.kind, Kind::Failed | Kind::Unreachable) && Instant::now() < deadline =>
                    {
                        sleep(CREATE_RETRY).await;
                    }
                    Err(error) => return Err(CreateError { kind, members: count, why: error.to_string() }),
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_go_both_ways() {
        assert_eq!(ws_url("http://h:1/"), "ws://h:1/v1/ws");
        assert_eq!(ws_url("https://h"), "wss://h/v1/ws");
        assert_eq!(http_url("ws://h:1/v1/ws"), "http://h:1");
        assert_eq!(http_url("wss://h"), "https://h");
    }
}
