//! `dovetail ingest`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use dovetail_ingestion::append::MOST_PER_REQUEST;
use dovetail_ingestion::source::{
    EventTime, FileFormat, Pace, Pacer, SourceOptions, SourceReader, SourceRecord, open, source_id,
};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::args::{Ingest, InputFormat};
use crate::client::{Client, StreamInfo};
use crate::output::counted;

/// A request is sent once it holds this much ..
const REQUEST_BYTES: usize = 2 << 20;
/// .. or, of a paced source, once its first record has waited this long.
const REQUEST_AGE: Duration = Duration::from_millis(50);

/// Records on their way from the reader to the server.
struct Request {
    first: u64,
    records: u64,
    body: Vec<u8>,
    bytes_read: u64,
}

pub(super) async fn run(args: &Ingest) -> Result<ExitCode> {
    let (Some(stream_name), Some(from)) = (args.stream.as_deref(), args.from.as_deref()) else {
        bail!("name a stream and a file: `dovetail ingest STREAM --from FILE`");
    };
    let client = Client::new(&args.server.server)?;
    let info: StreamInfo = client.get(&format!("/v1/streams/{stream_name}")).await?;
    let stream = Arc::new(info.into_stream()?);
    let source = match &args.source {
        Some(name) => Some(name.clone()),
        None => source_id(from)?,
    };
    let resume = resume_at(&client, stream_name, source.as_deref()).await?;
    let pace = pace(args, &stream)?;
    let format = args.input_format.map(|format| match format {
        InputFormat::Csv => FileFormat::Csv,
        InputFormat::Ndjson => FileFormat::Lines,
        InputFormat::Array => FileFormat::Array,
    });
    let reader = open(from, &SourceOptions { stream: Arc::clone(&stream), format })?;
    let total = reader.total_bytes();
    let bar = progress_bar(total)?;
    if resume.seen > 0 {
        bar.println(format!("continuing at record {} of `{from}`", resume.seen));
    }
    let (sender, requests) = mpsc::channel(2);
    let event_time = EventTime::of(&stream);
    let reading = tokio::task::spawn_blocking(move || read(reader, resume, pace, event_time.as_ref(), &sender));
    let sent = send(&client, stream_name, source.as_deref(), requests, &bar).await;
    let read = reading.await?;
    bar.finish_and_clear();
    let sent = sent?;
    read.with_context(|| format!("{} records were appended before this", sent.appended))?;
    let seconds = sent.began.elapsed().as_secs_f64();
    let rate = sent.records as f64 / seconds.max(1e-9);
    let known = match sent.records - sent.appended {
        0 => String::new(),
        known => format!(", of which {known} were in the log before"),
    };
    eprintln!("{} in {seconds:.1} s ({rate:.0}/s){known}", counted(sent.records, "record"));
    Ok(ExitCode::SUCCESS)
}

/// Where to continue.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct Resume {
    /// The first record to send.
    next: u64,
    /// Records before this one are in the log but for a few: they are sent without waiting for their turn, and
    /// the server leaves out those that it has.
    seen: u64,
}

async fn resume_at(client: &Client, stream: &str, source: Option<&str>) -> Result<Resume> {
    let Some(source) = source else { return Ok(Resume::default()) };
    client.get(&format!("/v1/streams/{stream}/sources/{source}")).await
}

fn pace(args: &Ingest, stream: &dovetail_core::pipeline::Stream) -> Result<Pace> {
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

/// Reads on a thread of its own and paces; ends early when nobody receives any more.
fn read(
    mut reader: SourceReader,
    resume: Resume,
    pace: Pace,
    event_time: Option<&EventTime>,
    sender: &mpsc::Sender<Request>,
) -> Result<()> {
    let mut pacer = Pacer::new(pace);
    let began = Instant::now();
    let mut request: Option<Request> = None;
    let mut oldest = began;
    while let Some(record) = reader.next() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                // What was read before the error is delivered.
                if let Some(request) = request.take() {
                    let _ = sender.blocking_send(request);
                }
                return Err(error.into());
            }
        };
        if record.number < resume.next {
            continue;
        }
        let wait = match record.number < resume.seen {
            true => Duration::ZERO,
            false => {
                let event_ms = event_time.and_then(|e| pacer.needs_event_time().then(|| e.read_ms(&record.value))?);
                pacer.due(event_ms).saturating_sub(began.elapsed())
            }
        };
        let full = request.as_ref().is_some_and(|r| r.body.len() >= REQUEST_BYTES || r.records >= MOST_PER_REQUEST);
        let due = full || (!wait.is_zero() && oldest.elapsed() >= REQUEST_AGE);
        if due
            && let Some(request) = request.take()
            && sender.blocking_send(request).is_err()
        {
            return Ok(());
        }
        std::thread::sleep(wait);
        if request.is_none() {
            oldest = Instant::now();
        }
        push(&mut request, &record, reader.bytes_read());
    }
    if let Some(request) = request {
        let _ = sender.blocking_send(request);
    }
    Ok(())
}

fn push(request: &mut Option<Request>, record: &SourceRecord, bytes_read: u64) {
    let request = request.get_or_insert_with(|| Request { first: record.number, records: 0, body: vec![], bytes_read });
    request.body.extend_from_slice(&record.value);
    request.body.push(b'\n');
    request.records += 1;
    request.bytes_read = bytes_read;
}

struct Sent {
    records: u64,
    /// Of them, those that were not there before.
    appended: u64,
    began: Instant,
}

async fn send(
    client: &Client,
    stream: &str,
    source: Option<&str>,
    mut requests: mpsc::Receiver<Request>,
    bar: &ProgressBar,
) -> Result<Sent> {
    let mut sent = Sent { records: 0, appended: 0, began: Instant::now() };
    while let Some(Request { first, records, body, bytes_read }) = requests.recv().await {
        sent.appended += client.append(stream, source.map(|source| (source, first)), body).await?;
        sent.records += records;
        bar.set_position(bytes_read);
        let rate = sent.records as f64 / sent.began.elapsed().as_secs_f64().max(1e-9);
        bar.set_message(format!("{} records, {rate:.0}/s", sent.records));
    }
    Ok(sent)
}
