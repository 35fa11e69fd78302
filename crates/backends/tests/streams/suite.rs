//! What holds of every adapter.

use std::fmt::Debug;

use chatfleet_backends::stream::{Duplex, STREAM_FRAMES};
use tokio::time::{Duration, timeout};

use super::{Wire, down, ended, soon, up};

/// Frames that go through in each direction: many times what fits between the ends.
const FRAMES: usize = 5_000;
/// A sender that cannot send for this long waits for the reader.
const STUCK: Duration = Duration::from_millis(500);
const PADDING: usize = 4_096;

pub(crate) async fn run(mut wire: Wire) {
    both_ways_in_order(&mut wire).await;
    back_pressure(&mut wire).await;
    dropped(&mut wire).await;
    half_dropped(&mut wire).await;
    nobody(&wire).await;
    busy(&mut wire).await;
    listener_gone(wire).await;
}

async fn both_ways_in_order(wire: &mut Wire) {
    let (near, far) = wire.open().await;
    let (mut near_rx, mut far_rx) = (near.rx, far.rx);
    let send_down = async {
        for n in 0..FRAMES {
            near.tx.send(down(n, n % 300)).await.unwrap();
        }
    };
    let send_up = async {
        for n in 0..FRAMES {
            far.tx.send(up(n, n % 300)).await.unwrap();
        }
    };
    let read_down = async {
        for n in 0..FRAMES {
            assert_eq!(soon(far_rx.recv()).await.unwrap(), down(n, n % 300));
        }
    };
    let read_up = async {
        for n in 0..FRAMES {
            assert_eq!(soon(near_rx.recv()).await.unwrap(), up(n, n % 300));
        }
    };
    tokio::join!(send_down, send_up, read_down, read_up);
}

async fn back_pressure(wire: &mut Wire) {
    let (mut near, mut far) = wire.open().await;
    waits_for_the_reader(&near, &mut far, down, wire.between).await;
    waits_for_the_reader(&far, &mut near, up, wire.between).await;
}

async fn waits_for_the_reader<A, B, C: PartialEq + Debug>(
    from: &Duplex<C, A>,
    to: &mut Duplex<B, C>,
    frame: fn(usize, usize) -> C,
    between: usize,
) {
    let mut sent = 0;
    while let Ok(done) = timeout(STUCK, from.tx.send(frame(sent, PADDING))).await {
        done.unwrap();
        sent += 1;
        assert!(sent <= 2 * STREAM_FRAMES + between, "the sender does not wait");
    }
    assert!(sent >= STREAM_FRAMES, "the sender waits after {sent} frames");
    // Not one is lost, and it goes on. The frame that could not be sent was not sent.
    let read = async {
        for n in 0..2 * sent {
            assert!(soon(to.rx.recv()).await.unwrap() == frame(n, PADDING), "frame {n} is another one");
        }
    };
    let send = async {
        for n in sent..2 * sent {
            from.tx.send(frame(n, PADDING)).await.unwrap();
        }
    };
    tokio::join!(read, send);
}

/// What was sent before an end was dropped still arrives; then the other end knows.
async fn dropped(wire: &mut Wire) {
    let (near, mut far) = wire.open().await;
    near.tx.send(down(1, 0)).await.unwrap();
    drop(near);
    assert_eq!(soon(far.rx.recv()).await, Some(down(1, 0)));
    ended(&mut far).await;

    let (mut near, far) = wire.open().await;
    far.tx.send(up(1, 0)).await.unwrap();
    drop(far);
    assert_eq!(soon(near.rx.recv()).await, Some(up(1, 0)));
    ended(&mut near).await;

    // Also when it had much to say.
    let (near, mut far) = wire.open().await;
    let mut sent = 0;
    while near.tx.try_send(down(sent, PADDING)).is_ok() {
        sent += 1;
    }
    drop(near);
    for n in 0..sent {
        assert!(soon(far.rx.recv()).await == Some(down(n, PADDING)), "frame {n} of {sent} did not come");
    }
    ended(&mut far).await;
}

/// Who no longer listens cannot be told, and who no longer talks is not waited for.
async fn half_dropped(wire: &mut Wire) {
    let (near, far) = wire.open().await;
    drop(near.rx);
    soon(far.tx.closed()).await;
    let (near, far) = wire.open().await;
    drop(far.rx);
    soon(near.tx.closed()).await;
    let (near, mut far) = wire.open().await;
    drop(near.tx);
    assert_eq!(soon(far.rx.recv()).await, None);
    let (mut near, far) = wire.open().await;
    drop(far.tx);
    assert_eq!(soon(near.rx.recv()).await, None);
}

async fn nobody(wire: &Wire) {
    let error = soon(wire.dial.dial(&wire.nobody)).await.unwrap_err();
    assert_eq!(error.address, wire.nobody);
    assert!(error.to_string().contains(&wire.nobody), "{error}");
}

/// A listener that does not take its streams refuses more, and takes some again later.
async fn busy(wire: &mut Wire) {
    let mut near = Vec::new();
    let refused = loop {
        match soon(wire.dial.dial(&wire.address)).await {
            Ok(end) => near.push(end),
            Err(error) => break error,
        }
        assert!(near.len() <= 16, "new streams are not bounded");
    };
    assert!(refused.why.contains("busy"), "{refused}");
    let far = soon(wire.streams.recv()).await.unwrap();
    near.push(soon(wire.dial.dial(&wire.address)).await.unwrap());
    drop(far);
    ended(&mut near[0]).await;
    while wire.streams.try_recv().is_ok() {}
}

/// Streams that nobody took end, and there are no new ones.
async fn listener_gone(wire: Wire) {
    let mut near = wire.dial.dial(&wire.address).await.unwrap();
    drop(wire.streams);
    ended(&mut near).await;
    let refused = soon(wire.dial.dial(&wire.address)).await.unwrap_err();
    assert!(refused.why.contains("gone"), "{refused}");
}
