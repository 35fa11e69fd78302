//! Servers of a test's own, to be paused, stopped and joined to a cluster.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use ::redis::{Client, RedisResult, aio::MultiplexedConnection, cmd};
use tokio::time::{Duration, sleep, timeout};

use crate::real;

/// What a test waits for at most.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

pub(super) async fn connect(url: &str) -> MultiplexedConnection {
    Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()
}

/// Waits until it is so.
pub(super) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let so = async {
        while !is_so().await {
            sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(timeout(DEADLINE, so).await.is_ok(), "{what}: not within {DEADLINE:?}");
}

/// A server with nothing in it. Ends with this.
pub(super) struct Server {
    pub(super) port: u16,
    program: String,
    options: Vec<String>,
    dir: tempfile::TempDir,
    child: Option<Child>,
}

impl Server {
    /// One that is not running yet. `None`, said loudly, when there is no program.
    pub(super) fn new(options: &[&str]) -> Option<Self> {
        let program = real::address("CHATFLEET_REDIS_SERVER")?;
        // Free a moment ago; nobody else asks for ports of a range that the system chose from.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        Some(Self { port, program, options, dir: tempfile::tempdir().unwrap(), child: None })
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Starts it and waits until it answers.
    pub(super) async fn start(&mut self) {
        let mut command = Command::new(&self.program);
        // A program that was unpacked and not installed brings its libraries.
        if let Some(libraries) = std::env::var_os("CHATFLEET_REDIS_LIBRARIES") {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.arg("--dir").arg(self.dir.path()).args(&self.options).stdout(Stdio::null());
        self.child = Some(command.spawn().unwrap());
        until("a server answers", async || self.ask::<::redis::Value>(&["PING"]).await.is_ok()).await;
    }

    /// Asks it something.
    pub(super) async fn ask<T: ::redis::FromRedisValue>(&self, command: &[&str]) -> RedisResult<T> {
        let mut connection = Client::open(self.url())?.get_multiplexed_async_connection().await?;
        cmd(command[0]).arg(&command[1..]).query_async(&mut connection).await
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().unwrap().id();
        let kill = Command::new("sh").arg("-c").arg(format!("kill -{signal} {pid}")).status().unwrap();
        assert!(kill.success());
    }

    /// It stays connected and answers nobody.
    pub(super) fn pause(&self) {
        self.signal("STOP");
    }

    pub(super) fn resume(&self) {
        self.signal("CONT");
    }

    /// As a power cut does.
    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
