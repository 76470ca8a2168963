//! Boundaries: the offsets of cuts between segments, which compaction must not merge over.

use std::collections::BTreeSet;

use crate::name::StreamName;

use super::connection::Change;
use super::statement::Statement;
use super::{Catalog, CatalogError, GenerationRow, Run, StreamRow};

impl Catalog {
    /// The offsets at which kept generations and running runs cut the topic, as (partition, offset).
    pub async fn boundaries(&self, topic: &str) -> Result<BTreeSet<(i32, i64)>, CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("look at the cuts").await?;
            boundaries(&mut change, self, topic).await
        })
        .await
    }
}

/// The same within a change, so that the result stays true until the change ends.
pub(super) async fn boundaries(
    change: &mut Change<'_>,
    catalog: &Catalog,
    topic: &str,
) -> Result<BTreeSet<(i32, i64)>, CatalogError> {
    let mut boundaries = BTreeSet::new();
    let kept: Vec<GenerationRow> = change.all(Statement::new(include_str!("sql/generation_live.sql"))).await?;
    for row in &kept {
        for states in catalog.manifest(row)?.views.values().filter(|states| states.topic == topic) {
            boundaries.extend(states.cut.0.iter());
        }
    }
    let running: Vec<Run> = change.all(Statement::new(include_str!("sql/run_running.sql"))).await?;
    if running.is_empty() {
        return Ok(boundaries);
    }
    let streams: Vec<StreamRow> = change.all(Statement::new(include_str!("sql/stream_list.sql"))).await?;
    // A stream whose topic is not known may belong to any topic.
    let elsewhere = |name: &StreamName| streams.iter().any(|stream| stream.name == *name && stream.topic != topic);
    for (_, cut) in running.iter().flat_map(|run| &run.cuts).filter(|(stream, _)| !elsewhere(stream)) {
        boundaries.extend(cut.0.iter());
    }
    Ok(boundaries)
}
