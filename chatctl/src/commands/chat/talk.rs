//! The talk: what is typed goes out, what is said comes in.

use std::{collections::HashSet, io, time::Duration};

use client::{ClientHandle, Event, SendError};
use protocol::{
    frames::{MessageFrame, Page},
    http::ConversationDetail,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use uuid::Uuid;

use super::screen::Screen;
use crate::{
    error::{CommandError, Kind},
    output::counted,
    session::Session,
};

/// Messages that one `/history` shows.
const HISTORY: usize = 20;

/// A talk.
pub(super) struct Talk<'a> {
    screen: Screen<'a>,
    client: ClientHandle,
    conversation: String,
    /// The lowest number shown, for `/history`.
    lowest: Option<u64>,
    /// Sends that were not shown yet.
    waiting: HashSet<Uuid>,
    refused: usize,
    /// The connection was lost. The first one is not worth a word.
    away: bool,
    /// How long to wait at the end for what was sent.
    patience: Duration,
}

impl<'a> Talk<'a> {
    pub(super) fn new(session: &Session, screen: Screen<'a>, client: ClientHandle, detail: ConversationDetail) -> Self {
        Self {
            screen,
            client,
            conversation: detail.id,
            lowest: None,
            waiting: HashSet::new(),
            refused: 0,
            away: false,
            patience: session.global.timeout,
        }
    }

    /// Talks until the input ends or the person leaves.
    pub(super) async fn run(
        &mut self,
        mut events: mpsc::Receiver<Event>,
        mut lines: mpsc::Receiver<io::Result<String>>,
    ) -> Result<(), CommandError> {
        let mut until: Option<Instant> = None;
        loop {
            if until.is_some() && self.waiting.is_empty() {
                return self.left();
            }
            let patience = async {
                match until {
                    Some(until) => sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.on(event)?,
                    None => return Err(CommandError::failed("the client has stopped")),
                },
                line = lines.recv(), if until.is_none() => match line {
                    Some(Ok(line)) => {
                        if !self.typed(&line).await? {
                            until = Some(Instant::now() + self.patience);
                        }
                    }
                    Some(Err(error)) => return Err(CommandError::failed(format!("cannot read the input: {error}"))),
                    None => until = Some(Instant::now() + self.patience),
                },
                () = patience => {
                    let error = CommandError::new(Kind::TimedOut, format!("not accepted yet: {}", counted(self.waiting.len() as u64, "lines")));
                    return Err(error.hint("--timeout waits longer; it is not known whether they will be"));
                }
            }
        }
    }

    /// How it went, when the person leaves.
    pub(super) fn left(&self) -> Result<(), CommandError> {
        match (self.refused, self.waiting.len()) {
            (0, 0) => Ok(()),
            (0, waiting) => {
                let lines = counted(waiting as u64, "lines");
                Err(CommandError::failed(format!("left with {lines} not accepted yet")))
            }
            (refused, _) => Err(CommandError::failed(format!("refused: {}", counted(refused as u64, "lines")))),
        }
    }

    /// One line of input; false when the person leaves.
    async fn typed(&mut self, line: &str) -> Result<bool, CommandError> {
        match line.trim() {
            "" => return Ok(true),
            "/quit" => return Ok(false),
            "/history" => {
                let _ = self.client.history(&self.conversation, self.lowest, HISTORY).await;
                return Ok(true);
            }
            // `//x` says `/x`.
            command if command.starts_with('/') && !command.starts_with("//") => {
                self.screen.dim(&format!("{command} is no command: /history, /quit; // begins a line with a slash"));
                return Ok(true);
            }
            _ => {}
        }
        let body = line.strip_prefix('/').filter(|rest| rest.starts_with('/')).unwrap_or(line);
        match self.client.send(&self.conversation, body).await {
            Ok(key) => {
                self.waiting.insert(key);
                match self.away {
                    false => self.screen.take_echo(line),
                    true => self.screen.dim("not connected: it is sent as soon as there is a connection"),
                }
                Ok(true)
            }
            Err(SendError::Stopped) => Err(CommandError::failed("the client has stopped")),
            Err(error) => {
                self.refused += 1;
                self.screen.dim(&format!("not sent: {error}"));
                Ok(true)
            }
        }
    }

    fn on(&mut self, event: Event) -> Result<(), CommandError> {
        match event {
            Event::Shown(message) => {
                if let Some(key) = message.idempotency_key {
                    self.waiting.remove(&key);
                }
                self.show(&message)?;
            }
            Event::History(page) => self.history(&page)?,
            Event::Refused { key, error } => {
                self.waiting.remove(&key);
                self.refused += 1;
                self.screen.dim(&format!("refused: {}", error.message));
            }
            Event::RequestRefused(error) => self.screen.dim(&format!("refused: {}", error.message)),
            Event::Connected { gateway, .. } => {
                self.away = false;
                self.screen.dim(&format!("connected to {gateway}"));
            }
            Event::Disconnected { .. } => self.away = true,
            Event::Reconnecting { why, retry_in_ms } => {
                self.away = true;
                self.screen.dim(&format!("reconnecting in {:.1} s: {why}", retry_in_ms as f64 / 1_000.0));
            }
            Event::Fatal(why) => return Err(CommandError::failed(why.to_string())),
            // Shown messages say the rest.
            _ => {}
        }
        Ok(())
    }

    fn history(&mut self, page: &Page) -> Result<(), CommandError> {
        if page.messages.is_empty() {
            self.screen.dim("nothing came before");
            return Ok(());
        }
        self.screen.dim("what came before:");
        page.messages.iter().try_for_each(|message| self.show(message))?;
        self.screen.dim(if page.complete { "that was the beginning" } else { "/history shows more" });
        Ok(())
    }

    fn show(&mut self, message: &MessageFrame) -> Result<(), CommandError> {
        let lowest = self.lowest.get_or_insert(message.sequence_number);
        *lowest = message.sequence_number.min(*lowest);
        self.screen.message(message)
    }
}
