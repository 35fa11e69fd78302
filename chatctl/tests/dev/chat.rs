//! Two people and a pipe.

use serde_json::Value;

use crate::support::Home;

#[tokio::test(flavor = "multi_thread")]
async fn what_one_pipes_in_the_other_reads() {
    let home = Home::new();
    let _dev = home.dev(&["--ephemeral", "--port", "0"]).await;
    assert_eq!(home.run(&["chat", "tea", "--as", "alice"]).await.code, 4);
    home.ok(&["conversation", "create", "group", "alice", "bob", "--id", "tea"]).await;
    let stranger = home.run(&["chat", "tea", "--as", "eve"]).await;
    assert!(stranger.code == 3 && stranger.err.contains("members add tea eve"), "{stranger:?}");

    let alice = home.run_with(&["chat", "tea", "--as", "alice"], "hello\n\nclear \u{1b}[2J \u{202e}\n//slash").await;
    assert_eq!(alice.code, 0, "{alice:?}");
    let said: Vec<_> = alice.out.lines().map(|line| line.split_once("  ").unwrap().1).collect();
    assert_eq!(said, ["#1  alice: hello", "#2  alice: clear \\u{1b}[2J \\u{202e}", "#3  alice: /slash"]);

    // Programs get the text as it was said.
    let bob = home.run_with(&["chat", "tea", "--as", "bob", "-o", "json"], "hi\n/quit\nnever said\n").await;
    assert_eq!(bob.code, 0, "{bob:?}");
    let read: Vec<Value> = bob.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&read[1]["body"], read.len()), (&"clear \u{1b}[2J \u{202e}".into(), 4));
    assert_eq!((&read[3]["sender"], &read[3]["sequence_number"]), (&"bob".into(), &4.into()));

    let too_long = home.run_with(&["chat", "tea", "--as", "bob"], &"x".repeat(20_000)).await;
    assert!(too_long.code == 1 && too_long.err.contains("16384"), "{too_long:?}");
}
