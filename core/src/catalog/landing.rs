//! The landing: which offset each partition continues at, and the segments below it.
//!
//! ```text
//! first_offset                      next_offset
//! | [0, 500) | [500, 720) | [720, 900) |  .. the log goes on
//! ```
//! Segments of a partition, and the gaps that the log had lost before, lie end to end from its first offset to its
//! next one. Moving `next_offset` only from the segment's own start is what fences out a second writer.

use crate::offsets::{OffsetRange, Offsets};

use super::connection::Change;
use super::statement::{FromRow, Row, Statement, count, stored};
use super::{Catalog, CatalogError, objects};

/// One landed Parquet file: a partition's offset range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    pub topic: String,
    pub partition: i32,
    pub range: OffsetRange,
    /// The object's path; never used before.
    pub path: String,
    /// Records that decoded.
    pub rows: u64,
    /// Records that did not: they lie at `dead_path`.
    pub dead: u64,
    pub dead_path: Option<String>,
    pub bytes: u64,
    /// Fingerprint of the stream's columns as they were decoded.
    pub schema: String,
    /// Least and greatest `_timestamp`, when there is any record.
    pub first_timestamp_ms: Option<i64>,
    pub last_timestamp_ms: Option<i64>,
    pub created_ms: i64,
}

impl Segment {
    /// Its objects.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        [Some(&self.path), self.dead_path.as_ref()].into_iter().flatten().map(String::as_str)
    }
}

/// Where a partition's landing begins and continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    pub topic: String,
    pub partition: i32,
    pub first_offset: i64,
    pub next_offset: i64,
}

/// Sums over a topic's segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LandedTotals {
    pub rows: u64,
    pub dead: u64,
    pub bytes: u64,
    pub segments: u64,
}

impl Catalog {
    /// Makes the partition known, its landing to begin at `first_offset`; one that is known stays as it is.
    /// Returns the offset it continues at.
    pub async fn init_partition(&self, topic: &str, partition: i32, first_offset: i64) -> Result<i64, CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("set up a partition").await?;
            let insert = Statement::new(include_str!("sql/partition_init.sql"));
            change.execute(insert.bind(topic).bind(partition).bind(first_offset)).await?;
            let next_offset = next_offset(&mut change, topic, partition).await?;
            change.commit().await?;
            Ok(next_offset)
        })
        .await
    }

    /// The offset at which the partition's landing continues; [`CatalogError::Missing`] before
    /// [`Self::init_partition`].
    pub async fn next_offset(&self, topic: &str, partition: i32) -> Result<i64, CatalogError> {
        let select = Statement::new(include_str!("sql/partition_get.sql"));
        let row = self.read_one("read a partition", select.bind(topic).bind(partition)).await?;
        row.map(|row: Partition| row.next_offset).ok_or_else(|| unknown(topic, partition))
    }

    /// The topic's known partitions, by number.
    pub async fn partitions(&self, topic: &str) -> Result<Vec<Partition>, CatalogError> {
        let select = Statement::new(include_str!("sql/partition_list.sql"));
        self.read_all("list partitions", select.bind(topic)).await
    }

    /// The offsets at which the topic's landing continues.
    pub async fn next_offsets(&self, topic: &str) -> Result<Offsets, CatalogError> {
        let partitions = self.partitions(topic).await?;
        Ok(partitions.into_iter().map(|p| (p.partition, p.next_offset)).collect())
    }

    /// Records a segment and moves the partition's next offset from the segment's start to its end, or fails with
    /// [`CatalogError::Fenced`] and changes nothing. Its objects have to be staged, else it fails with
    /// [`CatalogError::NotStaged`]. Recording the same segment again succeeds.
    pub async fn record_segment(&self, segment: &Segment) -> Result<(), CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("record a segment").await?;
            if !advance(&mut change, &segment.topic, segment.partition, segment.range).await? {
                if at_path(&mut change, &segment.path).await?.as_ref() == Some(segment) {
                    return Ok(());
                }
                return Err(fenced(&mut change, &segment.topic, segment.partition, segment.range).await?);
            }
            let now_ms = change.now_ms().await?;
            for path in segment.paths() {
                objects::record(&mut change, path, now_ms).await?;
            }
            change.execute(insert(segment)).await?;
            change.commit_and_tell().await
        })
        .await
    }

    /// All segments of the topic, by partition and offset.
    pub async fn segments(&self, topic: &str) -> Result<Vec<Segment>, CatalogError> {
        let select = Statement::new(include_str!("sql/segment_list.sql"));
        self.read_all("list segments", select.bind(topic)).await
    }

    /// The segments that hold any offset of `range`, in order: the first and the last may reach beyond it.
    pub async fn segments_in(
        &self,
        topic: &str,
        partition: i32,
        range: OffsetRange,
    ) -> Result<Vec<Segment>, CatalogError> {
        let select = Statement::new(include_str!("sql/segment_list_in.sql"));
        let select = select.bind(topic).bind(partition).bind(range.start).bind(range.end);
        self.read_all("list segments", select).await
    }

    /// Sums over the topic's segments.
    pub async fn landed_totals(&self, topic: &str) -> Result<LandedTotals, CatalogError> {
        let select = Statement::new(include_str!("sql/landed_totals.sql"));
        let totals = self.read_one("sum up the landing", select.bind(topic)).await?;
        Ok(totals.unwrap_or(LandedTotals { rows: 0, dead: 0, bytes: 0, segments: 0 }))
    }
}

/// Moves the next offset over the range, if it stands at its start.
pub(super) async fn advance(
    change: &mut Change<'_>,
    topic: &str,
    partition: i32,
    range: OffsetRange,
) -> Result<bool, CatalogError> {
    let update = Statement::new(include_str!("sql/partition_advance.sql"));
    let moved = change.execute(update.bind(topic).bind(partition).bind(range.start).bind(range.end)).await?;
    Ok(moved == 1)
}

/// The error for a range that the next offset could not be moved over.
pub(super) async fn fenced(
    change: &mut Change<'_>,
    topic: &str,
    partition: i32,
    range: OffsetRange,
) -> Result<CatalogError, CatalogError> {
    let found = next_offset(change, topic, partition).await?;
    Ok(CatalogError::Fenced { topic: topic.to_owned(), partition, expected: range.start, found })
}

async fn next_offset(change: &mut Change<'_>, topic: &str, partition: i32) -> Result<i64, CatalogError> {
    let select = Statement::new(include_str!("sql/partition_get.sql"));
    let row = change.one(select.bind(topic).bind(partition)).await?;
    row.map(|row: Partition| row.next_offset).ok_or_else(|| unknown(topic, partition))
}

fn unknown(topic: &str, partition: i32) -> CatalogError {
    CatalogError::Missing { what: format!("partition {partition} of topic `{topic}`") }
}

/// The segment stored under `path`.
pub(super) async fn at_path(change: &mut Change<'_>, path: &str) -> Result<Option<Segment>, CatalogError> {
    let select = Statement::new(include_str!("sql/segment_at_path.sql"));
    change.one(select.bind(path)).await
}

pub(super) fn insert(segment: &Segment) -> Statement {
    Statement::new(include_str!("sql/segment_insert.sql"))
        .bind(&segment.topic)
        .bind(segment.partition)
        .bind(segment.range.start)
        .bind(segment.range.end)
        .bind(&segment.path)
        .bind(stored(segment.rows))
        .bind(stored(segment.dead))
        .bind(&segment.dead_path)
        .bind(stored(segment.bytes))
        .bind(&segment.schema)
        .bind(segment.first_timestamp_ms)
        .bind(segment.last_timestamp_ms)
        .bind(segment.created_ms)
}

impl FromRow for Segment {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self {
            topic: row.get("topic")?,
            partition: row.get("partition")?,
            range: OffsetRange::new(row.get("start_offset")?, row.get("end_offset")?),
            path: row.get("path")?,
            rows: count(row.get("row_count")?),
            dead: count(row.get("dead_count")?),
            dead_path: row.get("dead_path")?,
            bytes: count(row.get("bytes")?),
            schema: row.get("schema_fingerprint")?,
            first_timestamp_ms: row.get("first_timestamp_ms")?,
            last_timestamp_ms: row.get("last_timestamp_ms")?,
            created_ms: row.get("created_ms")?,
        })
    }
}

impl FromRow for Partition {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self {
            topic: row.get("topic")?,
            partition: row.get("partition")?,
            first_offset: row.get("first_offset")?,
            next_offset: row.get("next_offset")?,
        })
    }
}

impl FromRow for LandedTotals {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self {
            rows: count(row.get("row_count")?),
            dead: count(row.get("dead_count")?),
            bytes: count(row.get("bytes")?),
            segments: count(row.get("segment_count")?),
        })
    }
}
