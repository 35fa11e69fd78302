//! Sessions of users: what the registry names, what the gateways have, and closing them.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use protocol::{
    admin::{KickRequest, Kicked, NodeRole, SessionsAnswer, UserSession},
    node::{Kick, question},
};

use super::{Actor, App, audit::Deed, check_reason};
use crate::{error::AppError, store::StoreError};

impl App {
    /// A user's sessions, of all gateways. Two that are connected for one device are a split brain.
    pub async fn sessions(&self, user: &str) -> Result<Vec<UserSession>, AppError> {
        domain::UserId::parse(user).map_err(|error| AppError::invalid("user", error.to_string()))?;
        let gateways = self.live_gateways(None)?;
        let asked = gateways.iter().map(|id| self.nodes.ask(id, question::Kind::SessionsOf(user.to_owned())));
        let mut sessions: BTreeMap<(String, u64, String), UserSession> = BTreeMap::new();
        let mut answers = 0;
        for answer in join_all(asked).await {
            let Ok(json) = answer else { continue };
            answers += 1;
            let answer: SessionsAnswer =
                serde_json::from_str(&json).map_err(|error| StoreError::Corrupt(error.to_string()))?;
            for seen in answer.registered.into_iter().chain(answer.connected) {
                let key = (seen.device.clone(), seen.session_version, seen.gateway.clone());
                let session = sessions.entry(key).or_insert_with(|| seen.clone());
                session.registered |= seen.registered;
                session.connected |= seen.connected;
                session.heard_ms_ago = session.heard_ms_ago.or(seen.heard_ms_ago);
            }
        }
        if answers == 0 {
            return Err(AppError::Conflict {
                what: "no gateway can be asked for sessions now".to_owned(),
                hint: "see chatctl gateway list".to_owned(),
            });
        }
        Ok(sessions.into_values().collect())
    }

    /// Closes a user's connections.
    pub async fn kick(&self, actor: &Actor, user: &str, request: &KickRequest) -> Result<Kicked, AppError> {
        let deed = Deed { action: "session kick", target: user, reason: &request.reason };
        let result = self.kick_everywhere(actor, user, request, &deed).await;
        self.audited(actor, &deed, result).await
    }

    async fn kick_everywhere(
        &self,
        actor: &Actor,
        user: &str,
        request: &KickRequest,
        deed: &Deed<'_>,
    ) -> Result<Kicked, AppError> {
        check_reason(&request.reason)?;
        domain::UserId::parse(user).map_err(|error| AppError::invalid("user", error.to_string()))?;
        let gateways = self.live_gateways(request.gateway.as_deref())?;
        let kick = Kick { user: user.to_owned(), device: request.device.clone().unwrap_or_default() };
        let asked = gateways.iter().map(|id| self.nodes.ask(id, question::Kind::Kick(kick.clone())));
        let mut kicked = Kicked::default();
        for (gateway, answer) in gateways.iter().zip(join_all(asked).await) {
            match answer.ok().and_then(|closed| closed.parse::<u64>().ok()) {
                Some(closed) => kicked.closed += closed,
                None => kicked.unreachable.push(gateway.clone()),
            }
        }
        let audit =
            self.audit_done(actor, deed, "", &format!("{} closed", domain::counted(kicked.closed, "connections")));
        self.store.commit(vec![audit]).await?;
        Ok(kicked)
    }

    fn live_gateways(&self, only: Option<&str>) -> Result<Vec<String>, AppError> {
        let views = self.nodes.views();
        let gateways = views.iter().filter(|view| view.record.role == NodeRole::Gateway && !view.lost);
        let gateways = gateways.map(|view| view.record.id.clone());
        match only {
            None => Ok(gateways.collect()),
            Some(id) => {
                let found: Vec<String> = gateways.filter(|it| it == id).collect();
                if found.is_empty() { Err(AppError::not_found("gateway", id)) } else { Ok(found) }
            }
        }
    }
}
