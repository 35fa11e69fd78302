//! The smallest chat program: prints what arrives and sends what is typed.
//!
//! ```sh
//! cargo run --example hello -- ws://localhost:8080 TOKEN CONVERSATION
//! ```

use std::sync::Arc;

use chatfleet_client::{Client, ClientConfig, Event, TcpConnect};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, token, conversation] = args.as_slice() else {
        return Err("usage: hello URL TOKEN CONVERSATION".into());
    };
    let token = token.clone();
    let config = ClientConfig::new("me", "terminal", Arc::new(move |_: &str| token.clone()));
    let (client, mut events) = Client::start(config, Arc::new(TcpConnect::new([url])?));
    let mut lines = BufReader::new(stdin()).lines();
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(Event::Shown(message)) => println!("{}: {}", message.sender, message.body),
                Some(Event::Fatal(why)) => return Err(why.into()),
                Some(other) => eprintln!("{other:?}"),
                None => return Ok(()),
            },
            line = lines.next_line() => match line? {
                Some(text) if text.is_empty() => {}
                Some(text) => drop(client.send(conversation, text).await?),
                None => break,
            },
        }
    }
    client.close().await;
    Ok(())
}
