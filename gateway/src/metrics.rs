//! What a gateway counts. Prometheus text on `GET /metrics`.

use backends::edge::Dependencies;
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// Of one store: its name.
type ByStore<M> = Family<[(&'static str, &'static str); 1], M>;

/// Counters and gauges of one gateway. No global registry: several gateways live in one process.
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) connections: Gauge,
    pub(crate) accepted: Counter,
    pub(crate) duplicates: Counter,
    pub(crate) refused: Counter,
    pub(crate) delivered: Counter,
    pub(crate) slow_consumers: Counter,
    pub(crate) superseded: Counter,
    pub(crate) upgrades: Counter,
    pub(crate) upgrades_refused: Counter,
    pub(crate) heartbeats: Counter,
    pub(crate) replays: Counter,
    pub(crate) append_seconds: Histogram,
    store_up: ByStore<Gauge>,
    store_calls: ByStore<Gauge>,
    store_errors: ByStore<Gauge>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let metrics = Self {
            registry: Registry::default(),
            connections: Gauge::default(),
            accepted: Counter::default(),
            duplicates: Counter::default(),
            refused: Counter::default(),
            delivered: Counter::default(),
            slow_consumers: Counter::default(),
            superseded: Counter::default(),
            upgrades: Counter::default(),
            upgrades_refused: Counter::default(),
            heartbeats: Counter::default(),
            replays: Counter::default(),
            store_up: ByStore::default(),
            store_calls: ByStore::default(),
            store_errors: ByStore::default(),
            append_seconds: Histogram::new([0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0]),
        };
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        let mut counter = |name: &str, help: &str, counter: &Counter| registry.register(name, help, counter.clone());
        counter("chat_gateway_accepted", "messages answered with accepted", &self.accepted);
        counter("chat_gateway_duplicates", "sends whose key was known", &self.duplicates);
        counter("chat_gateway_refused", "requests answered with an error", &self.refused);
        counter("chat_gateway_delivered", "message frames queued for sockets", &self.delivered);
        counter("chat_gateway_slow_consumers", "connections closed with 4008", &self.slow_consumers);
        counter("chat_gateway_superseded", "connections closed with 4001", &self.superseded);
        counter("chat_gateway_upgrades", "websocket upgrades", &self.upgrades);
        counter("chat_gateway_upgrades_refused", "websocket upgrades refused with 503", &self.upgrades_refused);
        counter("chat_gateway_heartbeats", "heartbeats of clients", &self.heartbeats);
        counter("chat_gateway_replays", "conversations replayed after hello", &self.replays);
        registry.register("chat_gateway_connections", "connections that said hello", self.connections.clone());
        registry.register("chat_gateway_store_up", "1 while a store answers", self.store_up.clone());
        registry.register("chat_gateway_store_calls", "calls of a store since the start", self.store_calls.clone());
        registry.register("chat_gateway_store_errors", "calls of it that failed", self.store_errors.clone());
        let append = self.append_seconds.clone();
        registry.register("chat_gateway_append_seconds", "from send to durable in the log", append);
        self
    }

    pub(crate) fn render(&self, dependencies: &Dependencies) -> String {
        for store in &dependencies.0 {
            let (name, (calls, errors)) = ([("store", store.name())], store.counts());
            self.store_up.get_or_create(&name).set(i64::from(store.trouble().is_none()));
            self.store_calls.get_or_create(&name).set(calls as i64);
            self.store_errors.get_or_create(&name).set(errors as i64);
        }
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
