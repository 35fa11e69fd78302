//! Fan-out of one message to many sockets, beside a bare loop that writes the same bytes to as many sockets in the
//! same process and the same run. Counted in deliveries for each second of this process's processor time, so that the
//! clients, who share the machine, do not count.

mod support;

use clap::Parser;
use serde_json::json;
use support::{
    Failure,
    child::{Clients, told},
    cpu_s, post,
    raw::{Raw, frame},
    source, token,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::mpsc,
    time::Instant,
};

/// Measures fan-out.
#[derive(Parser)]
struct Options {
    /// How many sockets.
    #[arg(long, default_value_t = 10_000)]
    sockets: usize,
    /// How many messages in each measurement.
    #[arg(long, default_value_t = 100)]
    messages: usize,
}

fn reader(n: usize) -> String {
    format!("reader-{n}")
}

const BODY: &str = "a message of usual length that says something to everybody who subscribed to this channel";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("clients", rest)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return clients(rest).await;
    }
    let options = Options::parse();
    let fleet = support::fleet(gateway::Limits::default()).await?;
    let members: Vec<String> = (0..options.sockets).map(reader).chain(["writer".to_owned()]).collect();
    post(&fleet, "/v1/conversations", &json!({"kind": "channel", "members": members, "id": "all"})).await?;
    let secret = fleet.secrets.jwt_secret.clone();
    let to = fleet.gateways[0].address;
    let bare = TcpListener::bind("127.0.0.1:0").await?;
    let arguments =
        ["clients", &to.to_string(), &bare.local_addr()?.to_string(), &secret, &options.sockets.to_string()];
    let mut clients = Clients::start(&arguments.map(str::to_owned))?;
    let mut writer = Raw::connect(to, source(0), &token(&secret, "writer", "user")?, "{}").await?;

    // First the gateway, then (its clients gone) the bare loop: a process may not hold the files of both.
    let bytes: usize = clients.ask("subscribe").await?.parse()?;
    let mut key = 0_u64;
    let mut measured = Vec::new();
    for burst in [1, 4] {
        let (before, began, rounds) = (cpu_s()?, Instant::now(), options.messages / burst);
        for _ in 0..rounds {
            let mut sends = Vec::new();
            for _ in 0..burst {
                key += 1;
                let send = json!({"type": "send", "idempotency_key": format!("00000000-0000-4000-8000-{key:012x}"),
                    "conversation": "all", "body": BODY});
                frame(&mut sends, &send.to_string());
            }
            clients.tell(&format!("await {burst}"))?;
            writer.stream.write_all(&sends).await?;
            clients.answer().await?;
        }
        let deliveries = (rounds * burst * options.sockets) as f64;
        let (cpu, wall) = (cpu_s()? - before, began.elapsed().as_secs_f64());
        println!(
            "gateway, sent {burst} at a time: {:.0} deliveries/s per core ({:.0} by the wall clock, {cpu:.2} s)",
            deliveries / cpu,
            deliveries / wall
        );
        measured.push(deliveries / cpu);
    }
    clients.ask("leave").await?;

    clients.tell("bare")?;
    let mut sockets = Vec::with_capacity(options.sockets);
    while sockets.len() < options.sockets {
        let (stream, _) = bare.accept().await?;
        stream.set_nodelay(true)?;
        sockets.push(stream);
    }
    clients.answer().await?;
    let payload = vec![b'x'; bytes];
    let (before, began) = (cpu_s()?, Instant::now());
    for _ in 0..options.messages {
        clients.tell(&format!("await-bytes {bytes}"))?;
        for socket in &mut sockets {
            socket.write_all(&payload).await?;
        }
        clients.answer().await?;
    }
    let deliveries = (options.messages * options.sockets) as f64;
    let (cpu, wall) = (cpu_s()? - before, began.elapsed().as_secs_f64());
    let bare = deliveries / cpu;
    println!(
        "bare loop, the same {bytes} bytes: {bare:.0} writes/s per core ({:.0} by the wall clock, {cpu:.2} s)",
        deliveries / wall
    );
    println!(
        "ratio to the bare loop: {:.2}; 4 waiting frames to 1: {:.2}",
        measured[0] / bare,
        measured[1] / measured[0]
    );
    clients.end()?;
    fleet.shutdown().await;
    Ok(())
}

/// What readers have seen and is not counted yet.
const SEEN_MAX: usize = 65_536;

/// The readers' process.
async fn clients(arguments: &[String]) -> Result<(), Failure> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let [to, bare, secret, sockets] = arguments else { return Err("clients: two addresses, secret, number".into()) };
    let (to, bare, sockets): (std::net::SocketAddr, std::net::SocketAddr, usize) =
        (to.parse()?, bare.parse()?, sockets.parse()?);
    // A reader that finds it full reads on when what was seen is counted.
    let (seen_tx, mut seen) = mpsc::channel::<usize>(SEEN_MAX);
    let mut readers = tokio::task::JoinSet::new();
    let mut tokens = Vec::new();
    for n in 0..sockets {
        tokens.push((n, token(secret, &reader(n), "user")?));
    }
    while let Some(line) = told().await? {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["subscribe"] => {
                let mut bytes = 0;
                for (n, token) in &tokens {
                    let mut raw = Raw::connect(to, source(*n), token, "{}").await?;
                    let mut subscribe = Vec::new();
                    frame(&mut subscribe, r#"{"type":"subscribe","conversation":"all"}"#);
                    raw.stream.write_all(&subscribe).await?;
                    while !raw.frames.next().is_some_and(|text| text.starts_with(br#"{"type":"subscribed""#)) {
                        raw.frames.fill(&mut raw.stream).await?;
                    }
                    let seen = seen_tx.clone();
                    readers.spawn(async move {
                        loop {
                            let mut messages = 0;
                            while let Some(text) = raw.frames.next() {
                                messages += usize::from(text.starts_with(br#"{"type":"message""#));
                            }
                            if messages > 0 && seen.send(messages).await.is_err() {
                                return;
                            }
                            if !raw.frames.fill(&mut raw.stream).await.unwrap_or(false) {
                                return;
                            }
                        }
                    });
                    bytes = expected_bytes();
                }
                println!("{bytes}");
            }
            ["await", messages] => {
                let mut left = messages.parse::<usize>()? * sockets;
                while left > 0 {
                    left -= seen.recv().await.ok_or("no reader")?;
                }
                println!("done");
            }
            ["leave"] => {
                readers.shutdown().await;
                println!("left");
            }
            ["bare"] => {
                for n in 0..sockets {
                    let socket = TcpSocket::new_v4()?;
                    socket.bind(source(n))?;
                    let mut stream: TcpStream = socket.connect(bare).await?;
                    let seen = seen_tx.clone();
                    readers.spawn(async move {
                        let mut buffer = vec![0; 4_096];
                        while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                            if seen.send(n).await.is_err() {
                                return;
                            }
                        }
                    });
                }
                println!("connected");
            }
            ["await-bytes", bytes] => {
                let mut left = bytes.parse::<usize>()? * sockets;
                while left > 0 {
                    left -= seen.recv().await.ok_or("no reader")?;
                }
                println!("done");
            }
            _ => return Err(format!("what is {line:?}?").into()),
        }
    }
    Ok(())
}

/// Bytes of a message frame as a subscriber gets it.
fn expected_bytes() -> usize {
    let text = json!({"type": "message", "conversation": "all", "sequence_number": 10, "sender": "writer", "body": BODY,
        "message_id": "00000000-0000-4000-8000-000000000000", "sent_at_ms": 1_700_000_000_000_u64});
    text.to_string().len() + 4
}
