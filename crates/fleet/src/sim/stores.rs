//! The edge of a store in the simulation: the weather of the node that calls it.

use backends::{
    edge::Edge,
    port::{Appending, ConsumerEvent, StoreError, StoreResult},
};

use super::weather::Weather;

/// One store, seen through a node's weather.
#[derive(Clone)]
pub(super) struct Windy {
    weather: Weather,
    store: &'static str,
}

impl Windy {
    pub(super) fn new(weather: &Weather, store: &'static str) -> Self {
        Self { weather: weather.clone(), store }
    }
}

impl Edge for Windy {
    async fn pass<T: Send>(&self, call: impl Future<Output = StoreResult<T>> + Send) -> StoreResult<T> {
        self.weather.call(self.store).await?;
        let value = call.await?;
        self.weather.answer(self.store, value).await
    }

    fn append(&self, start: impl FnOnce() -> Appending) -> Appending {
        if self.weather.is_off() {
            return Box::pin(std::future::pending());
        }
        if self.weather.chance(0.001) {
            let error = StoreError::unavailable(self.store, "its queue is full");
            return Box::pin(std::future::ready(Err(error)));
        }
        // In order at once, as the port promises; only the answer is late or lost.
        let (appending, edge) = (start(), self.clone());
        Box::pin(async move {
            let offset = appending.await?;
            edge.weather.answer(edge.store, offset).await
        })
    }

    async fn wait(&self) {
        // Before, not after: a cancelled `next` must not lose an event.
        self.weather.power().await;
    }

    fn waited(&self, _: &StoreResult<ConsumerEvent>) {}
}
