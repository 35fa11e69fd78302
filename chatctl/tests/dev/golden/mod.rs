//! What every command says, on a dev fleet: exit code, words and columns, the keys of its JSON. The example `golden` plays
//! the same list on the real stack.

mod coverage;
mod play;

use std::process::Command;

use crate::support::{BUSY, Home};

#[tokio::test(flavor = "multi_thread")]
async fn golden_every_command_says_what_it_said() {
    let _busy = BUSY.lock().await;
    let home = Home::new();
    let _dev = home.dev(&["--ephemeral", "--allow-faults", "--port", "0"]).await;
    let (config, data) = (home.path("config"), home.path("share"));
    let dir = home.path("scratch");
    std::fs::create_dir(&dir).unwrap();
    let chatctl = move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chatctl"));
        command.env("XDG_CONFIG_HOME", &config).env("XDG_DATA_HOME", &data).env_remove("RUST_LOG");
        command
    };
    let stage = play::Stage { chatctl: Box::new(chatctl), place: play::Place::Dev, dir, context: "dev".to_owned() };
    let played = tokio::task::spawn_blocking(move || play::play(&stage)).await.unwrap();
    if let Err(why) = played {
        panic!("{why}");
    }
}
