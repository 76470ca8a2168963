//! The encoding of Parquet: segments for speed, states for finding one group again. The types of columns, and the
//! format in each object's metadata, are in [`crate::stored`].

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use crate::record::column;
use crate::{state_file, stored, view_error_file};

/// Rows per row group of a segment: enough to compress well, few enough that several cores find work in one segment.
const SEGMENT_ROW_GROUP: usize = 1 << 20;
/// Rows per row group of states: a reader of one group decodes one row group.
const STATE_ROW_GROUP: usize = state_file::ROWS;

/// A Parquet file that is being written to memory.
pub struct ParquetEncoder {
    writer: ArrowWriter<Vec<u8>>,
    /// The schema in the file.
    schema: SchemaRef,
}

impl ParquetEncoder {
    /// An encoder of rows of `schema`; `about` are the entries of the file's metadata.
    fn new(schema: &Schema, properties: WriterPropertiesBuilder, about: Vec<KeyValue>) -> Result<Self, ParquetError> {
        let schema = stored::schema(schema);
        let properties = properties.set_key_value_metadata(Some(about)).build();
        let writer = ArrowWriter::try_new(vec![], SchemaRef::clone(&schema), Some(properties))?;
        Ok(Self { writer, schema })
    }

    /// Adds rows: columns in the order of the schema, under any names.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        self.writer.write(&stored::fitted(batch, &self.schema)?)
    }

    /// Bytes of the file so far.
    pub fn size(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }
}

/// An encoder of a segment's rows.
pub fn segment(schema: &Schema) -> Result<ParquetEncoder, ParquetError> {
    ParquetEncoder::new(schema, segment_properties(), stored::about(schema))
}

/// An encoder of dead letters, whose columns are `schema`.
pub fn dead_letters(schema: &Schema) -> Result<ParquetEncoder, ParquetError> {
    let value = ColumnPath::from("value");
    let properties = base(SEGMENT_ROW_GROUP)
        .set_column_dictionary_enabled(value.clone(), false)
        .set_column_statistics_enabled(value, EnabledStatistics::None);
    ParquetEncoder::new(schema, properties, stored::about(schema))
}

/// An encoder of a view's states; readers filter by the first `groups` columns.
pub fn states(schema: &Schema, groups: usize, about: Vec<KeyValue>) -> Result<ParquetEncoder, ParquetError> {
    let mut properties = base(STATE_ROW_GROUP).set_statistics_enabled(EnabledStatistics::None);
    for field in schema.fields().iter().take(groups) {
        let path = ColumnPath::from(field.name().as_str());
        properties = properties.set_column_statistics_enabled(path, EnabledStatistics::Chunk);
    }
    ParquetEncoder::new(schema, properties, about)
}

/// An encoder of the records that a view leaves out.
pub fn errors() -> Result<ParquetEncoder, ParquetError> {
    let schema = view_error_file::schema();
    ParquetEncoder::new(&schema, base(STATE_ROW_GROUP), stored::about(&schema))
}

/// The file's bytes.
pub fn finish(encoder: ParquetEncoder) -> Result<Bytes, ParquetError> {
    Ok(Bytes::from(encoder.writer.into_inner()?))
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
