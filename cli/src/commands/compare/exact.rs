//! Are the answers the same?

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use dovetail_api::Client;
use dovetail_core::view::{View, compare_answers};
use dovetail_report::figures::{Both, ExactFigures, Measured, ViewRows};

use super::ask;

/// The rows of each view on one side, and how many of them differ from a fold of the log.
#[derive(Debug, Default)]
pub(super) struct Answers {
    rows: BTreeMap<String, Vec<RecordBatch>>,
    differences: BTreeMap<String, u64>,
}

impl Answers {
    /// All rows of all views, and the verdict on them.
    pub(super) async fn fetch(client: &Client) -> Result<Self> {
        let mut answers = Self::default();
        for verdict in ask::verify(client).await? {
            let (_, rows) = client.query(&format!("SELECT * FROM {}", verdict.view)).await?;
            answers.rows.insert(verdict.view.clone(), rows);
            answers.differences.insert(verdict.view, verdict.differences);
        }
        Ok(answers)
    }
}

/// The comparisons of all runs together.
#[derive(Debug, Default)]
pub(super) struct ComparedRows {
    views: BTreeMap<String, ViewRows>,
    /// Rows that are not the same text, whether they differ or not.
    other_texts: u64,
    failed: Option<String>,
}

impl ComparedRows {
    /// Compares the answers of a run.
    pub(super) fn add(&mut self, views: &[Arc<View>], answers: Both<Option<Answers>>) {
        let (Some(lambda), Some(kappa)) = (answers.lambda, answers.kappa) else {
            self.failed = Some("the answers of one side could not be fetched".to_owned());
            return;
        };
        for view in views {
            if let Err(error) = self.add_view(view, &lambda, &kappa) {
                self.failed = Some(format!("the answers of `{}` could not be compared: {error:#}", view.name));
            }
        }
    }

    fn add_view(&mut self, view: &View, lambda: &Answers, kappa: &Answers) -> Result<()> {
        let name = view.name.as_str();
        let schema = nullable(&view.answer_schema());
        let of = |side: &Answers| -> Result<(Vec<RecordBatch>, u64)> {
            let rows = side.rows.get(name).context("one side has no rows of it")?;
            let renamed = rows.iter().map(|batch| RecordBatch::try_new(Arc::clone(&schema), batch.columns().to_vec()));
            let differences = side.differences.get(name).copied().unwrap_or(0);
            Ok((renamed.collect::<Result<_, _>>()?, differences))
        };
        let ((one, lambda_query), (other, kappa_query)) = (of(lambda)?, of(kappa)?);
        let lambda_kappa = compare_answers(&schema, &one, &other, view.answer_exactness())?.len() as u64;
        self.other_texts += differences(&sorted_texts(&one)?, &sorted_texts(&other)?);
        let rows = |batches: &[RecordBatch]| batches.iter().map(|batch| batch.num_rows() as u64).sum::<u64>();
        let new = ViewRows { view: name.to_owned(), rows: 0, lambda_kappa: 0, lambda_query: 0, kappa_query: 0 };
        let sum = self.views.entry(name.to_owned()).or_insert(new);
        sum.rows += rows(&one).max(rows(&other));
        sum.lambda_kappa += lambda_kappa;
        sum.lambda_query += lambda_query;
        sum.kappa_query += kappa_query;
        Ok(())
    }

    pub(super) fn section(self) -> ExactFigures {
        let within = match self.other_texts {
            0 => "All of them are the same as texts too.".to_owned(),
            rows => format!("{rows} of them have another text on each side, in values that a sketch approximates."),
        };
        let how = format!(
            "Both sides read the same log to its end, and Lambda made a batch run, so that its answers are joined from both \
             layers. All rows of each view were then fetched from both over HTTP, and compared to the bit; of a value that \
             a sketch of quantiles approximates it was only compared whether there is one, since its last digits depend on \
             the order in which it is merged. {within} `dovetail verify` took the place of the one-shot query on each \
             side: it folds all records of the log once more in one go, and counts the rows that differ from those served, \
             and the sketches that differ by more than their error."
        );
        let views = match self.failed {
            Some(failed) => Measured::absent(failed),
            None => Measured::Value(self.views.into_values().collect()),
        };
        ExactFigures { how, views }
    }
}

fn nullable(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn sorted_texts(batches: &[RecordBatch]) -> Result<Vec<String>> {
    let mut texts: Vec<String> = ask::texts(batches)?.into_iter().map(|row| row.join(", ")).collect();
    texts.sort_unstable();
    Ok(texts)
}

/// How many rows of two sorted lists have no partner in the other, counted on the side that has more of them.
fn differences(one: &[String], other: &[String]) -> u64 {
    let (mut i, mut j, mut only_one, mut only_other) = (0, 0, 0, 0);
    while i < one.len() && j < other.len() {
        match one[i].cmp(&other[j]) {
            std::cmp::Ordering::Less => (i, only_one) = (i + 1, only_one + 1),
            std::cmp::Ordering::Greater => (j, only_other) = (j + 1, only_other + 1),
            std::cmp::Ordering::Equal => (i, j) = (i + 1, j + 1),
        }
    }
    let rest = |list: &[String], at: usize| (list.len() - at) as u64;
    (only_one + rest(one, i)).max(only_other + rest(other, j))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_without_a_partner_are_counted() {
        let rows = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for (one, other, expected) in
            [("a b c", "a b c", 0), ("a b c", "a c", 1), ("a b c", "a d c", 1), ("", "a b", 2), ("a a", "a", 1)]
        {
            let (mut one, mut other) = (rows(one), rows(other));
            one.sort();
            other.sort();
            assert_eq!(differences(&one, &other), expected, "{one:?} {other:?}");
            assert_eq!(differences(&other, &one), expected, "{one:?} {other:?}");
        }
    }
}
