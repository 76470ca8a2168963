//! The command line.

use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use dovetail_server::config::Flags;

/// A view is written once, in SQL; a batch layer and a speed layer fold it; queries get both, joined exactly.
#[derive(Debug, Parser)]
#[command(name = "dovetail", version, long_version = crate::version::long(), max_term_width = 100)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start everything on a generated feed and watch batch, speed and merged rows move.
    Demo(Demo),
    /// Start ingestion, batch, speed and serving in one process, on an embedded log.
    Up(UpAll),
    /// Keep the views by a stream job alone: ingestion, the job and its answers, without landing or batch layer.
    Kappa(Up),
    /// List the stream jobs with their progress.
    Jobs {
        #[command(flatten)]
        server: Server,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Start, switch to, go back from or stop a stream job.
    #[command(subcommand)]
    Job(JobCommand),
    /// Run a pipeline as Lambda and as Kappa on the same records on this machine, and report which is better at what.
    Compare(Compare),
    /// Check a pipeline file: every error with its line and a hint. Exit code 1 if there is one.
    Check {
        /// The pipeline's SQL file.
        pipeline: PathBuf,
    },
    /// Append a file's records to a stream; an interrupted ingest continues where it stopped. With `--pipeline`
    /// instead of a stream: take records over HTTP, as a process of its own.
    Ingest(Ingest),
    /// Land the log and recompute views, as a process of its own.
    Batch(Up),
    /// Fold the records above the cut, as a process of its own.
    Speed(Up),
    /// Answer queries, as a process of its own.
    Serve(Up),
    /// Write generated records as NDJSON to standard output; the same seed writes the same records.
    Generate(Generate),
    /// Fold the landed segments into batch views and publish them.
    Recompute(Recompute),
    /// Run a query over the merged views, or over `batch.VIEW`, `speed.VIEW`, `raw.STREAM` and `sys.*`.
    Query {
        /// The SQL, or `-` for standard input.
        sql: String,
        /// Read an earlier generation that is kept: `batch.VIEW` always, merged views while the speed layer still
        /// holds all records above its cuts.
        #[arg(long, value_name = "N")]
        generation: Option<u64>,
        #[command(flatten)]
        server: Server,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Show every view, every partition with its lag, and the leader of the batch layer.
    Status {
        #[command(flatten)]
        server: Server,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Fold the whole log again from scratch and compare the result with the served answers, row by row. With `--from`:
    /// compare a file with the log. Exit code 2 on a difference.
    Verify {
        /// Views to verify; all if none is named. With `--from`: the stream, if there are several.
        #[arg(value_name = "VIEW")]
        views: Vec<String>,
        /// Each record of this file has to be in the log, byte for byte and at least as often as in the file. The file
        /// is read as `ingest` reads it; the source of a record in the log does not matter. Records that the log has
        /// more often than the file are reported, and are no difference: another source may have sent them.
        #[arg(long, value_name = "FILE")]
        from: Option<String>,
        /// Read the file as this, whatever its name and first bytes say.
        #[arg(long, value_enum, requires = "from")]
        input_format: Option<InputFormat>,
        #[command(flatten)]
        server: Server,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// List the published generations.
    Generations {
        #[command(flatten)]
        server: Server,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Make an earlier generation current. The speed layer folds the log from its cuts.
    Rollback {
        /// Number of a generation that `dovetail generations` lists as kept.
        generation: u64,
        #[command(flatten)]
        server: Server,
    },
}

/// Where the server is.
#[derive(Debug, Clone, ClapArgs)]
pub struct Server {
    /// The server's HTTP address.
    #[arg(long, env = "DOVETAIL_SERVER", default_value = "http://127.0.0.1:8311", value_name = "URL")]
    pub server: String,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, ClapArgs)]
pub struct FormatArgs {
    /// How to print the result.
    #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
    pub format: OutputFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    Table,
    Csv,
    Json,
}

/// Where things run.
#[derive(Debug, Clone, Default, ClapArgs)]
pub struct RunArgs {
    /// Settings; without it, `dovetail.toml` in the working directory if there is one.
    #[arg(long, env = "DOVETAIL_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder for the log, the catalog and the landing.
    #[arg(long, env = "DOVETAIL_DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Address of the HTTP server.
    #[arg(long, env = "DOVETAIL_HTTP_LISTEN", value_name = "ADDRESS")]
    pub http: Option<String>,
    /// Address of the PostgreSQL wire.
    #[arg(long, env = "DOVETAIL_POSTGRES_LISTEN", value_name = "ADDRESS")]
    pub postgres: Option<String>,
    /// Address at which a speed layer of its own is read (Arrow Flight).
    #[arg(long, env = "DOVETAIL_FLIGHT_LISTEN", value_name = "ADDRESS")]
    pub flight: Option<String>,
}

impl RunArgs {
    /// The settings that the flags give.
    pub fn flags(&self) -> Flags {
        let Self { config, data_dir, http, postgres, flight } = self.clone();
        Flags { config, data_dir, http, postgres, flight }
    }
}

impl Command {
    /// Whether the command runs until it is stopped.
    pub fn stays(&self) -> bool {
        match self {
            Self::Up(_) | Self::Kappa(_) | Self::Batch(_) | Self::Speed(_) | Self::Serve(_) => true,
            Self::Ingest(ingest) => ingest.pipeline.is_some(),
            _ => false,
        }
    }
}

#[derive(Debug, Clone, ClapArgs)]
pub struct UpAll {
    #[command(flatten)]
    pub up: Up,
    /// Run stream jobs beside the layers, on the same log: views that are folded from the log alone.
    #[arg(long)]
    pub kappa: bool,
}

#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// Start a job beside the others: it reads the log again while they go on answering. `JOB.VIEW` has its answers.
    Start {
        /// The pipeline's SQL file.
        pipeline: PathBuf,
        /// The job's name, which is also the name of its schema.
        #[arg(long = "as", value_name = "NAME")]
        name: String,
        /// Where it begins: `beginning` (offset 0), `earliest` (what the log still has), a time as
        /// `2026-03-01T08:00:00Z`, or offsets as `TOPIC/PARTITION=OFFSET,..`.
        #[arg(long, value_name = "START", default_value = "beginning")]
        from: String,
        /// Wait until it is at the head of the log.
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        server: Server,
    },
    /// Give readers the answers of a job, in one step for all its views. The job before stays.
    Switch {
        /// The job's name.
        name: String,
        /// Switch although the job is not at the head of the log.
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        server: Server,
    },
    /// Give readers the answers of the job before again.
    Back {
        #[command(flatten)]
        server: Server,
    },
    /// Stop a job that is not current, and remove it with its checkpoints.
    Stop {
        /// The job's name.
        name: String,
        #[command(flatten)]
        server: Server,
    },
}

// Without a group of its own: the variant of `up` has one of this name already.
#[derive(Debug, Clone, ClapArgs)]
#[group(skip)]
pub struct Up {
    /// The pipeline's SQL file.
    #[arg(env = "DOVETAIL_PIPELINE")]
    pub pipeline: PathBuf,
    #[command(flatten)]
    pub place: RunArgs,
}

#[derive(Debug, Clone, ClapArgs)]
pub struct Demo {
    /// How many records to stream.
    #[arg(long, default_value_t = 200_000)]
    pub events: u64,
    /// Records a second; 0 is as fast as it goes.
    #[arg(long, default_value_t = 5_000.0)]
    pub rate: f64,
    /// Seed of the generated records.
    #[arg(long, default_value_t = 311)]
    pub seed: u64,
    /// How often to recompute; a second at least.
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub recompute: std::time::Duration,
    /// Once all records are streamed, or after TIME: verify, and exit with its result.
    #[arg(long, num_args = 0..=1, default_missing_value = "9999h", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub exit_after: Option<std::time::Duration>,
    /// Keep the log, the catalog and the landing in this folder; a temporary one is removed at the end.
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Address of the HTTP server; by default 127.0.0.1:8311, or a free port if that is taken.
    #[arg(long, value_name = "ADDRESS")]
    pub http: Option<String>,
    /// Address of the PostgreSQL wire; by default 127.0.0.1:5433, or a free port if that is taken.
    #[arg(long, value_name = "ADDRESS")]
    pub postgres: Option<String>,
}

#[derive(Debug, Clone, ClapArgs)]
pub struct Compare {
    /// The pipeline's SQL file; without it, that of page views that is in the binary. The records are for the stream of
    /// its first view.
    pub pipeline: Option<PathBuf>,
    /// The records, read as `ingest` reads them; without it, generated ones.
    #[arg(long, value_name = "FILE")]
    pub from: Option<String>,
    /// How many records: the longest history. Of a file, the first so many; all by default, or 160000 with `--quick`. Of
    /// generated ones 800000, or 160000 with `--quick`.
    #[arg(long)]
    pub events: Option<u64>,
    /// Seed of the generated records.
    #[arg(long, default_value_t = 311, conflicts_with = "from")]
    pub seed: u64,
    /// Records a second for which costs per month are stated.
    #[arg(long, default_value_t = 1_000.0)]
    pub rate: f64,
    /// Runs of each side; 3 by default, or 2 with `--quick`, or fewer if the time is over.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub runs: Option<u32>,
    /// Fewer records and repetitions: two minutes in place of ten.
    #[arg(long)]
    pub quick: bool,
    /// Folder for report.html, report.md and report.json.
    #[arg(long, default_value = "report", value_name = "FOLDER")]
    pub out: PathBuf,
}

#[derive(Debug, Clone, ClapArgs)]
pub struct Ingest {
    /// The stream's name in the pipeline.
    #[arg(required_unless_present = "pipeline", requires = "from")]
    pub stream: Option<String>,
    /// CSV with a header row, JSON objects (one a line, or each over several), a JSON array or Parquet; all but Parquet
    /// also compressed by gzip, bzip2 or zstd; `-` is standard input.
    #[arg(long, value_name = "FILE", requires = "stream")]
    pub from: Option<String>,
    /// The pipeline's SQL file: take its streams' records over HTTP.
    #[arg(long, env = "DOVETAIL_PIPELINE", value_name = "FILE", conflicts_with_all = ["stream", "from"])]
    pub pipeline: Option<PathBuf>,
    #[command(flatten)]
    pub place: RunArgs,
    /// Records a second.
    #[arg(long, conflicts_with = "as_recorded")]
    pub rate: Option<f64>,
    /// Pace by the event time, so many times as fast: `60x` plays an hour in a minute.
    #[arg(long, value_name = "FACTOR", value_parser = parse_factor)]
    pub as_recorded: Option<f64>,
    /// Name of the source, by which an interrupted ingest continues; by default made from the file's first record.
    /// Standard input and pipes have a new one each time unless it is named.
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Append all of it as a new source, even if it is in the log already.
    #[arg(long, conflicts_with = "source")]
    pub again: bool,
    /// Append it even if its first records are all dead letters, or its header lacks a column that is NOT NULL.
    #[arg(long)]
    pub force: bool,
    /// Read the input as this, whatever its name and first bytes say.
    #[arg(long, value_enum)]
    pub input_format: Option<InputFormat>,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InputFormat {
    Csv,
    Ndjson,
    Array,
}

#[derive(Debug, Clone, ClapArgs)]
pub struct Generate {
    #[arg(value_enum)]
    pub kind: GeneratedKind,
    /// How many records.
    #[arg(long)]
    pub events: u64,
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Share of late records, as `5%` or `0.05`.
    #[arg(long, default_value = "0", value_parser = parse_share)]
    pub late: f64,
    /// Share of broken records, as `0.1%` or `0.001`.
    #[arg(long, default_value = "0", value_parser = parse_share)]
    pub bad: f64,
    /// When the feed begins, as `2026-03-01`, `2026-03-01T08:00:00Z` or with an offset; 2026-03-01 by itself.
    #[arg(long = "start", value_name = "TIME", value_parser = parse_time)]
    pub start_ms: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GeneratedKind {
    Nyc311,
    Clicks,
    Weather,
}

#[derive(Debug, Clone, ClapArgs)]
pub struct Recompute {
    /// Views to recompute; all if none is named.
    pub views: Vec<String>,
    /// Fold all segments again, not only those that landed since the current generation.
    #[arg(long, conflicts_with = "cancel")]
    pub full: bool,
    /// Cancel the run in progress.
    #[arg(long)]
    pub cancel: bool,
    #[command(flatten)]
    pub server: Server,
}

fn parse_share(text: &str) -> Result<f64, String> {
    let (number, scale) = match text.strip_suffix('%') {
        Some(percent) => (percent, 100.0),
        None => (text, 1.0),
    };
    match number.trim().parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&(share / scale)) => Ok(share / scale),
        _ => Err(format!("`{text}` is no share: write `5%` or `0.05`")),
    }
}

/// Milliseconds since the epoch; UTC where it does not say otherwise.
fn parse_time(text: &str) -> Result<i64, String> {
    let date = |text: &str| Some(text.parse::<NaiveDate>().ok()?.and_time(NaiveTime::MIN).and_utc());
    let local = |text: &str| Some(text.replacen(' ', "T", 1).parse::<NaiveDateTime>().ok()?.and_utc());
    let instant = |text: &str| Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc());
    let time = instant(text).or_else(|| local(text)).or_else(|| date(text));
    time.map(|time| time.timestamp_millis())
        .ok_or_else(|| format!("`{text}` is no time: write `2026-03-01` or `2026-03-01T08:00:00Z`"))
}

fn parse_factor(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('x').parse::<f64>() {
        Ok(factor) if factor > 0.0 && factor.is_finite() => Ok(factor),
        _ => Err(format!("`{text}` is no factor: write `60x`")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
        assert!(Args::command().render_long_version().contains(crate::version::long()));
    }

    #[test]
    fn shares_factors_and_times_are_parsed() {
        assert_eq!(parse_share("5%"), Ok(0.05));
        assert_eq!(parse_share("0.001"), Ok(0.001));
        assert!(parse_share("5").is_err());
        assert_eq!(parse_factor("60x"), Ok(60.0));
        for (text, ms) in [
            ("1970-01-02", Ok(86_400_000)),
            ("1970-01-01T00:00:01", Ok(1000)),
            ("1970-01-01 00:00:01.5", Ok(1500)),
            ("1970-01-01T01:00:00+01:00", Ok(0)),
            ("yesterday", Err(())),
        ] {
            assert_eq!(parse_time(text).map_err(drop), ms, "{text}");
        }
        assert!(parse_factor("0x").is_err());
    }
}
