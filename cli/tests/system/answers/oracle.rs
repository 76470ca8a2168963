//! The expected answers of views: one plain DataFusion query over the same records, without a fold.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::pipeline::{Stream, register_lookups};
use dovetail_core::record::{Fetched, Records};
use dovetail_core::view::View;
use dovetail_ingestion::formats::Decoder;
use dovetail_server::process::plan::Plan;

use crate::comparing::{self, as_answered};
use crate::support::Server;

pub(super) struct Oracle {
    plan: Plan,
    pub(super) views: Vec<Arc<View>>,
}

impl Oracle {
    pub(super) async fn of(pipeline: &Path) -> Self {
        let plan = Plan::load(pipeline).await.unwrap();
        let views = plan.folded();
        Self { plan, views }
    }

    fn stream(&self) -> &Stream {
        let [stream] = self.plan.pipeline.streams.as_slice() else { panic!("these pipelines have one stream") };
        stream
    }

    /// All views' answers over `lines`, in the order of [`Self::views`]. A line's `_offset` is its place among
    /// them: views that read it compare records of one key, whose order is that of the lines.
    pub(super) async fn answers(&self, lines: &[Vec<u8>]) -> Vec<RecordBatch> {
        let records = Records::from_values(0, lines.iter().map(Vec::as_slice));
        let end = lines.len() as i64;
        let offsets = Int64Array::from_iter_values(0..end);
        let fetched = Fetched { offsets, records, range: OffsetRange { start: 0, end } };
        let decoded = Decoder::new(Arc::new(self.stream().clone())).unwrap().decode(0, &fetched).unwrap();
        let context = SessionContext::new();
        dovetail_core::functions::install(&context);
        register_lookups(&self.plan.pipeline, &context).await.unwrap();
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

/// Panics unless `layer`'s views answer as `expected`.
pub(super) async fn agree(server: &Server, layer: &str, oracle: &Oracle, expected: &[RecordBatch], when: &str) {
    for (view, expected) in oracle.views.iter().zip(expected) {
        let served = server.batches(&format!("SELECT * FROM {layer}.{}", view.name)).await;
        comparing::agree(view, &served, std::slice::from_ref(expected), &format!("{when}: {layer}"));
    }
}
