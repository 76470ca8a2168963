//! Whether segments are what the catalog says, so that an error names the file and not a byte offset.

use std::collections::BTreeMap;

use dovetail_core::catalog::Segment;
use dovetail_core::store::{Store, StoreError};
use futures::{StreamExt, TryStreamExt, stream};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::RunError;

/// Objects that are looked at at the same time.
const AT_ONCE: usize = 16;

/// Looks whether every segment is there in full.
pub(crate) async fn check_sizes(store: &Store, segments: impl Iterator<Item = &Segment>) -> Result<(), RunError> {
    let distinct: BTreeMap<&str, u64> = segments.map(|segment| (segment.path.as_str(), segment.bytes)).collect();
    let checks = distinct.into_iter().map(|(path, bytes)| check_size(store, path, bytes));
    stream::iter(checks).buffer_unordered(AT_ONCE).try_collect().await
}

async fn check_size(store: &Store, path: &str, expected: u64) -> Result<(), RunError> {
    match store.size(&path.into()).await {
        Ok(found) if found == expected => Ok(()),
        Ok(found) => Err(RunError::SegmentTruncated { path: path.to_owned(), expected, found }),
        Err(StoreError::Missing { .. }) => Err(RunError::SegmentMissing { path: path.to_owned() }),
        Err(error) => Err(error.into()),
    }
}

/// The segment that cannot be read, after a fold has failed: which one it was, its error does not say.
pub(crate) async fn find_damaged(store: &Store, segments: &[Segment]) -> Option<RunError> {
    for segment in segments {
        let content = match store.get(&segment.path.as_str().into()).await {
            Ok(content) => content,
            Err(StoreError::Missing { path }) => return Some(RunError::SegmentMissing { path }),
            Err(error) => return Some(error.into()),
        };
        let read = move || -> Result<(), String> {
            let rows = ParquetRecordBatchReaderBuilder::try_new(content).and_then(|builder| builder.build());
            for batch in rows.map_err(|error| error.to_string())? {
                batch.map_err(|error| error.to_string())?;
            }
            Ok(())
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => return Some(RunError::SegmentDamaged { path: segment.path.clone(), why }),
            Err(error) => return Some(error.into()),
        }
    }
    None
}
