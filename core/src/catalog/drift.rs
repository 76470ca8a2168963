//! Drift: how far the two layers' states lie apart over the range that one run took over from the other.

use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row};

use crate::name::{Generation, ViewName};

use super::connection::{count, stored};
use super::generations::number;
use super::{Catalog, CatalogError};

/// The drift of one view in one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Drift {
    pub run_id: i64,
    pub generation: Generation,
    pub view: ViewName,
    /// 0 for exact aggregates, else a bug; NaN when the states could not be compared.
    pub drift: f64,
    pub compared_rows: u64,
    /// Where it differs, or why it could not be compared.
    pub detail: String,
}

impl Catalog {
    /// Records a drift; a second one for the same run and view replaces the first.
    pub async fn record_drift(&self, drift: &Drift) -> Result<(), CatalogError> {
        let mut change = self.change("record a drift").await?;
        let put = sqlx::query(include_str!("sql/drift_put.sql"))
            .bind(drift.run_id)
            .bind(drift.view.as_str())
            .bind(number(drift.generation))
            .bind(Some(drift.drift).filter(|drift| !drift.is_nan()))
            .bind(stored(drift.compared_rows))
            .bind(&drift.detail);
        change.execute(put).await?;
        change.commit().await
    }

    /// The latest drifts, those of the newest run first.
    pub async fn drifts(&self, limit: u32) -> Result<Vec<Drift>, CatalogError> {
        let select = sqlx::query_as(include_str!("sql/drift_list.sql"));
        self.read_all("list drifts", select.bind(i64::from(limit))).await
    }
}

impl FromRow<'_, SqliteRow> for Drift {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        let view: &str = row.try_get("view_name")?;
        let drift: Option<f64> = row.try_get("drift")?;
        Ok(Self {
            run_id: row.try_get("run_id")?,
            generation: Generation(count(row.try_get("generation")?)),
            view: ViewName::parse(view).map_err(|e| sqlx::Error::Decode(e.into()))?,
            drift: drift.unwrap_or(f64::NAN),
            compared_rows: count(row.try_get("compared_rows")?),
            detail: row.try_get("detail")?,
        })
    }
}
