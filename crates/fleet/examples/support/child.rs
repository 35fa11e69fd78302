//! The clients' process: the same program again, told what to do line by line.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use super::Failure;

/// A child that answers each line with one line.
pub(crate) struct Clients {
    child: Child,
    to: ChildStdin,
    from: Option<BufReader<ChildStdout>>,
}

impl Clients {
    /// Starts this program with other arguments.
    pub(crate) fn start(arguments: &[String]) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let to = child.stdin.take().ok_or("no stdin")?;
        let from = child.stdout.take().map(BufReader::new);
        Ok(Self { child, to, from })
    }

    /// Says a line, to be answered later.
    pub(crate) fn tell(&mut self, line: &str) -> Result<(), Failure> {
        Ok(self.to.write_all(format!("{line}\n").as_bytes())?)
    }

    /// The next line of the child.
    pub(crate) async fn answer(&mut self) -> Result<String, Failure> {
        let mut from = self.from.take().ok_or("asked while asking")?;
        let (read, line, from) = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            let read = from.read_line(&mut line);
            (read, line, from)
        })
        .await?;
        self.from = Some(from);
        if read? == 0 {
            return Err("the clients' process ended".into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// Says a line and waits for the answer.
    pub(crate) async fn ask(&mut self, line: &str) -> Result<String, Failure> {
        self.tell(line)?;
        self.answer().await
    }

    /// Ends the child.
    pub(crate) fn end(mut self) -> Result<(), Failure> {
        drop(self.to);
        self.child.wait()?;
        Ok(())
    }
}

/// The child's side: the next line it is told, `None` at the end.
pub(crate) async fn told() -> Result<Option<String>, Failure> {
    let line = tokio::task::spawn_blocking(|| std::io::stdin().lines().next()).await?;
    Ok(line.transpose()?)
}
