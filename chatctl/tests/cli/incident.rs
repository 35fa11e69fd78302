use crate::support::Fleet;

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_listed_shown_taken_and_resolved() {
    let fleet = Fleet::start().await;
    fleet.gateway("gw-1", 120, false).await;
    assert_eq!(fleet.ok(&["incident", "list", "-o", "json"]).await, "[]\n");
    let id = fleet.crash().await;
    let table = "\
INCIDENT    MODE           SEVERITY  STATE  SUMMARY                                    OPENED                RUNBOOK        BY
inc-1-xxxx  gateway_crash  critical  open   gw-1 is not heard and had 120 connections  2026-01-01T00:00:00Z  gateway-crash  -
";
    assert_eq!(fleet.ok(&["incident", "list"]).await, table);
    let shown = fleet.run(&["incident", "show", &id]).await;
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(shown.out.contains("connections dropped       120 connections  1 connection"), "{shown:?}");
    assert!(shown.err.contains("what to do: chatctl runbook run gateway-crash --param gateway=gw-1"), "{shown:?}");
    let wide = fleet.ok(&["incident", "list", "-o", "wide"]).await;
    assert!(wide.contains("RESOLVED"), "{wide}");

    let acked = fleet.ok(&["incident", "ack", &id, "--reason", "mine", "-o", "json"]).await;
    let acked: serde_json::Value = serde_json::from_str(&acked).unwrap();
    assert_eq!((&acked["state"], &acked["acknowledged_by"]), (&"acknowledged".into(), &"admin".into()));
    let resolved = fleet.ok(&["incident", "resolve", &id, "-o", "yaml"]).await;
    assert!(resolved.contains("state: resolved") && resolved.contains("resolved_by: admin"), "{resolved}");
    assert_eq!(fleet.ok(&["incident", "list", "-o", "json"]).await, "[]\n");
    assert!(fleet.ok(&["incident", "list", "--all"]).await.contains("resolved"));

    let again = fleet.run(&["incident", "resolve", &id]).await;
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.err.ends_with("is resolved already, by admin: nothing to do\n"), "{again:?}");
    assert_eq!(fleet.run(&["incident", "ack", "inc-9-0000"]).await.code, 4);
}
