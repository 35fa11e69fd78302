//! The terminal UI in a real terminal: from a fault of the message store to its incident, the runbook, the downgrade, the
//! recovery, with keys alone.

use std::{
    io::{Read as _, Write as _},
    num::NonZero,
    sync::Arc,
    thread::JoinHandle,
};

use parking_lot::Mutex;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use tokio::time::{Duration, Instant, sleep};

use crate::support::{BUSY, DEADLINE, Home};

const ROWS: NonZero<u16> = NonZero::new(30).unwrap();
const COLUMNS: NonZero<u16> = NonZero::new(110).unwrap();

/// A terminal that chatctl runs in, and what it shows.
struct Terminal {
    screen: Arc<Mutex<vt100::Parser>>,
    keys: Box<dyn std::io::Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    reader: JoinHandle<()>,
    _master: Box<dyn MasterPty + Send>,
}

impl Terminal {
    fn start(home: &Home) -> Self {
        let size = PtySize { rows: ROWS.get(), cols: COLUMNS.get(), pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_chatctl"));
        command.env("XDG_CONFIG_HOME", home.path("config"));
        command.env("XDG_DATA_HOME", home.path("share"));
        command.env("TERM", "xterm-256color");
        let child = pair.slave.spawn_command(command).unwrap();
        let mut output = pair.master.try_clone_reader().unwrap();
        let screen = Arc::new(Mutex::new(vt100::Parser::new(ROWS, COLUMNS, 0)));
        let shown = screen.clone();
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 16_384];
            // An error is the end, too: the other side is gone.
            while let Ok(n @ 1..) = output.read(&mut bytes) {
                shown.lock().process(&bytes[..n]);
            }
        });
        let keys = pair.master.take_writer().unwrap();
        Self { screen, keys, child, reader, _master: pair.master }
    }

    fn text(&self) -> String {
        self.screen.lock().screen().contents()
    }

    async fn until(&self, wanted: &str) {
        let deadline = Instant::now() + DEADLINE;
        while !self.text().contains(wanted) {
            assert!(Instant::now() < deadline, "{wanted:?} never came:\n{}", self.text());
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// The hash of the plan that is shown.
    fn plan(&self) -> String {
        let text = self.text();
        let (_, after) = text.split_once(": plan ").unwrap_or_else(|| panic!("no plan:\n{text}"));
        after.chars().take_while(char::is_ascii_hexdigit).collect()
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Quits; the terminal is as it was before.
    async fn quit(mut self) {
        self.press("q");
        let deadline = Instant::now() + DEADLINE;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "it does not quit:\n{}", self.text());
            sleep(Duration::from_millis(50)).await;
        }
        assert!(self.child.wait().unwrap().success());
        drop((self.keys, self._master));
        self.reader.join().unwrap();
        let screen = self.screen.lock();
        assert!(!screen.screen().alternate_screen() && !screen.screen().hide_cursor());
        assert_eq!(screen.screen().mouse_protocol_mode(), vt100::MouseProtocolMode::None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_fault_to_the_recovery_with_keys_alone() {
    let _busy = BUSY.lock().await;
    let home = Home::new();
    let _dev = home.dev(&["--ephemeral", "--port", "0", "--allow-faults"]).await;
    let load = ["swarm", "run", "--clients", "40", "--rate", "120", "--duration", "40s", "--seed", "9"];
    let loaded = async { home.run(&load).await };
    let steered = async {
        let mut terminal = Terminal::start(&home);
        terminal.until("users 4").await;
        let fault = ["fault", "inject", "store-errors", "messages", "70", "--for", "15s", "--reason", "drill", "--yes"];
        home.ok(&fault).await;
        terminal.until("1 incident").await;
        // From the light on the first page to the incident, and to what is to be done.
        terminal.press("jjj\r");
        terminal.until("incidents (1 of 1)").await;
        terminal.press("o");
        terminal.until("runbook write-timeouts").await;
        terminal.until("How it looks").await;
        terminal.press("r");
        terminal.until("its plan is shown before anything is done").await;
        terminal.press("\rthe store fails\r");
        terminal.until("type write-timeouts to confirm").await;
        terminal.until("chatctl consistency set one --for 15m --wait").await;
        let read = terminal.plan();
        terminal.press("write-timeouts\r");
        terminal.until("waits for somebody to type ONE").await;
        terminal.until("running     waiting").await;
        terminal.press("c");
        terminal.until("type ONE to confirm").await;
        terminal.press("ONE\r");
        // Its events are still there, and go on.
        terminal.until("every step is done").await;
        terminal.press("1");
        terminal.until("users 4").await;
        // It is over when its rule has not held for a minute, and nobody has to say so.
        terminal.press("6");
        terminal.until("  resolved").await;
        terminal.quit().await;
        read
    };
    let (load, read) = tokio::join!(loaded, steered);
    assert_eq!(load.code, 0, "{load:?}");
    assert!(load.err.contains("nothing lost, nothing shown twice, nothing out of order"), "{load:?}");
    let ledger = home.json(&["consistency", "ledger"]).await;
    assert_eq!(ledger[0]["state"], "verified", "{ledger}");
    let runs: serde_json::Value = serde_json::from_str(&home.ok(&["runbook", "history", "-o", "json"]).await).unwrap();
    let hash = runs[0]["detail"]["plan_hash"].as_str().unwrap();
    assert!(read.len() == 12 && hash.starts_with(&read), "{read} was read, {hash} ran");
    let audit = home.ok(&["audit"]).await;
    assert!(audit.contains("runbook confirm"), "{audit}");
}
