//! From a good `hello` to `welcome`: the session gets its version and its place in the registry.

use std::{collections::BTreeMap, sync::Arc};

use backends::port::Registered;
use domain::{Bug, ConversationId};
use protocol::{
    frames::{CloseCode, ServerFrame, Welcome},
    link::CloseSession,
};
use tokio::time::timeout;

use super::{SESSION_DEADLINE, replay, turn::Turn};
use crate::{gateway::Shared, handshake::Hello, hub::Conn, socket::text_frame};

/// Registers the session, says `welcome` and begins the replay. `None` when the registry does not take it.
pub(super) async fn welcome(shared: &Arc<Shared>, hello: Box<Hello>) -> Option<(Arc<Conn>, Turn)> {
    let Hello { mut io, identity, device, resume, more, shaking } = *hello;
    let config = &shared.config;
    let now_ms = shared.now_ms();
    let registered = shared.ports.registry.register(&identity.user, &device, &config.node, config.incarnation, now_ms);
    let mut registered = match timeout(SESSION_DEADLINE, registered).await {
        Ok(Ok(registered)) => registered,
        Ok(Err(error)) => {
            tracing::debug!(%error, "cannot register a session");
            return Box::pin(turn_away(shared, io)).await;
        }
        Err(_) => {
            tracing::debug!("cannot register a session: the registry does not answer");
            return Box::pin(turn_away(shared, io)).await;
        }
    };
    if config.planted.has(Bug::NoSessionVersion) {
        registered.session_version = 1;
    }
    let welcome = ServerFrame::Welcome(Welcome {
        user: identity.user.as_str().to_owned(),
        device: device.as_str().to_owned(),
        session_version: registered.session_version,
        gateway: config.node.as_str().to_owned(),
        heartbeat_interval_ms: config.heartbeat_interval_ms,
        reconnect: config.reconnect,
        server_time_ms: now_ms,
    });
    // Queued before the hub knows the connection: `welcome` is the first frame.
    io.push(text_frame(&welcome.encode()));
    let conn = Conn::new(identity, device, registered.session_version, now_ms, io);
    let resume = parse(resume);
    // Held before the hub knows the connection: a live frame must not overtake the replay.
    conn.hold(resume.iter().map(|(id, _)| id.clone()));
    let conn = Arc::new(conn);
    shared.hub.insert(&conn);
    supersede(shared, &conn, registered);
    // One bounded feed for all signs of life: a mass reconnect does not storm the presence store (failure mode 3). It
    // also looks at the registered version again, for a session that was superseded between the two lines above.
    shared.heartbeats.push(&conn);
    drop(shaking);
    let replay = replay::run(shared.clone(), conn.clone(), resume);
    Some((conn, Turn::new(shared, more, Box::pin(replay))))
}

/// The registry cannot take the session: come back later.
async fn turn_away(shared: &Shared, io: crate::socket::Io) -> Option<(Arc<Conn>, Turn)> {
    crate::handshake::close(shared, io, CloseCode::GoingAway).await;
    None
}

fn parse(resume: BTreeMap<String, u64>) -> Vec<(ConversationId, u64)> {
    // The decoder checked the ids.
    resume.into_iter().filter_map(|(id, last_seen)| Some((ConversationId::parse(&id).ok()?, last_seen))).collect()
}

/// An older session of the device on another gateway is closed there (I7). On this one the hub does it.
fn supersede(shared: &Shared, conn: &Conn, registered: Registered) {
    let elsewhere = registered.previous.filter(|previous| previous.gateway != shared.config.node);
    if let Some(previous) = elsewhere {
        shared.figures.moved_here(&conn.user, &conn.device, shared.now_ms());
        let close = CloseSession {
            user: conn.user.as_str().to_owned(),
            device: conn.device.as_str().to_owned(),
            session_version: registered.session_version,
        };
        shared.workers.supersede(previous.gateway.as_str(), close);
    }
}
