//! The cache between queries: decoded batch states, merged copies of views, finished answers. They share one limit,
//! `query.state_cache`; the entry unused for longest is evicted first.
//!
//! Bytes count until every user has dropped them, not until they leave the cache. Entries in use are not evicted: that
//! would free nothing.

use std::sync::Arc;

use datafusion::execution::memory_pool::{MemoryPool, MemoryReservation};
use dovetail_core::name::ViewName;
use hashlink::LinkedHashMap;
use parking_lot::Mutex;

use crate::error::QueryError;
use crate::memory::{Pool, Shared};
use crate::snapshot::batch_states::States;
use crate::snapshot::merged_cache::{Answer, Base};

/// Greatest number of finished answers per view.
const ANSWERS: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    States,
    Merged,
    Answers,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    States(Arc<str>),
    Merged(ViewName),
    Answer(ViewName, Vec<usize>),
}

#[derive(Debug, Clone)]
enum Value {
    States(Arc<States>),
    Merged(Arc<Base>),
    Answer(Arc<Answer>),
}

impl Value {
    /// Whether only the cache has it.
    fn is_idle(&self) -> bool {
        match self {
            Self::States(states) => Arc::strong_count(states) == 1,
            Self::Merged(base) => Arc::strong_count(base) == 1,
            Self::Answer(answer) => Arc::strong_count(answer) == 1,
        }
    }
}

/// The entries, the one unused for longest first.
type Kept = LinkedHashMap<Key, Value>;

#[derive(Debug)]
pub(crate) struct Cache {
    all: Shared,
    states: Arc<Pool>,
    merged: Arc<Pool>,
    answers: Arc<Pool>,
    /// Memory for states that the cache has no room for, within the limit of all queries.
    beside: Arc<Pool>,
    kept: Mutex<Kept>,
}

/// Bytes that count until this is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    kept: MemoryReservation,
    beside: MemoryReservation,
}

impl Room {
    /// Whether all of them are the cache's.
    pub(crate) fn is_kept(&self) -> bool {
        self.beside.size() == 0
    }

    pub(crate) fn bytes(&self) -> usize {
        self.kept.size() + self.beside.size()
    }

    /// Releases the bytes above `bytes`.
    pub(crate) fn shrink_to(&self, bytes: usize) {
        let mut more = self.bytes().saturating_sub(bytes);
        for part in [&self.beside, &self.kept] {
            let less = part.size().min(more);
            part.shrink(less);
            more -= less;
        }
    }
}

impl Cache {
    /// A cache of up to `limit` bytes; `memory` is the limit of all queries.
    pub(crate) fn new(limit: usize, memory: &Shared) -> Arc<Self> {
        let all = Shared::new(limit);
        metrics::gauge!("dovetail_memory_limit_bytes", "setting" => "query.state_cache").set(limit as f64);
        metrics::gauge!("dovetail_memory_limit_bytes", "setting" => "query.total_memory").set(memory.limit() as f64);
        Arc::new(Self {
            states: Pool::of("cached_states", &all),
            merged: Pool::of("cached_merged", &all),
            answers: Pool::of("cached_answers", &all),
            beside: Pool::of("states", memory),
            all,
            kept: Mutex::default(),
        })
    }

    pub(crate) fn limit(&self) -> usize {
        self.all.limit()
    }

    /// Bytes of all kinds of entries.
    pub(crate) fn bytes(&self) -> usize {
        self.all.reserved()
    }

    pub(crate) fn bytes_of(&self, kind: Kind) -> usize {
        self.pool(kind).reserved()
    }

    fn pool(&self, kind: Kind) -> &Arc<Pool> {
        match kind {
            Kind::States => &self.states,
            Kind::Merged => &self.merged,
            Kind::Answers => &self.answers,
        }
    }

    /// A room without bytes yet.
    pub(crate) fn room(&self, kind: Kind, view: &ViewName) -> Room {
        Room { kept: self.pool(kind).for_view(view), beside: self.beside.for_view(view) }
    }

    /// Adds `more` bytes of the cache, if they fit after evicting unused entries.
    pub(crate) fn try_grow(&self, room: &Room, more: usize) -> bool {
        if more > self.limit() {
            return false;
        }
        loop {
            if self.all.reserved().saturating_add(more) <= self.limit() && room.kept.try_grow(more).is_ok() {
                return true;
            }
            if !self.evict() {
                return false;
            }
        }
    }

    /// Adds `more` bytes: of the cache, or else of the queries' memory.
    pub(crate) fn grow(&self, room: &Room, more: usize) -> Result<(), QueryError> {
        if room.is_kept() && self.try_grow(room, more) {
            return Ok(());
        }
        room.beside.try_grow(more).map_err(|error| self.beside.explain(error))
    }

    /// Evicts the entry unused for longest, of those that nobody uses.
    fn evict(&self) -> bool {
        let evicted = {
            let mut kept = self.kept();
            let oldest = kept.iter().find(|(_, value)| value.is_idle()).map(|(key, _)| key.clone());
            oldest.and_then(|key| kept.remove(&key))
        };
        if evicted.is_some() {
            metrics::counter!("dovetail_cache_evicted_total").increment(1);
        }
        evicted.is_some()
    }

    pub(crate) fn states(&self, id: &Arc<str>) -> Option<Arc<States>> {
        match self.get(&Key::States(Arc::clone(id)))? {
            Value::States(states) => Some(states),
            _ => None,
        }
    }

    pub(crate) fn keep_states(&self, states: &Arc<States>) {
        self.keep(Key::States(Arc::clone(&states.id)), Value::States(Arc::clone(states)));
    }

    pub(crate) fn merged(&self, view: &ViewName) -> Option<Arc<Base>> {
        match self.get(&Key::Merged(view.clone()))? {
            Value::Merged(base) => Some(base),
            _ => None,
        }
    }

    pub(crate) fn keep_merged(&self, view: &ViewName, base: Base) {
        self.keep(Key::Merged(view.clone()), Value::Merged(Arc::new(base)));
    }

    pub(crate) fn answer(&self, view: &ViewName, columns: &[usize]) -> Option<Arc<Answer>> {
        match self.get(&Key::Answer(view.clone(), columns.to_vec()))? {
            Value::Answer(answer) => Some(answer),
            _ => None,
        }
    }

    pub(crate) fn keep_answer(&self, view: &ViewName, columns: &[usize], answer: &Arc<Answer>) {
        let new = Key::Answer(view.clone(), columns.to_vec());
        let gone = {
            let mut kept = self.kept();
            let others = kept.keys().rev().filter(|key| matches!(key, Key::Answer(v, _) if v == view) && **key != new);
            let others: Vec<Key> = others.skip(ANSWERS - 1).cloned().collect();
            others.iter().filter_map(|key| kept.remove(key)).collect::<Vec<_>>()
        };
        drop(gone);
        self.keep(new, Value::Answer(Arc::clone(answer)));
    }

    fn get(&self, key: &Key) -> Option<Value> {
        self.kept().to_back(key).cloned()
    }

    fn keep(&self, key: Key, value: Value) {
        let before = self.kept().insert(key, value);
        drop(before);
    }

    fn kept(&self) -> parking_lot::MutexGuard<'_, Kept> {
        self.kept.lock()
    }
}
