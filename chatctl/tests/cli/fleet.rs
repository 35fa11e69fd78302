use crate::support::chatctl_in;

const FILE: &str = r#"
name = "nobody-started-this"
[stores]
[control_plane]
[[gateways]]
id = "gw-1"
listen = "127.0.0.1:7401"
[[workers]]
id = "worker-1"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn only_a_fleet_that_runs_is_scaled() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("fleet.toml");
    std::fs::write(&file, FILE).unwrap();
    let scale = ["fleet", "scale", "-f", file.to_str().unwrap()];
    let ran = chatctl_in(home.path(), &[&scale[..], &["gateways", "2", "up"]].concat()).await;
    assert_eq!(ran.code, 4);
    assert_eq!(ran.err, "error: fleet nobody-started-this does not run\nhint: chatctl fleet up -f FILE starts it\n");
    for odd in [&["gateways"][..], &["gateways", "-1"], &["gateways", "2", "sideways"], &["planes", "2"]] {
        assert_eq!(chatctl_in(home.path(), &[&scale[..], odd].concat()).await.code, 2, "{odd:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn control_planes_that_cannot_share_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("fleet.toml");
    let plane = "[[control_planes]]\nid = \"c\"\n";
    std::fs::write(&file, format!("{FILE}{plane}{plane}")).unwrap();
    let ran = chatctl_in(home.path(), &["fleet", "up", "-f", file.to_str().unwrap()]).await;
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("several control planes share their state: set store.url"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_programs_of_a_fleet_that_nobody_started_are_down() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("fleet.toml");
    std::fs::write(&file, FILE).unwrap();
    let status = ["fleet", "status", "-f", file.to_str().unwrap()];
    let ran = chatctl_in(home.path(), &status).await;
    let table = "\
NAME           PROGRAM             STATE  PID
control-plane  chat-control-plane  down   -
worker-1       chat-worker         down   -
gw-1           chat-gateway        down   -
";
    assert_eq!((ran.code, ran.out.as_str()), (0, table), "{}", ran.err);
    let json = chatctl_in(home.path(), &[&status[..], &["-o", "json"]].concat()).await;
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((&json[2]["name"], &json[2]["state"]), (&"gw-1".into(), &"down".into()), "{json}");
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_whose_supervisor_was_killed_are_named_and_ended() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("fleet.toml");
    std::fs::write(&file, FILE).unwrap();
    let fleet = async |verb: &str| chatctl_in(home.path(), &["fleet", verb, "-f", file.to_str().unwrap()]).await;
    let mut left = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    keep_pid(&home.path().join("share/chatctl/fleet/nobody-started-this"), "gw-1", left.id());

    let up = fleet("up").await;
    let named = format!("gw-1 (process {})", left.id());
    assert_eq!(up.code, 3, "{up:?}");
    assert!(up.err.contains("run without their supervisor, which was killed: ") && up.err.contains(&named), "{up:?}");
    assert!(up.err.contains("hint: chatctl fleet down -f FILE ends them"), "{up:?}");

    let down = fleet("down").await;
    assert_eq!((down.code, down.out.as_str()), (0, "fleet nobody-started-this is down\n"), "{down:?}");
    assert!(down.err.contains(&named), "{down:?}");
    assert!(!left.wait().unwrap().success(), "it was ended by a signal");
    assert_eq!(fleet("down").await.code, 4, "nothing is left");
}

/// As the supervisor keeps it: the process, and when that was started.
fn keep_pid(dir: &std::path::Path, name: &str, pid: u32) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let started = stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap();
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join(format!("{name}.pid")), format!("{pid} {started}\n")).unwrap();
}
