//! `dovetail ingest`.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use dovetail_connectors::sources::file::{EventTime, FileFormat, Pace, Pacer, SourceOptions, open, source_id};
use dovetail_core::name::StreamName;
use dovetail_core::pipeline::Stream;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;

mod before;
mod reading;
mod sending;
mod trial;

use self::reading::{ReadSource, SourceReading};
use self::sending::{SendTarget, SendTotals};
use crate::args::{Ingest, InputFormat};
use crate::output::counted;
use dovetail_api::client::{Client, source_of_a_run};
use dovetail_api::records::SourcePosition;
use dovetail_ingestion::stream_info::stream_of;

pub(super) async fn run(args: &Ingest) -> Result<ExitCode> {
    let (Some(stream_name), Some(from)) = (args.stream.as_deref(), args.from.as_deref()) else {
        bail!("name a stream and a file: `dovetail ingest STREAM --from FILE`");
    };
    let client = Client::new(&args.server.server)?;
    let stream_name = StreamName::parse(stream_name)?;
    let stream = Arc::new(stream_of(client.stream(stream_name.as_str()).await?)?);
    let options =
        SourceOptions { stream: Arc::clone(&stream), format: args.input_format.map(file_format), force: args.force };
    let file = source_id(from, &options)?;
    let is_file = file.is_some();
    let named = args.source.clone().or(file.filter(|_| !args.again));
    let (source, reached) = match named {
        Some(source) => {
            let reached = client.position(stream_name.as_str(), &source).await?;
            (source, reached)
        }
        None => (source_of_a_run(), SourcePosition::default()),
    };
    if args.again {
        eprintln!(
            "all of `{from}` is appended, as source `{source}`; if this is interrupted, go on with `--source {source}`"
        );
    }
    // A pipe cannot be read twice: its content is compared as it comes.
    if reached.seen > 0 && is_file {
        before::check(from, &source, &reached, open(from, &options)?)?;
    }
    if reached.seen == 0 && is_file && !args.force {
        trial::check(&client, &stream_name, from, open(from, &options)?).await?;
    }
    let pacer = Pacer::new(pace(args, &stream)?);
    let reader = open(from, &options)?;
    if !reader.ignored_fields().is_empty() {
        eprintln!("left out, as they are no columns of `{stream_name}`: {}", reader.ignored_fields().join(", "));
    }
    let bar = progress_bar(reader.total_bytes())?;
    if reached.seen > 0 {
        bar.println(format!("continuing at record {} of `{from}`", reached.seen));
    }
    let (requests, received) = mpsc::channel(2);
    let event_time = EventTime::of(&stream);
    let (before, seen) = (reached.prefix, reached.seen);
    let reading =
        SourceReading { reader, reached, pacer, event_time, requests, changed: before::changed(from, &source, seen) };
    let reading = tokio::task::spawn_blocking(move || reading.run());
    let target = SendTarget { client: &client, stream: &stream_name, source: &source };
    let mut sent = SendTotals::new();
    let sending = target.send_all(&mut sent, received, &bar).await;
    let (read, done) = reading.await?;
    bar.finish_and_clear();
    let left_out = tell_of_those_left_out(from, &read, &sent);
    sending?;
    done.with_context(|| format!("{} were appended before this", counted(sent.appended, "record")))?;
    let records = read.chain.records();
    if records < before.map_or(seen, |before| before.records) {
        bail!("{}", before::changed(from, &source, seen));
    }
    summarise(from, records, &sent, left_out)?;
    Ok(ExitCode::from(u8::from(left_out > 0)))
}

/// Names the records that no log takes; returns their number.
fn tell_of_those_left_out(from: &str, read: &ReadSource, sent: &SendTotals) -> u64 {
    for (line, bytes) in &read.too_long {
        eprintln!("`{from}`, line {line}: a record of {bytes} bytes is too long and was not appended");
    }
    for (line, why) in &sent.refused {
        eprintln!("`{from}`, line {line}: the record was not appended: {why}");
    }
    let (left_out, named) = (read.too_long_count + sent.refused_count, read.too_long.len() + sent.refused.len());
    if left_out > named as u64 {
        eprintln!("`{from}`: {} more were not appended", left_out - named as u64);
    }
    left_out
}

fn summarise(from: &str, records: u64, sent: &SendTotals, left_out: u64) -> Result<()> {
    let Some(known) = records.checked_sub(sent.appended + left_out) else {
        bail!("the server says that it appended {} of {}", sent.appended, counted(records, "record"));
    };
    let seconds = sent.began.elapsed().as_secs_f64();
    let rate = sent.records as f64 / seconds.max(1e-9);
    let known = match known {
        0 => String::new(),
        known if known == records => {
            format!(", of which {known} were in the log before: there is nothing new in `{from}`")
        }
        known => format!(", of which {known} were in the log before"),
    };
    let left_out = match left_out {
        0 => String::new(),
        many => format!(", {many} NOT APPENDED"),
    };
    eprintln!("{} in {seconds:.1} s ({rate:.0}/s){known}{left_out}", counted(records, "record"));
    Ok(())
}

pub(super) fn file_format(format: InputFormat) -> FileFormat {
    match format {
        InputFormat::Csv => FileFormat::Csv,
        InputFormat::Ndjson => FileFormat::Lines,
        InputFormat::Array => FileFormat::Array,
    }
}

fn pace(args: &Ingest, stream: &Stream) -> Result<Pace> {
    Ok(match (args.rate, args.as_recorded) {
        (Some(rate), _) if rate > 0.0 => Pace::Rate(rate),
        (Some(rate), _) => bail!("`--rate {rate}` is no rate: write records a second"),
        (None, Some(_)) if stream.options.event_time.is_none() => {
            bail!("`--as-recorded` needs the stream's option 'event_time'")
        }
        (None, Some(factor)) => Pace::AsRecorded { factor },
        (None, None) => Pace::AsFast,
    })
}

fn progress_bar(total: Option<u64>) -> Result<ProgressBar> {
    let (bar, style) = match total {
        Some(total) => (ProgressBar::new(total), "{bar:30} {percent}%  {msg}  ETA {eta}"),
        None => (ProgressBar::new_spinner(), "{spinner}  {msg}"),
    };
    Ok(bar.with_style(ProgressStyle::with_template(style)?))
}
