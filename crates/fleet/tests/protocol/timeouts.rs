//! What takes too long, in simulated time: a gateway on pipes.

use backends::Clock;
use gateway::Limits;
use serde_json::json;
use tokio::{
    io::AsyncWriteExt as _,
    time::{Duration, Instant, pause, sleep},
};

use crate::support::{Client, FAR, Single};

const EPOCH_S: u64 = 1_700_000_000;

/// A gateway whose clock is tokio's, which stands still unless everybody waits.
async fn single(limits: Limits) -> Single {
    let clock = Clock::simulated(EPOCH_S * 1_000);
    let single = Single::start(clock, None, limits).await;
    pause();
    single
}

#[tokio::test]
async fn no_hello_within_5_s_closes_with_4004() {
    let single = single(Limits::default()).await;
    let query = format!("?token={}", single.token("a", FAR));
    let mut client = Client::upgrade_on(single.pipe(4_096), &query, &[]).await;
    let began = Instant::now();
    assert_eq!(client.closed().await, 4004);
    let took = began.elapsed().as_secs_f32();
    assert!((4.9..6.0).contains(&took), "{took}");
}

#[tokio::test]
async fn no_heartbeat_for_90_s_closes_with_4010() {
    let single = single(Limits::default()).await;
    let mut quiet = single.connect("quiet", FAR, 4_096).await;
    let mut lively = single.connect("lively", FAR, 4_096).await;
    let began = Instant::now();
    let beats = async {
        for _ in 0..5 {
            sleep(Duration::from_secs(29)).await;
            lively.still_answers().await;
        }
    };
    let ends = async {
        assert_eq!(quiet.closed().await, 4010);
        began.elapsed().as_secs()
    };
    let ((), took) = tokio::join!(beats, ends);
    assert!((90..=93).contains(&took), "{took}");
}

#[tokio::test]
async fn only_heartbeats_keep_a_connection() {
    let single = single(Limits::default()).await;
    let mut busy = single.connect("busy", FAR, 4_096).await;
    // Pings of the transport and other frames are no heartbeats.
    for _ in 0..9 {
        sleep(Duration::from_secs(9)).await;
        busy.say(json!({"type": "watch", "users": []})).await;
    }
    sleep(Duration::from_secs(8)).await;
    busy.say(json!({"type": "heartbeat"})).await;
    assert_eq!(busy.next().await["type"], "heartbeat_ack", "89 s are not too long");
    let began = Instant::now();
    for _ in 0..8 {
        sleep(Duration::from_secs(10)).await;
        busy.say(json!({"type": "watch", "users": []})).await;
    }
    assert_eq!(busy.closed().await, 4010);
    let took = began.elapsed().as_secs();
    assert!((90..=93).contains(&took), "{took}");
}

#[tokio::test]
async fn an_expired_token_closes_with_4003_within_60_s() {
    let single = single(Limits::default()).await;
    let now_s = single.clock.now_ms() / 1_000;
    let mut client = single.connect("a", now_s + 100, 4_096).await;
    for _ in 0..3 {
        sleep(Duration::from_secs(30)).await;
        client.still_answers().await;
    }
    let began = Instant::now();
    assert_eq!(client.closed().await, 4003);
    let took = began.elapsed().as_secs();
    assert!(took <= 10 + 60, "{took}");
}

#[tokio::test]
async fn a_frame_that_is_not_finished_in_30_s_closes_with_4004() {
    let single = single(Limits::default()).await;
    let query = format!("?token={}", single.token("a", FAR));
    // The library of the client has no way to send half a frame: the pipe is tapped.
    let (near, tap) = tokio::io::duplex(4_096);
    let (mut from_client, mut to_client) = tokio::io::split(tap);
    let (mut from_gateway, mut to_gateway) = tokio::io::split(single.pipe(4_096));
    tokio::spawn(async move { tokio::io::copy(&mut from_gateway, &mut to_client).await });
    let (half, mut halves) = tokio::sync::mpsc::channel::<()>(1);
    tokio::spawn(async move {
        let mut buffer = [0; 1_024];
        loop {
            use tokio::io::AsyncReadExt as _;
            tokio::select! {
                Ok(n) = from_client.read(&mut buffer) => {
                    if n == 0 || to_gateway.write_all(&buffer[..n]).await.is_err() {
                        return;
                    }
                }
                Some(()) = halves.recv() => to_gateway.write_all(b"\x81\xa0\0\0\0\0{\"ty").await.unwrap(),
            }
        }
    });
    let mut client = Client::upgrade_on(near, &query, &[]).await;
    client.say(json!({"type": "hello", "device": "d"})).await;
    client.until("synced").await;
    client.patience = Duration::from_secs(100);
    half.send(()).await.unwrap();
    let began = Instant::now();
    assert_eq!(client.closed().await, 4004);
    let took = began.elapsed().as_secs();
    assert!((30..=32).contains(&took), "{took}");
}

#[tokio::test]
async fn a_write_without_progress_for_30_s_ends_the_connection() {
    let single = single(Limits::default()).await;
    // So short a pipe that a few answers fill it.
    let mut stuck = single.connect("stuck", FAR, 512).await;
    for _ in 0..40 {
        stuck.say(json!({"type": "heartbeat"})).await;
    }
    let began = Instant::now();
    while single.gateway.connections() > 0 {
        assert!(began.elapsed() < Duration::from_secs(40), "it still holds the connection");
        sleep(Duration::from_millis(500)).await;
    }
    let took = began.elapsed().as_secs();
    assert!((29..=33).contains(&took), "{took}");
}
