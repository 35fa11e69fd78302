//! The context of a local fleet: how chatctl in another terminal finds it.

use fleet::LocalFleet;

use crate::{
    context::{Context, ContextFile, Jwt},
    error::CommandError,
    session::Session,
};

/// The name of a dev fleet's.
pub(super) const NAME: &str = "dev";

/// The context of a fleet.
pub(super) fn of(fleet: &LocalFleet) -> Context {
    Context {
        ca: None,
        control_plane: format!("http://{}", fleet.control_plane),
        admin_token: Some(fleet.secrets.admin_token.clone()),
        gateways: fleet.gateways.iter().map(fleet::RunningGateway::http).collect(),
        // Signed when needed: it would expire while the file stays.
        service_token: None,
        production: false,
        jwt: Some(Jwt { alg: "HS256".to_owned(), secret: fleet.secrets.jwt_secret.clone() }),
    }
}

/// Writes the context and makes it current; true when chatctl will find the fleet by itself. A fleet that runs is worth
/// more than its context: what goes wrong here is only a warning.
pub(in crate::commands) fn announce(session: &Session, name: &str, context: &Context) -> bool {
    match write(name, context) {
        Ok(before) => {
            if let Some(before) = before {
                session
                    .ui
                    .note(&format!("context {name} is now current; it was {before}: chatctl context use {before}"));
            }
            let other = session.global.context.as_deref().filter(|other| *other != name);
            if let Some(other) = other {
                session.ui.note(&format!("warning: --context or CHATCTL_CONTEXT names {other}: add --context {name}"));
            }
            other.is_none()
        }
        Err(error) => {
            session.ui.note(&format!("warning: {error}"));
            false
        }
    }
}

/// Gives the context that was current before, if that was another.
fn write(name: &str, context: &Context) -> Result<Option<String>, CommandError> {
    let mut file = ContextFile::load()?;
    if let Some(other) = file.contexts.get(name).filter(|one| one.production || !is_local(&one.control_plane)) {
        return Err(CommandError::failed(format!(
            "context {name} is kept: it names another fleet, at {}; chatctl context remove {name} makes room",
            other.control_plane
        )));
    }
    file.set(name, context.clone());
    let before = file.current.replace(name.to_owned()).filter(|before| before != name);
    file.save()?;
    Ok(before)
}

/// A fleet of this machine may be replaced: it was written by `chatctl dev`, or can be written again.
fn is_local(urls: &str) -> bool {
    let is_loopback = |address: std::net::SocketAddr| address.ip().is_loopback();
    urls.split(',').all(|url| {
        let host = url.trim().trim_start_matches("http://");
        host.starts_with("localhost:") || host.parse().is_ok_and(is_loopback) || host == "localhost"
    })
}
