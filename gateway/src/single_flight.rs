//! One question at a time: who asks what another one asks already waits for the same answer.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{BuildHasherDefault, Hash},
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared, WeakShared},
};
use parking_lot::Mutex;
use rustc_hash::FxHasher;

type Answer<T> = BoxFuture<'static, T>;

/// Questions under way, by what is asked. Those who wait keep a question alive, this does not: one whose askers have all
/// gone away is dropped with what it holds. Nobody would poll it, so no deadline of its own would ever end it, and a
/// gateway whose clients left in the middle of their first sends kept MySQL connections that way until it had none.
pub(crate) struct SingleFlight<K, T: Clone> {
    under_way: Mutex<HashMap<K, WeakShared<Answer<T>>, BuildHasherDefault<FxHasher>>>,
}

impl<K, T: Clone> Default for SingleFlight<K, T> {
    fn default() -> Self {
        Self { under_way: Mutex::default() }
    }
}

impl<K: Clone + Eq + Hash, T: Clone> SingleFlight<K, T> {
    /// Waits for the answer to the question that is under way, or begins it.
    pub(crate) async fn ask(&self, key: &K, begin: impl FnOnce() -> Answer<T>) -> T {
        // Declared first, so that it looks when our own hold on the question is gone.
        let _leaving = Leaving { questions: self, key };
        let question = self.join(key, begin);
        question.await
    }

    fn join(&self, key: &K, begin: impl FnOnce() -> Answer<T>) -> Shared<Answer<T>> {
        let mut under_way = self.under_way.lock();
        let asked = under_way.get(key).and_then(WeakShared::upgrade);
        asked.unwrap_or_else(|| {
            let question = begin().shared();
            let weak = question.downgrade().unwrap_or_else(|| unreachable!("it was not polled yet"));
            under_way.insert(key.clone(), weak);
            question
        })
    }
}

/// Somebody who waits. The last one to leave, with the answer or without, takes the question away.
struct Leaving<'a, K: Clone + Eq + Hash, T: Clone> {
    questions: &'a SingleFlight<K, T>,
    key: &'a K,
}

impl<K: Clone + Eq + Hash, T: Clone> Drop for Leaving<'_, K, T> {
    fn drop(&mut self) {
        let mut under_way = self.questions.under_way.lock();
        if let Entry::Occupied(question) = under_way.entry(self.key.clone())
            && question.get().upgrade().is_none()
        {
            question.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use futures_util::future::join;
    use tokio::sync::Semaphore;

    use super::*;

    /// A store with a bounded number of connections, which answers once it is let.
    #[derive(Clone)]
    struct Store {
        connections: Arc<Semaphore>,
        answers: Arc<Semaphore>,
        asked: Arc<AtomicUsize>,
    }

    impl Store {
        fn new() -> Self {
            let asked = Arc::default();
            Self { connections: Arc::new(Semaphore::new(1)), answers: Arc::new(Semaphore::new(0)), asked }
        }

        fn read(&self) -> Answer<usize> {
            let store = self.clone();
            async move {
                let _connection = store.connections.acquire().await;
                let number = store.asked.fetch_add(1, Ordering::Relaxed);
                store.answers.acquire().await.map(|permit| permit.forget()).unwrap();
                number
            }
            .boxed()
        }
    }

    #[tokio::test]
    async fn who_asks_the_same_at_once_asks_once_and_later_anew() {
        let (store, questions) = (Store::new(), SingleFlight::default());
        let both = join(questions.ask(&"a", || store.read()), questions.ask(&"a", || store.read()));
        // Once both have asked.
        let answers = async { store.answers.add_permits(2) };
        assert_eq!(join(both, answers).await, ((0, 0), ()));
        assert!(questions.under_way.lock().is_empty());
        assert_eq!(questions.ask(&"a", || store.read()).await, 1);
    }

    #[tokio::test]
    async fn a_question_whose_askers_left_gives_its_connection_back() {
        let (store, questions) = (Store::new(), SingleFlight::default());
        for key in ["a", "b"] {
            let mut first = Box::pin(questions.ask(&key, || store.read()));
            let mut second = Box::pin(questions.ask(&key, || store.read()));
            assert!((&mut first).now_or_never().is_none());
            assert!((&mut second).now_or_never().is_none());
            assert_eq!(store.connections.available_permits(), 0);
            // The other one goes on with it.
            drop(first);
            assert_eq!(store.connections.available_permits(), 0);
            drop(second);
            assert_eq!(store.connections.available_permits(), 1);
            assert!(questions.under_way.lock().is_empty());
        }
        store.answers.add_permits(1);
        assert_eq!(questions.ask(&"a", || store.read()).await, 2);
    }

    #[tokio::test]
    async fn a_question_outlives_the_one_who_began_it() {
        let (store, questions) = (Store::new(), SingleFlight::default());
        let mut first = Box::pin(questions.ask(&"a", || store.read()));
        assert!((&mut first).now_or_never().is_none());
        let mut second = Box::pin(questions.ask(&"a", || store.read()));
        assert!((&mut second).now_or_never().is_none());
        drop(first);
        store.answers.add_permits(1);
        assert_eq!(second.await, 0);
        assert_eq!(store.asked.load(Ordering::Relaxed), 1);
    }
}
