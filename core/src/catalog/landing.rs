//! The landing: the offset at which each partition continues, and the segments below it.
//!
//! ```text
//! first_offset                      next_offset
//! | [0, 500) | [500, 720) | [720, 900) |  .. the log goes on
//! ```
//! Segments of a partition, and its gaps, lie end to end from its first offset to its next one. `next_offset` moves
//! only from a segment's own start, which fences a second writer.

use crate::offsets::{OffsetRange, Offsets};

use super::connection::Change;
use super::statement::{FromRow, Row, Statement, count, stored};
use super::{Catalog, CatalogError, objects};

/// One landed Parquet file: an offset range of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// The offsets that the segment covers.
    pub range: OffsetRange,
    /// The object's path; never used before.
    pub path: String,
    /// Number of records that decoded.
    pub rows: u64,
    /// Number of records that did not decode: they are stored at `dead_path`.
    pub dead: u64,
    /// Path of the dead letters; `None` when `dead` is 0.
    pub dead_path: Option<String>,
    /// Size of the Parquet file, in bytes.
    pub bytes: u64,
    /// Fingerprint of the stream's columns at the time of decoding.
    pub schema: String,
    /// Least and greatest `_timestamp`, in milliseconds since the Unix epoch; `None` when the segment has no record.
    pub first_timestamp_ms: Option<i64>,
    /// See `first_timestamp_ms`.
    pub last_timestamp_ms: Option<i64>,
    /// Time of landing, in milliseconds since the Unix epoch.
    pub created_ms: i64,
}

impl Segment {
    /// The paths of its objects: the segment, and its dead letters if there are any.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        [Some(&self.path), self.dead_path.as_ref()].into_iter().flatten().map(String::as_str)
    }
}

/// The start and the next offset of a partition's landing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// The offset at which its landing began.
    pub first_offset: i64,
    /// The offset at which its landing continues.
    pub next_offset: i64,
}

/// Sums over a topic's segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LandedTotals {
    /// Records that decoded.
    pub rows: u64,
    /// Records that did not decode.
    pub dead: u64,
    /// Size of the segments, in bytes.
    pub bytes: u64,
    /// Number of segments.
    pub segments: u64,
}

impl Catalog {
    /// Makes the partition known, with a landing that begins at `first_offset`; a known partition stays as it is.
    /// Returns the offset at which its landing continues.
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
    ///
    /// # On a crash
    /// The transaction is all or nothing. Objects that were put and not recorded stay `staged`, and the batch layer's
    /// collection deletes them once the staging limit has passed.
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

/// Moves the next offset to the end of the range if it is at its start; returns whether it did.
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

/// The error for a range whose start is not the next offset.
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

/// The segment recorded under `path`.
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
