//! The expected answers of views: one query or one fold over the same records, without any layer.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use dovetail_core::meet::meet;
use dovetail_core::offsets::{Cut, OffsetRange};
use dovetail_core::pipeline::{Pipeline, Stream, register_lookups};
use dovetail_core::realtime::RealtimeView;
use dovetail_core::record::{Fetched, Records};
use dovetail_core::view::{Folder, Planner, View, compare_answers};
use dovetail_ingestion::decoded_log::DecodedLog;
use dovetail_ingestion::formats::Decoder;

use crate::fixtures::folded;

/// Expected answers by one plain DataFusion query over the same records, without a fold.
pub struct Oracle {
    pipeline: Pipeline,
    pub views: Vec<Arc<View>>,
}

impl Oracle {
    pub async fn of(pipeline: &Path) -> Self {
        let pipeline = Pipeline::load(pipeline).unwrap();
        let mut planner = Planner::new(&pipeline).await.unwrap();
        let mut planned = vec![];
        for view in &pipeline.views {
            planned.push(planner.plan(view).await.unwrap());
        }
        Self { pipeline, views: folded(&planned) }
    }

    fn stream(&self) -> &Stream {
        let [stream] = self.pipeline.streams.as_slice() else { panic!("these pipelines have one stream") };
        stream
    }

    /// All views' answers over `lines`, in the order of [`Self::views`]. A line's `_offset` is its place among
    /// them: views that read it compare records of one key, whose order is that of the lines.
    pub async fn answers(&self, lines: &[Vec<u8>]) -> Vec<RecordBatch> {
        let records = Records::from_values(0, lines.iter().map(Vec::as_slice));
        let end = lines.len() as i64;
        let offsets = Int64Array::from_iter_values(0..end);
        let fetched = Fetched { offsets, records, range: OffsetRange { start: 0, end } };
        let decoded = Decoder::new(Arc::new(self.stream().clone())).unwrap().decode(0, &fetched).unwrap();
        let context = SessionContext::new();
        dovetail_core::functions::install(&context);
        register_lookups(&self.pipeline, &context).await.unwrap();
        let table = MemTable::try_new(decoded.rows.schema(), vec![vec![decoded.rows]]).unwrap();
        context.register_table(self.stream().name.as_str(), Arc::new(table)).unwrap();
        let mut answers = vec![];
        for view in &self.views {
            let answer = context.sql(&view.sql).await.unwrap().collect().await.unwrap();
            answers.push(as_answered(view, &answer));
        }
        answers
    }
}

fn nullable(view: &View) -> SchemaRef {
    let schema = view.answer_schema();
    let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// One batch with the view's types: a plain query may read the same text as another kind of string.
fn as_answered(view: &View, batches: &[RecordBatch]) -> RecordBatch {
    let schema = nullable(view);
    let batches = batches.iter().map(|batch| {
        let columns = batch.columns().iter().zip(schema.fields()).map(|(c, field)| cast(c, field.data_type()).unwrap());
        RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap()
    });
    concat_batches(&schema, &batches.collect::<Vec<_>>()).unwrap()
}

/// Panics unless two answers of `view` agree as exactly as its aggregates do.
pub fn agree(view: &View, left: &[RecordBatch], right: &[RecordBatch], what: &str) {
    let (left, right) = (as_answered(view, left), as_answered(view, right));
    let different = compare_answers(&nullable(view), &[left], &[right], view.answer_exactness()).unwrap();
    let first = &different[..different.len().min(3)];
    assert!(different.is_empty(), "{what}: {} has {} differences: {first:#?}", view.name, different.len());
}

/// The state of `range` of a partition, from scratch.
pub async fn fold(view: &Arc<View>, decoded_log: &DecodedLog, partition: i32, range: OffsetRange) -> Vec<RecordBatch> {
    let mut folder = Folder::new(view).unwrap();
    let mut at = range.start;
    while at < range.end {
        let decoded = decoded_log.read(partition, at).await.unwrap().between(at, range.end);
        folder.fold(&decoded.rows).await.unwrap();
        at = decoded.range.end;
    }
    folder.take_state().unwrap()
}

/// Checks that the slices read meet the batch states below `cut`, and that both together give the answer of one fold.
pub async fn check_meets(view: &Arc<View>, decoded_log: &DecodedLog, cut: &Cut, realtime: &RealtimeView) {
    meet(cut, realtime, decoded_log.stream().options.partitions).unwrap();
    let (mut joined, mut whole) = (vec![], vec![]);
    for (partition, head) in realtime.head.iter() {
        joined.extend(fold(view, decoded_log, partition, OffsetRange::new(0, cut.get(partition))).await);
        whole.extend(fold(view, decoded_log, partition, OffsetRange::new(0, head)).await);
    }
    joined.extend(realtime.slices.iter().flat_map(|slice| slice.state.iter().cloned()));
    let (joined, whole) = (view.finish(&joined, None).unwrap(), view.finish(&whole, None).unwrap());
    let differences = compare_answers(&view.leaf_schema(), &joined, &whole, view.leaf_exactness()).unwrap();
    assert!(differences.is_empty(), "{} with cut {cut}, head {}: {differences:?}", view.name, realtime.head);
}
