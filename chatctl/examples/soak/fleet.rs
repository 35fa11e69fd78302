//! A fleet of processes on the real stack, and loads on it.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc::channel,
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde_json::Value;

/// Nothing that is waited for may take longer, but a load.
const DEADLINE: Duration = Duration::from_secs(120);
/// A load may stand still for so long at its end: Cassandra, killed on a busy machine, served again after 77 and 107 s, and
/// a checker that gives up before cannot tell what waits from what is lost.
const PATIENCE: Duration = Duration::from_secs(180);
/// And take so long in all, beside the time that it sends.
const LOAD_DEADLINE: Duration = Duration::from_secs(360);
const LOOK: Duration = Duration::from_millis(200);

/// How a load ended.
#[derive(Debug, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) holds: bool,
    pub(crate) accepted: u64,
    pub(crate) lost: u64,
    pub(crate) shown_twice: u64,
    pub(crate) out_of_order: u64,
    pub(crate) latency: Latency,
    #[serde(skip)]
    pub(crate) violations: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Latency {
    pub(crate) max_ms: u64,
}

/// A running fleet with topics, tables and keys of its own.
pub(crate) struct Fleet {
    chatctl: PathBuf,
    stack: PathBuf,
    home: PathBuf,
    file: PathBuf,
    supervisor: Child,
    /// There are three Cassandra nodes.
    pub(crate) has_ring: bool,
}

impl Fleet {
    /// Starts it; ready when it returns. `edit` changes what deploy/local/fleet.toml says.
    pub(crate) fn up(kind: &str, edit: impl Fn(&str) -> String) -> Result<Self, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let stack = root.join("deploy/local/stack");
        let me = std::env::current_exe().map_err(|error| error.to_string())?;
        // target/PROFILE/examples/NAME
        let chatctl = me.parent().and_then(Path::parent).ok_or("cannot find chatctl")?.join("chatctl");
        let name = format!("{kind}-{}", std::process::id());
        let home = std::env::temp_dir().join(&name);
        fs::create_dir_all(&home).map_err(|error| error.to_string())?;
        let database = name.replace('-', "_");
        run(Command::new(&stack).args(["sql", &format!("create database {database}")]))?;
        let text = fs::read_to_string(root.join("deploy/local/fleet.toml")).map_err(|error| error.to_string())?;
        let has_ring = has_ring(&stack)?;
        let nodes = cassandra_nodes(has_ring);
        let text = text
            .replace("name = \"local\"", &format!("name = \"{name}\""))
            .replace(":13306/chat", &format!(":13306/{database}"))
            .replace("127.0.0.1:76", "127.0.0.1:78")
            .replace("127.0.0.1:77", "127.0.0.1:79")
            .replace("nodes = \"127.0.0.1:19042\"\nreplication = 1", &nodes);
        let file = home.join("fleet.toml");
        fs::write(&file, edit(&text)).map_err(|error| error.to_string())?;
        let log = File::create(home.join("supervisor.log")).map_err(|error| error.to_string())?;
        let mut command = Command::new(&chatctl);
        command
            .args(["-v", "-v", "fleet", "up", "-f"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let supervisor = at_home(&mut command, &home).spawn().map_err(|error| format!("{chatctl:?}: {error}"))?;
        let fleet = Self { chatctl, stack, home, file, supervisor, has_ring };
        fleet.wait_ready()?;
        Ok(fleet)
    }

    /// Waits until every node of the file is live without trouble, and there are no others.
    pub(crate) fn wait_ready(&self) -> Result<(), String> {
        self.wait_nodes(6)
    }

    /// Waits until there are so many nodes, all of them live without trouble. Else the error says what each is like.
    pub(crate) fn wait_nodes(&self, count: usize) -> Result<(), String> {
        let waited = until(&format!("there are {count} nodes, and they are well"), || {
            let nodes = self.json(&["node", "list"]).ok()?;
            let nodes = nodes.as_array()?;
            let well = |node: &Value| node["status"] == "live" && node["trouble"] == "";
            (nodes.len() == count && nodes.iter().all(well)).then_some(())
        });
        let seen = || run(&mut self.command(&["node", "list"])).unwrap_or_else(|why| why);
        waited.map_err(|why| format!("{why}\n{}\nThe logs are in {}", seen(), self.logs().display()))
    }

    /// A command of chatctl, with its context.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.chatctl);
        command.args(args).stdin(Stdio::null());
        at_home(&mut command, &self.home);
        command
    }

    /// What a command of chatctl says.
    pub(crate) fn json(&self, args: &[&str]) -> Result<Value, String> {
        let output = run(self.command(args).args(["-o", "json"]))?;
        // What follows an operation says a line for each event.
        let last = output.lines().last().unwrap_or_default();
        serde_json::from_str(&output).or_else(|_| serde_json::from_str(last)).map_err(|error| error.to_string())
    }

    /// A verb of `chatctl fleet`, for this one.
    pub(crate) fn verb(&self, verb: &str, args: &[&str]) -> Result<Value, String> {
        self.json(&[&["fleet", verb, "-f", &self.file.display().to_string()], args].concat())
    }

    /// The process of a program.
    pub(crate) fn pid(&self, name: &str) -> Result<String, String> {
        until(&format!("{name} runs"), || {
            let all = self.verb("status", &[]).ok()?;
            all.as_array()?.iter().find(|one| one["name"] == name)?["pid"].as_u64().map(|pid| pid.to_string())
        })
    }

    /// Sends a signal to a program.
    pub(crate) fn signal(&self, name: &str, signal: &str) -> Result<(), String> {
        run(Command::new("kill").arg(format!("-{signal}")).arg(self.pid(name)?)).map(drop)
    }

    /// A command of the real stack.
    pub(crate) fn stack(&self, args: &[&str]) -> Result<(), String> {
        run(Command::new(&self.stack).args(args)).map(drop)
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.home.join("data/chatctl/fleet")
    }

    /// Removes its files, once all went well.
    pub(crate) fn remove(self) {
        let home = self.home.clone();
        drop(self);
        let _ = fs::remove_dir_all(home);
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = run(Command::new("kill").arg("-TERM").arg(self.supervisor.id().to_string()));
        let _ = self.supervisor.wait();
    }
}

fn at_home<'a>(command: &'a mut Command, home: &Path) -> &'a mut Command {
    command.env("XDG_DATA_HOME", home.join("data")).env("XDG_CONFIG_HOME", home.join("config")).env_remove("RUST_LOG")
}

fn has_ring(stack: &Path) -> Result<bool, String> {
    Ok(run(Command::new(stack).arg("env"))?.contains("CHATFLEET_CASSANDRA_REPLICATION=3"))
}

fn cassandra_nodes(has_ring: bool) -> String {
    let (nodes, replication) = match has_ring {
        true => ("127.0.0.1:19042,127.0.0.2:19042,127.0.0.3:19042", 3),
        false => ("127.0.0.1:19042", 1),
    };
    format!("nodes = \"{nodes}\"\nreplication = {replication}")
}

/// Runs a command to its end; gives its output.
fn run(command: &mut Command) -> Result<String, String> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
    let output = ended(child, DEADLINE).map_err(|why| format!("{command:?}: {why}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

/// Waits for the end of a program; one that hangs is killed.
fn ended(child: Child, deadline: Duration) -> Result<Output, String> {
    let pid = child.id().to_string();
    let (done, end) = channel();
    let waiting = std::thread::spawn(move || done.send(child.wait_with_output()));
    let output = end.recv_timeout(deadline);
    if output.is_err() {
        let _ = Command::new("kill").args(["-KILL", &pid]).status();
    }
    let _ = waiting.join();
    match output {
        Ok(output) => output.map_err(|error| error.to_string()),
        Err(_) => Err(format!("it did not end within {} s", deadline.as_secs())),
    }
}

/// Waits until it is so.
pub(crate) fn until<T>(what: &str, so: impl Fn() -> Option<T>) -> Result<T, String> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = so() {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            return Err(format!("not within {} s: {what}", DEADLINE.as_secs()));
        }
        std::thread::sleep(LOOK);
    }
}

/// Clients that talk, in a process of their own.
pub(crate) struct Load {
    process: Child,
    deadline: Duration,
}

impl Load {
    pub(crate) fn synthetic(fleet: &Fleet, clients: u32, rate: u32, seconds: u64, seed: u32) -> Result<Self, String> {
        let (clients, rate, seed) = (clients.to_string(), rate.to_string(), seed.to_string());
        let duration = format!("{seconds}s");
        let args = ["swarm", "run", "--clients", &clients, "--rate", &rate, "--duration", &duration, "--seed", &seed];
        Self::start(fleet, &args, LOAD_DEADLINE + Duration::from_secs(seconds))
    }

    pub(crate) fn replay(fleet: &Fleet, log: &Path) -> Result<Self, String> {
        Self::start(fleet, &["swarm", "replay", &log.display().to_string(), "--speed", "4000"], LOAD_DEADLINE)
    }

    fn start(fleet: &Fleet, args: &[&str], deadline: Duration) -> Result<Self, String> {
        let mut command = fleet.command(args);
        command.args(["--patience", &format!("{}s", PATIENCE.as_secs()), "-o", "json"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().map(|process| Self { process, deadline }).map_err(|error| error.to_string())
    }

    /// Waits for its end; gives what the checker said.
    pub(crate) fn finish(self) -> Result<Outcome, String> {
        let output = ended(self.process, self.deadline)?;
        let text = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        let last = text.lines().last().ok_or_else(|| format!("a load said nothing: {stderr}"))?;
        let parsed: Result<Outcome, _> = serde_json::from_str(last);
        let mut outcome = parsed.map_err(|error| format!("{error}: {last} {stderr}"))?;
        outcome.violations = stderr.lines().map(str::to_owned).collect();
        Ok(outcome)
    }
}
