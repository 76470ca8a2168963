//! An object of states: its metadata, written and checked in one place.
//!
//! A manifest names the object, but the name alone does not make it the right one: a store that was restored from
//! another copy, or written to by hand, may have other states under it. So each reader of one, for an answer or for a
//! run, checks that the object was written for this view, of this definition, by this generation, below this cut, and
//! in no later format than this program reads. States of an earlier format have another
//! fingerprint, so they are folded again like those of another definition.

use std::fmt;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;

use crate::manifest::{StateFile, ViewStates};
use crate::name::Generation;
use crate::offsets::Cut;
use crate::store::path;
use crate::stored::{self, NewerFormat};
use crate::view::View;

const VIEW: &str = "dovetail.view";
const FINGERPRINT: &str = "dovetail.fingerprint";
const CUT: &str = "dovetail.cut";
const GENERATION: &str = "dovetail.generation";

/// Number of states decoded at a time: the size of a row group.
pub const ROWS: usize = 1 << 16;

/// The reason why an object cannot be used as states of a view.
#[expect(missing_docs, reason = "the fields are the facts that the messages name")]
#[derive(Debug, thiserror::Error)]
pub enum StateFileError {
    /// The object has another size than the manifest says.
    #[error("it has {found} bytes instead of {expected}")]
    Bytes { found: u64, expected: u64 },
    /// The object has another number of states than the manifest says.
    #[error("it holds {found} states instead of {expected}")]
    States { found: u64, expected: u64 },
    /// The metadata lacks an entry.
    #[error("its metadata does not say of what {what} its states are")]
    Unnamed { what: &'static str },
    /// An entry of the metadata belongs to another view, definition or generation.
    #[error("its states are of {what} `{found}`, those wanted are of `{expected}`")]
    Other { what: &'static str, found: String, expected: String },
    /// The states reach past the cut of the manifest.
    #[error("its states reach to {found}, past the cut {cut}")]
    PastCut { found: String, cut: Cut },
    /// A later version wrote the object.
    #[error("{0}")]
    Newer(#[from] NewerFormat),
    /// The object is no readable Parquet file.
    #[error("it is not Parquet: {0}")]
    Parquet(#[from] ParquetError),
    /// The states cannot be decoded.
    #[error("its states cannot be decoded: {0}")]
    Arrow(#[from] ArrowError),
}

/// The entries of the object's metadata.
pub fn about(view: &View, cut: &Cut, generation: Generation) -> Vec<KeyValue> {
    let about = [
        (VIEW, view.name.to_string()),
        (FINGERPRINT, view.fingerprint.clone()),
        (CUT, cut.to_string()),
        (GENERATION, generation.to_string()),
    ];
    let about = about.map(|(key, value)| KeyValue::new(key.to_owned(), value));
    about.into_iter().chain(stored::about(&view.state_schema())).collect()
}

/// Reads the states of `content`, the object `file` of `states` in a manifest, batch by batch.
///
/// # Errors
/// When it is not the object that was written. The number of states is checked at the end.
pub fn read(view: &View, states: &ViewStates, file: &StateFile, content: Bytes) -> Result<StateRows, StateFileError> {
    if content.len() as u64 != file.bytes {
        return Err(StateFileError::Bytes { found: content.len() as u64, expected: file.bytes });
    }
    let builder = ParquetRecordBatchReaderBuilder::try_new(content)?;
    let about = builder.metadata().file_metadata().key_value_metadata();
    stored::check_format(about)?;
    let said = |key: &str| about.into_iter().flatten().find(|pair| pair.key == key)?.value.as_deref();
    check(view, states, file, said)?;
    let rows = builder.with_batch_size(ROWS).build()?;
    Ok(StateRows { rows, schema: view.state_schema(), found: 0, expected: file.rows, is_done: false })
}

/// Compares the metadata with the manifest.
fn check<'m>(
    view: &View,
    states: &ViewStates,
    file: &StateFile,
    said: impl Fn(&str) -> Option<&'m str>,
) -> Result<(), StateFileError> {
    let found = |key, what| said(key).ok_or(StateFileError::Unnamed { what });
    let same = |what, found: &str, expected: &dyn fmt::Display| match expected.to_string() {
        expected if found == expected => Ok(()),
        expected => Err(StateFileError::Other { what, found: found.to_owned(), expected }),
    };
    same("fingerprint", found(FINGERPRINT, "fingerprint")?, &view.fingerprint)?;
    same("view", found(VIEW, "view")?, &view.name)?;
    // States that a run carried over are of an earlier generation than its own: the path contains it.
    let generation = found(GENERATION, "generation")?;
    let folder = generation.parse().map(|number| path::generation_folder(Generation(number)));
    let is_there = folder.is_ok_and(|folder| file.path.starts_with(&format!("{folder}/")));
    if !is_there {
        let (what, found) = ("generation", generation.to_owned());
        return Err(StateFileError::Other { what, found, expected: file.path.clone() });
    }
    let reaches = found(CUT, "cut")?;
    match reaches.parse::<Cut>() {
        Ok(cut) if cut.0 <= states.cut.0 => Ok(()),
        _ => Err(StateFileError::PastCut { found: reaches.to_owned(), cut: states.cut.clone() }),
    }
}

/// An iterator of states as they are decoded.
#[derive(Debug)]
pub struct StateRows {
    rows: ParquetRecordBatchReader,
    schema: SchemaRef,
    found: u64,
    expected: u64,
    is_done: bool,
}

impl Iterator for StateRows {
    type Item = Result<RecordBatch, StateFileError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        match self.rows.next() {
            Some(batch) => {
                let held = batch.and_then(|batch| stored::fitted(&batch, &self.schema));
                self.is_done = held.is_err();
                self.found += held.as_ref().map_or(0, |batch| batch.num_rows() as u64);
                Some(held.map_err(StateFileError::from))
            }
            None => {
                self.is_done = true;
                let (found, expected) = (self.found, self.expected);
                (found != expected).then_some(Err(StateFileError::States { found, expected }))
            }
        }
    }
}

#[cfg(test)]
mod tests;
