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
    let busy = fleet.run(&["gateway", "drain", "gw-1", "--yes"]).await;
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
    assert_eq!(fleet.run(&["operation", "cancel", &id]).await.code, 3);
}
