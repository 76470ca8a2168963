//! Landed segments as a table: exactly the chosen files, split evenly among the cores.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, FileSource, ParquetSource};
use datafusion::datasource::source::{DataSource, DataSourceExec};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::streaming::StreamingTableExec;
use datafusion::physical_plan::union::UnionExec;
use dovetail_core::catalog::Segment;
use dovetail_core::pipeline::Stream;
use dovetail_core::store::Store;
use dovetail_core::view::View;
use dovetail_ingestion::redecode::Redecode;

use super::progress::RowsRead;

/// Size in bytes below which a file is not split.
const SPLIT_BYTES: usize = 1 << 20;

/// A stream's rows in the chosen segments. Segments of an older schema are decoded again from the raw bytes.
#[derive(Debug)]
pub(crate) struct LandedTable {
    schema: SchemaRef,
    stream: Arc<Stream>,
    store: Store,
    /// Segments that are read as they are.
    direct: Vec<Segment>,
    /// Segments that are decoded again, with their dead letters.
    old: Vec<Segment>,
    cores: usize,
    source: ParquetSource,
    rows_read: RowsRead,
}

impl LandedTable {
    /// A table for `view`: row groups in which no row passes its filter are skipped, as far as their statistics tell.
    pub(crate) fn new(
        (stream, view): (&Arc<Stream>, &View),
        store: &Store,
        segments: &[Segment],
        cores: usize,
    ) -> Self {
        let schema = stream.decoded_schema();
        let current = stream.fingerprint();
        let (direct, old): (Vec<_>, Vec<_>) = segments.iter().cloned().partition(|segment| segment.schema == current);
        let mut source = ParquetSource::new(SchemaRef::clone(&schema));
        if let Some(filter) = view.filter_of_rows() {
            source = source.with_predicate(Arc::clone(filter));
        }
        let rows_read = RowsRead::of(source.metrics().clone());
        Self {
            schema,
            stream: Arc::clone(stream),
            store: store.clone(),
            direct: direct.into_iter().filter(|segment| segment.rows > 0).collect(),
            old: old.into_iter().filter(|segment| segment.rows + segment.dead > 0).collect(),
            cores: cores.max(1),
            source,
            rows_read,
        }
    }

    /// Counts the rows that scans of this table have read.
    pub(crate) fn rows_read(&self) -> RowsRead {
        self.rows_read.clone()
    }

    fn scan_files(&self, projection: Option<&Vec<usize>>) -> Result<Arc<dyn ExecutionPlan>> {
        let files = self.direct.iter().map(|segment| PartitionedFile::new(segment.path.as_str(), segment.bytes));
        let config = FileScanConfigBuilder::new(self.store.url(), Arc::new(self.source.clone()))
            .with_file_group(FileGroup::new(files.collect()))
            .with_projection_indices(projection.cloned())?
            .build();
        let source: Arc<dyn DataSource> = match config.repartitioned(self.cores, SPLIT_BYTES, None)? {
            Some(split) => split,
            None => Arc::new(config),
        };
        Ok(Arc::new(DataSourceExec::new(source)))
    }

    fn scan_old(&self, projection: Option<&Vec<usize>>) -> Result<Arc<dyn ExecutionPlan>> {
        let per_task = self.old.len().div_ceil(self.cores);
        let parts = self.old.chunks(per_task).map(|segments| {
            let decoded = self.rows_read.decoded();
            Arc::new(Redecode::new(&self.stream, &self.store, segments.to_vec()).counted(decoded)) as _
        });
        let schema = SchemaRef::clone(&self.schema);
        Ok(Arc::new(StreamingTableExec::try_new(schema, parts.collect(), projection, [], false, None)?))
    }
}

#[async_trait]
impl TableProvider for LandedTable {
    fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Scans with the view's own filter, which the file scan has already; the rows are filtered above.
    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (self.direct.is_empty(), self.old.is_empty()) {
            (true, true) => {
                let schema = match projection {
                    Some(projection) => Arc::new(self.schema.project(projection)?),
                    None => self.schema(),
                };
                Ok(Arc::new(EmptyExec::new(schema)))
            }
            (false, true) => self.scan_files(projection),
            (true, false) => self.scan_old(projection),
            (false, false) => UnionExec::try_new(vec![self.scan_files(projection)?, self.scan_old(projection)?]),
        }
    }
}
