//! `dovetail verify`.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use crate::args::{OutputFormat, Server};
use crate::client::Client;
use crate::verify::Verdict;

pub(super) async fn run(views: Vec<String>, server: &Server, format: OutputFormat) -> Result<ExitCode> {
    let client = Client::new(&server.server)?;
    let verdicts: Vec<Verdict> = client.post("/v1/verify", &json!({"views": views})).await?;
    #[expect(clippy::print_stdout, reason = "the command's result")]
    match format {
        OutputFormat::Json => println!("{}", serde_json::to_string_pretty(&verdicts)?),
        OutputFormat::Csv => {
            println!("view,generation,records,rows,differences");
            for v in &verdicts {
                println!("{},{},{},{},{}", v.view, v.generation, v.records, v.rows, v.differences);
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

/// 0 when nothing differs, 2 otherwise.
pub(super) fn code(verdicts: &[Verdict]) -> ExitCode {
    let differs = verdicts.iter().any(|verdict| verdict.differences > 0);
    ExitCode::from(if differs { 2 } else { 0 })
}

/// A verdict in words.
pub(super) fn lines(verdict: &Verdict) -> Vec<String> {
    let Verdict { view, generation, head, records, rows, differences, examples } = verdict;
    let found = if *differences == 0 { "no difference".to_owned() } else { format!("{differences} DIFFERENCES") };
    let mut lines =
        vec![format!("{view}: {found} in {rows} rows; generation {generation}, {records} records below {head}")];
    for (served, folded) in examples {
        let text = |row: &Option<String>| row.clone().unwrap_or_else(|| "(no such row)".to_owned());
        lines.push(format!("  served {}", text(served)));
        lines.push(format!("  folded {}", text(folded)));
    }
    lines
}
