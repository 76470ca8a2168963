//! `raw.<stream>`: the landed segments as one table, by the catalog at the time of planning. Segments of an older
//! schema are decoded again, as views decode them.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use bytes::Bytes;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, Result};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{DefaultParquetFileReaderFactory, ParquetFileReaderFactory};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::streaming::StreamingTableExec;
use datafusion::physical_plan::union::UnionExec;
use dovetail_core::catalog::Segment;
use dovetail_core::pipeline::Stream;
use dovetail_ingestion::redecode::{Redecode, is_older};
use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use crate::error::QueryError;
use crate::snapshot::layers::Layers;

/// The segments of one stream.
#[derive(Debug)]
pub(crate) struct RawTable {
    layers: Arc<Layers>,
    stream: Arc<Stream>,
    schema: SchemaRef,
}

impl RawTable {
    pub(crate) fn new(layers: &Arc<Layers>, stream: &Arc<Stream>) -> Self {
        Self { layers: Arc::clone(layers), stream: Arc::clone(stream), schema: stream.decoded_schema() }
    }

    fn source(&self, session: &dyn Session, filters: &[Expr]) -> Result<ParquetSource> {
        let reader = NamingReaders(DefaultParquetFileReaderFactory::new(self.layers.store.object_store()));
        let options = session.config_options().execution.parquet.clone();
        let source = ParquetSource::new(Arc::clone(&self.schema))
            .with_table_parquet_options(datafusion::config::TableParquetOptions {
                global: options,
                ..Default::default()
            })
            .with_parquet_file_reader_factory(Arc::new(reader));
        let Some(filter) = conjunction(filters.iter().cloned()) else { return Ok(source) };
        let schema = DFSchema::try_from(self.schema.as_ref().clone())?;
        Ok(source.with_predicate(session.create_physical_expr(filter, &schema)?))
    }
}

impl RawTable {
    fn scan_older(
        &self,
        segments: Vec<Segment>,
        tasks: usize,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let per_task = segments.len().div_ceil(tasks.max(1)).max(1);
        let again = |segments: &[Segment]| Redecode::new(&self.stream, &self.layers.store, segments.to_vec());
        let parts = segments.chunks(per_task).map(|segments| Arc::new(again(segments)) as _).collect();
        let schema = Arc::clone(&self.schema);
        Ok(Arc::new(StreamingTableExec::try_new(schema, parts, projection, [], false, limit)?))
    }
}

#[async_trait]
impl TableProvider for RawTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Row groups whose statistics rule a filter out are skipped; the rows are filtered above.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let segments = self.layers.catalog.segments(&self.stream.topic).await.map_err(QueryError::from)?;
        let is_wanted = |segment: &Segment| segment.rows + segment.dead > 0;
        let (older, segments): (Vec<_>, Vec<_>) =
            segments.into_iter().filter(is_wanted).partition(|segment| is_older(segment, &self.stream));
        let source = Arc::new(self.source(session, filters)?);
        let tasks = session.config().target_partitions();
        let scan = FileScanConfigBuilder::new(self.layers.store.url(), source)
            .with_file_groups(groups(segments, tasks))
            .with_limit(limit)
            .with_projection_indices(projection.cloned())?
            .build();
        let scan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(scan);
        if older.is_empty() {
            return Ok(scan);
        }
        UnionExec::try_new(vec![scan, self.scan_older(older, tasks, projection, limit)?])
    }
}

/// Distributes segments with records over at most `n` groups of about the same size.
fn groups(segments: Vec<Segment>, n: usize) -> Vec<FileGroup> {
    let mut with_rows: Vec<Segment> = segments.into_iter().filter(|segment| segment.rows > 0).collect();
    with_rows.sort_by_key(|segment| std::cmp::Reverse(segment.bytes));
    let mut groups: Vec<(u64, Vec<PartitionedFile>)> = vec![(0, vec![]); n.clamp(1, with_rows.len().max(1))];
    for segment in with_rows {
        if let Some((bytes, files)) = groups.iter_mut().min_by_key(|(bytes, _)| *bytes) {
            *bytes += segment.bytes;
            files.push(PartitionedFile::new(segment.path, segment.bytes));
        }
    }
    groups.into_iter().map(|(_, files)| FileGroup::new(files)).collect()
}

/// Readers whose errors name the object.
#[derive(Debug)]
struct NamingReaders(DefaultParquetFileReaderFactory);

impl ParquetFileReaderFactory for NamingReaders {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let path = file.object_meta.location.to_string();
        let reader = self.0.create_reader(partition, file, hint, metrics)?;
        Ok(Box::new(Naming { reader, path }))
    }
}

struct Naming {
    reader: Box<dyn AsyncFileReader + Send>,
    path: String,
}

fn named(path: &str, error: &ParquetError) -> ParquetError {
    ParquetError::General(format!(
        "segment `{path}` cannot be read: {error}; restore the object from a copy, other segments can still be read with a filter on `_offset`"
    ))
}

impl AsyncFileReader for Naming {
    fn get_bytes(&mut self, range: std::ops::Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        let path = &self.path;
        self.reader.get_bytes(range).map_err(move |error| named(path, &error)).boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<std::ops::Range<u64>>,
    ) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        let path = &self.path;
        self.reader.get_byte_ranges(ranges).map_err(move |error| named(path, &error)).boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        let path = &self.path;
        self.reader.get_metadata(options).map_err(move |error| named(path, &error)).boxed()
    }
}
