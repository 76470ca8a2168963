//! The encoding of Parquet: segments for speed, states for finding one group again.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use dovetail_core::record::column;
use dovetail_core::state_file;
use dovetail_core::view_error_file;
use dovetail_ingestion::dead_letters::dead_letter_schema;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

/// Rows per row group of a segment: enough to compress well, few enough that several cores find work in one segment.
const SEGMENT_ROW_GROUP: usize = 1 << 20;
/// Rows per row group of states: a reader of one group decodes one row group.
const STATE_ROW_GROUP: usize = state_file::ROWS;

/// A Parquet file that is being written to memory.
pub(crate) type Encoder = ArrowWriter<Vec<u8>>;

/// An encoder of a segment's rows.
pub(crate) fn segment(schema: SchemaRef) -> Result<Encoder, ParquetError> {
    Encoder::try_new(vec![], schema, Some(segment_properties().build()))
}

/// An encoder of dead letters.
pub(crate) fn dead_letters() -> Result<Encoder, ParquetError> {
    let value = ColumnPath::from("value");
    let properties = base(SEGMENT_ROW_GROUP)
        .set_column_dictionary_enabled(value.clone(), false)
        .set_column_statistics_enabled(value, EnabledStatistics::None);
    Encoder::try_new(vec![], dead_letter_schema(), Some(properties.build()))
}

/// An encoder of a view's states; readers filter by the first `groups` columns.
pub(crate) fn states(schema: SchemaRef, groups: usize, about: Vec<KeyValue>) -> Result<Encoder, ParquetError> {
    let mut properties =
        base(STATE_ROW_GROUP).set_statistics_enabled(EnabledStatistics::None).set_key_value_metadata(Some(about));
    for field in schema.fields().iter().take(groups) {
        let path = ColumnPath::from(field.name().as_str());
        properties = properties.set_column_statistics_enabled(path, EnabledStatistics::Chunk);
    }
    Encoder::try_new(vec![], schema, Some(properties.build()))
}

/// An encoder of the records that a view leaves out.
pub(crate) fn errors() -> Result<Encoder, ParquetError> {
    Encoder::try_new(vec![], view_error_file::schema(), Some(base(STATE_ROW_GROUP).build()))
}

/// The file's bytes.
pub(crate) fn finish(encoder: Encoder) -> Result<Bytes, ParquetError> {
    Ok(Bytes::from(encoder.into_inner()?))
}

/// `batch` with its columns renamed and made nullable as in `schema`; their types are the same.
pub(crate) fn relabelled(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ParquetError> {
    Ok(RecordBatch::try_new(SchemaRef::clone(schema), batch.columns().to_vec())?)
}

/// Common properties, without a page index: with row groups as small as these it costs more than it saves.
fn base(row_group: usize) -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_max_row_group_row_count(Some(row_group))
}

/// Properties of segments. The raw bytes are most of a segment: they are compressed with a fast codec rather than a
/// small one. Offsets and times grow steadily, so their differences are small.
fn segment_properties() -> WriterPropertiesBuilder {
    let mut properties = base(SEGMENT_ROW_GROUP);
    for steady in [column::OFFSET, column::TIMESTAMP].map(ColumnPath::from) {
        properties = properties
            .set_column_dictionary_enabled(steady.clone(), false)
            .set_column_encoding(steady, Encoding::DELTA_BINARY_PACKED);
    }
    for opaque in [column::VALUE, column::HEADERS].map(ColumnPath::from) {
        properties = properties.set_column_statistics_enabled(opaque, EnabledStatistics::None);
    }
    let value = ColumnPath::from(column::VALUE);
    properties.set_column_dictionary_enabled(value.clone(), false).set_column_compression(value, Compression::LZ4_RAW)
}
