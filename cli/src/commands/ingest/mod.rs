//! `dovetail ingest`.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use dovetail_core::name::StreamName;
use dovetail_core::pipeline::Stream;
use dovetail_ingestion::source::{EventTime, FileFormat, Pace, Pacer, SourceOptions, open, source_id};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;

mod memory;
mod reading;
mod sending;

use self::memory::{Held, Memory};
use self::reading::{Read, Reading};
use self::sending::{Sent, Target};
use crate::args::{Ingest, InputFormat};
use crate::client::{Client, Reached, source_of_a_run};
use crate::output::counted;

pub(super) async fn run(args: &Ingest) -> Result<ExitCode> {
    let (Some(stream_name), Some(from)) = (args.stream.as_deref(), args.from.as_deref()) else {
        bail!("name a stream and a file: `dovetail ingest STREAM --from FILE`");
    };
    let client = Client::new(&args.server.server)?;
    let stream_name = StreamName::parse(stream_name)?;
    let stream = Arc::new(client.stream(&stream_name).await?.into_stream()?);
    let options = SourceOptions { stream: Arc::clone(&stream), format: args.input_format.map(file_format) };
    let file = source_id(from)?;
    // What is in the log of a file is known by what was remembered; a pipe is not read twice.
    let is_file = file.is_some();
    let (source, reached) = match args.source.clone().or(file) {
        Some(source) => {
            let reached = client.position(&stream_name, &source).await?;
            (source, reached)
        }
        None => (source_of_a_run(), Reached::default()),
    };
    let memory = match is_file {
        true => Memory::of(args.state_dir.as_deref(), &args.server.server, &stream_name, &source),
        false => Memory::none(),
    };
    if reached.seen > 0 && is_file {
        match memory.read() {
            Some(held) => memory::check(from, &held, open(from, &options)?)?,
            None => eprintln!(
                "{} of `{from}` are in the log; whether it still begins with them is not known here",
                counted(reached.seen, "record")
            ),
        }
    }
    let pacer = Pacer::new(pace(args, &stream)?);
    let reader = open(from, &options)?;
    let bar = progress_bar(reader.total_bytes())?;
    if reached.seen > 0 {
        bar.println(format!("continuing at record {} of `{from}`", reached.seen));
    }
    let (requests, received) = mpsc::channel(2);
    let event_time = EventTime::of(&stream);
    let reading = Reading { reader, reached, pacer, event_time, requests };
    let reading = tokio::task::spawn_blocking(move || reading.run());
    let target = Target { client: &client, stream: &stream_name, source: &source, memory: &memory };
    let mut sent = Sent::new();
    let sending = target.send_all(&mut sent, received, &bar).await;
    let (read, done) = reading.await?;
    bar.finish_and_clear();
    let left_out = tell_of_those_left_out(from, &read, &sent);
    sending?;
    done.with_context(|| format!("{} were appended before this", counted(sent.appended, "record")))?;
    let records = read.chain.records();
    if records < reached.seen {
        bail!(
            "`{from}` has {}, but {} of source `{source}` are in the log: it is not what was ingested before; if all of it is to be appended, name it with another `--source NAME`",
            counted(records, "record"),
            reached.seen
        );
    }
    memory.write(&Held::from(&read.chain)).unwrap_or_else(|error| {
        eprintln!("what was ingested cannot be remembered here: {error}");
    });
    summarise(from, records, &sent, left_out)?;
    Ok(ExitCode::from(u8::from(left_out > 0)))
}

/// Names the records that no log takes; how many there are.
fn tell_of_those_left_out(from: &str, read: &Read, sent: &Sent) -> u64 {
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

fn summarise(from: &str, records: u64, sent: &Sent, left_out: u64) -> Result<()> {
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
