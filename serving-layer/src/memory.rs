//! Memory pools: every byte that grows with data belongs to one. A query has a limit of its own, and all queries share
//! one limit with the work beside them; data kept between queries has another (see `cache`).
//!
//! ```text
//! query.total_memory ─┬─ query      each within query.memory
//!                     ├─ states     being decoded, or too large to be kept
//!                     └─ merging, drift, verify
//! query.state_cache  ─── states, merged, answers
//! ```

use std::fmt;
use std::sync::Arc;

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{
    GreedyMemoryPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};
use metrics::Gauge;
use parking_lot::Mutex;
use tracing::info;

use crate::error::{QueryError, Reason};

const QUERY_MEMORY: &str = "query.memory";
const TOTAL_MEMORY: &str = "query.total_memory";

/// A limit that several pools share.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pool: Arc<dyn MemoryPool>,
    limit: usize,
}

impl Shared {
    pub(crate) fn new(limit: usize) -> Self {
        Self { pool: Arc::new(GreedyMemoryPool::new(limit)), limit }
    }

    pub(crate) fn reserved(&self) -> usize {
        self.pool.reserved()
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }
}

/// The memory of one query, or of one task beside the queries: within its own limit and within the rest of the shared
/// one.
#[derive(Debug)]
pub struct Pool {
    /// The metric's label of its bytes.
    part: &'static str,
    gauge: Gauge,
    /// The tables that the query reads, in the words of its statement.
    reads: Vec<String>,
    own: GreedyMemoryPool,
    limit: usize,
    all: Shared,
    /// The last refusal, for people.
    refused: Mutex<Option<QueryError>>,
}

impl Pool {
    /// The pool of a query that reads the tables `reads`.
    pub(crate) fn of_query(limit: usize, reads: Vec<String>, all: &Shared) -> Arc<Self> {
        Self::made("query", limit, reads, all)
    }

    /// A pool without a limit of its own.
    pub(crate) fn of(part: &'static str, all: &Shared) -> Arc<Self> {
        Self::made(part, usize::MAX, vec![], all)
    }

    fn made(part: &'static str, limit: usize, reads: Vec<String>, all: &Shared) -> Arc<Self> {
        let gauge = metrics::gauge!("dovetail_memory_bytes", "part" => part);
        let own = GreedyMemoryPool::new(limit);
        Arc::new(Self { part, gauge, reads, own, limit, all: all.clone(), refused: Mutex::default() })
    }

    /// The pool in DataFusion's interface.
    pub fn shared(self: &Arc<Self>) -> Arc<dyn MemoryPool> {
        Arc::<Self>::clone(self)
    }

    /// An empty reservation for work on `view`.
    pub fn for_view(self: &Arc<Self>, view: impl fmt::Display) -> MemoryReservation {
        MemoryConsumer::new(format!("{VIEW}{view}")).register(&self.shared())
    }

    /// Reserves `bytes` for `view`, until the reservation is dropped.
    ///
    /// # Errors
    /// When there is not enough memory; the message has the purpose, the size and the setting of the limit.
    pub fn take(self: &Arc<Self>, view: impl fmt::Display, bytes: usize) -> Result<MemoryReservation, QueryError> {
        let reservation = self.for_view(view);
        reservation.try_grow(bytes).map_err(|error| self.explain(error))?;
        Ok(reservation)
    }

    /// The error for people: for a lack of memory, the part that asked, the size and the setting of the limit.
    /// DataFusion's own text is logged.
    pub fn explain(&self, error: DataFusionError) -> QueryError {
        if !matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)) {
            return error.into();
        }
        let refused = self.refused.lock().clone();
        let Some(refused) = refused else { return error.into() };
        info!(part = self.part, cause = error.strip_backtrace(), "memory was short");
        refused
    }

    fn refuse(&self, asker: &str, asked: usize, used: usize, setting: &str, limit: usize) -> DataFusionError {
        let asker = described(asker, &self.reads);
        let (asked, used, limit) = (size(asked), size(used), size(limit));
        let message = match setting {
            QUERY_MEMORY => format!(
                "the query needs more memory than it may use: {asker} asked for {asked} more, the query has {used} of \
                 the {limit} that `{setting}` allows it"
            ),
            _ => format!(
                "there is not enough memory for {}: {asker} asked for {asked} more, all queries together have {used} \
                 of the {limit} that `{setting}` allows them",
                subject(self.part)
            ),
        };
        let hint = match setting {
            QUERY_MEMORY => format!("filter or aggregate more, or raise `{setting}`"),
            _ => format!("ask again when other queries have ended, or raise `{setting}`"),
        };
        let refused = QueryError::new(Reason::Memory, message.clone()).with_hint(hint);
        *self.refused.lock() = Some(refused);
        metrics::counter!("dovetail_memory_refused_total", "part" => self.part).increment(1);
        // DataFusion's operators use less memory after this error.
        DataFusionError::ResourcesExhausted(message)
    }
}

/// Prefix of the name of a view's consumer.
const VIEW: &str = "view ";

/// The consumer in words: a view, or a part of the query over the tables that it reads.
fn described(asker: &str, reads: &[String]) -> String {
    if let Some(view) = asker.strip_prefix(VIEW) {
        return format!("view `{view}`");
    }
    let operator = asker.split('[').next().unwrap_or(asker).trim();
    let what = match operator {
        "ExternalSorter" | "ExternalSorterMerge" | "TopK" | "SortPreservingMergeExec" => "`ORDER BY`".to_owned(),
        _ if operator.contains("Aggregate") => "`GROUP BY` or `DISTINCT`".to_owned(),
        _ if operator.contains("Join") || operator == "SMJStream" => "a join".to_owned(),
        _ if operator.contains("Window") || operator.starts_with("PartitionedTopK") => "a window".to_owned(),
        _ => format!("`{operator}`"),
    };
    match reads {
        [] => what,
        reads => format!("{what} over `{}`", reads.join("`, `")),
    }
}

fn subject(part: &str) -> &str {
    match part {
        "states" => "a view's batch states",
        "merging" => "merging states ahead",
        "drift" => "comparing the layers",
        "verify" => "verifying",
        _ => "the query",
    }
}

/// A size in the spelling of settings, `1.5 MiB`.
pub(crate) fn size(bytes: usize) -> String {
    const UNITS: [(u32, &str); 3] = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match UNITS.iter().find(|(bits, _)| bytes >> bits > 0) {
        Some((bits, unit)) => format!("{:.1} {unit}", bytes as f64 / (1_u64 << bits) as f64),
        None => format!("{bytes} bytes"),
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.part)
    }
}

impl MemoryPool for Pool {
    fn name(&self) -> &str {
        self.part
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.own.grow(reservation, additional);
        self.all.pool.grow(reservation, additional);
        self.gauge.increment(additional as f64);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.own.shrink(reservation, shrink);
        self.all.pool.shrink(reservation, shrink);
        self.gauge.decrement(shrink as f64);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let asker = reservation.consumer().name();
        if self.own.try_grow(reservation, additional).is_err() {
            return Err(self.refuse(asker, additional, self.own.reserved(), QUERY_MEMORY, self.limit));
        }
        if self.all.pool.try_grow(reservation, additional).is_err() {
            self.own.shrink(reservation, additional);
            return Err(self.refuse(asker, additional, self.all.reserved(), TOTAL_MEMORY, self.all.limit));
        }
        self.gauge.increment(additional as f64);
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.own.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.own.memory_limit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_as_in_settings() {
        assert_eq!(
            [size(17), size(16 << 10), size(3 << 19), size(usize::MAX >> 1)].join(", "),
            ["17 bytes", "16.0 KiB", "1.5 MiB", "8589934592.0 GiB"].join(", ")
        );
    }

    #[test]
    fn who_is_refused_is_told_by_which_limit() {
        let all = Shared::new(1000);
        let query = Pool::of_query(600, vec!["by_page".to_owned()], &all);
        let _first = query.take("by_page", 500).unwrap();
        let error = query.take("by_page", 200).unwrap_err();
        assert_eq!(
            error.message,
            "the query needs more memory than it may use: view `by_page` asked for 200 bytes more, the query has 500 \
             bytes of the 600 bytes that `query.memory` allows it"
        );
        let _drift = Pool::of("drift", &all).take("by_user", 450).unwrap();
        let sorter = MemoryConsumer::new("ExternalSorter[3]").register(&query.shared());
        let error = query.explain(sorter.try_grow(90).unwrap_err());
        assert_eq!(
            error.message,
            "there is not enough memory for the query: `ORDER BY` over `by_page` asked for 90 bytes more, all queries \
             together have 950 bytes of the 1000 bytes that `query.total_memory` allows them"
        );
        assert_eq!((error.reason, error.hint.unwrap().contains("query.total_memory")), (Reason::Memory, true));
        assert_eq!(all.reserved(), 950);
    }
}
