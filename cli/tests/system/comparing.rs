//! Answers of one view, side by side.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{Schema, SchemaRef};
use dovetail_core::view::{View, compare_answers};

fn nullable(view: &View) -> SchemaRef {
    let schema = view.answer_schema();
    let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// One batch with the view's types: a plain query may read the same text as another kind of string.
pub(crate) fn as_answered(view: &View, batches: &[RecordBatch]) -> RecordBatch {
    let schema = nullable(view);
    let batches = batches.iter().map(|batch| {
        let columns = batch.columns().iter().zip(schema.fields()).map(|(c, field)| cast(c, field.data_type()).unwrap());
        RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap()
    });
    concat_batches(&schema, &batches.collect::<Vec<_>>()).unwrap()
}

/// Panics unless two answers of `view` agree as exactly as its aggregates do.
pub(crate) fn agree(view: &View, left: &[RecordBatch], right: &[RecordBatch], what: &str) {
    let (left, right) = (as_answered(view, left), as_answered(view, right));
    let different = compare_answers(&nullable(view), &[left], &[right], view.answer_exactness()).unwrap();
    let first = &different[..different.len().min(3)];
    assert!(different.is_empty(), "{what}: {} has {} differences: {first:#?}", view.name, different.len());
}
