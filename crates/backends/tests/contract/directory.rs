//! The contract of the directory.

use std::sync::Arc;

use chatfleet_backends::port::{Added, Conversation, Created, Directory, Membership, Removed};
use domain::{ConversationId, GROUP_MEMBERS_MAX, UserId};
use futures_util::future::join_all;
use protocol::frames::Kind;

use crate::name;

fn conversation(kind: Kind, members: &[&UserId]) -> Conversation {
    Conversation { id: name("c"), kind, members: members.iter().map(|user| (*user).clone()).collect() }
}

fn sorted(mut conversation: Conversation) -> Conversation {
    conversation.members.sort();
    conversation
}

pub(crate) async fn suite(directory: Arc<dyn Directory>) {
    creation(&directory).await;
    pairs(&directory).await;
    members(&directory).await;
    conversion(&directory).await;
    lists(&directory).await;
}

async fn creation(directory: &Arc<dyn Directory>) {
    let (alice, bob, carol): (UserId, UserId, UserId) = (name("alice"), name("bob"), name("carol"));
    let group = conversation(Kind::Group, &[&carol, &alice, &bob]);
    assert_eq!(directory.get(&group.id).await, Ok(None));
    assert_eq!(directory.membership(&group.id, &alice).await, Ok(None));
    assert_eq!(directory.create(&group).await, Ok(Created::New));
    assert_eq!(directory.get(&group.id).await, Ok(Some(sorted(group.clone()))));
    // The same again, in whatever order.
    assert_eq!(directory.create(&group).await, Ok(Created::Same(group.id.clone())));
    assert_eq!(directory.create(&sorted(group.clone())).await, Ok(Created::Same(group.id.clone())));
    // The id with another kind, with other members, of a pair.
    let same_id = |kind, members: &[&UserId]| Conversation { id: group.id.clone(), ..conversation(kind, members) };
    let pair = same_id(Kind::Direct, &[&alice, &bob]);
    for other in [same_id(Kind::Channel, &[&alice, &bob, &carol]), same_id(Kind::Group, &[&alice, &bob]), pair] {
        assert_eq!(directory.create(&other).await, Ok(Created::Taken));
    }
    assert_eq!(directory.get(&group.id).await, Ok(Some(sorted(group.clone()))), "nothing of it was done");
    // The same members in another group are another group.
    assert_eq!(directory.create(&conversation(Kind::Group, &[&alice, &bob, &carol])).await, Ok(Created::New));
}

/// A pair has one direct conversation.
async fn pairs(directory: &Arc<dyn Directory>) {
    let (alice, bob, carol): (UserId, UserId, UserId) = (name("alice"), name("bob"), name("carol"));
    let before = conversation(Kind::Direct, &[&alice, &carol]);
    let pair = conversation(Kind::Direct, &[&bob, &alice]);
    let after = conversation(Kind::Direct, &[&bob, &carol]);
    let group = conversation(Kind::Group, &[&alice, &bob]);
    for one in [&before, &pair, &after, &group] {
        assert_eq!(directory.create(one).await, Ok(Created::New));
    }
    let same = Ok(Created::Same(pair.id.clone()));
    assert_eq!(directory.create(&pair).await, same);
    assert_eq!(directory.create(&conversation(Kind::Direct, &[&alice, &bob])).await, same);
    assert_eq!(directory.create(&conversation(Kind::Direct, &[&bob, &alice])).await, same);
    // Under an id that another one has: the pair counts, which has its conversation.
    for other in [&before, &after, &group] {
        assert_eq!(directory.create(&Conversation { id: other.id.clone(), ..pair.clone() }).await, same);
    }
    let fresh = Conversation { id: pair.id.clone(), ..conversation(Kind::Direct, &[&alice, &name("dave")]) };
    assert_eq!(directory.create(&fresh).await, Ok(Created::Taken));

    // Two at once: one is new, and both have the same id.
    let (eve, fay): (UserId, UserId) = (name("eve"), name("fay"));
    let both = [conversation(Kind::Direct, &[&eve, &fay]), conversation(Kind::Direct, &[&fay, &eve])];
    let tasks = both.clone().map(|one| {
        let directory = directory.clone();
        tokio::spawn(async move { directory.create(&one).await.unwrap() })
    });
    let answers: Vec<_> = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
    let new = answers.iter().position(|answer| *answer == Created::New).expect("one is new");
    assert_eq!(answers[1 - new], Created::Same(both[new].id.clone()));
    assert_eq!(directory.get(&both[1 - new].id).await, Ok(None));
}

async fn members(directory: &Arc<dyn Directory>) {
    let (alice, bob, carol): (UserId, UserId, UserId) = (name("alice"), name("bob"), name("carol"));
    let group = conversation(Kind::Group, &[&alice, &bob]);
    let pair = conversation(Kind::Direct, &[&alice, &bob]);
    directory.create(&group).await.unwrap();
    directory.create(&pair).await.unwrap();
    let is = |kind, member| Ok(Some(Membership { kind, member }));
    let unknown: ConversationId = name("c");

    assert_eq!(directory.membership(&group.id, &alice).await, is(Kind::Group, true));
    assert_eq!(directory.membership(&group.id, &carol).await, is(Kind::Group, false));
    assert_eq!(directory.add_member(&group.id, &carol).await, Ok(Added::Added));
    assert_eq!(directory.add_member(&group.id, &carol).await, Ok(Added::Already));
    assert_eq!(directory.membership(&group.id, &carol).await, is(Kind::Group, true));
    assert_eq!(directory.add_member(&pair.id, &carol).await, Ok(Added::Direct));
    assert_eq!(directory.add_member(&pair.id, &alice).await, Ok(Added::Direct));
    assert_eq!(directory.add_member(&unknown, &carol).await, Ok(Added::NotFound));

    assert_eq!(directory.remove_member(&group.id, &alice).await, Ok(Removed::Removed));
    assert_eq!(directory.remove_member(&group.id, &alice).await, Ok(Removed::Already));
    assert_eq!(directory.membership(&group.id, &alice).await, is(Kind::Group, false));
    assert_eq!(directory.remove_member(&pair.id, &alice).await, Ok(Removed::Direct));
    assert_eq!(directory.remove_member(&pair.id, &carol).await, Ok(Removed::Direct));
    assert_eq!(directory.remove_member(&unknown, &carol).await, Ok(Removed::NotFound));
    assert_eq!(directory.get(&group.id).await.unwrap().unwrap().members, [bob.clone(), carol]);
    assert_eq!(directory.get(&pair.id).await, Ok(Some(sorted(pair))));

    // Names that differ in case are different names, and capitals come first.
    let upper: UserId = bob.as_str().to_uppercase().parse().unwrap();
    assert_eq!(directory.membership(&group.id, &upper).await, is(Kind::Group, false));
    assert_eq!(directory.add_member(&group.id, &upper).await, Ok(Added::Added));
    assert_eq!(directory.get(&group.id).await.unwrap().unwrap().members[..2], [upper, bob]);
}

async fn conversion(directory: &Arc<dyn Directory>) {
    let (alice, bob): (UserId, UserId) = (name("alice"), name("bob"));
    let group = conversation(Kind::Group, &[&alice, &bob]);
    let pair = conversation(Kind::Direct, &[&alice, &bob]);
    directory.create(&group).await.unwrap();
    directory.create(&pair).await.unwrap();
    assert_eq!(directory.convert(&name("c")).await, Ok(None));
    assert_eq!(directory.convert(&group.id).await, Ok(Some(Kind::Group)));
    assert_eq!(directory.convert(&group.id).await, Ok(Some(Kind::Channel)));
    let channel = Conversation { kind: Kind::Channel, ..group };
    assert_eq!(directory.get(&channel.id).await, Ok(Some(sorted(channel))));
    assert_eq!(directory.convert(&pair.id).await, Ok(Some(Kind::Direct)));
    assert_eq!(directory.get(&pair.id).await, Ok(Some(sorted(pair))), "a pair stays one");
}

async fn lists(directory: &Arc<dyn Directory>) {
    let (alice, bob): (UserId, UserId) = (name("alice"), name("bob"));
    assert_eq!(directory.list(&alice, None, 10).await, Ok(vec![]));
    let mut all = Vec::new();
    for (n, stem) in ["c", "C", "b", "_", "a.", "a-", "9"].into_iter().enumerate() {
        let kind = [Kind::Group, Kind::Channel][n % 2];
        let one = Conversation { id: name(stem), ..conversation(kind, &[&alice, &bob]) };
        directory.create(&one).await.unwrap();
        all.push((one.id, kind));
    }
    all.sort();
    directory.create(&conversation(Kind::Group, &[&bob, &name("carol")])).await.unwrap();
    assert_eq!(directory.list(&alice, None, 100).await.unwrap(), all);
    let mut paged: Vec<(ConversationId, Kind)> = Vec::new();
    loop {
        let page = directory.list(&alice, paged.last().map(|(id, _)| id), 3).await.unwrap();
        assert!(page.len() <= 3);
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, all);
    directory.remove_member(&all[0].0, &alice).await.unwrap();
    assert_eq!(directory.list(&alice, None, 100).await.unwrap(), all[1..]);
}

/// A group stays at 500 also when two add at once; a channel has no limit.
pub(crate) async fn full(directory: Arc<dyn Directory>) {
    let users: Vec<UserId> = (0..GROUP_MEMBERS_MAX - 5).map(|_| name("u")).collect();
    let group = Conversation { members: users.clone(), ..conversation(Kind::Group, &[]) };
    directory.create(&group).await.unwrap();
    let adders = [0, 1].map(|_| {
        let (directory, id) = (directory.clone(), group.id.clone());
        tokio::spawn(async move {
            let mut answers = Vec::new();
            for _ in 0..6 {
                answers.push(directory.add_member(&id, &name("u")).await.unwrap());
            }
            answers
        })
    });
    let answers: Vec<Added> = join_all(adders).await.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|answer| **answer == Added::Added).count(), 5);
    assert_eq!(answers.iter().filter(|answer| **answer == Added::Full).count(), 7);
    assert_eq!(directory.get(&group.id).await.unwrap().unwrap().members.len(), GROUP_MEMBERS_MAX);
    assert_eq!(directory.add_member(&group.id, &users[0]).await, Ok(Added::Already), "a member of a full group");
    directory.remove_member(&group.id, &users[0]).await.unwrap();
    assert_eq!(directory.add_member(&group.id, &users[0]).await, Ok(Added::Added));
    directory.convert(&group.id).await.unwrap();
    assert_eq!(directory.add_member(&group.id, &name("u")).await, Ok(Added::Added));
}
