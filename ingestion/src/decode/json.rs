//! JSON values -> raw columns: one text for all values when they are all good, else run by run.

use std::ops::Range;

use arrow::array::{Array, BinaryArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use std::sync::Arc;

use super::align::stands_alone;
use super::batcher::Batcher;
use super::normalise::{self, Reject, normalise};
use super::types::raw_schema;
use super::{DeadRow, Parsed};

/// Values decoded together once a whole batch failed: one bad value costs this many a second try.
const RUN: usize = 64;

/// Decodes the JSON values of one stream.
#[derive(Debug)]
pub(super) struct Json {
    fields: Fields,
    raw: SchemaRef,
    whole: Batcher,
    run: Batcher,
    one: Batcher,
    /// Per value of the batch at hand, whether it can be decoded between others.
    alone: Vec<bool>,
    /// Rewritten values, end to end.
    rewritten: Vec<u8>,
}

impl Json {
    pub(super) fn new(columns: &Schema) -> Result<Self, ArrowError> {
        let raw = raw_schema(columns);
        let batcher = |capacity| Batcher::new(Arc::clone(&raw), capacity);
        Ok(Self {
            whole: batcher(1024)?,
            run: batcher(RUN)?,
            one: batcher(1)?,
            fields: columns.fields().clone(),
            alone: Vec::new(),
            rewritten: Vec::new(),
            raw,
        })
    }

    /// Raw columns of the values that decode, and why the others do not.
    pub(super) fn parse(&mut self, values: &BinaryArray) -> Result<Parsed, ArrowError> {
        self.alone.clear();
        self.alone.extend((0..values.len()).map(|row| values.is_valid(row) && stands_alone(values.value(row))));
        if !values.is_empty()
            && self.alone.iter().all(|&alone| alone)
            && let Ok(batch) = self.whole.decode(text(values, 0..values.len()), values.len())
        {
            return Ok(Parsed { batch, dead: Vec::new() });
        }
        self.parse_runs(values)
    }

    /// Decodes in runs, so that a bad value spoils at most one.
    fn parse_runs(&mut self, values: &BinaryArray) -> Result<Parsed, ArrowError> {
        let mut dead = Vec::new();
        let mut batches = Vec::new();
        let mut start = 0;
        while start < values.len() {
            let alone = self.alone[start];
            let len = self.alone[start..].iter().take(RUN).take_while(|&&other| other == alone).count();
            let rows = start..start + len;
            match alone.then(|| self.run.decode(text(values, rows.clone()), len)) {
                Some(Ok(batch)) => batches.push(batch),
                _ => self.parse_rewritten(values, rows, &mut batches, &mut dead),
            }
            start += len;
        }
        let batch = concat_batches(&self.raw, &batches)?;
        Ok(Parsed { batch, dead })
    }

    /// The slow path: every value on its own is rewritten so that it decodes, or dead.
    fn parse_rewritten(
        &mut self,
        values: &BinaryArray,
        rows: Range<usize>,
        batches: &mut Vec<RecordBatch>,
        dead: &mut Vec<DeadRow>,
    ) {
        let first_dead = dead.len();
        let mut kept: Vec<(usize, Range<usize>)> = Vec::new();
        self.rewritten.clear();
        for row in rows {
            let start = self.rewritten.len();
            let value = values.is_valid(row).then(|| values.value(row));
            match self.rewrite(value, row) {
                Ok(()) => kept.push((row, start..self.rewritten.len())),
                Err(why) => {
                    self.rewritten.truncate(start);
                    dead.push(DeadRow { row, why });
                }
            }
        }
        if kept.is_empty() {
            return;
        }
        // Each rewritten value is one whole object, so the text needs no other proof.
        if let Ok(batch) = self.run.decode(&self.rewritten, kept.len()) {
            batches.push(batch);
            return;
        }
        for (row, range) in kept {
            match self.one.decode(&self.rewritten[range], 1) {
                Ok(batch) => batches.push(batch),
                Err(e) => dead.push(DeadRow { row, why: explain(values.value(row), &self.fields, &e) }),
            }
        }
        dead[first_dead..].sort_by_key(|dead| dead.row);
    }

    /// Appends the rewritten value; the error says why there is none.
    fn rewrite(&mut self, value: Option<&[u8]>, row: usize) -> Result<(), String> {
        let Some(value) = value else {
            return Err("the record has no value".to_owned());
        };
        let text = utf8(value)?;
        let start = self.rewritten.len();
        match normalise(text, &self.fields, &mut self.rewritten) {
            Ok(()) => Ok(()),
            Err(Reject::Column(why)) => Err(why),
            // The fast decoder overlooks more, a missing comma for one: what it takes in a good batch, it takes here.
            Err(Reject::Syntax(why)) => {
                if !self.alone[row] || self.one.decode(text.as_bytes(), 1).is_err() {
                    return Err(why);
                }
                self.rewritten.truncate(start);
                self.rewritten.extend_from_slice(text.as_bytes());
                Ok(())
            }
        }
    }
}

/// The value without the whitespace around it.
pub(super) fn utf8(value: &[u8]) -> Result<&str, String> {
    let text = std::str::from_utf8(value)
        .map_err(|e| format!("the value is not UTF-8: its byte {} does not belong there", e.valid_up_to()))?;
    match text.trim_ascii() {
        "" => Err("the value is empty".to_owned()),
        text => Ok(text),
    }
}

/// The values of `rows`, end to end, as they lie in the buffer. None of them may be null.
fn text(values: &BinaryArray, rows: Range<usize>) -> &[u8] {
    let offsets = values.value_offsets();
    &values.value_data()[offsets[rows.start] as usize..offsets[rows.end] as usize]
}

/// Names the first column that does not decode by itself.
fn explain(value: &[u8], fields: &Fields, error: &ArrowError) -> String {
    utf8(value)
        .ok()
        .and_then(|text| normalise::members(text, fields).ok())
        .and_then(|members| members.into_iter().find(|(index, raw)| !decodes(&fields[*index], raw.get())))
        .map_or_else(|| error.to_string(), |(index, raw)| normalise::not_a(&fields[index], raw.get()))
}

fn decodes(field: &Arc<Field>, value: &str) -> bool {
    let fields = Fields::from(vec![Arc::clone(field)]);
    let Ok(name) = serde_json::to_string(field.name()) else { return false };
    let mut object = Vec::new();
    normalise(&format!("{{{name}:{value}}}"), &fields, &mut object).is_ok()
        && Batcher::new(raw_schema(&Schema::new(fields)), 1).is_ok_and(|mut one| one.decode(&object, 1).is_ok())
}
