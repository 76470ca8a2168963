//! The records that a view leaves out, as Parquet files.

use dovetail_core::encode::{self, ParquetEncoder};
use dovetail_core::manifest::{LeftOut, StateFile};
use dovetail_core::store::path;
use dovetail_core::view::{RowErrors, View};
use dovetail_core::view_error_file;
use parquet::errors::ParquetError;

use super::RunError;
use crate::recompute::state_files::Output;

/// Size in bytes at which a file is closed, approximately.
const FILE_BYTES: usize = 64 << 20;

/// One view's files while they are written: those of the previous generation stay as they are.
pub(super) struct ErrorWriter<'r> {
    output: &'r Output<'r>,
    view: &'r View,
    encoder: Option<ParquetEncoder>,
    /// Number of rows in the present file.
    rows: u64,
    /// Number of files of this run.
    written: u32,
    all: LeftOut,
}

impl<'r> ErrorWriter<'r> {
    pub(super) fn new(output: &'r Output<'r>, view: &'r View, base: Option<&LeftOut>) -> Self {
        let all = base.cloned().unwrap_or_default();
        Self { output, view, encoder: None, rows: 0, written: 0, all }
    }

    pub(super) async fn add(&mut self, errors: &RowErrors) -> Result<(), RunError> {
        let failed = |error| failed(self.view, error);
        let batch = view_error_file::batch(&errors.listed).map_err(|error| failed(error.into()))?;
        let mut encoder = self.encoder.take().map_or_else(encode::errors, Ok).map_err(failed)?;
        encoder.write(&batch).map_err(failed)?;
        let size = encoder.size();
        self.encoder = Some(encoder);
        self.rows += batch.num_rows() as u64;
        self.all.tally += errors.tally;
        if size >= FILE_BYTES { self.close_file().await } else { Ok(()) }
    }

    /// Writes the last file and returns all records that are left out.
    pub(super) async fn finish(mut self) -> Result<LeftOut, RunError> {
        self.close_file().await?;
        Ok(self.all)
    }

    async fn close_file(&mut self) -> Result<(), RunError> {
        let Some(encoder) = self.encoder.take() else { return Ok(()) };
        let content = encode::finish(encoder).map_err(|error| failed(self.view, error))?;
        let path = path::errors(self.output.generation, &self.view.name, self.written);
        let bytes = content.len() as u64;
        self.output.put(&path, content).await?;
        self.written += 1;
        self.all.files.push(StateFile { path: path.to_string(), bytes, rows: std::mem::take(&mut self.rows) });
        Ok(())
    }
}

fn failed(view: &View, error: ParquetError) -> RunError {
    RunError::Fold { view: view.name.clone(), why: format!("the records it leaves out cannot be encoded: {error}") }
}
