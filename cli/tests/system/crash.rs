//! SIGKILL at random moments, over and over, of the server and of the ingest that feeds it.
//!
//! `DOVETAIL_SEED` replays the moments of an earlier run as well as a machine allows; `DOVETAIL_KILLS` sets how
//! often the server is killed.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::AsArray;
use dovetail_api::Client;
use dovetail_connectors::sources::file::{SourceOptions, source_id};
use dovetail_connectors::sources::generate::{GenerateOptions, Kind, generate};
use dovetail_core::catalog::{Object, ObjectState};
use dovetail_core::clock::Clock;
use dovetail_core::ledger;
use dovetail_core::name::StreamName;
use dovetail_core::store::Store;
use dovetail_ingestion::stream_info::stream_of;
use dovetail_testkit::fixtures::catalog_in;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Child;
use tokio::time::{Instant, sleep};

use crate::support::{Server, dovetail, eventually, last_of, number, rows, settings_for_haste, try_number, verify};

const RECORDS: u64 = 200_000;
/// Each of these is broken.
const BAD_EVERY: u64 = 9_973;
const VIEWS: [&str; 7] = [
    "total",
    "clicks_per_minute",
    "clicks_per_user",
    "page_stats",
    "sessions_per_product",
    "clicks_per_continent",
    "slow_clicks",
];
/// Views beside those of `data/clicks`: one group, and one without an aggregate.
const MORE_VIEWS: &str = "
    CREATE VIEW total AS SELECT count(*) AS n, sum(ms) AS total_ms FROM clicks;
    CREATE VIEW slow_clicks AS SELECT _partition, _offset, user_id, ms FROM clicks WHERE ms > 400;
";

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect(name))
}

/// The input: its lines that decode, sorted, and how many do not.
struct Input {
    folder: TempDir,
    good: Vec<Vec<u8>>,
    bad: u64,
}

impl Input {
    fn write(seed: u64) -> Self {
        let folder = TempDir::new().unwrap();
        let data = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../data/clicks"));
        let pipeline = std::fs::read_to_string(data.join("pipeline.sql")).unwrap();
        let pipeline = pipeline + MORE_VIEWS;
        std::fs::write(folder.path().join("pipeline.sql"), pipeline).unwrap();
        std::fs::copy(data.join("countries.csv"), folder.path().join("countries.csv")).unwrap();
        let options = GenerateOptions { events: RECORDS, seed, late: 0.05, bad: 0.0, start_ms: None };
        let mut file = std::io::BufWriter::new(std::fs::File::create(folder.path().join("clicks.ndjson")).unwrap());
        let (mut good, mut bad) = (vec![], 0);
        for (number, mut line) in (1..).zip(generate(Kind::Clicks, &options)) {
            if number % BAD_EVERY == 0 {
                line.truncate(line.len() / 2);
                bad += 1;
            } else {
                good.push(line.clone());
            }
            line.push(b'\n');
            file.write_all(&line).unwrap();
        }
        file.flush().unwrap();
        good.sort_unstable();
        Self { folder, good, bad }
    }

    fn pipeline(&self) -> PathBuf {
        self.folder.path().join("pipeline.sql")
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("clicks.ndjson")
    }
}

/// `dovetail ingest`, started again until it says that it is done.
struct Ingest {
    file: PathBuf,
    server: String,
    errors: PathBuf,
    child: Option<Child>,
    starts: u64,
    done: bool,
}

impl Ingest {
    fn new(input: &Input, server: &Server) -> Self {
        let errors = input.folder.path().join("ingest.log");
        Self { file: input.file(), server: server.url(), errors, child: None, starts: 0, done: false }
    }

    fn start(&mut self, rate: Option<f64>) {
        let log = std::fs::File::options().create(true).append(true).open(&self.errors).unwrap();
        let mut command = dovetail();
        command.arg("ingest").arg("clicks").arg("--from").arg(&self.file).args(["--server", &self.server]);
        if let Some(rate) = rate {
            command.args(["--rate", &format!("{rate:.1}")]);
        }
        self.child = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
        self.starts += 1;
    }

    async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.unwrap();
        }
    }

    /// Starts it when it does not run. The only thing that may end it early is a server that is not there.
    fn tend(&mut self, rate: Option<f64>) {
        if self.done {
            return;
        }
        if let Some(child) = &mut self.child {
            let Some(status) = child.try_wait().unwrap() else { return };
            self.done = status.success();
            let log = std::fs::read_to_string(&self.errors).unwrap();
            let last = log.lines().next_back().unwrap_or_default();
            assert!(self.done || last.contains("no server answers"), "ingest: {}", last_of(&log));
        }
        if !self.done {
            self.start(rate);
        }
    }
}

/// One run: a server that is killed, and what is known about it.
struct Ordeal {
    random: StdRng,
    server: Server,
    client: Client,
    ingest: Ingest,
    input: Input,
    began: Instant,
    kills: u64,
    /// Rows of `total` that were seen: they never become fewer.
    seen: i64,
    restarts: Vec<Duration>,
}

impl Ordeal {
    fn new(seed: u64) -> Self {
        let input = Input::write(seed);
        let server = Server::new(&input.pipeline(), settings_for_haste());
        let (client, ingest) = (server.client(), Ingest::new(&input, &server));
        let random = StdRng::seed_from_u64(seed);
        let (began, restarts) = (Instant::now(), vec![]);
        Self { random, server, client, ingest, input, began, kills: 0, seen: 0, restarts }
    }

    /// Records a second, so that the ingest lasts as long as the kills.
    async fn rate(&self, kills: u64) -> f64 {
        let clicks = StreamName::parse("clicks").unwrap();
        let stream = stream_of(self.client.stream(clicks.as_str()).await.unwrap()).unwrap();
        let options = SourceOptions { stream: Arc::new(stream), format: None, force: false };
        let source = source_id(self.input.file().to_str().unwrap(), &options).unwrap().unwrap();
        let position = match self.client.position(clicks.as_str(), &source).await {
            Ok(position) => position,
            Err(error) => panic!("the position of the source: {error:#}"),
        };
        let left = RECORDS - position.seen;
        let per_kill = self.began.elapsed().as_secs_f64() / self.kills.max(1) as f64;
        let seconds = per_kill * kills.saturating_sub(self.kills).max(1) as f64;
        // All of it may be there before its sender has heard so: 0 is no rate.
        (left as f64 / if self.kills == 0 { 150.0 } else { seconds }).max(1.0)
    }

    async fn start(&mut self) {
        let began = Instant::now();
        self.server.launch();
        // Now and then it does not even get to its feet.
        while self.random.random_bool(0.2) {
            sleep(Duration::from_millis(self.random.random_range(0..400))).await;
            self.server.kill().await;
            self.kills += 1;
            self.server.launch();
        }
        self.server.wait_ready().await;
        self.restarts.push(began.elapsed());
    }

    /// Everything that was seen before is still there, and what is served is what the log says.
    async fn check(&mut self) {
        let n = number(&self.client, "SELECT n FROM total").await;
        assert!(n >= self.seen, "{n} records are there, but {} were there before the crash", self.seen);
        self.seen = n;
        let view = VIEWS[self.restarts.len() % VIEWS.len()];
        verify(&self.client, &[view]).await;
    }

    /// Until the next kill: some time, or the middle of a run.
    async fn live(&mut self) {
        if self.random.random_bool(0.6) {
            return sleep(Duration::from_millis(self.random.random_range(0..3000))).await;
        }
        let (client, full) = (self.client.clone(), self.random.random_bool(0.5));
        let moment = Duration::from_millis(self.random.random_range(0..200));
        // Whether it succeeds does not matter.
        let _ = tokio::time::timeout(moment, client.post::<Value>("/v1/recompute", &json!({ "full": full }))).await;
    }

    async fn round(&mut self, kills: u64) {
        let rate = self.rate(kills).await;
        self.ingest.tend(Some(rate));
        self.live().await;
        if let Ok(n) = try_number(&self.client, "SELECT n FROM total").await {
            self.seen = self.seen.max(n);
        }
        if self.random.random_bool(0.25) {
            self.ingest.kill().await;
        }
        self.server.kill().await;
        self.kills += 1;
        self.start().await;
        self.check().await;
    }

    /// The rest of the input, as fast as it goes.
    async fn finish_ingest(&mut self) {
        self.ingest.kill().await;
        let give_up = Instant::now() + Duration::from_secs(120);
        while !self.ingest.done {
            assert!(Instant::now() < give_up, "the ingest does not end");
            self.ingest.tend(None);
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Checks that every record of the source is there once: in the log's answers, in the landing, in the batch views.
    async fn check_end(&self) {
        let client = &self.client;
        let (good, bad) = (self.input.good.len() as i64, self.input.bad as i64);
        assert_eq!(good + bad, RECORDS as i64);
        assert_eq!(number(client, "SELECT n FROM total").await, good);
        eventually("all to be landed", async || {
            let landed = number(client, "SELECT count(*) FROM raw.clicks").await;
            let dead = number(client, "SELECT count(*) FROM sys.dead_letters").await;
            assert!(landed <= good && dead <= bad, "{landed} records and {dead} dead letters are landed");
            (landed == good && dead == bad).then_some(())
        })
        .await;
        let mut values: Vec<Vec<u8>> = vec![];
        for batch in rows(client, "SELECT CAST(_value AS BYTEA) FROM raw.clicks").await {
            let column = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Binary).unwrap();
            values.extend(column.as_binary::<i32>().iter().map(|value| value.unwrap().to_vec()));
        }
        values.sort_unstable();
        assert!(values == self.input.good, "the landed values are not those of the file");
        eventually("all to be in the batch views", async || {
            (number(client, "SELECT n FROM batch.total").await == good).then_some(())
        })
        .await;
        let users = "SELECT sum(clicks) FROM clicks_per_user";
        assert_eq!(number(client, users).await, good);
        verify(client, &[]).await;
        let full: Value = client.post("/v1/recompute", &json!({ "full": true })).await.unwrap();
        assert!(full["generation"].is_u64(), "{full}");
        assert_eq!(number(client, "SELECT n FROM batch.total").await, good);
        verify(client, &[]).await;
        let drifts = "SELECT count(*) FROM sys.drift WHERE drift > 0 AND view IN ('total', 'clicks_per_user')";
        assert_eq!(number(client, drifts).await, 0);
    }

    /// Checks that every recorded object is there, and that objects left by a killed process are soon gone.
    async fn check_objects(&mut self) {
        let catalog = catalog_in(&self.server.data(), Clock::System).await;
        let recorded = |object: &Object| matches!(object.state, ObjectState::Live | ObjectState::Deleted);
        let objects = eventually("what killed processes left to be deleted", async || {
            let objects = catalog.objects().await.unwrap();
            objects.iter().all(recorded).then_some(objects)
        })
        .await;
        self.server.kill().await;
        let left = objects.iter().filter(|object| object.state == ObjectState::Deleted).count();
        eprintln!("{} objects, {left} were announced and never recorded", objects.len() - left);
        let store = Store::local(&self.server.data().join("store")).unwrap();
        let faults = ledger::faults(&catalog, &store).await.unwrap();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    /// Checks that the interruptible work really ran, and was interrupted.
    async fn check_exercise(&self) {
        let died = "SELECT count(*) FROM sys.batch_runs WHERE error = 'its process died'";
        let died = number(&self.client, died).await;
        eprintln!("{died} runs died in the middle");
        assert!(died > 0 || self.kills < 50);
        let log = self.server.log();
        let seen = |words: &str| (words.to_owned(), log.matches(words).count());
        let counts: BTreeMap<_, _> =
            ["run started", "published batch view", "compacted segments", "retired generation"]
                .into_iter()
                .map(seen)
                .collect();
        eprintln!("{counts:?}");
        for (words, count) in counts {
            assert!(count > 0, "`{words}` {count} times:\n{}", last_of(&log));
        }
        assert!(!log.contains("panicked"), "{}", last_of(&log));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_over_and_over_it_loses_nothing() {
    let seed = variable("DOVETAIL_SEED", rand::random::<u32>().into());
    let kills = variable("DOVETAIL_KILLS", 50);
    eprintln!("replay with DOVETAIL_SEED={seed} DOVETAIL_KILLS={kills}");
    let mut ordeal = Ordeal::new(seed);
    ordeal.start().await;
    ordeal.kills = 0;
    ordeal.began = Instant::now();
    while ordeal.kills < kills {
        ordeal.round(kills).await;
    }
    let killed = ordeal.began.elapsed();
    ordeal.finish_ingest().await;
    ordeal.check_end().await;
    let restart = ordeal.restarts.iter().sum::<Duration>() / ordeal.restarts.len() as u32;
    eprintln!(
        "{} kills in {killed:.1?}, {} starts of the ingest, ready after {restart:.2?}, all in {:.1?}",
        ordeal.kills,
        ordeal.ingest.starts,
        ordeal.began.elapsed()
    );
    ordeal.check_exercise().await;
    ordeal.check_objects().await;
}
