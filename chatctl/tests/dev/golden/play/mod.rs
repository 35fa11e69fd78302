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
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use self::normal::Normal;
pub(crate) use self::{
    files::Place,
    scenes::{Line, SCENES},
};

/// Nothing that is waited for may take longer.
const DEADLINE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(200);

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

/// A command that goes on behind the others; ends when dropped.
struct Behind(Child);

impl Drop for Behind {
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
                    behind.push(Behind(command.spawn().map_err(|error| error.to_string())?));
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
        let output = self.command(args).output().map_err(|error| error.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Ran { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) })
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
            std::thread::sleep(LOOK);
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
