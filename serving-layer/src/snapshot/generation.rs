//! The served generation: the current one, as soon as the speed layer has reached its cuts.

use std::sync::Arc;

use dovetail_core::catalog::{CatalogError, GenerationRow};
use dovetail_core::manifest::{Manifest, ViewStates};
use dovetail_core::name::Generation;
use dovetail_core::realtime::RealtimeView;
use dovetail_core::view::View;
use tracing::{debug, warn};

use crate::error::{QueryError, Reason};
use crate::serving::Inner;

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

impl Inner {
    /// Reads the catalog and moves to its current generation, if the speed layer can meet it.
    ///
    /// Until then the previous generation stays, as long as it can be met. States are read before the move, so that no
    /// query waits for them; unreadable ones fail their own view only.
    pub(crate) async fn follow(&self) -> Result<bool, QueryError> {
        let _one_at_a_time = self.following.lock().await;
        let current = self.catalog.current().await?;
        let served = self.served();
        let number = current.as_ref().map_or(Generation(0), |row| row.generation);
        if number == served.generation() {
            return Ok(true);
        }
        let next = Arc::new(read(current)?);
        if self.behind(&next).await && !self.behind(&served).await {
            debug!(generation = %next.generation(), "speed layer has not reached the new cut yet");
            return Ok(false);
        }
        self.warm(&next).await;
        metrics::gauge!("dovetail_snapshot_generation").set(next.generation().0 as f64);
        self.serve(next);
        Ok(true)
    }

    /// A kept generation, current or not.
    pub(crate) async fn kept(&self, generation: Generation) -> Result<Arc<Served>, QueryError> {
        let served = self.served();
        if served.generation() == generation {
            return Ok(served);
        }
        match self.catalog.generation(generation).await {
            Ok(row) if row.retired_ms.is_none() => read(Some(row)).map(Arc::new),
            Ok(_) => Err(gone(format!("generation {generation} is retired"))),
            Err(CatalogError::Missing { .. }) => Err(gone(format!("there is no generation {generation}"))),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the speed layer has not yet reached a cut of `served`.
    async fn behind(&self, served: &Served) -> bool {
        for view in self.folded() {
            if let Filled::States(states) = served.filled(view)
                && let Err(error) = self.realtime.read(&view.name, &states.cut).await.and_then(RealtimeView::whole)
                && error.is_passing()
            {
                return true;
            }
        }
        false
    }

    async fn warm(&self, served: &Served) {
        for view in self.folded() {
            if let Filled::States(states) = served.filled(view)
                && let Err(error) = self.states.get(view, states).await
            {
                warn!(view = %view.name, generation = %served.generation(), %error, "batch states cannot be read");
            }
        }
    }
}

fn gone(message: String) -> QueryError {
    QueryError::new(Reason::Invalid, message)
        .with_hint("`dovetail generations`, or `sys.generations`, lists those kept")
}

/// Parses a row of the catalog; without one, nothing is published.
pub(crate) fn read(row: Option<GenerationRow>) -> Result<Served, QueryError> {
    let Some(row) = row else { return Ok(Served::default()) };
    let manifest = Manifest::from_json(&row.manifest).map_err(|error| {
        QueryError::new(Reason::Storage, format!("manifest `{}` cannot be read: {error}", row.manifest_path))
    })?;
    Ok(Served { manifest: Some(manifest) })
}
