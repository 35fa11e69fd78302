//! Lines from stdin, on a thread of their own: a read of a terminal cannot be cancelled, and must not keep the program.

use std::{
    io::{self, BufRead as _},
    thread,
};

use tokio::sync::mpsc;

/// Lines read ahead.
const LINES_MAX: usize = 64;

/// What stdin gives: lines, then the end.
pub(super) fn read() -> mpsc::Receiver<io::Result<String>> {
    let (tx, rx) = mpsc::channel(LINES_MAX);
    thread::spawn(move || {
        let mut stdin = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            let read = stdin.read_until(b'\n', &mut line);
            let item = match read {
                Ok(0) => return,
                Ok(_) => Ok(text(&line)),
                Err(error) => Err(error),
            };
            let is_over = item.is_err();
            if tx.blocking_send(item).is_err() || is_over {
                return;
            }
        }
    });
    rx
}

/// Without its newline; a message is UTF-8, so what is not is replaced.
fn text(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    String::from_utf8_lossy(line).into_owned()
}
