//! The `.slt` file of each pipeline, over both interfaces of both serving processes: over the speed layer alone, over
//! a batch view and a realtime view that meet in the middle, and over a batch view alone.

use super::TURN;
use super::backends::Backends;
use super::fleet::Fleet;
use crate::answers::case::{CLICKS, CUT, Case, GOOD, NYC311, RECORDS, WEATHER};
use crate::answers::interfaces::{Http, Wire};
use crate::slt::{self, Interface, Rows};
use crate::support::{eventually, holds, number, settings_on_demand, try_number};

const SERVING: [usize; 2] = [1, 2];

/// Answers in which a topic has the name that the file knows: each run has a topic of its own.
struct Renamed<'a, I> {
    interface: &'a I,
    topic: &'a str,
    name: &'a str,
}

impl<I: Interface> Interface for Renamed<'_, I> {
    fn name(&self) -> &'static str {
        self.interface.name()
    }

    async fn ask(&self, sql: &str) -> Result<Rows, String> {
        let mut rows = self.interface.ask(sql).await?;
        for value in rows.iter_mut().flatten().flatten().filter(|value| *value == self.topic) {
            self.name.clone_into(value);
        }
        Ok(rows)
    }
}

/// Two of each layer, and nothing in them.
async fn started<'b>(backends: &'b Backends, case: &Case) -> Fleet<'b> {
    let sql = case.sql().replace(&format!("kafka://{}", case.topic), "kafka://TOPIC");
    let mut fleet = Fleet::new(backends, &sql, settings_on_demand());
    case.write_to(fleet.folder());
    for (layer, n) in [("ingest", 1), ("batch", 2), ("speed", 2), ("serve", 2)] {
        for i in 1..=n {
            fleet.add(layer, i);
        }
    }
    fleet.ready().await;
    fleet
}

/// Waits until each serving process answers from so many records of each layer.
async fn until(fleet: &Fleet<'_>, case: &Case, held: &[(&str, i64)]) {
    for n in SERVING {
        let client = fleet.client("serve", n);
        for (layer, records) in held {
            let sql = case.count(layer);
            let reached = async || (try_number(&client, &sql).await.ok()? == *records).then_some(());
            eventually(&format!("{records} from `{sql}`"), reached).await;
        }
    }
}

/// Asks both serving processes, over both interfaces, what is `wanted` of the file.
async fn ask(fleet: &Fleet<'_>, case: &Case, when: &str, wanted: impl Fn(&str) -> bool) {
    for n in SERVING {
        eprintln!("{} {when}, serve {n}", case.name());
        let (http, wire) = (Http(fleet.url("serve", n)), Wire::open(fleet.postgres(n)).await);
        slt::run_some(&case.slt(), &Renamed { interface: &http, topic: fleet.topic(), name: case.topic }, &wanted)
            .await;
        slt::run_some(&case.slt(), &Renamed { interface: &wire, topic: fleet.topic(), name: case.topic }, &wanted)
            .await;
    }
}

async fn before_the_first_generation(backends: &Backends, case: &Case) {
    let fleet = started(backends, case).await;
    fleet.ingest(case.stream, "all.ndjson").await;
    holds(&fleet.url("serve", 1), RECORDS as i64).await;
    until(&fleet, case, &[("speed", GOOD), ("public", GOOD)]).await;
    // Nothing answers for the batch layer yet.
    let refused = Http(fleet.url("serve", 1)).ask(&case.count("batch")).await.unwrap_err();
    assert!(refused.contains("nothing is published yet"), "{refused}");
    ask(&fleet, case, "from the speed layer", |sql| !sql.contains(" batch.")).await;
    fleet.check_logs();
}

async fn with_generations(backends: &Backends, case: &Case) {
    let fleet = started(backends, case).await;
    let (url, client) = (fleet.url("serve", 1), fleet.client("serve", 1));
    fleet.ingest(case.stream, "below.ndjson").await;
    holds(&url, CUT as i64).await;
    let below = number(&client, &format!("SELECT count(*) FROM raw.{}", case.stream)).await;
    fleet.recompute_full().await;
    fleet.ingest(case.stream, "above.ndjson").await;
    holds(&url, RECORDS as i64).await;
    until(&fleet, case, &[("batch", below), ("speed", GOOD - below), ("public", GOOD)]).await;
    ask(&fleet, case, "from both layers", |_| true).await;
    fleet.recompute_full().await;
    until(&fleet, case, &[("batch", GOOD), ("speed", 0), ("public", GOOD)]).await;
    ask(&fleet, case, "from the batch layer", |_| true).await;
    fleet.check_logs();
}

async fn check(case: &Case) {
    let test = format!("{}_answers_of_processes", case.name());
    let (Some(first), Some(second)) = (Backends::find(&test).await, Backends::find(&test).await) else { return };
    let _turn = TURN.lock().await;
    before_the_first_generation(&first, case).await;
    with_generations(&second, case).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nyc311_answers_of_processes() {
    check(&NYC311).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clicks_answers_of_processes() {
    check(&CLICKS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn weather_answers_of_processes() {
    check(&WEATHER).await;
}
