//! Trimming of the log: records that every kept generation covers are landed and not read from the log again.
//!
//! ```text
//! log      |######### trimmed #########|------------ kept ------------|
//! landing  |###################################################|
//!                                      ^ oldest kept cut       ^ next offset
//! ```

use std::collections::BTreeMap;

use dovetail_core::manifest::Manifest;
use dovetail_ingestion::log::Log;

use super::{RECENT, Upkeep, UpkeepError};

impl Upkeep {
    /// Trims every stream's log as far as it is no longer needed. A generation that can be rolled back to still finds
    /// everything above its cut.
    ///
    /// # On a crash
    /// Some partitions hold more than is needed, until the next upkeep.
    pub(super) async fn trim(&self) -> Result<(), UpkeepError> {
        let Some(log) = &self.log else { return Ok(()) };
        let rows = self.catalog.generations(RECENT).await?;
        let kept = rows.iter().filter(|row| row.retired_ms.is_none()).map(|row| Manifest::from_json(&row.manifest));
        let kept: Vec<Manifest> = kept.collect::<Result<_, _>>()?;
        for stream in &self.streams {
            let landed = self.catalog.next_offsets(&stream.topic).await?;
            let folded = self.views.iter().any(|view| view.stream == stream.name);
            for (partition, before) in needed_from(&kept, &stream.topic, folded, landed.iter()) {
                trim_partition(log.as_ref(), &stream.topic, partition, before).await?;
            }
        }
        Ok(())
    }
}

async fn trim_partition(log: &dyn Log, topic: &str, partition: i32, before: i64) -> Result<(), UpkeepError> {
    let bounds = log.bounds(topic, partition).await?;
    if bounds.start < before {
        log.trim(topic, partition, before).await?;
        let labels = [("topic", topic.to_owned()), ("partition", partition.to_string())];
        metrics::gauge!("dovetail_log_first_offset", &labels).set(before as f64);
    }
    Ok(())
}

/// The offset from which each partition of a topic is needed: the lowest cut of the kept generations, or the landing's
/// next offset where no view folds the topic. A topic whose views were never published is needed whole.
pub(super) fn needed_from(
    kept: &[Manifest],
    topic: &str,
    folded: bool,
    landed: impl Iterator<Item = (i32, i64)>,
) -> BTreeMap<i32, i64> {
    let cuts: Vec<_> =
        kept.iter().flat_map(|m| m.views.values()).filter(|v| v.topic == topic).map(|v| &v.cut).collect();
    if folded && cuts.is_empty() {
        return BTreeMap::new();
    }
    landed.map(|(p, next)| (p, cuts.iter().map(|cut| cut.get(p)).fold(next, i64::min))).collect()
}
