//! Starts real processes, and waits for what they say.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    sync::Mutex,
    time::{Instant, sleep, timeout},
};

/// Nothing a test waits for may take longer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// Held by tests that keep both cores busy: beside each other they would measure each other's patience.
pub(crate) static BUSY: Mutex<()> = Mutex::const_new(());

/// A config directory, a data directory and whatever else a run leaves.
pub(crate) struct Home(tempfile::TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chatctl"));
        command.args(args).stdin(Stdio::null()).kill_on_drop(true);
        command.env("XDG_CONFIG_HOME", self.path("config")).env("XDG_DATA_HOME", self.path("share"));
        for name in
            ["CHATCTL_CONTEXT", "CHATCTL_ADMIN_TOKEN", "CHATCTL_SERVICE_TOKEN", "CHATCTL_JWT_SECRET", "RUST_LOG"]
        {
            command.env_remove(name);
        }
        command
    }

    /// Runs the program to its end, with this on stdin.
    pub(crate) async fn run_with(&self, args: &[&str], input: &str) -> Ran {
        let mut command = self.command(args);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A program that does not read its input may be gone already.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        Ran::from(timeout(DEADLINE, child.wait_with_output()).await.expect("it ends").unwrap())
    }

    pub(crate) async fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, "").await
    }

    /// Runs what must succeed, and gives its output.
    pub(crate) async fn ok(&self, args: &[&str]) -> String {
        let ran = self.run(args).await;
        assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
        ran.out
    }

    /// Runs what must succeed and say JSON.
    pub(crate) async fn json(&self, args: &[&str]) -> Value {
        let mut all = args.to_vec();
        all.extend(["-o", "json"]);
        serde_json::from_str(&self.ok(&all).await).unwrap()
    }

    /// Runs it until what it says will do.
    pub(crate) async fn until(&self, args: &[&str], will_do: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let said = self.json(args).await;
            if will_do(&said) {
                return said;
            }
            assert!(Instant::now() < deadline, "{args:?} never came to that: {said}");
            sleep(Duration::from_millis(250)).await;
        }
    }

    /// Starts a fleet and waits until it is ready.
    pub(crate) async fn dev(&self, args: &[&str]) -> Dev {
        self.try_dev(args).await.unwrap_or_else(|ran| panic!("no fleet: {ran:?}"))
    }

    /// Starts a fleet that may refuse.
    pub(crate) async fn try_dev(&self, args: &[&str]) -> Result<Dev, Ran> {
        let ready_file = self.path("ready.json");
        let mut all = vec!["dev", "--ready-file", ready_file.to_str().unwrap()];
        all.extend_from_slice(args);
        let mut child = self.command(&all).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Ok(text) = std::fs::read_to_string(&ready_file)
                && let Ok(ready) = serde_json::from_str::<Value>(&text)
                && ready["pid"] == child.id().unwrap_or_default()
            {
                return Ok(Dev { child, ready, ready_file });
            }
            if child.try_wait().unwrap().is_some() {
                return Err(Ran::from(child.wait_with_output().await.unwrap()));
            }
            assert!(Instant::now() < deadline, "the fleet was never ready");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Starts a replay that tells its progress.
    pub(crate) fn replay(&self, log: &Path, speed: &str) -> Replay {
        let args = ["swarm", "replay", log.to_str().unwrap(), "--speed", speed, "-o", "json"];
        let mut child = self.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Replay { child, lines }
    }
}

/// What a run gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

/// A running fleet; killed when dropped.
pub(crate) struct Dev {
    child: Child,
    pub(crate) ready: Value,
    pub(crate) ready_file: PathBuf,
}

impl Dev {
    pub(crate) fn url(&self) -> &str {
        self.ready["control_plane"].as_str().unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        let sent = std::process::Command::new("kill").args(["-s", name, &pid]).status().unwrap();
        assert!(sent.success());
    }

    pub(crate) async fn ended(&mut self) -> ExitStatus {
        timeout(DEADLINE, self.child.wait()).await.expect("the fleet ends").unwrap()
    }

    /// Dies on the spot, as by `kill -9`.
    pub(crate) async fn kill(mut self) {
        self.child.start_kill().unwrap();
        self.ended().await;
    }
}

/// A running replay.
pub(crate) struct Replay {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Replay {
    async fn next(&mut self) -> Option<Value> {
        let line = timeout(DEADLINE, self.lines.next_line()).await.expect("the replay goes on").unwrap();
        line.map(|line| serde_json::from_str(&line).unwrap())
    }

    /// Waits until this share of the log was accepted.
    pub(crate) async fn until_share(&mut self, share: f64) {
        loop {
            let line = self.next().await.expect("the replay goes on");
            assert_eq!(line["type"], "progress", "the replay was over too soon: {line}");
            let (accepted, all) = (line["accepted"].as_f64().unwrap(), line["to_send"].as_f64());
            if all.is_some_and(|all| all > 0.0 && accepted >= share * all) {
                return;
            }
        }
    }

    /// Waits for its end: the checker must hold.
    pub(crate) async fn holds(mut self) -> Value {
        let mut last = Value::Null;
        while let Some(line) = self.next().await {
            last = line;
        }
        let ran = Ran::from(timeout(DEADLINE, self.child.wait_with_output()).await.expect("it ends").unwrap());
        assert_eq!(ran.code, 0, "{last} {ran:?}");
        assert_eq!(last["type"], "outcome");
        for nothing in ["lost", "shown_twice", "out_of_order", "violations_total", "refused", "unanswered", "stopped"] {
            assert_eq!(last[nothing], 0, "{nothing}: {last}");
        }
        assert_eq!((&last["holds"], &last["accepted"]), (&true.into(), &last["sent"]), "{last}");
        let deliveries = last["sent"].as_u64().unwrap() * last["clients"].as_u64().unwrap();
        assert_eq!(last["delivered"], deliveries, "everyone saw everything: {last}");
        last
    }
}

/// The real chat logs, beside the repository. They are not part of it: without them these tests say so and pass.
pub(crate) fn logs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/irc");
    let entries = std::fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut logs: Vec<_> = entries.filter(|path| path.extension().is_some_and(|it| it == "txt")).collect();
    logs.sort();
    if logs.is_empty() {
        eprintln!("SKIPPED: no chat logs at {}", folder.display());
    }
    logs
}
