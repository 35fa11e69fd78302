//! The only part that does IO: owns the terminal, collects events into one bounded channel, performs actions as tasks
//! that it owns, and draws when something has changed.

use std::{
    io::{self, BufWriter},
    time::Duration,
};

use crossterm::{
    event::{Event as Input, EventStream},
    queue,
    terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate, size},
};
use futures_util::StreamExt as _;
use ratatui::backend::CrosstermBackend;
use time::OffsetDateTime;
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinSet},
    time::{MissedTickBehavior, interval, timeout},
};

use super::{
    canvas::Canvas,
    event::{Action, Event, Failure, Need},
    perform::{self, Fleet},
    screen::Screen,
    state::{Setting, State},
    theme::Theme,
};
use crate::{context::ContextFile, error::CommandError, signals::Signals};

/// Events that wait; whoever has more waits too.
const EVENTS_MAX: usize = 256;
/// Between two ticks.
const TICK: Duration = Duration::from_millis(250);
/// Room for a whole picture of a large terminal.
const PICTURE_BYTES: usize = 256 * 1024;
/// How long changes that were asked for may take when the program ends.
const FAREWELL: Duration = Duration::from_secs(2);

/// How the UI is to run.
pub(super) struct Options {
    pub(super) setting: Setting,
    pub(super) pane: usize,
    pub(super) theme: Theme,
    pub(super) has_mouse: bool,
}

/// What a task was, when it has ended.
enum Ended {
    /// The terminal gives no more input.
    Input,
    /// Anything else: its event says what came of it.
    Other,
}

/// Runs until somebody quits, or something ends it.
pub(super) async fn run(fleet: Fleet, options: Options) -> Result<(), CommandError> {
    let mut signals = Signals::listen()?;
    let screen = Screen::enter(options.has_mouse).map_err(|error| terminal_failed(&error))?;
    let (events, inbox) = mpsc::channel(EVENTS_MAX);
    let size = size().map_err(|error| terminal_failed(&error))?;
    let state = State::new(options.setting, options.pane, size, now_ms());
    let canvas =
        Canvas::new(CrosstermBackend::new(BufWriter::with_capacity(PICTURE_BYTES, io::stdout())), options.theme);
    let mut runner = Runner { fleet, state, canvas, events, tasks: JoinSet::new(), acts: JoinSet::new() };
    runner.tasks.spawn(read(runner.events.clone()));
    runner.tasks.spawn(tick(runner.events.clone()));
    let done = runner.serve(inbox, &mut signals).await;
    drop(screen);
    runner.end().await;
    done
}

struct Runner {
    fleet: Fleet,
    state: State,
    canvas: Canvas<CrosstermBackend<BufWriter<io::Stdout>>>,
    events: mpsc::Sender<Event>,
    /// What may be dropped at the end.
    tasks: JoinSet<Ended>,
    /// What should not: changes that were asked for.
    acts: JoinSet<Ended>,
}

impl Runner {
    async fn serve(&mut self, mut inbox: mpsc::Receiver<Event>, signals: &mut Signals) -> Result<(), CommandError> {
        loop {
            if self.state.take_dirty() {
                self.draw().map_err(|error| terminal_failed(&error))?;
            }
            let first = tokio::select! {
                () = signals.next() => return Ok(()),
                Some(ended) = self.tasks.join_next() => match check(ended)? {
                    Ended::Input => return Ok(()),
                    Ended::Other => continue,
                },
                Some(ended) = self.acts.join_next() => {
                    check(ended)?;
                    continue;
                }
                event = inbox.recv() => event,
            };
            // What waits already is taken in before the next picture.
            let mut next = first;
            while let Some(event) = next {
                if matches!(event, Event::Failed(Need::WhoAmI, Failure::Refused(_))) {
                    self.renew();
                }
                for action in self.state.on(event) {
                    if action == Action::Quit {
                        return Ok(());
                    }
                    self.begin(action);
                }
                next = inbox.try_recv().ok();
            }
        }
    }

    fn begin(&mut self, action: Action) {
        let (fleet, events) = (self.fleet.clone(), self.events.clone());
        match action {
            Action::Quit => {}
            Action::Load(load) => {
                _ = self.tasks.spawn(async move { tell(events, perform::load(&fleet, load).await).await })
            }
            Action::Act(act) => _ = self.acts.spawn(async move { tell(events, perform::act(&fleet, act).await).await }),
        }
    }

    /// The token is refused: whoever made another has written it into the context, as `chatctl dev` does when it
    /// starts again.
    fn renew(&mut self) {
        let setting = &self.state.setting;
        let found = ContextFile::load().and_then(|file| file.pick(Some(&setting.context)));
        // Another fleet under the same name is not what is looked at.
        if let Ok((name, context)) = found
            && context.control_plane == setting.url
            && let Ok(fleet) = Fleet::new(&name, context)
        {
            self.fleet = fleet;
        }
    }

    fn draw(&mut self) -> io::Result<()> {
        // A terminal that knows this shows the picture whole, never half of it.
        queue!(self.canvas.backend_mut(), BeginSynchronizedUpdate)?;
        self.canvas.show(&self.state)?;
        queue!(self.canvas.backend_mut(), EndSynchronizedUpdate)?;
        io::Write::flush(self.canvas.backend_mut())
    }

    /// Nothing goes on afterwards. Changes on their way to the control plane get a moment.
    async fn end(mut self) {
        let acts = &mut self.acts;
        let _ = timeout(FAREWELL, async { while acts.join_next().await.is_some() {} }).await;
        self.acts.shutdown().await;
        self.tasks.shutdown().await;
    }
}

/// A task that panicked ends the program: what it was to answer would never come.
fn check(ended: Result<Ended, JoinError>) -> Result<Ended, CommandError> {
    ended.map_err(|error| CommandError::failed(format!("a task of the terminal ui broke: {error}")))
}

async fn tell(events: mpsc::Sender<Event>, event: Event) -> Ended {
    let _ = events.send(event).await;
    Ended::Other
}

/// Reads the terminal until it is gone.
async fn read(events: mpsc::Sender<Event>) -> Ended {
    let mut stream = EventStream::new();
    while let Some(Ok(input)) = stream.next().await {
        let event = match input {
            Input::Key(key) => Event::Key(key),
            Input::Mouse(mouse) => Event::Mouse(mouse),
            Input::Paste(text) => Event::Paste(text),
            Input::Resize(width, height) => Event::Resize(width, height),
            Input::FocusGained | Input::FocusLost => continue,
        };
        if events.send(event).await.is_err() {
            break;
        }
    }
    Ended::Input
}

/// Says what time it is. A tick that finds no room is not missed: the next says it too.
async fn tick(events: mpsc::Sender<Event>) -> Ended {
    let mut interval = interval(TICK);
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        interval.tick().await;
        if let Err(mpsc::error::TrySendError::Closed(_)) = events.try_send(Event::Tick(now_ms())) {
            return Ended::Other;
        }
    }
}

fn now_ms() -> u64 {
    u64::try_from(OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000).unwrap_or(0)
}

fn terminal_failed(error: &io::Error) -> CommandError {
    CommandError::failed(format!("cannot use this terminal: {error}"))
}
