//! Retirement: old generations release their objects.

use dovetail_core::catalog::GenerationRow;
use dovetail_core::name::Generation;
use tracing::info;

use super::{RECENT, Upkeep, UpkeepError};

impl Upkeep {
    /// Retires the generations beyond those that are kept, each in one transaction that makes its objects garbage.
    ///
    /// # On a crash
    /// Some are retired and some are not yet; the next upkeep does the rest.
    pub(super) async fn retire(&self) -> Result<(), UpkeepError> {
        let Some(current) = self.catalog.current().await? else { return Ok(()) };
        let rows = self.catalog.generations(RECENT).await?;
        for generation in to_retire(&rows, current.generation, self.config.keep_generations) {
            self.catalog.retire(generation).await?;
            info!(%generation, "retired generation");
        }
        Ok(self.catalog.forget_history(RECENT).await.map(drop)?)
    }
}

/// The generations except the current one and the newest `keep`, oldest first. `rows` are newest first.
pub(super) fn to_retire(rows: &[GenerationRow], current: Generation, keep: usize) -> Vec<Generation> {
    let kept = rows.iter().filter(|row| row.retired_ms.is_none());
    let old = kept.skip(keep.max(1)).map(|row| row.generation).filter(|&generation| generation != current);
    let mut old: Vec<_> = old.collect();
    old.reverse();
    old
}
