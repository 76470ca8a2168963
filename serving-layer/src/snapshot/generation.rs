//! A generation as a snapshot sees it: its number, and the views with batch states in it.

use dovetail_core::catalog::GenerationRow;
use dovetail_core::manifest::{Manifest, ViewStates};
use dovetail_core::name::Generation;
use dovetail_core::view::View;

use crate::error::{QueryError, Reason};

/// A generation, or none before the first; immutable.
#[derive(Debug, Default)]
pub(crate) struct Served {
    pub(crate) manifest: Option<Manifest>,
}

/// The batch states of a view.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Filled<'s> {
    /// Nothing is published: all records are in the speed layer.
    Nothing,
    States(&'s ViewStates),
    /// The generation has no states of this view's definition.
    NotYet,
}

impl Served {
    pub(crate) fn generation(&self) -> Generation {
        self.manifest.as_ref().map_or(Generation(0), |manifest| manifest.generation)
    }

    /// The batch states of `view`; states of another fingerprint are those of another view.
    pub(crate) fn filled(&self, view: &View) -> Filled<'_> {
        let Some(manifest) = &self.manifest else { return Filled::Nothing };
        match manifest.views.get(&view.name) {
            Some(states) if states.fingerprint == view.fingerprint => Filled::States(states),
            _ => Filled::NotYet,
        }
    }
}

/// Parses a row of the catalog; without one, nothing is published.
pub(crate) fn read(row: Option<GenerationRow>) -> Result<Served, QueryError> {
    let Some(row) = row else { return Ok(Served::default()) };
    let manifest = Manifest::from_json(&row.manifest).map_err(|error| {
        QueryError::new(Reason::Storage, format!("manifest `{}` cannot be read: {error}", row.manifest_path))
    })?;
    Ok(Served { manifest: Some(manifest) })
}
