//! Data directories that are none, and a fleet that finds everything again.

use chatfleet_fleet::{FleetError, LocalFleet};

use crate::support::options;

async fn refused(data: &std::path::Path) -> String {
    match LocalFleet::start(options(1, Some(data.to_owned()))).await {
        Ok(_) => panic!("the fleet started on {}", data.display()),
        Err(error) => error.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_directory_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("thesis.doc"), "years of work").unwrap();
    let said = refused(dir.path()).await;
    assert!(said.contains("is not chatfleet's") && said.contains(&dir.path().display().to_string()), "{said}");
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["thesis.doc"], "nothing was added");

    let file = dir.path().join("thesis.doc");
    let said = refused(&file).await;
    assert!(said.contains("cannot be used") && said.contains("thesis.doc"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_of_another_version_or_in_use_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let fleet = LocalFleet::start(options(1, Some(data.clone()))).await.unwrap();
    let said = refused(&data).await;
    assert!(said.contains("in use by another process"), "{said}");
    fleet.shutdown().await;
    std::fs::write(data.join("FORMAT"), "chatfleet data 99\n").unwrap();
    let said = refused(&data).await;
    assert!(said.contains("FORMAT"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn corrupt_stores_are_named_and_not_started_on() {
    for (file, expected) in [
        ("directory.sqlite", "conversation directory"),
        ("control.sqlite", "control-plane"),
        ("secrets.json", "secrets"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        LocalFleet::start(options(1, Some(data.clone()))).await.unwrap().shutdown().await;
        for stale in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(data.join(format!("{file}{stale}")));
        }
        std::fs::write(data.join(file), [b"garbage ".as_slice(); 1_000].concat()).unwrap();
        let said = refused(&data).await;
        assert!(said.contains(expected), "{file}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_is_said_before_anything_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut options = options(1, Some(data.clone()));
    options.port = port;
    let said = LocalFleet::start(options).await.map(|_| ()).unwrap_err();
    assert!(matches!(said, FleetError::Listen(_)), "{said}");
    assert!(said.to_string().contains(&format!("port {port}")), "{said}");
    assert!(!data.exists());
}
