//! What the control plane asks a gateway, and what it has done once.

use protocol::{
    admin::{SessionsAnswer, UserSession},
    frames::CloseCode,
    node::{Kick, question},
};

use crate::gateway::Shared;

/// Answers a question with JSON, or says why not.
pub(crate) async fn answer(shared: &Shared, question: question::Kind) -> Result<String, String> {
    match question {
        question::Kind::SessionsOf(user) => sessions(shared, &user).await,
        question::Kind::Kick(kick) => Ok(kicked(shared, &kick).to_string()),
        question::Kind::CheckRows(_) | question::Kind::Positions(_) => Err("only workers answer this".to_owned()),
    }
}

async fn sessions(shared: &Shared, user: &str) -> Result<String, String> {
    let user: domain::UserId = user.parse().map_err(|error| format!("user {error}"))?;
    let routes = shared.ports.registry.devices(&user).await.map_err(|error| error.to_string())?;
    let registered = routes.into_iter().map(|(device, route)| UserSession {
        user: user.as_str().to_owned(),
        device: device.as_str().to_owned(),
        session_version: route.session_version,
        gateway: route.gateway.to_string(),
        registered: true,
        connected: false,
        heard_ms_ago: None,
    });
    let now_ms = shared.now_ms();
    let connected = shared.hub.of_user(user.as_str()).into_iter().map(|conn| UserSession {
        user: user.as_str().to_owned(),
        device: conn.device.as_str().to_owned(),
        session_version: conn.session_version,
        gateway: shared.config.node.to_string(),
        registered: false,
        connected: true,
        heard_ms_ago: Some(now_ms.saturating_sub(conn.heard_ms.load(std::sync::atomic::Ordering::Relaxed))),
    });
    let answer = SessionsAnswer { registered: registered.collect(), connected: connected.collect() };
    serde_json::to_string(&answer).map_err(|error| error.to_string())
}

/// Closes connections; returns how many. Their clients come back and resume: whatever was confused about them is new.
fn kicked(shared: &Shared, kick: &Kick) -> u64 {
    let mut closed = 0;
    for conn in shared.hub.of_user(&kick.user) {
        if kick.device.is_empty() || conn.device.as_str() == kick.device {
            conn.close(CloseCode::GoingAway);
            closed += 1;
        }
    }
    closed
}
