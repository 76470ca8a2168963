//! Drift: the difference of the two layers' states over the range that one run took over from the speed layer.

use crate::name::{Generation, ViewName};

use super::generations::number;
use super::statement::{FromRow, Row, Statement, count, stored};
use super::{Catalog, CatalogError};

/// The drift of one view in one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Drift {
    /// The run after which the states were compared.
    pub run_id: i64,
    /// The generation that the run published.
    pub generation: Generation,
    /// The view compared.
    pub view: ViewName,
    /// Number of groups that differ; 0 for exact aggregates, else a bug. NaN when the states could not be compared.
    pub drift: f64,
    /// Number of groups compared.
    pub compared_rows: u64,
    /// The first difference, or the reason why the states could not be compared.
    pub detail: String,
}

impl Catalog {
    /// Records a drift, unless the recorded one says more about the same run and view: several processes compare them.
    ///
    /// ```text
    /// recorded         new              stays
    /// not compared     not compared     recorded
    /// not compared     any              new
    /// any              not compared     recorded
    /// any              any              the larger
    /// ```
    pub async fn record_drift(&self, drift: &Drift) -> Result<(), CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("record a drift").await?;
            let put = Statement::new(include_str!("sql/drift_put.sql"))
                .bind(drift.run_id)
                .bind(drift.view.as_str())
                .bind(number(drift.generation))
                .bind(Some(drift.drift).filter(|drift| !drift.is_nan()))
                .bind(stored(drift.compared_rows))
                .bind(&drift.detail);
            change.execute(put).await?;
            change.commit().await
        })
        .await
    }

    /// The latest drifts, those of the newest run first.
    pub async fn drifts(&self, limit: u32) -> Result<Vec<Drift>, CatalogError> {
        let select = Statement::new(include_str!("sql/drift_list.sql"));
        self.read_all("list drifts", select.bind(i64::from(limit))).await
    }
}

impl FromRow for Drift {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        let drift: Option<f64> = row.get("drift")?;
        Ok(Self {
            run_id: row.get("run_id")?,
            generation: Generation(count(row.get("generation")?)),
            view: row.parse("view_name", ViewName::parse)?,
            drift: drift.unwrap_or(f64::NAN),
            compared_rows: count(row.get("compared_rows")?),
            detail: row.get("detail")?,
        })
    }
}
