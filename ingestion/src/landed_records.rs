//! Landed records as they were in the log: the raw bytes of a segment and of its dead letters.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMillisecondType};
use bytes::Bytes;
use datafusion::common::{DataFusionError, Result, exec_datafusion_err};
use dovetail_core::catalog::Segment;
use dovetail_core::record::{Fetched, Records, column};
use dovetail_core::store::Store;
use dovetail_core::stored::check_format;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::dead_letters;

const BATCH_ROWS: usize = 8192;

/// The records of one segment, in batches: those that decoded by offset, then the dead letters.
#[derive(Debug)]
pub struct LandedRecords {
    rows: ParquetRecordBatchReader,
    dead: Option<ParquetRecordBatchReader>,
}

impl LandedRecords {
    /// Reads the segment's objects. The iterator decompresses them, which is work for a thread that may block.
    ///
    /// # Errors
    /// When one of them is gone, is no such object, or is of a later format. Other readers of segments know the format
    /// by the fingerprint of the stream, which covers it.
    pub async fn open(store: &Store, segment: &Segment) -> Result<Self> {
        let rows = own_columns(fetch(store, &segment.path).await?)?;
        let dead = match &segment.dead_path {
            Some(path) => Some(read_all(fetch(store, path).await?)?),
            None => None,
        };
        Ok(Self { rows, dead })
    }
}

impl Iterator for LandedRecords {
    type Item = Result<Fetched>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(batch) = self.rows.next() {
            return Some(batch.map_err(DataFusionError::from).and_then(|batch| to_fetched(&batch)));
        }
        let letters = self.dead.as_mut()?.next()?;
        Some(letters.and_then(dead_letters::to_records).map_err(DataFusionError::from))
    }
}

async fn fetch(store: &Store, path: &str) -> Result<Bytes> {
    store.get(&path.into()).await.map_err(|error| DataFusionError::External(error.into()))
}

/// The columns that every segment has, whatever was declared when it was landed.
fn own_columns(segment: Bytes) -> Result<ParquetRecordBatchReader> {
    let builder = opened(segment)?;
    let names = [column::OFFSET, column::TIMESTAMP, column::KEY, column::HEADERS, column::VALUE];
    let mask = ProjectionMask::columns(builder.parquet_schema(), names);
    Ok(builder.with_projection(mask).with_batch_size(BATCH_ROWS).build()?)
}

fn read_all(object: Bytes) -> Result<ParquetRecordBatchReader> {
    Ok(opened(object)?.with_batch_size(BATCH_ROWS).build()?)
}

fn opened(object: Bytes) -> Result<ParquetRecordBatchReaderBuilder<Bytes>> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(object)?;
    let about = builder.metadata().file_metadata().key_value_metadata();
    check_format(about).map_err(|newer| DataFusionError::External(newer.into()))?;
    Ok(builder)
}

fn to_fetched(batch: &RecordBatch) -> Result<Fetched> {
    let column =
        |name: &str| batch.column_by_name(name).ok_or_else(|| exec_datafusion_err!("column `{name}` is missing"));
    let offsets = column(column::OFFSET)?.as_primitive::<Int64Type>().clone();
    let timestamps = column(column::TIMESTAMP)?.as_primitive::<TimestampMillisecondType>();
    let records = Records {
        timestamps: timestamps.clone().with_timezone_opt(None::<Arc<str>>),
        keys: column(column::KEY)?.as_binary().clone(),
        values: column(column::VALUE)?.as_binary().clone(),
        headers: column(column::HEADERS)?.as_string().clone(),
    };
    Ok(Fetched { range: dead_letters::span(&offsets), offsets, records })
}
