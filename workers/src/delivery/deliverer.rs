//! Turns "these messages were numbered" into one delivery call for each gateway that has somebody who wants them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use backends::port::{Lane, Registry, Routes, StoreResult, StoredMessage};
use domain::{Bug, ConversationId, NodeId, Planted, UserId};
use futures_util::{StreamExt as _, future::join_all, stream::FuturesUnordered};
use parking_lot::Mutex;
use protocol::{
    frames::Kind,
    link::{Conflict, Delivery, HeadReply, Notice, Numbered, Relay, Supersede, delivery},
};
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    LinkSet, MemberCache, Members, Ticket,
    link::{HeadQuestion, Telling, Upcalls},
};
use crate::{
    record::to_wire,
    sequencer::{Ends, Heads},
    worker::WorkerStats,
};

/// Questions and relays of gateways that may wait, in each queue. A full queue drops the newest.
const UPCALLS_MAX: usize = 4_096;
/// Questions for heads that share one look at the end of the log.
const QUESTIONS_AT_ONCE: usize = 1_024;
/// Such looks under way at the same time in a lane: one that waits holds up few.
const BATCHES_AT_ONCE: usize = 8;
/// Between two attempts to learn the members of a conversation while the directory is down.
const MEMBERS_RETRY: Duration = Duration::from_millis(500);

/// Delivery calls by gateway.
type Calls = BTreeMap<NodeId, Vec<Delivery>>;

/// Delivers.
pub(crate) struct Deliverer {
    links: LinkSet,
    registry: Arc<dyn Registry>,
    members: MemberCache,
    stats: Arc<WorkerStats>,
    planted: Planted,
    /// The planted bug `AbsenceCached`: users once found without a route.
    absent: Mutex<std::collections::BTreeSet<UserId>>,
}

impl Deliverer {
    pub(crate) fn new(
        links: LinkSet,
        registry: Arc<dyn Registry>,
        members: MemberCache,
        stats: Arc<WorkerStats>,
        planted: Planted,
    ) -> Self {
        Self { links, registry, members, stats, planted, absent: Mutex::default() }
    }

    /// Keeps the streams, and answers what comes up them, until `stop`.
    pub(crate) async fn run(self: Arc<Self>, heads: Arc<Heads>, stop: CancellationToken) {
        let (direct_heads, direct_questions) = mpsc::channel(UPCALLS_MAX);
        let (group_heads, group_questions) = mpsc::channel(UPCALLS_MAX);
        let (tellings, mut to_tell) = mpsc::channel(UPCALLS_MAX);
        let upcalls = Upcalls { direct_heads, group_heads, tellings };
        let owned = heads.owned();
        let told = async {
            while let Some(telling) = to_tell.recv().await {
                match telling {
                    Telling::Relay(relay) => self.relay(relay).await,
                    Telling::Supersede(supersede) => self.supersede(supersede).await,
                }
            }
        };
        // The streams end with the stop: what still waits then would go nowhere, and each relay would wait for a look that
        // does not come. Nothing of it is promised: heads are asked again, relays are not stored, a session that was
        // replaced is also found by its next refresh.
        let closing = stop.clone();
        let answered = async { tokio::join!(answer(&heads, direct_questions), answer(&heads, group_questions), told) };
        tokio::join!(self.links.run(upcalls, owned, stop), closing.run_until_cancelled(answered));
    }

    /// Delivers messages to the members of their conversations, in this order. Waits for room in the gateways' queues
    /// (back-pressure), not for the gateways.
    pub(crate) async fn messages(&self, lane: Lane, messages: &[StoredMessage], stop: &CancellationToken) -> Ticket {
        let Some(audience) = self.audience(messages, stop).await else { return Ticket::default() };
        if !self.links.are_known(stop).await {
            return Ticket::default();
        }
        let users: Vec<UserId> = audience.iter().flat_map(|members| to_users(members).iter().cloned()).collect();
        let mut routes = self.routes(&users).await.into_iter().peekable();
        let channels = audience.iter().any(|members| members.kind == Kind::Channel);
        let all = if channels { self.alive().await } else { Vec::new() };
        let mut calls = Calls::new();
        let mut next_user = 0;
        for (message, members) in messages.iter().zip(&audience) {
            let mut to: BTreeMap<NodeId, Vec<String>> = BTreeMap::new();
            let end = next_user + to_users(members).len();
            if members.kind == Kind::Channel {
                // Only a gateway knows who subscribed on it.
                to.extend(all.iter().map(|gateway| (gateway.clone(), Vec::new())));
            }
            while let Some((user, gateway)) = routes.next_if(|(user, _)| *user < end) {
                to.entry(gateway).or_default().push(users[user].as_str().to_owned());
            }
            next_user = end;
            if lane == Lane::Group {
                self.stats.fanned_out(1, to_users(members).len());
            }
            let numbered = Numbered { sequence_number: message.sequence_number, message: Some(to_wire(message)) };
            add(&mut calls, to, members.kind == Kind::Channel, delivery::Kind::Message(numbered));
        }
        self.send(lane, calls).await
    }

    /// Tells the sender of a record that its key stands for another body.
    pub(crate) async fn conflict(
        &self,
        lane: Lane,
        conversation: &ConversationId,
        sender: &UserId,
        key: uuid::Uuid,
    ) -> Ticket {
        let conflict = Conflict { conversation: conversation.as_str().to_owned(), key: key.as_bytes().to_vec() };
        self.to_users(lane, std::slice::from_ref(sender), delivery::Kind::Conflict(conflict)).await
    }

    async fn relay(&self, relay: Relay) {
        let Some(notice) = relay.notice else { return };
        if let Ok(user) = UserId::parse(&relay.only_user) {
            self.to_users(Lane::Direct, &[user], delivery::Kind::Notice(notice)).await;
            return;
        }
        let Ok(conversation) = ConversationId::parse(&notice.conversation) else { return };
        match self.members.get(&conversation).await {
            Ok(Some(members)) => self.relay_to(members, relay.members_max as usize, notice).await,
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, %conversation, "a relay was dropped"),
        }
    }

    async fn relay_to(&self, members: Members, members_max: usize, notice: Notice) {
        let limited = members_max > 0;
        if limited && (members.kind == Kind::Channel || members.users.len() > members_max) {
            return;
        }
        let lane = if members.kind == Kind::Direct { Lane::Direct } else { Lane::Group };
        self.to_users(lane, &members.users, delivery::Kind::Notice(notice)).await;
    }

    async fn supersede(&self, supersede: Supersede) {
        let (Some(close), Ok(gateway)) = (supersede.close, NodeId::parse(&supersede.gateway)) else { return };
        let delivery = Delivery { users: Vec::new(), subscribers: false, kind: Some(delivery::Kind::Close(close)) };
        self.links.deliver(&gateway, Lane::Direct, vec![delivery]).await;
    }

    async fn to_users(&self, lane: Lane, users: &[UserId], kind: delivery::Kind) -> Ticket {
        let mut to: BTreeMap<NodeId, Vec<String>> = BTreeMap::new();
        for (user, gateway) in self.routes(users).await {
            to.entry(gateway).or_default().push(users[user].as_str().to_owned());
        }
        let mut calls = Calls::new();
        add(&mut calls, to, false, kind);
        self.send(lane, calls).await
    }

    async fn send(&self, lane: Lane, calls: Calls) -> Ticket {
        let mut ticket = Ticket::default();
        for (gateway, deliveries) in calls {
            ticket.join(self.links.deliver(&gateway, lane, deliveries).await);
        }
        ticket
    }

    /// The members for each message, those of all conversations asked for at once. `None` at the stop.
    async fn audience(&self, messages: &[StoredMessage], stop: &CancellationToken) -> Option<Vec<Members>> {
        let distinct: BTreeSet<&ConversationId> = messages.iter().map(|message| &message.conversation).collect();
        let asked = distinct.iter().map(|id| self.members_patiently(id, stop));
        let members: Option<Vec<Members>> = join_all(asked).await.into_iter().collect();
        let by_id: BTreeMap<&ConversationId, Members> = distinct.into_iter().zip(members?).collect();
        messages.iter().map(|message| by_id.get(&message.conversation).cloned()).collect()
    }

    /// Members of a conversation; waits while the directory is down and they are not cached. `None` at the stop. A
    /// conversation that is gone has nobody.
    async fn members_patiently(&self, id: &ConversationId, stop: &CancellationToken) -> Option<Members> {
        loop {
            match self.members.get(id).await {
                Ok(Some(members)) => return Some(members),
                Ok(None) => return Some(Members { kind: Kind::Group, users: Arc::from([]) }),
                Err(error) => tracing::debug!(%error, conversation = %id, "cannot learn the members; will retry"),
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                () = sleep(MEMBERS_RETRY) => {}
            }
        }
    }

    /// The gateways that are alive, and those that have a stream, whatever the registry knows of them.
    async fn alive(&self) -> Vec<NodeId> {
        let known = self.registry.gateways().await.unwrap_or_else(|_| {
            self.links.deliver_blindly();
            Default::default()
        });
        let live = known.live.into_iter().map(|lease| lease.gateway);
        live.chain(self.links.gateways_besides(&[])).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Users by index and where they are, ascending by user. Everybody may be on a gateway that the registry has
    /// forgotten, and on each while it is down: a gateway knows its own.
    async fn routes(&self, users: &[UserId]) -> Vec<(usize, NodeId)> {
        let (mut routes, settled) = self.look_up(users).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "no routes: delivering to every gateway");
            self.links.deliver_blindly();
            (Vec::new(), Vec::new())
        });
        let forgotten = self.links.gateways_besides(&settled);
        if !forgotten.is_empty() {
            let everybody = (0..users.len()).flat_map(|user| forgotten.iter().map(move |it| (user, it.clone())));
            routes = routes.into_iter().chain(everybody).collect::<BTreeSet<_>>().into_iter().collect();
        }
        routes
    }

    async fn look_up(&self, users: &[UserId]) -> StoreResult<(Vec<(usize, NodeId)>, Vec<(NodeId, u64)>)> {
        let Routes { hits, settled } = self.registry.routes(users).await?;
        let mut routes: Vec<(usize, NodeId)> = hits.into_iter().map(|hit| (hit.user, hit.gateway)).collect();
        // Absence is never cached: who connects a moment later must be found.
        if self.planted.has(Bug::AbsenceCached) {
            let mut absent = self.absent.lock();
            routes.retain(|(user, _)| !absent.contains(&users[*user]));
            for (n, user) in users.iter().enumerate() {
                if !routes.iter().any(|(user, _)| *user == n) {
                    absent.insert(user.clone());
                }
            }
        }
        Ok((routes, settled))
    }

    /// Counters of the worker.
    pub(crate) fn stats(&self) -> &WorkerStats {
        &self.stats
    }
}

/// Answers a lane's questions for heads, those that are there together: they share the look at the end of the log.
async fn answer(heads: &Heads, mut questions: mpsc::Receiver<HeadQuestion>) {
    let mut batches = FuturesUnordered::new();
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            biased;
            Some(()) = batches.next(), if !batches.is_empty() => {}
            received = questions.recv_many(&mut batch, QUESTIONS_AT_ONCE), if batches.len() < BATCHES_AT_ONCE => {
                if received == 0 {
                    return;
                }
                batches.push(answer_together(heads, std::mem::take(&mut batch)));
            }
        }
    }
}

async fn answer_together(heads: &Heads, questions: Vec<HeadQuestion>) {
    let asked = questions.iter().flat_map(|question| {
        let lane = Lane::from_number(question.request.lane);
        question.request.conversations.iter().filter_map(move |id| Some((lane?, id.as_str())))
    });
    let partitions = heads.owned_of(asked);
    let ends = heads.ends(partitions).await;
    join_all(questions.into_iter().map(|question| answer_one(heads, question, &ends))).await;
}

async fn answer_one(heads: &Heads, HeadQuestion { request, reply }: HeadQuestion, ends: &Ends) {
    let answer = match Lane::from_number(request.lane) {
        Some(lane) => heads.answer(lane, &request.conversations, ends).await,
        None => Vec::new(),
    };
    // The stream that asked may be gone.
    let _ = reply.send(HeadReply { id: request.id, heads: answer });
}

/// The users whose routes matter: a channel goes to subscribers, wherever they are.
fn to_users(members: &Members) -> &[UserId] {
    match members.kind {
        Kind::Channel => &[],
        Kind::Direct | Kind::Group => &members.users,
    }
}

fn add(calls: &mut Calls, to: BTreeMap<NodeId, Vec<String>>, subscribers: bool, kind: delivery::Kind) {
    for (gateway, users) in to {
        calls.entry(gateway).or_default().push(Delivery { users, subscribers, kind: Some(kind.clone()) });
    }
}
