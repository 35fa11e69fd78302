//! `chatctl token`: signed tokens for chat clients and back ends; bearer tokens for the control plane.

use std::time::Duration;

use clap::Subcommand;
use domain::UserId;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use protocol::admin::{CreateToken, Role, Token};
use serde::Serialize;

use super::no_dry_run;
use crate::{
    context::Context,
    duration::parse_duration,
    error::CommandError,
    output::{Cell, Column, Tabular, Tone, format_ms},
    session::Session,
};

/// Make tokens for users and back ends, and for the control plane
#[derive(Debug, Subcommand)]
pub enum Args {
    /// Sign a chat token for a user; prints the token alone
    User {
        /// The user
        name: String,
        /// How long it counts
        #[arg(long, value_parser = parse_duration, default_value = "1h", value_name = "TIME")]
        ttl: Duration,
    },
    /// Sign a token for back ends, with role `service`; prints the token alone
    Service {
        /// How long it counts
        #[arg(long, value_parser = parse_duration, default_value = "1h", value_name = "TIME")]
        ttl: Duration,
    },
    /// Make a token for the control plane; its secret is shown once
    Create {
        /// Whose it is
        name: String,
        /// What it allows: viewer, operator, admin
        #[arg(long, value_parser = parse_role, default_value = "viewer")]
        role: Role,
        /// How long it counts
        #[arg(long, value_parser = parse_duration, default_value = "30d", value_name = "TIME")]
        ttl: Duration,
    },
    /// List the control plane's tokens
    List,
    /// End a token of the control plane at once
    Revoke {
        /// The token's id
        token: String,
    },
}

fn parse_role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| "is one of viewer, operator, admin".to_owned())
}

impl Tabular for Token {
    const COLUMNS: &'static [Column] = &[
        Column("TOKEN", false),
        Column("NAME", false),
        Column("ROLE", false),
        Column("EXPIRES", false),
        Column("REVOKED", false),
        Column("CREATED", true),
    ];

    fn row(&self) -> Vec<Cell> {
        vec![
            (&self.id).into(),
            (&self.name).into(),
            self.role.into(),
            self.expires_ms.map_or("never".to_owned(), format_ms).into(),
            Cell::new(self.revoked_ms.map(format_ms).unwrap_or_default(), Tone::Bad),
            format_ms(self.created_ms).into(),
        ]
    }
}

pub(super) async fn run(session: &Session, args: Args) -> Result<(), CommandError> {
    match args {
        Args::User { name, ttl } => {
            UserId::parse(&name).map_err(|error| CommandError::usage(format!("user {name:?} {error}")))?;
            let token = sign_user(&session.context()?.1, &name, ttl)?;
            session.ui.say(&token, &serde_json::json!({ "token": token }))
        }
        Args::Service { ttl } => {
            let token = sign_service(&session.context()?.1, ttl)?;
            session.ui.say(&token, &serde_json::json!({ "token": token }))
        }
        Args::Create { name, role, ttl } => {
            no_dry_run(session, "token create")?;
            let request = CreateToken { name, role, ttl_s: Some(ttl.as_secs()), reason: session.global.reason.clone() };
            let created = session.api()?.token_create(&request).await?;
            session.ui.say(&created.secret, &created)
        }
        Args::List => {
            let api = session.api()?;
            session.ui.repeat(async || session.ui.list(&api.tokens().await?)).await
        }
        Args::Revoke { token } => {
            no_dry_run(session, "token revoke")?;
            session.confirm(&format!("revoke token {token}: who uses it is locked out at once"))?;
            session.ui.changed(&session.api()?.token_revoke(&token).await?)
        }
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    exp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
}

/// Signs a token with role `service`.
pub(crate) fn sign_service(context: &Context, ttl: Duration) -> Result<String, CommandError> {
    sign(context, "service", Some("service"), ttl)
}

/// Signs a user's token.
pub(crate) fn sign_user(context: &Context, user: &str, ttl: Duration) -> Result<String, CommandError> {
    sign(context, user, None, ttl)
}

fn sign(context: &Context, sub: &str, role: Option<&str>, ttl: Duration) -> Result<String, CommandError> {
    let Some(jwt) = &context.jwt else {
        return Err(CommandError::usage("the context has no secret to sign tokens with")
            .hint("chatctl context set NAME --jwt-secret SECRET"));
    };
    if jwt.alg != "HS256" {
        return Err(CommandError::usage(format!("cannot sign with {:?}: only HS256", jwt.alg)));
    }
    let claims = Claims { sub, exp: get_current_timestamp().saturating_add(ttl.as_secs().max(1)), role };
    let key = EncodingKey::from_secret(jwt.secret.as_bytes());
    encode(&Header::new(Algorithm::HS256), &claims, &key).map_err(|_| CommandError::failed("cannot sign the token"))
}
