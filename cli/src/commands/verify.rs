//! `dovetail verify`.

use std::process::ExitCode;

use anyhow::Result;
use dovetail_api::Client;
use dovetail_api::verify::{Verdict, VerifyProgress};

use super::shown::{ProgressStep, while_showing};
use crate::args::{OutputFormat, Server};
use crate::output::counted;

/// Greatest width of a line, for terminals of a hundred columns.
const WIDEST: usize = 100;

pub(super) async fn run(views: Vec<String>, server: &Server, format: OutputFormat) -> Result<ExitCode> {
    let client = Client::new(&server.server)?;
    let before = client.verify_progress().await?;
    let look = async || {
        let VerifyProgress { number, view, records_done, records } = client.verify_progress().await.ok()?;
        let what = format!("verifying {}", view.filter(|_| number != before.number)?);
        Some(ProgressStep { what, done: records_done, total: records })
    };
    let verdicts = while_showing("records", async { Ok(client.verify(views).await?) }, look).await?;
    #[expect(clippy::print_stdout, reason = "the command's result")]
    match format {
        OutputFormat::Json => println!("{}", serde_json::to_string_pretty(&verdicts)?),
        OutputFormat::Csv => {
            println!("view,generation,records,errors,rows,differences");
            for v in &verdicts {
                println!("{},{},{},{},{},{}", v.view, v.generation, v.records, v.errors, v.rows, v.differences);
            }
        }
        OutputFormat::Table => {
            for line in verdicts.iter().flat_map(lines) {
                println!("{line}");
            }
        }
    }
    Ok(code(&verdicts))
}

/// The exit code: 0 when nothing differs, 2 otherwise.
pub(super) fn code(verdicts: &[Verdict]) -> ExitCode {
    let differs = verdicts.iter().any(|verdict| verdict.differences > 0);
    ExitCode::from(if differs { 2 } else { 0 })
}

/// A verdict in words. Rows that do not fit into a line are cut; as JSON they are whole.
pub(super) fn lines(verdict: &Verdict) -> Vec<String> {
    let Verdict { view, generation, records, errors, rows, differences, examples, .. } = verdict;
    let found = match differences {
        0 => "no difference".to_owned(),
        many => format!("{} DIFFER", counted(*many, "row")),
    };
    let mut of = format!("{} of {}", counted(*rows, "row"), counted(*records, "record"));
    if *errors > 0 {
        of.push_str(&format!(", {errors} left out"));
    }
    let mut lines = vec![format!("{view}: {found}; {of}, generation {generation}")];
    for (served, folded) in examples {
        for (what, row) in [("served", served), ("folded", folded)] {
            let line = format!("  {what} {}", row.as_deref().unwrap_or("(no such row)"));
            lines.push(console::truncate_str(&line, WIDEST, "…").into_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_fits_into_a_hundred_columns() {
        let wide = "borough: Brooklyn, ".repeat(20);
        let mut verdict = Verdict {
            view: "requests_by_borough_type_and_day".to_owned(),
            generation: 1234,
            head: (0..64).map(|partition| (partition, 1_000_000_000)).collect(),
            records: 1_234_567_890,
            errors: 0,
            rows: 12_345_678,
            differences: 0,
            examples: vec![],
        };
        let line =
            "requests_by_borough_type_and_day: no difference; 12345678 rows of 1234567890 records, generation 1234";
        assert_eq!(lines(&verdict), [line]);
        (verdict.differences, verdict.examples) = (1, vec![(Some(wide), None)]);
        let lines = lines(&verdict);
        assert!(lines[0].contains("1 row DIFFER"), "{lines:?}");
        assert!(lines[1].starts_with("  served borough") && lines[1].ends_with('…'), "{lines:?}");
        assert_eq!(lines[2], "  folded (no such row)");
        assert!(lines.iter().all(|line| console::measure_text_width(line) <= WIDEST), "{lines:?}");
    }
}
