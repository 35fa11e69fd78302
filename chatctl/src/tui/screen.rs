//! The terminal while the UI has it, and given back whatever happens: at the end, on an error, on a panic.

use std::{
    io::{self, Write as _},
    panic,
    sync::atomic::{AtomicBool, Ordering},
};

use crossterm::{
    cursor, event, execute, queue,
    terminal::{self, EnterAlternateScreen, LeaveAlternateScreen},
};

/// True while the terminal is the UI's.
static IS_OURS: AtomicBool = AtomicBool::new(false);

/// Gives the terminal back when it is dropped.
pub(super) struct Screen(());

impl Screen {
    /// Takes the terminal.
    pub(super) fn enter(has_mouse: bool) -> io::Result<Self> {
        hook();
        terminal::enable_raw_mode()?;
        IS_OURS.store(true, Ordering::SeqCst);
        // From here on dropping it undoes what was done.
        let screen = Self(());
        let mut out = io::stdout();
        queue!(out, EnterAlternateScreen, event::EnableBracketedPaste, cursor::Hide)?;
        if has_mouse {
            queue!(out, event::EnableMouseCapture)?;
        }
        out.flush()?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

fn leave() {
    if !IS_OURS.swap(false, Ordering::SeqCst) {
        return;
    }
    // A terminal that is gone cannot be mended.
    let _ = execute!(
        io::stdout(),
        terminal::EndSynchronizedUpdate,
        event::DisableMouseCapture,
        event::DisableBracketedPaste,
        LeaveAlternateScreen,
        cursor::Show
    );
    let _ = terminal::disable_raw_mode();
}

/// A panic gives the terminal back first, so that its words can be read.
fn hook() {
    static IS_SET: AtomicBool = AtomicBool::new(false);
    if IS_SET.swap(true, Ordering::SeqCst) {
        return;
    }
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        leave();
        before(info);
    }));
}
