//! The dead letters of segments of an older schema, counted as views see them: their records are decoded again, once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::execution::TaskContext;
use datafusion::physical_plan::streaming::PartitionStream;
use dovetail_core::catalog::Segment;
use dovetail_core::name::StreamName;
use dovetail_core::pipeline::Stream;
use dovetail_core::store::Store;
use dovetail_ingestion::redecode::{Redecode, is_older};
use futures::TryStreamExt;
use parking_lot::Mutex;

use crate::error::QueryError;

/// Counts by stream and path of the object, for the segments of the last request.
#[derive(Debug, Default)]
pub(crate) struct Recounted(Mutex<HashMap<StreamName, HashMap<String, u64>>>);

impl Recounted {
    /// Replaces the counts of those `segments` that were landed under another schema by the present ones.
    pub(crate) async fn recount(
        &self,
        stream: &Arc<Stream>,
        store: &Store,
        segments: &mut [Segment],
        context: &Arc<TaskContext>,
    ) -> Result<(), QueryError> {
        if let Some(counts) = self.counts().get_mut(&stream.name) {
            let there: HashSet<&str> = segments.iter().map(|segment| segment.path.as_str()).collect();
            counts.retain(|path, _| there.contains(path.as_str()));
        }
        for segment in segments.iter_mut().filter(|segment| is_older(segment, stream)) {
            let known = self.counts().get(&stream.name).and_then(|counts| counts.get(&segment.path)).copied();
            let dead = match known {
                Some(dead) => dead,
                None => {
                    let again = Redecode::dead_letters(stream, store, vec![segment.clone()]);
                    let letters = again.execute(Arc::clone(context));
                    letters.try_fold(0, async |dead, batch| Ok(dead + batch.num_rows() as u64)).await?
                }
            };
            self.counts().entry(stream.name.clone()).or_default().insert(segment.path.clone(), dead);
            (segment.rows, segment.dead) = ((segment.rows + segment.dead).saturating_sub(dead), dead);
        }
        Ok(())
    }

    fn counts(&self) -> parking_lot::MutexGuard<'_, HashMap<StreamName, HashMap<String, u64>>> {
        self.0.lock()
    }
}
