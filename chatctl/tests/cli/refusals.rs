use crate::support::{Fleet, chatctl_in};

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_refuses_with_the_flag_that_overrides_it() {
    let fleet = Fleet::start().await;
    fleet.gateway("gw-1", 10, true).await;
    let refused = fleet.run(&["gateway", "drain", "gw-1", "--yes"]).await;
    assert_eq!(refused.code, 3);
    assert_eq!(
        refused.err,
        "error: drain of gw-1 refused: no other gateway accepts connections\n\
         hint: start or undrain another gateway first\n\
         hint: --force overrides this\n"
    );
    let dry = fleet.run(&["gateway", "drain", "gw-1", "--dry-run"]).await;
    assert_eq!((dry.code, dry.err.as_str()), (3, "error: it would be refused: no other gateway accepts connections\n"));
    let json = fleet.run(&["gateway", "drain", "gw-1", "--yes", "-o", "json"]).await;
    let error: serde_json::Value = serde_json::from_str(&json.err).unwrap();
    assert_eq!((&error["error"]["kind"], &error["error"]["override_flag"]), (&"refused".into(), &"--force".into()));
    assert_eq!(fleet.run(&["gateway", "drain", "gw-1", "--yes", "--force"]).await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_tell_failures_apart() {
    let mut fleet = Fleet::pair(false).await;
    let unknown = fleet.run(&["gateway", "drain", "gw-9", "--yes"]).await;
    assert_eq!(unknown.code, 4);
    assert_eq!(unknown.err, "error: there is no gateway \"gw-9\"\nhint: chatctl gateway list shows all\n");
    for args in
        [&["gateway", "show", "../nodes"][..], &["operation", "watch", "op-9"], &["gateway", "list", "--context", "no"]]
    {
        assert_eq!(fleet.run(args).await.code, 4, "{args:?}");
    }
    for args in [
        &["gateway", "list", "--bogus"][..],
        &["gateway", "drain", "gw-1", "--deadline", "30"],
        &["gateway", "drain", "gw-1", "--rate", "0"],
        &["gateway", "drain", "gw-1", "--yes", "--deadline", "10ms"],
        &["gateway", "undrain", "gw-1", "--dry-run"],
        &["operation", "list", "--state", "odd"],
        &["frobnicate"],
    ] {
        assert_eq!(fleet.run(args).await.code, 2, "{args:?}");
    }
    let wrong = ["context", "set", "test", "--admin-token", "wrong"];
    fleet.ok(&wrong).await;
    let unauthorized = fleet.run(&["gateway", "list"]).await;
    assert_eq!(unauthorized.code, 1);
    assert!(unauthorized.err.starts_with("error: the token is missing, unknown, expired or revoked\n"));

    fleet.stop_plane().await;
    let dead = fleet.run(&["gateway", "list"]).await;
    assert_eq!(dead.code, 5);
    assert_eq!(
        dead.err,
        "error: cannot reach the control plane at http://127.0.0.1:PORT\n\
         hint: is the fleet running? start one with `chatctl dev`\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn help_and_completions_need_no_fleet() {
    let empty = tempfile::tempdir().unwrap();
    let help = chatctl_in(empty.path(), &[]).await;
    assert_eq!(help.code, 0);
    assert!(help.out.contains("Usage: chatctl"), "{}", help.out);
    let completions = chatctl_in(empty.path(), &["completions", "bash"]).await;
    assert!(completions.code == 0 && completions.out.contains("_chatctl"));
    let none = chatctl_in(empty.path(), &["gateway", "list"]).await;
    assert_eq!(none.code, 2);
    assert!(none.err.starts_with("error: no context is set, so no fleet is known\nhint: "), "{}", none.err);
}
