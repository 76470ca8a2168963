//! JSON values as raw columns: all at once if all are good, else run by run.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, BinaryArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{Fields, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::batcher::Batcher;
use super::normalise::{Reject, normalise};
use super::shape::{has_misread_pair, looks_like_object};
use super::types::raw_schema;
use super::{DeadRow, Parsed};
use crate::formats::reason::Why;
use crate::formats::recheck::doubtful;

/// Number of values decoded together after a whole batch failed: one bad value makes this many be decoded again.
const RUN: usize = 64;

/// Decodes the JSON values of one stream.
#[derive(Debug)]
pub(super) struct Json {
    fields: Fields,
    raw: SchemaRef,
    whole: Batcher,
    run: Batcher,
    /// For each value of the batch, whether the fast decoder may decode it and its result is reliable.
    plain: Vec<bool>,
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
            fields: columns.fields().clone(),
            plain: Vec::new(),
            rewritten: Vec::new(),
            raw,
        })
    }

    /// Raw columns of the values that decode, and the reasons why the others do not.
    pub(super) fn parse(&mut self, values: &BinaryArray) -> Result<Parsed, ArrowError> {
        self.plain.clear();
        self.plain.extend((0..values.len()).map(|row| values.is_valid(row) && looks_like_object(values.value(row))));
        if has_misread_pair(all_of(values)) {
            let believed = |row: usize| !values.is_valid(row) || !has_misread_pair(values.value(row));
            self.plain.iter_mut().enumerate().for_each(|(row, plain)| *plain &= believed(row));
        }
        if !values.is_empty()
            && self.plain.iter().all(|&plain| plain)
            && let Ok(batch) = self.whole.decode((0..values.len()).map(|row| values.value(row)))
        {
            let doubtful = doubtful(&batch, &self.fields);
            if doubtful.is_empty() {
                return Ok(Parsed { batch, dead: Vec::new() });
            }
            doubtful.into_iter().for_each(|row| self.plain[row] = false);
        }
        self.parse_runs(values)
    }

    /// Decodes in runs, so that a bad value spoils at most one.
    fn parse_runs(&mut self, values: &BinaryArray) -> Result<Parsed, ArrowError> {
        let mut dead = Vec::new();
        let mut batches = Vec::new();
        let mut start = 0;
        while start < values.len() {
            let plain = self.plain[start];
            let len = self.plain[start..].iter().take(RUN).take_while(|&&other| other == plain).count();
            let rows = start..start + len;
            match plain.then(|| self.run.decode(rows.clone().map(|row| values.value(row)))) {
                Some(Ok(batch)) => {
                    let doubtful = doubtful(&batch, &self.fields);
                    if !doubtful.is_empty() {
                        doubtful.into_iter().for_each(|row| self.plain[start + row] = false);
                        continue;
                    }
                    batches.push(batch);
                }
                _ => self.parse_rewritten(values, rows, &mut batches, &mut dead),
            }
            start += len;
        }
        let batch = concat_batches(&self.raw, &batches)?;
        Ok(Parsed { batch, dead })
    }

    /// The slow path: each value alone is rewritten so that it decodes, or becomes a dead letter.
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
        self.halve(&kept, batches, dead);
        dead[first_dead..].sort_by_key(|dead| dead.row);
    }

    /// Decodes the rewritten values `kept`, at least one, by halves until the bad ones are found.
    fn halve(&mut self, kept: &[(usize, Range<usize>)], batches: &mut Vec<RecordBatch>, dead: &mut Vec<DeadRow>) {
        let [(first, _), others @ ..] = kept else { return };
        match self.run.decode(kept.iter().map(|(_, range)| &self.rewritten[range.clone()])) {
            Ok(batch) => batches.push(batch),
            Err(e) if others.is_empty() => {
                dead.push(DeadRow { row: *first, why: Why::of("the value does not decode", e.to_string()) });
            }
            Err(_) => {
                let (low, high) = kept.split_at(kept.len() / 2);
                self.halve(low, batches, dead);
                self.halve(high, batches, dead);
            }
        }
    }

    /// Appends the rewritten value, or returns the reason why there is none.
    fn rewrite(&mut self, value: Option<&[u8]>, row: usize) -> Result<(), Why> {
        let Some(value) = value else {
            return Err("the record has no value".into());
        };
        let text = filled(value)?.trim_ascii();
        let start = self.rewritten.len();
        match normalise(text, &self.fields, &mut self.rewritten) {
            Ok(()) => Ok(()),
            Err(Reject::Column(why)) => Err(why),
            // The fast decoder overlooks more, such as a missing comma: a value that it accepts in a good batch is
            // accepted here too.
            Err(Reject::Syntax(why)) => {
                let kindly = if self.plain[row] { self.run.decode([text.as_bytes()].into_iter()).ok() } else { None };
                if kindly.is_none_or(|batch| !doubtful(&batch, &self.fields).is_empty()) {
                    return Err(why);
                }
                self.rewritten.truncate(start);
                self.rewritten.extend_from_slice(text.as_bytes());
                Ok(())
            }
        }
    }
}

/// The values, one after the other, as they lie in memory.
fn all_of(values: &BinaryArray) -> &[u8] {
    let offsets = values.value_offsets();
    &values.value_data()[offsets[0] as usize..offsets[values.len()] as usize]
}

/// The value as text.
pub(super) fn utf8(value: &[u8]) -> Result<&str, Why> {
    std::str::from_utf8(value).map_err(Why::no_text)
}

/// The value as text that is more than white space.
pub(super) fn filled(value: &[u8]) -> Result<&str, Why> {
    let text = utf8(value)?;
    if text.trim_ascii().is_empty() { Err("the value is empty".into()) } else { Ok(text) }
}
