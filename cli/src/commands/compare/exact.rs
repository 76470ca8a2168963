//! Are the answers the same?

use std::collections::BTreeMap;

use anyhow::Result;
use dovetail_api::Client;
use dovetail_report::figures::{Both, Exact, Measured, ViewRows};

use super::ask;

/// The rows of each view on one side, and how many of them differ from a fold of the log.
#[derive(Debug, Default)]
pub(super) struct Answers {
    rows: BTreeMap<String, Vec<String>>,
    differences: BTreeMap<String, u64>,
}

impl Answers {
    /// All rows of all views, and the verdict on them.
    pub(super) async fn fetch(client: &Client) -> Result<Self> {
        let mut answers = Self::default();
        for verdict in ask::verify(client).await? {
            let rows = ask::sorted_rows(client, &format!("SELECT * FROM {}", verdict.view)).await?;
            answers.rows.insert(verdict.view.clone(), rows);
            answers.differences.insert(verdict.view, verdict.differences);
        }
        Ok(answers)
    }
}

/// The comparisons of all runs together.
#[derive(Debug, Default)]
pub(super) struct Compared {
    views: BTreeMap<String, ViewRows>,
    failed: Option<String>,
}

impl Compared {
    /// Compares the answers of a run.
    pub(super) fn add(&mut self, answers: &Both<Option<Answers>>) {
        let (Some(lambda), Some(kappa)) = (&answers.lambda, &answers.kappa) else {
            self.failed = Some("the answers of one side could not be fetched".to_owned());
            return;
        };
        let names = lambda.rows.keys().chain(kappa.rows.keys().filter(|name| !lambda.rows.contains_key(*name)));
        for name in names {
            let none = vec![];
            let [one, other] = [lambda, kappa].map(|side| side.rows.get(name).unwrap_or(&none));
            let view = self.views.entry(name.clone()).or_insert_with(|| ViewRows {
                view: name.clone(),
                rows: 0,
                lambda_kappa: 0,
                lambda_query: 0,
                kappa_query: 0,
            });
            view.rows += one.len().max(other.len()) as u64;
            view.lambda_kappa += differences(one, other);
            view.lambda_query += lambda.differences.get(name).copied().unwrap_or(0);
            view.kappa_query += kappa.differences.get(name).copied().unwrap_or(0);
        }
    }

    pub(super) fn section(self) -> Exact {
        let how = "Both sides read the same log to its end, and Lambda made a batch run, so that its answers are joined \
                   from both layers. All rows of each view were then fetched from both over HTTP, and compared as sorted \
                   texts. `dovetail verify` took the place of the one-shot query on each side: it folds all records of \
                   the log once more in one go, and counts the rows that differ from those served.";
        let views = match self.failed {
            Some(failed) if self.views.is_empty() => Measured::absent(failed),
            _ => Measured::Value(self.views.into_values().collect()),
        };
        Exact { how: how.to_owned(), views }
    }
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
        for (one, other, expected) in [
            ("a b c", "a b c", 0),
            ("a b c", "a c", 1),
            ("a b c", "a d c", 1),
            ("", "a b", 2),
            ("a a", "a", 1),
        ] {
            let (mut one, mut other) = (rows(one), rows(other));
            one.sort();
            other.sort();
            assert_eq!(differences(&one, &other), expected, "{one:?} {other:?}");
            assert_eq!(differences(&other, &one), expected, "{one:?} {other:?}");
        }
    }
}
