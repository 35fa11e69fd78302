//! The contracts against a cluster of three, and what a cluster does to its clients.

use chatfleet_backends::{
    port::{Claim, GatewayLease, Presence, Registry, Session, StoreError},
    redis::{RedisOptions, RedisPresence, RedisRegistry},
};
use domain::{DeviceId, NodeId, UserId};
use tokio::time::{Duration, Instant};

use super::{
    Keys, clock, presence_on, recent_on, registry_on,
    servers::{Server, until},
};
use crate::name;

const SLOTS: usize = 16_384;

/// Three masters.
struct Cluster(Vec<Server>);

impl Cluster {
    async fn start() -> Option<Self> {
        let mut servers = Vec::new();
        for _ in 0..3 {
            let bus = Server::new(&[])?.port.to_string();
            #[rustfmt::skip]
            let options = [
                "--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-require-full-coverage", "no",
                "--cluster-port", &bus,
            ];
            let mut server = Server::new(&options)?;
            server.start().await;
            servers.push((server, bus));
        }
        for (n, (server, _)) in servers.iter().enumerate() {
            let (first, last) = (n * SLOTS / 3, (n + 1) * SLOTS / 3 - 1);
            let range = [first.to_string(), last.to_string()];
            server.ask::<()>(&["CLUSTER", "SET-CONFIG-EPOCH", &(n + 1).to_string()]).await.unwrap();
            server.ask::<()>(&["CLUSTER", "ADDSLOTSRANGE", &range[0], &range[1]]).await.unwrap();
        }
        for (other, bus) in &servers[1..] {
            let meet = ["CLUSTER", "MEET", "127.0.0.1", &other.port.to_string(), bus];
            servers[0].0.ask::<()>(&meet).await.unwrap();
        }
        let cluster = Self(servers.into_iter().map(|(server, _)| server).collect());
        until("the cluster is one", async || {
            for server in &cluster.0 {
                let info: String = server.ask(&["CLUSTER", "INFO"]).await.unwrap();
                let is_one = ["cluster_state:ok", "cluster_slots_assigned:16384", "cluster_known_nodes:3"];
                if !is_one.iter().all(|line| info.contains(line)) {
                    return false;
                }
            }
            true
        })
        .await;
        Some(cluster)
    }

    /// One server is enough to find the others.
    fn options(&self, prefix: &str) -> RedisOptions {
        RedisOptions::new(format!("redis+cluster://127.0.0.1:{}", self.0[2].port), prefix)
    }

    async fn id(&self, n: usize) -> String {
        self.0[n].ask(&["CLUSTER", "MYID"]).await.unwrap()
    }

    /// The slot of a user, and which server has it.
    async fn slot(&self, user: &UserId) -> (String, usize) {
        let slot: usize = self.0[0].ask(&["CLUSTER", "KEYSLOT", user.as_str()]).await.unwrap();
        let owner = (0..3).find(|n| slot < (n + 1) * SLOTS / 3).unwrap();
        (slot.to_string(), owner)
    }
}

fn session(user: &UserId, device: &DeviceId, session_version: u64) -> Session {
    Session { user: user.clone(), device: device.clone(), session_version }
}

#[tokio::test]
async fn contracts_on_a_cluster() {
    let Some(cluster) = Cluster::start().await else { return };
    let urls = cluster.0.iter().map(Server::url).collect();
    let keys = Keys { urls, prefix: name::<NodeId>("contract").to_string() };
    let options = cluster.options(&keys.prefix);
    registry_on(&options, &keys).await;
    presence_on(&options, &keys).await;
    recent_on(&options, &keys).await;
}

#[tokio::test]
async fn slots_that_move() {
    let Some(cluster) = Cluster::start().await else { return };
    let options = cluster.options("fleet");
    let (registry, presence) = (RedisRegistry::new(&options).unwrap(), RedisPresence::new(&options, clock()).unwrap());
    let (user, device, gateway): (UserId, DeviceId, NodeId) = (name("u"), name("d"), name("g"));
    // The slots are read.
    assert_eq!(registry.devices(&user).await, Ok(vec![]));
    assert!(!presence.get(std::slice::from_ref(&user)).await.unwrap()[0].online);
    let (slot, owner) = cluster.slot(&user).await;
    let next = (owner + 1) % 3;
    let ids = [cluster.id(owner).await, cluster.id(next).await];

    // On its way: who has nothing of it any more sends on.
    cluster.0[next].ask::<()>(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &ids[0]]).await.unwrap();
    cluster.0[owner].ask::<()>(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &ids[1]]).await.unwrap();
    presence.refresh(&[session(&user, &device, 1)]).await.unwrap();
    assert!(presence.get(std::slice::from_ref(&user)).await.unwrap()[0].online);
    let moved: usize = cluster.0[next].ask(&["CLUSTER", "COUNTKEYSINSLOT", &slot]).await.unwrap();
    assert_eq!(moved, 1);

    // It is there.
    for n in [next, owner] {
        cluster.0[n].ask::<()>(&["CLUSTER", "SETSLOT", &slot, "NODE", &ids[1]]).await.unwrap();
    }
    assert!(presence.get(std::slice::from_ref(&user)).await.unwrap()[0].online);
    let registered = registry.register(&user, &device, &gateway, 1, 7).await.unwrap();
    assert_eq!(registered.session_version, 7);
    assert_eq!(registry.refresh(&gateway, 1, &[session(&user, &device, 7)]).await, Ok(vec![Some(7)]));
}

#[tokio::test]
async fn a_master_that_falls_silent() {
    let Some(cluster) = Cluster::start().await else { return };
    let registry = RedisRegistry::new(&cluster.options("fleet")).unwrap();
    let (device, gateway): (DeviceId, NodeId) = (name("d"), name("g"));
    let lease = GatewayLease { gateway: gateway.clone(), incarnation: 1, link: "l".to_owned() };
    registry.beat(&lease, 1_000_000, Claim::Take).await.unwrap();
    // Not the one with the leases.
    let leases = cluster.slot(&"leases".parse().unwrap()).await.1;
    let silent = (leases + 1) % 3;
    let (mut here, mut there) = (None, None);
    while here.is_none() || there.is_none() {
        let user: UserId = name("u");
        let owner = cluster.slot(&user).await.1;
        let place = if owner == silent { &mut there } else { &mut here };
        *place = Some(user);
    }
    let (here, there) = (here.unwrap(), there.unwrap());
    for user in [&here, &there] {
        registry.register(user, &device, &gateway, 1, 5).await.unwrap();
    }
    cluster.0[silent].pause();
    let began = Instant::now();
    let error = registry.devices(&there).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    assert!(began.elapsed() < Duration::from_millis(3_500), "{:?}", began.elapsed());
    // The others serve.
    assert_eq!(registry.refresh(&gateway, 1, &[session(&here, &device, 5)]).await, Ok(vec![Some(5)]));
    assert_eq!(registry.devices(&here).await.unwrap().len(), 1);
    cluster.0[silent].resume();
    until("the master is back", async || registry.devices(&there).await.is_ok_and(|devices| devices.len() == 1)).await;
}
