use std::os::unix::fs::PermissionsExt as _;

use crate::support::chatctl_in;

#[tokio::test(flavor = "multi_thread")]
async fn contexts_are_set_used_shown_and_removed_and_keep_their_secrets() {
    let config = tempfile::tempdir().unwrap();
    let run = async |args: &[&str]| chatctl_in(config.path(), args).await;
    let new = run(&["context", "set", "a"]).await;
    assert_eq!((new.code, new.err.as_str()), (2, "error: context a is new: it needs --control-plane URL\n"));
    assert_eq!(run(&["context", "set", "a", "--control-plane", "ftp://x"]).await.code, 2);
    let set = ["context", "set", "a", "--control-plane", "http://a:1", "--admin-token", "hush", "--jwt-secret", "hush"];
    assert_eq!(run(&set).await.code, 0);
    assert_eq!(run(&["context", "set", "b", "--control-plane", "http://b:2", "--production", "true"]).await.code, 0);
    let table = "\
CONTEXT  CURRENT  CONTROL PLANE  PRODUCTION
a        yes      http://a:1     -
b        -        http://b:2     yes
";
    assert_eq!(run(&["context", "list"]).await.out, table);
    assert_eq!(run(&["context", "use", "b"]).await.code, 0);
    let shown = run(&["context", "show", "a", "-o", "wide"]).await.out;
    assert!(shown.contains("admin,jwt") && !shown.contains("hush"), "{shown}");
    assert!(!run(&["context", "list", "-o", "json"]).await.out.contains("hush"));

    let path = config.path().join("chatctl/config.toml");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(run(&["context", "use", "c"]).await.code, 4);
    assert_eq!(run(&["context", "remove", "b"]).await.code, 0);
    assert_eq!(run(&["context", "remove", "b"]).await.code, 4);
    assert_eq!(run(&["context", "show"]).await.code, 2, "the current one is gone");

    std::fs::write(&path, "admin_token = \"hush\"\n[contexts.a]\nadmin_token = hush").unwrap();
    let broken = run(&["context", "list"]).await;
    assert_eq!(broken.code, 2);
    assert!(broken.err.contains("config.toml is not valid") && !broken.err.contains("hush"), "{}", broken.err);
}
