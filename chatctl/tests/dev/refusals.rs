//! What cannot be: one line that says what is wrong and the way out.

use crate::support::{Home, Ran};

/// It ended with this code, and said one line with all of this; beside it only the log of the stores may speak.
fn said(ran: Result<crate::support::Dev, Ran>, code: i32, parts: &[&str]) {
    let Err(ran) = ran else { panic!("it started") };
    let lines: Vec<_> = ran.err.lines().filter(|line| !line.contains(" WARN ")).collect();
    assert!(ran.code == code && lines.len() == 1 && lines[0].starts_with("error: "), "{ran:?}");
    assert!(parts.iter().all(|part| ran.err.contains(part)), "{parts:?}: {ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_or_a_directory_that_another_fleet_has() {
    let home = Home::new();
    let first = home.dev(&["--port", "0"]).await;
    let other = Home::new();
    let port = first.url().rsplit(':').next().unwrap();
    said(other.try_dev(&["--ephemeral", "--port", port]).await, 1, &["is in use", "--port"]);
    said(home.try_dev(&["--port", "0"]).await, 3, &["in use by another process", "--data", "--ephemeral"]);
    assert!(first.ready_file.exists(), "a fleet that did not start leaves another's ready file alone");
    home.ok(&["gateway", "list"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_that_cannot_be_used() {
    let home = Home::new();
    let data = home.path("data");
    let data = data.to_str().unwrap();
    let dev = |sub: &str| {
        let (home, path) = (&home, format!("{data}{sub}"));
        async move { home.try_dev(&["--port", "0", "--data", &path]).await }
    };
    // Not even root writes below a file.
    std::fs::write(data, "mine").unwrap();
    said(dev("").await, 1, &["cannot be used", "--data"]);
    said(dev("/below").await, 1, &["cannot be used", "--data"]);
    std::fs::remove_file(data).unwrap();

    std::fs::create_dir(data).unwrap();
    std::fs::write(home.path("data/thesis.doc"), "mine").unwrap();
    said(dev("").await, 3, &["not chatfleet's", "--data"]);
    assert_eq!(std::fs::read_dir(data).unwrap().count(), 1, "nothing was written into it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrupt_directory() {
    let home = Home::new();
    let mut dev = home.dev(&["--port", "0"]).await;
    dev.signal("TERM");
    dev.ended().await;
    let secrets = home.path("share/chatctl/dev/secrets.json");
    let whole = std::fs::read_to_string(&secrets).unwrap();
    std::fs::write(&secrets, "{").unwrap();
    said(home.try_dev(&["--port", "0"]).await, 1, &["secrets.json", "--data"]);
    std::fs::write(&secrets, whole).unwrap();
    std::fs::write(home.path("share/chatctl/dev/directory.sqlite"), [7; 8192]).unwrap();
    said(home.try_dev(&["--port", "0"]).await, 1, &["directory", "--data"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn command_lines_that_make_no_sense() {
    let home = Home::new();
    let log = home.path("log");
    let log = log.to_str().unwrap();
    assert_eq!(home.run(&["swarm", "replay", log]).await.code, 2);
    for (text, part) in [("", "empty"), ("=== a [b] has joined #c\n", "nobody says"), ("MZ\u{0}\n", "line 1")] {
        std::fs::write(log, text).unwrap();
        let ran = home.run(&["swarm", "replay", log]).await;
        assert!(ran.code == 2 && ran.err.lines().count() == 1 && ran.err.contains(part), "{ran:?}");
    }
    assert_eq!(home.run(&["swarm", "replay", log, "--speed", "-1"]).await.code, 2);
    assert_eq!(home.run(&["swarm", "run", "--clients", "4000000000"]).await.code, 2);
    assert_eq!(home.run(&["dev", "--port", "65535"]).await.code, 2);
    assert_eq!(home.run(&["dev", "--ephemeral", "--data", log]).await.code, 2);
}
