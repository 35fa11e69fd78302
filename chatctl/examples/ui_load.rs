//! What the terminal UI costs on a large fleet: `cargo run --release -p chatctl --example ui_load`. Serves a control plane
//! with 500 gateways whose figures change each second, runs chatctl in a terminal of 200x50, and prints its processor
//! share, its memory, and the time from a key to the screen.

#![allow(clippy::unwrap_used)] // A measurement that fails may as well panic.
// Another process in real time.
#![allow(clippy::disallowed_methods)]

use std::{
    io::{Read as _, Write as _},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use axum::{Json, Router, routing::get};
use clap::Parser;
use parking_lot::Mutex;
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use protocol::admin::{
    ConsistencyNow, Gateway, GatewayPhase, Light, LightState, Mode, NodeStatus, Overview, Point, Role, WhoAmI,
};
use serde_json::{Value, json};

/// Measures the terminal UI.
#[derive(Parser)]
struct Options {
    /// Gateways of the fleet.
    #[arg(long, default_value_t = 500)]
    gateways: u64,
    /// How long each pane is watched, s.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// The program [default: chatctl beside this one].
    #[arg(long)]
    chatctl: Option<PathBuf>,
}

/// The first line of the screen on which a row of a table may be.
const TABLE_TOP: u16 = 4;

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

fn gateways(count: u64) -> Vec<Gateway> {
    let second = now_ms() / 1_000;
    let gateway = |number: u64| {
        // Other figures each second, the same within one.
        let connections = 20_000 + (number * 7_919 + second * 104_729) % 20_000;
        Gateway {
            id: format!("gw-{number}"),
            status: if number.is_multiple_of(97) { NodeStatus::Lost } else { NodeStatus::Live },
            phase: GatewayPhase::Active,
            operation: None,
            connections,
            capacity: 50_000,
            users: connections,
            zone: format!("zone-{}", number % 3),
            client_url: format!("ws://10.0.0.1:{number}"),
            http_url: format!("http://10.0.0.1:{number}"),
            trouble: String::new(),
            accepted_total: second * number,
            delivered_total: second * number * 7,
            refused_total: 0,
            slow_consumers_total: 0,
        }
    };
    (1..=count).map(gateway).collect()
}

fn overview(count: u64) -> Overview {
    let now = now_ms();
    let point = |ago_s: u64| Point {
        at_ms: now - ago_s * 1_000,
        connections: 15_000_000 + (now / 1_000 - ago_s) % 1_000,
        messages_per_s: ((now / 1_000 - ago_s) % 400 + 90_000) as f64,
        deliveries_per_s: 900_000.0,
        delivery_p99_ms: 12 + (now / 1_000 - ago_s) % 9,
        lag_records: (now / 1_000 - ago_s) % 700,
        lag_ms: 0,
        write_p99_ms: 8,
    };
    let light = |mode| Light {
        mode,
        state: LightState::Good,
        figure: "figure".into(),
        value: (now / 1_000 % 50) as f64,
        unit: "ms".into(),
        threshold: 100.0,
        incident: None,
    };
    Overview {
        at_ms: now,
        gateways_live: count,
        gateways_lost: 0,
        workers_live: 40,
        workers_lost: 0,
        users: 15_000_000,
        capacity: 25_000_000,
        now: point(0),
        history: (0..180).rev().map(|n| point(n * 5)).collect(),
        lights: vec![
            light(Mode::GatewayCrash),
            light(Mode::LostAck),
            light(Mode::PresenceStorm),
            light(Mode::WriteTimeouts),
            light(Mode::SplitBrain),
            light(Mode::FanoutDelay),
        ],
        incidents_open: 0,
        operations_running: 0,
        overrides: Vec::new(),
        consistency: ConsistencyNow { level: "LOCAL_QUORUM".into(), override_id: None, left_ms: 0 },
        troubles: Vec::new(),
    }
}

fn page(items: impl serde::Serialize) -> Json<Value> {
    Json(json!({ "items": items, "next": null }))
}

/// A control plane as the UI sees it.
async fn serve(count: u64) -> String {
    let whoami = async || Json(WhoAmI { name: "ann".into(), role: Role::Operator, expires_ms: None });
    let routes = Router::new()
        .route("/v1/whoami", get(whoami))
        .route("/v1/overview", get(async move || Json(overview(count))))
        .route("/v1/gateways", get(async move || page(gateways(count))));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

/// Processor time of a process so far, s.
fn cpu_s(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let times = stat.rsplit_once(')').unwrap().1.split_whitespace().skip(11).take(2);
    times.map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

/// Most memory that it had, MiB.
fn peak_mib(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1_024.0
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let options = Options::parse();
    let url = serve(options.gateways).await;
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("chatctl");
    std::fs::create_dir_all(&config).unwrap();
    let context = format!("current = \"large\"\n[contexts.large]\ncontrol_plane = \"{url}\"\nadmin_token = \"x\"\n");
    std::fs::write(config.join("config.toml"), context).unwrap();

    let size = PtySize { rows: 50, cols: 200, pixel_width: 0, pixel_height: 0 };
    let pair = native_pty_system().openpty(size).unwrap();
    let beside = std::env::current_exe().unwrap().parent().unwrap().join("../chatctl");
    let mut command = CommandBuilder::new(options.chatctl.clone().unwrap_or(beside));
    command.env("XDG_CONFIG_HOME", home.path());
    command.env("TERM", "xterm-256color");
    let mut child = pair.slave.spawn_command(command).unwrap();
    let pid = child.process_id().unwrap();
    let mut output = pair.master.try_clone_reader().unwrap();
    let (rows, columns) = (size.rows.try_into().unwrap(), size.cols.try_into().unwrap());
    let screen = Arc::new(Mutex::new(vt100::Parser::new(rows, columns, 0)));
    let shown = screen.clone();
    std::thread::spawn(move || {
        let mut bytes = [0; 65_536];
        while let Ok(n @ 1..) = output.read(&mut bytes) {
            shown.lock().process(&bytes[..n]);
        }
    });
    let mut keys = pair.master.take_writer().unwrap();
    let mut press = |key: &str| {
        keys.write_all(key.as_bytes()).unwrap();
        keys.flush().unwrap();
    };
    let until = async |wanted: &str| {
        let began = Instant::now();
        while !screen.lock().screen().contents().contains(wanted) {
            assert!(began.elapsed() < Duration::from_secs(20), "{wanted:?}: {}", screen.lock().screen().contents());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    until("users 15,000,000").await;
    for (pane, key, wanted) in [("overview", "1", "failure modes"), ("gateways", "2", "gateways (500)")] {
        press(key);
        if options.gateways == 500 {
            until(wanted).await;
        }
        let (began, before) = (Instant::now(), cpu_s(pid));
        tokio::time::sleep(Duration::from_secs(options.seconds)).await;
        let share = (cpu_s(pid) - before) / began.elapsed().as_secs_f64() * 100.0;
        println!("{pane:<10} {share:>5.1}% of a core");
    }
    // Figures change by themselves; the row that is chosen only by a key.
    let chosen = || {
        let screen = screen.lock();
        let is_chosen = |row: &u16| screen.screen().cell(*row, 2).is_some_and(vt100::Cell::inverse);
        (TABLE_TOP..size.rows).find(is_chosen)
    };
    assert!(chosen().is_some(), "no row is chosen: {}", screen.lock().screen().contents());
    let mut times: Vec<f64> = Vec::new();
    for n in 0..50 {
        let before = chosen();
        let began = Instant::now();
        press(if n % 20 < 10 { "j" } else { "k" });
        while chosen() == before {
            assert!(began.elapsed() < Duration::from_secs(5), "a key changes nothing");
            std::thread::sleep(Duration::from_millis(1));
        }
        times.push(began.elapsed().as_secs_f64() * 1_000.0);
        tokio::time::sleep(Duration::from_millis(130)).await;
    }
    times.sort_by(f64::total_cmp);
    println!(
        "key to screen: p50 {:.0} ms, most {:.0} ms of {}",
        times[times.len() / 2],
        times[times.len() - 1],
        times.len()
    );
    println!("memory: {:.0} MiB at most", peak_mib(pid));
    press("q");
    child.wait().unwrap();
}
