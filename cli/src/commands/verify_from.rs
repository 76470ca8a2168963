//! `dovetail verify --from FILE`: checks that every record of a file is in the log.

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, bail};
use arrow::array::AsArray;
use dovetail_api::Client;
use dovetail_api::frames::{Digest, digest};
use dovetail_connectors::sources::file::{SourceOptions, open};
use dovetail_core::name::StreamName;
use dovetail_ingestion::stream_info::stream_of;
use serde::Serialize;

use super::ingest::file_format;
use crate::args::{InputFormat, OutputFormat, Server};

/// The result of the comparison.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct FileComparison {
    /// Number of records in the file.
    in_file: u64,
    /// Number of those that are in the log.
    in_log: u64,
    /// Number of those that are not, or not as often as in the file, or with other bytes.
    missing: u64,
    /// Number of surplus occurrences of them in the log.
    more_often: u64,
    /// Number of records that are too long for a log.
    too_long: u64,
    /// Number of records in the log that the file does not have.
    others: u64,
    /// The lines of the first missing records.
    missing_lines: Vec<u64>,
}

const LINES: usize = 10;

/// Number of occurrences of a record in the file and in the log.
#[derive(Debug, Default)]
struct Often {
    file: u64,
    log: u64,
    line: u64,
}

#[derive(Debug, Default)]
struct RecordTally {
    records: HashMap<Digest, Often>,
    others: u64,
    too_long: Vec<u64>,
}

impl RecordTally {
    fn file(&mut self, record: &[u8], line: u64) {
        let often = self.records.entry(digest(record)).or_default();
        if often.file == 0 {
            often.line = line;
        }
        often.file += 1;
    }

    fn log(&mut self, digest: Digest) {
        match self.records.get_mut(&digest) {
            Some(often) => often.log += 1,
            None => self.others += 1,
        }
    }

    fn found(self) -> FileComparison {
        let too_long = self.too_long.len() as u64;
        let mut found = FileComparison {
            others: self.others,
            in_file: too_long,
            too_long,
            missing: too_long,
            ..FileComparison::default()
        };
        let mut lines = self.too_long;
        for Often { file, log, line } in self.records.into_values() {
            found.in_file += file;
            found.in_log += file.min(log);
            found.missing += file.saturating_sub(log);
            found.more_often += log.saturating_sub(file);
            if log < file {
                lines.push(line);
            }
        }
        lines.sort_unstable();
        lines.truncate(LINES);
        FileComparison { missing_lines: lines, ..found }
    }
}

pub(super) async fn run(
    streams: &[String],
    from: &str,
    format: Option<InputFormat>,
    server: &Server,
    output: OutputFormat,
) -> Result<ExitCode> {
    let client = Client::new(&server.server)?;
    let stream = match streams {
        [stream] => StreamName::parse(stream)?,
        [] => only_stream(&client).await?,
        _ => bail!("`--from` compares with one stream: name one"),
    };
    let info = stream_of(client.stream(stream.as_str()).await?)?;
    let options = SourceOptions { stream: Arc::new(info), format: format.map(file_format), force: true };
    let mut tally = RecordTally::default();
    for record in open(from, &options)? {
        let record = record?;
        match record.too_long {
            Some(_) => tally.too_long.push(record.line),
            None => tally.file(&record.value, record.line),
        }
    }
    client.digests(stream.as_str(), |digest| tally.log(digest)).await?;
    let found = tally.found();
    #[expect(clippy::print_stdout, reason = "the command's result")]
    match output {
        OutputFormat::Json => println!("{}", serde_json::to_string_pretty(&found)?),
        OutputFormat::Csv => {
            println!("in_file,in_log,missing,more_often,too_long,others");
            let FileComparison { in_file, in_log, missing, more_often, too_long, others, .. } = &found;
            println!("{in_file},{in_log},{missing},{more_often},{too_long},{others}");
        }
        OutputFormat::Table => println!("{}", in_words(from, &stream, &found)),
    }
    Ok(ExitCode::from(if found.missing > 0 { 2 } else { 0 }))
}

fn in_words(from: &str, stream: &StreamName, found: &FileComparison) -> String {
    let FileComparison { in_file, in_log, missing, more_often, too_long, others, missing_lines } = found;
    let mut lines = vec![
        format!("`{from}` against the log of `{stream}`"),
        format!("  in the file  {in_file}"),
        format!("  in the log   {in_log}"),
        format!("  missing      {missing} (absent, or with other bytes)"),
        format!("  more often   {more_often} (in the log than in the file)"),
        format!("  others       {others} (in the log, not in the file)"),
    ];
    if *too_long > 0 {
        lines.push(format!("  too long     {too_long} (among those missing)"));
    }
    if !missing_lines.is_empty() {
        let numbers: Vec<String> = missing_lines.iter().map(u64::to_string).collect();
        lines.push(format!("  the first that are missing begin at line {}", numbers.join(", ")));
    }
    lines.join("\n")
}

async fn only_stream(client: &Client) -> Result<StreamName> {
    let (_, batches) = client.query("SELECT name FROM sys.streams ORDER BY name").await?;
    let mut names = vec![];
    for batch in &batches {
        let column = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Utf8)?;
        names.extend(column.as_string::<i32>().iter().flatten().map(ToOwned::to_owned));
    }
    match names.as_slice() {
        [name] => Ok(StreamName::parse(name)?),
        _ => bail!("name the stream that the file is for: {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_counted_as_often_as_they_are_there() {
        let mut tally = RecordTally { too_long: vec![9], ..RecordTally::default() };
        for (line, record) in [(1, "a"), (2, "a"), (3, "b"), (4, "c"), (5, "c")] {
            tally.file(record.as_bytes(), line);
        }
        ["a", "a", "a", "c", "x"].iter().for_each(|record| tally.log(digest(record.as_bytes())));
        let expected = FileComparison {
            in_file: 6,
            in_log: 3,
            missing: 3,
            more_often: 1,
            too_long: 1,
            others: 1,
            missing_lines: vec![3, 4, 9],
        };
        assert_eq!(tally.found(), expected);
    }
}
