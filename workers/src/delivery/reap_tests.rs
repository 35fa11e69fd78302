//! What is committed of batches that are done out of their order, and what counts as under way meanwhile.

use std::time::Duration;

use tokio::{sync::oneshot, time::advance};

use super::{Ticket, Unacked, reap};

fn at_gateway() -> (oneshot::Sender<()>, Ticket) {
    let (done, wait) = oneshot::channel();
    let mut ticket = Ticket::default();
    ticket.add(wait);
    (done, ticket)
}

fn held() -> (oneshot::Sender<()>, Ticket) {
    let (done, wait) = oneshot::channel();
    let mut ticket = Ticket::default();
    ticket.add_held(wait);
    (done, ticket)
}

fn offsets(unacked: &Unacked) -> Vec<u64> {
    unacked.iter().map(|(offset, _)| *offset).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_done_behind_a_held_message_needs_no_entry_and_is_not_committed() {
    let mut unacked = Unacked::new();
    let (sent, ticket) = held();
    unacked.push_back((10, ticket));
    for offset in 11..200 {
        let (done, ticket) = at_gateway();
        unacked.push_back((offset, ticket));
        assert_eq!(reap(&mut unacked), None);
        assert_eq!(offsets(&unacked), [offset - 1, offset]);
        done.send(()).unwrap();
        assert_eq!(reap(&mut unacked), None);
        assert_eq!(offsets(&unacked), [offset]);
    }
    // One that a gateway does not have keeps its place: nothing beyond it is committed.
    let (done, ticket) = at_gateway();
    unacked.push_back((200, ticket));
    unacked.push_back((201, Ticket::default()));
    sent.send(()).unwrap();
    assert_eq!(reap(&mut unacked), Some(199));
    assert_eq!(offsets(&unacked), [199, 201]);
    done.send(()).unwrap();
    assert_eq!(reap(&mut unacked), Some(201));
    assert_eq!(offsets(&unacked), [201]);
}

#[tokio::test(start_paused = true)]
async fn held_messages_share_an_entry_for_a_while_and_count_at_no_gateway() {
    let mut unacked = Unacked::new();
    let mut senders = Vec::new();
    // Ten a second for three seconds.
    for offset in 1..=30 {
        let (sent, ticket) = held();
        senders.push(sent);
        unacked.push_back((offset, ticket));
        assert_eq!(reap(&mut unacked), None);
        advance(Duration::from_millis(100)).await;
    }
    assert_eq!(offsets(&unacked), [10, 20, 30]);
    assert!(unacked.iter_mut().all(|(_, ticket)| !ticket.is_with_gateways()));
    // The last of an entry holds it, and what is sent lets go of the entries before.
    senders.drain(..9);
    assert_eq!(reap(&mut unacked), None);
    senders.drain(..1);
    assert_eq!(reap(&mut unacked), Some(10));
    senders.drain(10..);
    assert_eq!(reap(&mut unacked), Some(10));
    senders.clear();
    assert_eq!(reap(&mut unacked), Some(30));
}
