//! One node's stream: it registers, then reports; the newest desired state is sent to it. There is no queue of desired
//! states: a slow node gets the newest one when it has read the last.

use std::sync::Arc;

use backends::stream::Duplex;
use protocol::{
    identity::{Identity, ProgramRole},
    node::{ControlFrame, NodeFrame, Refused, Register, Role, control_frame, node_frame},
};
use tokio::time::{Duration, timeout};
use tokio_util::sync::CancellationToken;

use crate::app::{App, nodes::Session};

/// A node that says nothing for this long loses its stream.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// A node must register within this.
const REGISTER_DEADLINE: Duration = Duration::from_secs(5);
/// A frame that cannot be sent within this ends the stream.
const SEND_DEADLINE: Duration = Duration::from_secs(5);

type NodeStream = Duplex<ControlFrame, NodeFrame>;

/// Serves a stream to its end.
pub(crate) async fn serve(app: Arc<App>, mut stream: NodeStream, stop: CancellationToken) {
    let register = tokio::select! {
        biased;
        () = stop.cancelled() => return,
        frame = timeout(REGISTER_DEADLINE, stream.rx.recv()) => match frame {
            Ok(Some(NodeFrame { kind: Some(node_frame::Kind::Register(register)) })) => register,
            _ => return refuse(&stream, "the first frame must be a register".to_owned()).await,
        },
    };
    if let Some(why) = stream.peer.as_ref().and_then(|peer| impostor(peer, &register)) {
        tracing::warn!(node = %register.node, %why, "node refused");
        return refuse(&stream, why).await;
    }
    match app.node_register(&register).await {
        Err(reason) => {
            tracing::warn!(node = %register.node, %reason, "node refused");
            refuse(&stream, reason).await;
        }
        Ok(session) => {
            tracing::info!(node = %register.node, incarnation = register.incarnation, "node registered");
            app.nudge.notify_one();
            let why = tokio::select! {
                biased;
                () = stop.cancelled() => "the control plane stops",
                () = session.replaced.cancelled() => "a later stream took its place",
                why = talk(&app, &mut stream, &register, &session) => why,
            };
            app.nodes.closed(&register.node, &session);
            tracing::info!(node = %register.node, why, "node stream ended");
        }
    }
}

/// Why a program may not register as this node: its certificate says that it is another one.
fn impostor(peer: &Identity, register: &Register) -> Option<String> {
    let role = match register.role() {
        Role::Gateway => ProgramRole::Gateway,
        Role::Worker => ProgramRole::Worker,
        // Refused as what it is.
        Role::Unspecified => return None,
    };
    let says = Identity { role, name: register.node.clone() };
    (*peer != says).then(|| format!("its certificate is that of {peer}, and it registers as {says}"))
}

/// Sends a node to the replica that leads: it dials again, and another address if it knows one.
pub(crate) async fn turn_away(stream: NodeStream) {
    refuse(&stream, "not the leader".to_owned()).await;
}

async fn talk(app: &App, stream: &mut NodeStream, register: &Register, session: &Session) -> &'static str {
    let node = register.node.as_str();
    // A node without any desired state needs none sent.
    session.desired.notify_one();
    let Some(mut questions) = app.nodes.questions_of(node, session) else { return "it is not in force" };
    let mut sent = 0;
    loop {
        tokio::select! {
            biased;
            () = session.desired.notified() => {
                let Some(desired) = app.nodes.desired_for(node, session) else { return "it is not in force" };
                if desired.version > sent {
                    sent = desired.version;
                    if !send(stream, control_frame::Kind::Desired(desired)).await {
                        return "the node does not read";
                    }
                }
            }
            Some(question) = questions.recv() => {
                if !send(stream, control_frame::Kind::Question(question)).await {
                    return "the node does not read";
                }
            }
            frame = timeout(SILENCE_MAX, stream.rx.recv()) => {
                let frame = match frame {
                    Err(_) => return "the node says nothing",
                    Ok(None) => return "the node closed it",
                    Ok(Some(frame)) => frame,
                };
                let in_force = match frame.kind {
                    Some(node_frame::Kind::Report(report)) => app.nodes.reported(node, session, report),
                    Some(node_frame::Kind::Ack(ack)) => app.nodes.acked(node, session, ack.version),
                    Some(node_frame::Kind::Nack(nack)) => {
                        tracing::warn!(node, version = nack.version, reason = %nack.reason, "desired state refused");
                        app.nodes.nacked(node, session, nack.version, nack.reason)
                    }
                    Some(node_frame::Kind::Answer(answer)) => app.nodes.answered(node, session, answer),
                    Some(node_frame::Kind::Register(_)) => return "it registered twice",
                    // A frame of a later version.
                    None => true,
                };
                if !in_force {
                    return "it is not in force";
                }
                app.nudge.notify_one();
            }
        }
    }
}

async fn refuse(stream: &NodeStream, reason: String) {
    send(stream, control_frame::Kind::Refused(Refused { reason })).await;
}

async fn send(stream: &NodeStream, kind: control_frame::Kind) -> bool {
    matches!(timeout(SEND_DEADLINE, stream.tx.send(ControlFrame { kind: Some(kind) })).await, Ok(Ok(())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_what_its_certificate_says() {
        let register =
            |node: &str, role: Role| Register { node: node.into(), role: role.into(), ..Register::default() };
        let peer = Identity { role: ProgramRole::Gateway, name: "gw-1".into() };
        assert_eq!(impostor(&peer, &register("gw-1", Role::Gateway)), None);
        let why = impostor(&peer, &register("gw-2", Role::Gateway)).unwrap();
        assert_eq!(why, "its certificate is that of gateway gw-1, and it registers as gateway gw-2");
        assert!(impostor(&peer, &register("gw-1", Role::Worker)).is_some());
    }
}
