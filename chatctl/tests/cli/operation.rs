use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Command, Stdio},
};

use crate::support::Fleet;

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_is_listed_timed_out_on_cancelled_and_watched() {
    let fleet = Fleet::pair(true).await;
    let begun = fleet.run(&["gateway", "drain", "gw-1", "--yes", "--reason", "kernel update"]).await;
    assert_eq!(begun.code, 0, "{begun:?}");
    assert_eq!(begun.err, "watch it: chatctl operation watch op-1-xxxx\n");
    let table = "\
OPERATION  KIND   TARGET  STATE    PHASE    LEFT     WHO    REASON
op-1-xxxx  drain  gw-1    running  ordered  120/120  admin  kernel update
";
    assert_eq!(begun.out, table);
    let id = fleet.operation(1).await;

    let timed_out = fleet.run(&["operation", "watch", &id, "--timeout", "300ms"]).await;
    assert_eq!(timed_out.code, 6, "{timed_out:?}");
    assert_eq!(
        timed_out.err,
        "error: op-1-xxxx has not ended in time\nhint: op-1-xxxx goes on; end it with `chatctl operation cancel op-1-xxxx`\n"
    );
    let twice = fleet.run(&["gateway", "drain", "gw-1", "--yes"]).await;
    assert_eq!((twice.code, twice.out.as_str()), (0, table));
    assert_eq!(
        twice.err,
        "gateway gw-1 is draining already, by op-1-xxxx: nothing to do\n\
         watch it: chatctl operation watch op-1-xxxx\n"
    );
    let busy = fleet.run(&["gateway", "undrain", "gw-1"]).await;
    assert_eq!(busy.code, 3);
    assert_eq!(
        busy.err,
        "error: gw-1 has a running drain: op-1-xxxx\nhint: watch it: chatctl operation watch op-1-xxxx, \
         or end it: chatctl operation cancel op-1-xxxx\n"
    );
    let listed = fleet.ok(&["operation", "list", "--state", "running"]).await;
    assert!(listed.contains("op-1-xxxx  drain  gw-1    running"), "{listed}");

    let cancelled = fleet.ok(&["operation", "cancel", &id, "--wait", "--reason", "not now"]).await;
    assert!(cancelled.contains("cancelled by admin\n"), "{cancelled}");
    assert!(cancelled.ends_with("gw-1 accepts connections again\n"), "{cancelled}");
    let watched = fleet.run(&["operation", "watch", &id]).await;
    assert_eq!((watched.code, watched.err.as_str()), (1, "error: op-1-xxxx was cancelled\n"));
    let shown = fleet.ok(&["operation", "show", &id, "-o", "json"]).await;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap()["state"], "cancelled");
    let twice = fleet.run(&["operation", "cancel", &id]).await;
    assert_eq!((twice.code, twice.err.as_str()), (0, "operation op-1-xxxx is cancelled already: nothing to do\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_the_watching_and_not_the_drain() {
    let fleet = Fleet::pair(true).await;
    fleet.ok(&["gateway", "drain", "gw-1", "--yes"]).await;
    let id = fleet.operation(1).await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_chatctl"));
    command.args(["operation", "watch", &id]).env("XDG_CONFIG_HOME", fleet.config.path());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (code, err) = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        assert_eq!(line, "drain of gw-1 ordered\n");
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (child.wait().unwrap().code(), err)
    })
    .await
    .unwrap();
    assert_eq!(code, Some(1));
    assert!(err.starts_with(&format!("error: stopped watching {id}\nhint: {id} goes on")), "{err}");
    let shown = fleet.ok(&["operation", "show", &id]).await;
    assert!(shown.contains("running"), "{shown}");
}
