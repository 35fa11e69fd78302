//! One owner a connection: it alone reads the socket, answers what the client asks and ends it.
//!
//! - [`welcome`]: registers the session and begins the replay.
//! - [`turn`]: the loop, as one poll: an idle connection holds a few pointers and no future.
//! - [`request`]: what each frame does.
//! - [`replay`]: catch-up after `hello`.

pub(crate) mod replay;
mod request;
mod turn;
mod welcome;

use std::{
    future::poll_fn,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use protocol::frames::CloseCode;
use tokio::time::timeout;

use crate::{
    gateway::Shared,
    handshake::{Hello, LINGER_DEADLINE},
    hub::Conn,
};

/// How long a store may take to enter or remove a session.
const SESSION_DEADLINE: Duration = Duration::from_secs(5);

/// Serves a client that said hello, to its end.
pub(crate) async fn run(shared: Arc<Shared>, hello: Box<Hello>) {
    // Boxed: what the welcome needs is given back before the idle life begins.
    let Some((conn, mut turn)) = Box::pin(welcome::welcome(&shared, hello)).await else { return };
    poll_fn(|cx| turn.poll(cx, &shared, &conn)).await;
    drop(turn);
    Box::pin(goodbye(&shared, &conn)).await;
}

async fn goodbye(shared: &Arc<Shared>, conn: &Arc<Conn>) {
    shared.hub.remove(conn);
    shared.watchers.remove(conn);
    shared.heartbeats.remove(conn);
    let code = conn.io.lock().closing();
    if code == Some(CloseCode::Slow) {
        shared.metrics.slow_consumers.inc();
    }
    tokio::join!(linger(conn, code), leave(shared, conn));
}

/// Lets the client take the close frame.
async fn linger(conn: &Conn, code: Option<CloseCode>) {
    if code.is_some() {
        // A client that does not end its side in time is dropped.
        let _ = timeout(LINGER_DEADLINE, poll_fn(|cx| conn.io.lock().poll_linger(cx))).await;
    }
}

/// Takes the session out of the stores. Not at a shutdown: the lease ends all routes at once, and nobody is shown
/// offline for the seconds it takes to come back elsewhere.
async fn leave(shared: &Shared, conn: &Conn) {
    conn.gone.store(true, Ordering::Relaxed);
    if shared.stop.is_cancelled() {
        return;
    }
    let session = conn.session();
    let gone =
        async { tokio::join!(shared.ports.registry.unregister(&session), shared.ports.presence.leave(&session)) };
    match timeout(SESSION_DEADLINE, gone).await {
        Ok((Ok(()), Ok(()))) => {}
        // Its entries run out by themselves.
        Ok((Err(error), _) | (_, Err(error))) => tracing::debug!(%error, "cannot remove a session"),
        Err(_) => tracing::debug!("cannot remove a session: the stores do not answer"),
    }
}
