//! A program of the operator's own that adds and removes nodes.

use std::{fmt, process::Output, str::FromStr};

use tokio::time::{Duration, timeout};

use super::{Kind, ProvisionError};

/// A command may take so long to take an order; the nodes may take longer.
const DEADLINE: Duration = Duration::from_secs(60);

/// A program with its first arguments; `gateways|workers|store-nodes COUNT up|down` is added. It must be idempotent,
/// for it may be told twice; with `up` a count below what runs must take nothing away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command(Vec<String>);

impl FromStr for Command {
    type Err = &'static str;

    /// Words as in a shell, with its quotes.
    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let words = shlex::split(line).ok_or("a quote is not closed")?;
        if words.is_empty() { Err("names no program") } else { Ok(Self(words)) }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

impl Command {
    pub(super) async fn run(&self, kind: Kind, count: u64, is_down: bool) -> Result<(), ProvisionError> {
        let (program, first) = self.0.split_first().ok_or(ProvisionError::Nobody)?;
        let what = match kind {
            Kind::Gateways => "gateways",
            Kind::Workers => "workers",
            Kind::StoreNodes => "store-nodes",
        };
        let direction = if is_down { "down" } else { "up" };
        let running = tokio::process::Command::new(program)
            .args(first)
            .args([what, &count.to_string(), direction])
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true)
            .output();
        let why = match timeout(DEADLINE, running).await {
            Ok(Ok(output)) if output.status.success() => return Ok(()),
            Ok(Ok(output)) => format!("{what} {count} {direction}: {}", said(&output)),
            Ok(Err(error)) => format!("{program} cannot be started: {error}"),
            Err(_) => format!("{what} {count} {direction}: no answer within {} s", DEADLINE.as_secs()),
        };
        Err(ProvisionError::Command(why))
    }
}

/// How it ended, and its last line.
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    format!("{}: {last}", output.status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_gets_its_own_words_then_the_order() {
        let dir = tempfile::tempdir().unwrap();
        let seen = dir.path().join("seen");
        let line = format!("sh -c 'echo \"$@\" >> {}' own \"two words\"", seen.display());
        let command: Command = line.parse().unwrap();
        command.run(Kind::Gateways, 3, false).await.unwrap();
        command.run(Kind::Workers, 2, true).await.unwrap();
        assert_eq!(std::fs::read_to_string(seen).unwrap(), "two words gateways 3 up\ntwo words workers 2 down\n");
    }

    #[tokio::test]
    async fn a_command_that_fails_is_quoted() {
        let command: Command = "sh -c 'echo no room >&2; exit 3'".parse().unwrap();
        let error = command.run(Kind::StoreNodes, 4, false).await.unwrap_err().to_string();
        assert_eq!(error, "store-nodes 4 up: exit status: 3: no room");
        let missing: Command = "/nowhere/at-all".parse().unwrap();
        let error = missing.run(Kind::Gateways, 1, false).await.unwrap_err().to_string();
        assert!(error.starts_with("/nowhere/at-all cannot be started"), "{error}");
        assert!("".parse::<Command>().is_err() && "a 'b".parse::<Command>().is_err());
    }
}
