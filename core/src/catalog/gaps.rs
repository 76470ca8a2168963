//! Gaps: offsets that the log lost before they were landed, and that landing skips.

use crate::offsets::OffsetRange;

use super::connection::Change;
use super::landing::{advance, fenced};
use super::statement::{FromRow, Row, Statement};
use super::{Catalog, CatalogError, Trigger};
use crate::catalog::run_requests;

/// A range of offsets of a partition that landing skips.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// The offsets skipped; landing continues at the range's end.
    pub range: OffsetRange,
    /// The cause, for people.
    pub why: String,
    /// Time of recording, in milliseconds since the Unix epoch.
    pub noted_ms: i64,
}

impl Catalog {
    /// Records a gap and moves the partition's next offset from its start to its end, or fails with
    /// [`CatalogError::Fenced`] and changes nothing. Recording a gap of the same range again succeeds. A run that moves
    /// the cut behind the gap is requested.
    ///
    /// # On a crash
    /// The gap, the next offset and the request for a run are one transaction: all of them are there, or none.
    pub async fn record_gap(&self, gap: &Gap) -> Result<(), CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("record a gap").await?;
            let Gap { topic, partition, range, .. } = gap;
            if !advance(&mut change, topic, *partition, *range).await? {
                if at(&mut change, gap).await?.is_some_and(|found| found.range == *range) {
                    return Ok(());
                }
                return Err(fenced(&mut change, topic, *partition, *range).await?);
            }
            let insert = Statement::new(include_str!("sql/gap_insert.sql")).bind(topic).bind(*partition);
            let insert = insert.bind(range.start).bind(range.end).bind(&gap.why).bind(gap.noted_ms);
            change.execute(insert).await?;
            run_requests::request(&mut change, Trigger::Gap).await?;
            change.commit_and_tell().await
        })
        .await
    }

    /// Every gap, by topic, partition and offset.
    pub async fn gaps(&self) -> Result<Vec<Gap>, CatalogError> {
        self.read_all("list gaps", Statement::new(include_str!("sql/gap_list.sql"))).await
    }
}

async fn at(change: &mut Change<'_>, gap: &Gap) -> Result<Option<Gap>, CatalogError> {
    let select = Statement::new(include_str!("sql/gap_get.sql"));
    change.one(select.bind(&gap.topic).bind(gap.partition).bind(gap.range.start)).await
}

impl FromRow for Gap {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self {
            topic: row.get("topic")?,
            partition: row.get("partition")?,
            range: OffsetRange::new(row.get("start_offset")?, row.get("end_offset")?),
            why: row.get("why")?,
            noted_ms: row.get("noted_ms")?,
        })
    }
}
