//! Pipelines as text in, and what comes out: types, or errors to the letter.

mod errors;
mod fingerprints;
mod good;
mod lookups;
mod places;
mod robust;

use std::path::Path;

use super::{Pipeline, PipelineErrors};

/// The smallest pipeline; error cases stand after it or change it.
const STREAM: &str = "CREATE EXTERNAL TABLE s (a INT, t TIMESTAMP) STORED AS JSON LOCATION 'kafka://S';";

fn parse(sql: &str) -> Result<Pipeline, PipelineErrors> {
    Pipeline::parse(sql, Path::new("p.sql"))
}

/// The pipeline is refused with exactly this text.
#[track_caller]
fn check(sql: &str, expected: &str) {
    let found = parse(sql).map(|_| "no error".to_owned()).unwrap_or_else(|errors| errors.to_string());
    assert_eq!(found, expected, "\n{found}\n");
}

/// As [`check`], of a stream with two columns and these options.
#[track_caller]
fn check_options(options: &str, expected: &str) {
    let sql = format!(
        "CREATE EXTERNAL TABLE s (a INT, t TIMESTAMP) STORED AS JSON LOCATION 'kafka://S' OPTIONS ({options});"
    );
    check(&sql, expected);
}
