//! The cache between queries: decoded batch states, merged copies of views, finished answers. They share one limit,
//! `query.state_cache`; the entry unused for longest is evicted first.
//!
//! Bytes count until every user has dropped them, not until they leave the cache. Entries in use are not evicted: that
//! would free nothing.

use std::sync::Arc;

use datafusion::execution::memory_pool::MemoryPool;
use dovetail_core::name::ViewName;
use hashlink::LinkedHashMap;
use parking_lot::Mutex;

use crate::error::QueryError;
use crate::memory::{Pool, SharedLimit};
use crate::snapshot::kept::{FinishedAnswer, MergedStates, Room, States};

/// Greatest number of finished answers per view.
const ANSWERS: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CacheKind {
    States,
    Merged,
    Answers,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum CacheKey {
    States(Arc<str>),
    Merged(ViewName),
    Answer(ViewName, Vec<usize>),
}

#[derive(Debug, Clone)]
enum CachedValue {
    States(Arc<States>),
    Merged(Arc<MergedStates>),
    Answer(Arc<FinishedAnswer>),
}

impl CachedValue {
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
type Kept = LinkedHashMap<CacheKey, CachedValue>;

#[derive(Debug)]
pub(crate) struct Cache {
    all: SharedLimit,
    states: Arc<Pool>,
    merged: Arc<Pool>,
    answers: Arc<Pool>,
    /// Memory for states that the cache has no room for, within the limit of all queries.
    beside: Arc<Pool>,
    kept: Mutex<Kept>,
}

impl Cache {
    /// A cache of up to `limit` bytes; `memory` is the limit of all queries.
    pub(crate) fn new(limit: usize, memory: &SharedLimit) -> Arc<Self> {
        let all = SharedLimit::new(limit);
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

    pub(crate) fn bytes_of(&self, kind: CacheKind) -> usize {
        self.pool(kind).reserved()
    }

    fn pool(&self, kind: CacheKind) -> &Arc<Pool> {
        match kind {
            CacheKind::States => &self.states,
            CacheKind::Merged => &self.merged,
            CacheKind::Answers => &self.answers,
        }
    }

    /// A room without bytes yet.
    pub(crate) fn room(&self, kind: CacheKind, view: &ViewName) -> Room {
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
        match self.get(&CacheKey::States(Arc::clone(id)))? {
            CachedValue::States(states) => Some(states),
            _ => None,
        }
    }

    pub(crate) fn keep_states(&self, states: &Arc<States>) {
        self.keep(CacheKey::States(Arc::clone(&states.id)), CachedValue::States(Arc::clone(states)));
    }

    pub(crate) fn merged(&self, view: &ViewName) -> Option<Arc<MergedStates>> {
        match self.get(&CacheKey::Merged(view.clone()))? {
            CachedValue::Merged(base) => Some(base),
            _ => None,
        }
    }

    pub(crate) fn keep_merged(&self, view: &ViewName, base: MergedStates) {
        self.keep(CacheKey::Merged(view.clone()), CachedValue::Merged(Arc::new(base)));
    }

    pub(crate) fn answer(&self, view: &ViewName, columns: &[usize]) -> Option<Arc<FinishedAnswer>> {
        match self.get(&CacheKey::Answer(view.clone(), columns.to_vec()))? {
            CachedValue::Answer(answer) => Some(answer),
            _ => None,
        }
    }

    pub(crate) fn keep_answer(&self, view: &ViewName, columns: &[usize], answer: &Arc<FinishedAnswer>) {
        let new = CacheKey::Answer(view.clone(), columns.to_vec());
        let gone = {
            let mut kept = self.kept();
            let others =
                kept.keys().rev().filter(|key| matches!(key, CacheKey::Answer(v, _) if v == view) && **key != new);
            let others: Vec<CacheKey> = others.skip(ANSWERS - 1).cloned().collect();
            others.iter().filter_map(|key| kept.remove(key)).collect::<Vec<_>>()
        };
        drop(gone);
        self.keep(new, CachedValue::Answer(Arc::clone(answer)));
    }

    fn get(&self, key: &CacheKey) -> Option<CachedValue> {
        self.kept().to_back(key).cloned()
    }

    fn keep(&self, key: CacheKey, value: CachedValue) {
        let before = self.kept().insert(key, value);
        drop(before);
    }

    fn kept(&self) -> parking_lot::MutexGuard<'_, Kept> {
        self.kept.lock()
    }
}
