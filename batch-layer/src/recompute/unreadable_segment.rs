//! The check of segments against the catalog, so that an error names the file and not a byte offset.

use std::collections::BTreeMap;

use dovetail_core::catalog::Segment;
use dovetail_core::store::{Store, StoreError};
use futures::{StreamExt, TryStreamExt, stream};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::RunError;

/// Number of objects checked at the same time.
const AT_ONCE: usize = 16;

/// Checks that every object exists in full: `bytes_of` has the size of each path.
pub(crate) async fn check_sizes(store: &Store, bytes_of: BTreeMap<String, u64>) -> Result<(), RunError> {
    let store = store.clone();
    let checks = bytes_of.into_iter().map(move |(path, bytes)| check_size(store.clone(), path, bytes));
    stream::iter(checks).buffer_unordered(AT_ONCE).try_collect().await
}

async fn check_size(store: Store, path: String, expected: u64) -> Result<(), RunError> {
    match store.size(&path.as_str().into()).await {
        Ok(found) if found == expected => Ok(()),
        Ok(found) => Err(RunError::SegmentTruncated { path, expected, found }),
        Err(StoreError::Missing { .. }) => Err(RunError::SegmentMissing { path }),
        Err(error) => Err(error.into()),
    }
}

/// Finds the unreadable segment after a failed fold, because the fold's error does not name it.
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
