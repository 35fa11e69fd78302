//! Plays the scenes on a fleet and compares what is said with the golden files. The test on `dev` and the example on the
//! real stack share this.

// Real processes in real time, and no runtime.
#![allow(clippy::disallowed_methods)]

mod files;
mod normal;
mod scenes;
mod shape;
mod table;

use std::{
    io::Read,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::Value;

use self::normal::Normal;
pub(crate) use self::{
    files::Place,
    scenes::{Line, SCENES},
};

/// Nothing that is waited for may take longer, no command either.
const DEADLINE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(200);
/// Between two looks whether a command has ended.
const LOOK_AT_END: Duration = Duration::from_millis(5);

/// A fleet to play on.
pub(crate) struct Stage<'a> {
    /// The program, with the environment in which it finds the fleet.
    pub(crate) chatctl: Box<dyn Fn() -> Command + Send + 'a>,
    /// Which golden files it is compared with.
    pub(crate) place: Place,
    /// A directory that commands may write into.
    pub(crate) dir: PathBuf,
    /// The name of the fleet's context.
    pub(crate) context: String,
}

/// What a command gave.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

/// Plays every scene; says all that differs from the golden files.
pub(crate) fn play(stage: &Stage<'_>) -> Result<(), String> {
    std::fs::write(stage.dir.join("waits.md"), scenes::WAITS).map_err(|error| error.to_string())?;
    std::fs::write(stage.dir.join("broken.md"), scenes::BROKEN).map_err(|error| error.to_string())?;
    let mut differ = Vec::new();
    for scene in SCENES {
        match stage.scene(scene.lines) {
            Ok(said) => differ.extend(files::compare(stage.place, scene.name, &said).err()),
            // Those after it would find the fleet as it should not be.
            Err(why) => {
                differ.push(format!("scene {} broke off: {why}", scene.name));
                break;
            }
        }
    }
    differ.extend(files::strays(stage.place, SCENES.iter().map(|scene| scene.name)));
    if differ.is_empty() {
        return Ok(());
    }
    Err(format!("{}\nif that is as it should be: CHATCTL_GOLDEN=write writes the files anew", differ.join("\n")))
}

/// A command that runs; ends when dropped.
struct Running(Child);

impl Running {
    /// Waits for its end. One that does not end in time is killed, and named.
    fn end(mut self, name: &str, deadline: Duration) -> Result<Ran, String> {
        let (out, err) = (reading(self.0.stdout.take()), reading(self.0.stderr.take()));
        let began = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().map_err(|error| error.to_string())? {
                let text = |read: JoinHandle<String>| read.join().map_err(|_| format!("{name}: cannot be read"));
                return Ok(Ran { code: status.code().unwrap_or(-1), out: text(out)?, err: text(err)? });
            }
            if began.elapsed() >= deadline {
                return Err(format!("`{name}` had not ended after {} s and was killed", deadline.as_secs()));
            }
            thread::sleep(LOOK_AT_END);
        }
    }
}

/// Reads what a command says while it runs: one whose pipe is full would wait for ever.
fn reading(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was said before it breaks is said.
        let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Stage<'_> {
    /// What is said in a scene, normalised.
    fn scene(&self, lines: &[Line]) -> Result<String, String> {
        let mut behind = Vec::new();
        let mut said = String::new();
        // A fleet of processes has a name of its own; what is said of it is said of `dev`, too.
        let normal = Normal::new(&[(&self.dir.display().to_string(), "DIR"), (&self.context, "dev")]);
        for line in lines {
            match line {
                Line::Say(text) => said += &transcript(text, &self.run(text)?, &normal),
                Line::Until(text) => self.until(text)?,
                Line::Behind(text) => {
                    let mut command = self.command(&self.args(text)?);
                    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
                    behind.push(Running(command.spawn().map_err(|error| error.to_string())?));
                }
            }
        }
        Ok(said)
    }

    fn command(&self, args: &[String]) -> Command {
        let mut command = (self.chatctl)();
        for name in ["CHATCTL_CONTEXT", "CHATCTL_ADMIN_TOKEN", "CHATCTL_SERVICE_TOKEN", "CHATCTL_JWT_SECRET"] {
            command.env_remove(name);
        }
        command.args(args).stdin(Stdio::null());
        command
    }

    fn run(&self, text: &str) -> Result<Ran, String> {
        self.run_args(&self.args(text)?)
    }

    fn run_args(&self, args: &[String]) -> Result<Ran, String> {
        let mut command = self.command(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let running = Running(command.spawn().map_err(|error| error.to_string())?);
        running.end(&format!("chatctl {}", args.join(" ")), DEADLINE)
    }

    /// Runs a command until it succeeds.
    fn until(&self, text: &str) -> Result<(), String> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let why = match self.run(text) {
                Ok(ran) if ran.code == 0 => return Ok(()),
                Ok(ran) => ran.err,
                Err(why) => why,
            };
            if Instant::now() >= deadline {
                return Err(format!("not within {} s: {text}: {why}", DEADLINE.as_secs()));
            }
            thread::sleep(LOOK);
        }
    }

    /// The words of a command line; `{operation}` and the like are the newest of their kind.
    fn args(&self, text: &str) -> Result<Vec<String>, String> {
        let newest = [
            ("{operation}", "operation list --limit 1 -o json", "/0/id"),
            ("{run}", "runbook history -o json", "/0/id"),
            ("{override}", "override list --all -o json", "/0/id"),
            ("{incident}", "incident list --all -o json", "/0/id"),
            // The oldest is the one of the configuration.
            ("{token}", "token list -o json", "/1/id"),
        ];
        let mut text = text.replace("{dir}", &self.dir.display().to_string()).replace("{context}", &self.context);
        for (name, list, id) in newest {
            if text.contains(name) {
                let ran = self.run(list)?;
                let list: Value = serde_json::from_str(&ran.out).map_err(|error| format!("{list}: {error}"))?;
                let id = list.pointer(id).and_then(Value::as_str).ok_or_else(|| format!("there is no {name}"))?;
                text = text.replace(name, id);
            }
        }
        shlex::split(&text).ok_or_else(|| format!("{text} is no command line"))
    }
}

/// The steps of a rollout, a line each: two nodes' steps are said at once when they are seen at once, and whether a node
/// is waited for depends on how fast it was.
fn steps(text: &str) -> String {
    let lines = text.lines().flat_map(|line| line.split("; ")).filter(|step| !step.ends_with("it is waited for"));
    lines.map(|step| format!("{step}\n")).collect()
}

/// A command and what it said, as the files have it: what went to stderr is behind `!`.
fn transcript(text: &str, ran: &Ran, normal: &Normal) -> String {
    let out = match shape::Format::of(text) {
        // An error leaves no document.
        Some(format) if !ran.out.is_empty() => shape::shape(format, &ran.out),
        _ if text.starts_with("rollout") => table::normal(&steps(&ran.out), normal),
        _ => table::normal(&ran.out, normal),
    };
    // A step of a runbook is seen to go on only when somebody looks while it does.
    let err = ran.err.lines().filter(|line| !line.starts_with("  ...  "));
    let err: Vec<_> = err.map(|line| format!("! {}", normal.line(line)).trim_end().to_owned()).collect();
    let mut parts = vec![format!("$ chatctl {text}"), out.trim_end().to_owned(), err.join("\n")];
    parts.retain(|part| !part.is_empty());
    format!("{}\nexit {}\n\n", parts.join("\n"), ran.code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_a_command_that_does_not_end_is_killed_and_named() {
        let sleeping = Command::new("sleep").arg("600").stdout(Stdio::piped()).spawn().unwrap();
        let why = Running(sleeping).end("chatctl ui", Duration::from_millis(50)).err();
        assert_eq!(why.as_deref(), Some("`chatctl ui` had not ended after 0 s and was killed"));
    }
}
