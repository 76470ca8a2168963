//! The queries whose answers are timed.

use anyhow::{Context, Result};
use dovetail_api::Client;
use dovetail_core::clock;

use super::ask;
use super::bag::Bag;
use super::probe;
use super::workload::Workload;

/// A query for one row, one for some rows and one for all rows of a view.
#[derive(Debug, Clone)]
pub(super) struct Looks {
    pub(super) point: String,
    pub(super) filtered: String,
    pub(super) whole: String,
    /// What the queries are, for the report.
    pub(super) what: String,
}

impl Looks {
    /// Queries of the view with the most rows.
    pub(super) async fn choose(client: &Client, workload: &Workload) -> Result<Self> {
        let mut largest = None;
        for view in &workload.views {
            let rows = ask::number(client, &format!("SELECT count(*) FROM {}", view.name)).await?;
            if largest.as_ref().is_none_or(|(most, _)| rows > *most) {
                largest = Some((rows, view));
            }
        }
        let (rows, view) = largest.context("there is no view")?;
        let first = || view.answer_schema().fields().first().map(|field| (field.name().clone(), false));
        let (key, is_number) = probe::key(view, &workload.stream).or_else(first).context("the view has no column")?;
        let name = &view.name;
        let sql = format!("SELECT DISTINCT {key} FROM {name} WHERE {key} IS NOT NULL ORDER BY {key}");
        let keys: Vec<String> = ask::cells(client, &sql).await?.into_iter().flatten().collect();
        let at = |share: f64| keys.get((keys.len() as f64 * share) as usize).or(keys.last());
        let literal = |key: &String| if is_number { key.clone() } else { format!("'{}'", key.replace('\'', "''")) };
        let [low, high] = [at(0.5), at(0.55)].map(|key| key.map(literal));
        let (low, high) = low.zip(high).with_context(|| format!("`{name}` has no rows"))?;
        Ok(Self {
            point: format!("SELECT * FROM {name} WHERE {key} = {low}"),
            filtered: format!("SELECT * FROM {name} WHERE {key} >= {low} AND {key} <= {high}"),
            whole: format!("SELECT * FROM {name}"),
            what: format!(
                "The queries are over `{name}`, which has the most rows of all views, {rows}: the rows with one `{key}`, \
                 those with a twentieth of all values of `{key}`, and all rows."
            ),
        })
    }

    /// Times each query `many` times, one after the other.
    pub(super) async fn measure(&self, client: &Client, many: usize, bag: &mut Bag) -> Result<()> {
        let kinds = [
            ("answering.point", &self.point),
            ("answering.filtered", &self.filtered),
            ("answering.whole", &self.whole),
        ];
        for (figure, sql) in kinds {
            // The first answer plans the query and fills caches.
            client.query(sql).await?;
            let mut times = Vec::with_capacity(many);
            for _ in 0..many {
                let began = clock::now_monotonic();
                client.query(sql).await?;
                times.push(began.elapsed().as_secs_f64() * 1e3);
            }
            bag.add_run(figure, times);
        }
        Ok(())
    }
}
