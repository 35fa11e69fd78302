use crate::support::Fleet;

#[tokio::test(flavor = "multi_thread")]
async fn list_and_show_in_every_format() {
    let fleet = Fleet::pair(false).await;
    let table = "\
GATEWAY  STATUS  PHASE   CONNECTIONS  CAPACITY  OPERATION  TROUBLE
gw-1     live    active  120          1000      -          -
gw-2     live    active  40           1000      -          -
";
    assert_eq!(fleet.ok(&["gateway", "list"]).await, table);
    let wide = fleet.ok(&["gateway", "show", "gw-1", "-o", "wide"]).await;
    assert!(wide.contains("ZONE") && wide.contains("ws://gw-1/v1/ws"), "{wide}");
    let json: serde_json::Value = serde_json::from_str(&fleet.ok(&["-o", "json", "gateway", "list"]).await).unwrap();
    assert_eq!((&json[0]["id"], &json[0]["connections"]), (&"gw-1".into(), &120.into()));
    let yaml = fleet.ok(&["gateway", "show", "gw-2", "-o", "yaml"]).await;
    assert!(yaml.starts_with("id: gw-2\nstatus: live\nphase: active\nconnections: 40\n"), "{yaml}");
    let nodes = "\
NODE  ROLE     STATUS  DESIRED  ACKED  LAG       FANOUT  TROUBLE
gw-1  gateway  live    0        0      0 / 0 ms  -       -
gw-2  gateway  live    0        0      0 / 0 ms  -       -
";
    assert_eq!(fleet.ok(&["node", "list"]).await, nodes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_is_watched_to_its_end_and_undone() {
    let fleet = Fleet::pair(false).await;
    let dry = fleet.ok(&["gateway", "drain", "gw-1", "--dry-run", "--deadline", "10s"]).await;
    let plan = "drain gw-1: move 120 connections within 10.0 s, at most 100/s; \
                1 other gateway would have 160 of 1,000 connections";
    assert_eq!(dry, format!("dry run: {plan}\n"));

    let unconfirmed = fleet.run(&["gateway", "drain", "gw-1", "--deadline", "10s"]).await;
    assert_eq!(unconfirmed.code, 3);
    assert_eq!(unconfirmed.err, format!("error: not confirmed: {plan}\nhint: --yes overrides this\n"));

    let drain = fleet.ok(&["gateway", "drain", "gw-1", "--yes", "--wait", "-o", "json", "--reason", "update"]).await;
    let events: Vec<serde_json::Value> = drain.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&events[0]["phase"], &events[0]["sequence"]), (&"ordered".into(), &1.into()));
    assert_eq!(events.last().unwrap()["state"], "succeeded");
    let shown = fleet.ok(&["gateway", "show", "gw-1"]).await;
    assert!(shown.contains("drained  0            1000      op-1-xxxx"), "{shown}");

    let again = fleet.run(&["gateway", "drain", "gw-1", "--yes", "--wait"]).await;
    let already = "gateway gw-1 is drained already, by op-1-xxxx: nothing to do\n";
    assert_eq!((again.code, again.err.as_str()), (0, already));
    let again = fleet.ok(&["gateway", "drain", "gw-1", "--yes", "-o", "json"]).await;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&again).unwrap()["already"], already.trim_end());
    let undrain = fleet.ok(&["gateway", "undrain", "gw-1", "--wait"]).await;
    assert_eq!(undrain.lines().last(), Some("gw-1 accepts connections"));
    let again = fleet.run(&["gateway", "undrain", "gw-1"]).await;
    assert_eq!((again.code, again.err.as_str()), (0, "gateway gw-1 is not drained: nothing to do\n"));
    assert!(again.out.contains("undrain  gw-1    succeeded"), "{again:?}");
}
