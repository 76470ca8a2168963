//! Lookups as tables that views and queries can join.

use std::path::Path;
use std::sync::Arc;

use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;

use super::error::{PipelineError, PipelineErrors};
use super::lookup_file::{LookupError, LookupTable, MAX_LOOKUP_BYTES, read};
use super::{Lookup, Pipeline};

/// Reads every lookup into memory and registers it as a table of `ctx`.
///
/// Errors name the lookup and its file, not a line: the file was fine when the pipeline was parsed. One that changed
/// since is an error too, because fingerprints speak of the old content.
pub async fn register_lookups(pipeline: &Pipeline, ctx: &SessionContext) -> Result<(), PipelineErrors> {
    let mut errors = Vec::new();
    for lookup in &pipeline.lookups {
        if let Err(error) = register(lookup.clone(), ctx).await {
            errors.push(PipelineError { statement: format!("lookup `{}`", lookup.name), ..error });
        }
    }
    PipelineErrors::check(Path::new(""), errors)
}

async fn register(lookup: Lookup, ctx: &SessionContext) -> Result<(), PipelineError> {
    let name = lookup.name.clone();
    let table = tokio::task::spawn_blocking(move || read_unchanged(&lookup));
    let table = table.await.map_err(|error| PipelineError::in_file(error.to_string(), None))?;
    let table = table.map_err(|error| PipelineError::in_file(error.to_string(), error.hint()))?;
    MemTable::try_new(table.schema, vec![table.batches])
        .and_then(|table| ctx.register_table(name, Arc::new(table)))
        .map(|_| ())
        .map_err(|error| PipelineError::in_file(error.strip_backtrace(), None))
}

fn read_unchanged(lookup: &Lookup) -> Result<LookupTable, LookupError> {
    let table = read(lookup, MAX_LOOKUP_BYTES)?;
    if table.content != lookup.content {
        return Err(LookupError::Changed { path: lookup.path.clone() });
    }
    Ok(table)
}
