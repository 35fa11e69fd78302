//! The task that owns a client's sockets: it feeds the rules what happens and does what they say.

mod dial;
mod link;
mod outlet;

#[cfg(test)]
mod tests;

use std::{future, pin::Pin, sync::Arc, task::Poll, time::Duration};

use protocol::frames::{ClientFrame, ServerFrame};
use tokio::{
    sync::{Semaphore, mpsc},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::outlet::Outlet;
use self::{
    dial::{Dial, Dialed},
    link::Link,
};
use crate::{
    Attempt, BoxFuture, ClientConfig, Command, Connect, ConnectError, Core, Effect, Event, Failure, Input, LinkId,
    LostReason, TokenPlacement,
};

/// Far enough away for "never".
const NEVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// See the module. Ends when told to close, when killed, or when the rules say that the client has stopped.
pub(crate) struct Driver {
    core: Core,
    config: ClientConfig,
    connect: Arc<dyn Connect>,
    started: Instant,
    /// One permit for each send that may be without an answer.
    permits: Arc<Semaphore>,
    token: Option<String>,
    /// The gateway that just failed.
    avoid: Option<Arc<str>>,
    /// The link that counts and the one that says hello: at most two.
    links: Vec<Link>,
    dialing: Option<(LinkId, BoxFuture<'static, Result<Dialed, ConnectError>>)>,
    /// By when the new link must have its `welcome`.
    welcome_by: Option<(LinkId, Instant)>,
    outlet: Outlet,
    stopped: bool,
}

/// How a client is told to end.
#[derive(Clone, Default)]
pub(crate) struct Ending {
    /// Say goodbye.
    pub(crate) close: CancellationToken,
    /// Just go.
    pub(crate) kill: CancellationToken,
}

enum Wake {
    Timer,
    Command(Option<Command>),
    Dialed(Result<Dialed, ConnectError>),
    Link(usize, Result<ServerFrame, LostReason>),
    Drained,
}

impl Driver {
    pub(crate) fn new(
        config: ClientConfig,
        connect: Arc<dyn Connect>,
        permits: Arc<Semaphore>,
        outlet: Outlet,
    ) -> Self {
        Self {
            core: Core::new(&config),
            config,
            connect,
            started: Instant::now(),
            permits,
            token: None,
            avoid: None,
            links: Vec::new(),
            dialing: None,
            welcome_by: None,
            outlet,
            stopped: false,
        }
    }

    /// Runs the client to its end.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>, ending: Ending) {
        while !self.stopped {
            let wake = tokio::select! {
                biased;
                () = ending.kill.cancelled() => return,
                () = ending.close.cancelled() => break,
                wake = self.wake(&mut commands) => wake,
            };
            match wake {
                Wake::Timer => self.timer(),
                Wake::Command(Some(command)) => self.feed(Input::Command(command)),
                // Every handle is gone: so is the reason to be here.
                Wake::Command(None) => break,
                Wake::Dialed(result) => self.dialed(result),
                Wake::Link(index, Ok(frame)) => self.feed(Input::Frame(self.links[index].id, frame)),
                Wake::Link(index, Err(reason)) => {
                    let link = self.links.swap_remove(index);
                    self.avoid = Some(link.gateway.clone());
                    self.feed(Input::Lost(link.id, reason));
                }
                Wake::Drained => {}
            }
        }
        self.feed(Input::Command(Command::Disconnect));
        self.permits.close();
        tokio::select! {
            biased;
            () = ending.kill.cancelled() => {}
            () = self.outlet.drain() => {}
            // Nobody has to read the last words.
            () = ending.close.cancelled() => {}
        }
    }

    /// Waits for the next thing that happens.
    async fn wake(&mut self, commands: &mut mpsc::Receiver<Command>) -> Wake {
        let due = self.due();
        let Self { links, dialing, outlet, .. } = self;
        let has_room = outlet.has_room();
        let any_waiting = !outlet.is_empty();
        // In this order, so that a run replays.
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(due) => Wake::Timer,
            () = outlet.drain(), if any_waiting => Wake::Drained,
            command = commands.recv(), if has_room => Wake::Command(command),
            result = poll_dialing(dialing) => Wake::Dialed(result),
            (index, happened) = poll_links(links, has_room) => Wake::Link(index, happened),
        }
    }

    fn due(&self) -> Instant {
        let core = self.core.due_ms().map(|ms| self.started + Duration::from_millis(ms));
        let welcome = self.welcome_by.map(|(_, by)| by);
        core.into_iter().chain(welcome).min().unwrap_or_else(|| self.started + NEVER)
    }

    fn timer(&mut self) {
        if let Some((id, _)) = self.welcome_by.take_if(|(_, by)| *by <= Instant::now()) {
            self.avoid = self.remove(id).map(|link| link.gateway).or(self.avoid.take());
            let why = format!("no welcome within {} ms", self.config.connect_timeout_ms);
            self.feed(Input::Failed(id, Failure { status: None, retry_after_ms: None, why }));
        }
        self.feed(Input::Tick);
    }

    fn dialed(&mut self, result: Result<Dialed, ConnectError>) {
        let Some((id, _)) = self.dialing.take() else { return };
        match result {
            Ok(dialed) => {
                self.token = Some(dialed.token);
                self.links.push(Link::new(id, dialed.gateway, dialed.socket));
                self.welcome_by = Some((id, Instant::now() + Duration::from_millis(self.config.connect_timeout_ms)));
                self.feed(Input::Opened(id));
            }
            Err(error) => {
                let failure = self.failure(&error);
                self.feed(Input::Failed(id, failure));
            }
        }
    }

    fn failure(&mut self, error: &ConnectError) -> Failure {
        let (gateway, status, retry_after_ms) = match error {
            ConnectError::Refused { gateway, status, retry_after_ms } => {
                (Some(gateway), Some(*status), *retry_after_ms)
            }
            ConnectError::Unreachable { gateway, .. } | ConnectError::Handshake { gateway, .. } => {
                (Some(gateway), None, None)
            }
            ConnectError::TimedOut(_) | ConnectError::Token(_) => (None, None, None),
        };
        self.avoid = gateway.cloned();
        let source = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
        Failure { status, retry_after_ms, why: format!("{error}{source}") }
    }

    /// Tells the rules and does what they say.
    fn feed(&mut self, input: Input) {
        let now_ms = self.started.elapsed().as_millis() as u64;
        let before = self.core.pending() + usize::from(matches!(input, Input::Command(Command::Send { .. })));
        let effects = self.core.on(now_ms, input);
        self.permits.add_permits(before.saturating_sub(self.core.pending()));
        effects.into_iter().for_each(|effect| self.perform(effect));
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Connect { link, attempt, chance, fresh_token } => self.dial(link, attempt, chance, fresh_token),
            Effect::Send(id, frame) => {
                let frame = self.with_token(frame);
                if let Some(link) = self.link(id) {
                    link.send(&frame);
                }
            }
            Effect::SendLossy(id, frame) => {
                if let Some(link) = self.link(id) {
                    link.send_lossy(&frame);
                }
            }
            Effect::Close(id) => {
                self.dialing.take_if(|(dialing, _)| *dialing == id);
                self.welcome_by.take_if(|(waiting, _)| *waiting == id);
                if let Some(link) = self.remove(id) {
                    link.close();
                }
            }
            Effect::Break(id) => drop(self.remove(id)),
            Effect::Emit(event) => {
                match event {
                    Event::Connected { .. } => (self.welcome_by, self.avoid) = (None, None),
                    Event::Fatal(_) => self.stopped = true,
                    _ => {}
                }
                self.outlet.emit(event);
            }
        }
    }

    fn dial(&mut self, id: LinkId, number: u32, chance: u64, fresh_token: bool) {
        if fresh_token {
            self.token = None;
        }
        // With a link still up this is a move: away from its gateway.
        let avoid = self.links.first().map(|link| link.gateway.clone()).or_else(|| self.avoid.clone());
        let dial = Dial {
            connect: self.connect.clone(),
            attempt: Attempt { number, avoid, chance },
            user: self.config.user.clone(),
            tokens: self.config.token.clone(),
            token: self.token.clone(),
            placement: self.config.token_placement,
            timeout_ms: self.config.connect_timeout_ms,
        };
        self.dialing = Some((id, Box::pin(dial.run())));
    }

    fn with_token(&self, frame: ClientFrame) -> ClientFrame {
        match frame {
            ClientFrame::Hello { device, resume, .. } if self.config.token_placement == TokenPlacement::Hello => {
                ClientFrame::Hello { device, token: self.token.clone(), resume }
            }
            frame => frame,
        }
    }

    fn link(&mut self, id: LinkId) -> Option<&mut Link> {
        self.links.iter_mut().find(|link| link.id == id)
    }

    fn remove(&mut self, id: LinkId) -> Option<Link> {
        let index = self.links.iter().position(|link| link.id == id)?;
        Some(self.links.swap_remove(index))
    }
}

async fn poll_dialing(
    dialing: &mut Option<(LinkId, BoxFuture<'static, Result<Dialed, ConnectError>>)>,
) -> Result<Dialed, ConnectError> {
    match dialing {
        Some((_, dial)) => Pin::new(dial).await,
        None => future::pending().await,
    }
}

async fn poll_links(links: &mut [Link], read: bool) -> (usize, Result<ServerFrame, LostReason>) {
    future::poll_fn(|cx| {
        for (index, link) in links.iter_mut().enumerate() {
            if let Poll::Ready(happened) = link.poll(cx, read) {
                return Poll::Ready((index, happened));
            }
        }
        Poll::Pending
    })
    .await
}
