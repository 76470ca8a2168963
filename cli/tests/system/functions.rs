//! All scalar functions over extreme arguments: whatever is asked, the answer is rows or an error, comes in time, and
//! takes no more memory than a query may.
//!
//! `DOVETAIL_FUZZ_SEED` and `DOVETAIL_FUZZ_ROUNDS` repeat a run or make it longer.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use reqwest::StatusCode;
use serde_json::Value;
use tokio_util::task::TaskTracker;

use crate::support::{Server, data};

const TIMEOUT: Duration = Duration::from_secs(3);
const LATE: Duration = Duration::from_secs(1);
const SETTINGS: &str = "[query]\nmemory = \"64MiB\"\ntotal_memory = \"128MiB\"\ntimeout = \"3s\"\n";
/// Above what the server takes by itself: a query's memory, what one row of it may take once more while it is written,
/// and what allocators keep.
const MEMORY: u64 = 512 << 20;

/// Values by the beginning of the name of their type.
const VALUES: &[(&str, &[&str])] = &[
    (
        "Int",
        &[
            "0",
            "1",
            "-1",
            "3",
            "-3",
            "64",
            "1000000",
            "2000000000",
            "-2147483648",
            "9223372036854775807",
            "(-9223372036854775807 - 1)",
            "CAST(NULL AS BIGINT)",
        ],
    ),
    (
        "UInt",
        &["arrow_cast(0, 'UInt64')", "arrow_cast(18446744073709551615, 'UInt64')", "arrow_cast(2000000000, 'UInt64')"],
    ),
    (
        "Float",
        &[
            "0.0",
            "-0.5",
            "'NaN'::double",
            "'Infinity'::double",
            "'-Infinity'::double",
            "1e308",
            "-1e308",
            "4e-320",
            "CAST(NULL AS DOUBLE)",
        ],
    ),
    (
        "Decimal",
        &[
            "arrow_cast('99999999999999999999999999999999999999', 'Decimal128(38, 0)')",
            "arrow_cast('-0.00000000000000000000000000000000000001', 'Decimal128(38, 38)')",
            "CAST(1.5 AS DECIMAL(10, 2))",
        ],
    ),
    (
        "String",
        &[
            "''",
            "'a'",
            "'é日本🫩'",
            "repeat('x', 60000)",
            "repeat('ab,', 300000)",
            "'(a+)+$'",
            "'((((.*))))'",
            "'%'",
            "','",
            "'-'",
            "'2026-02-30'",
            "'2026-03-01T10:00:00Z'",
            "'day'",
            "'g'",
            "'sha256'",
            "'hex'",
            "'%Y%j%c%+'",
            "'Int64'",
            "'$.a'",
            "'9999999999999999999'",
            "CAST(NULL AS VARCHAR)",
            "chr(1114111)",
            "'America/New_York'",
        ],
    ),
    ("Boolean", &["true", "false", "CAST(NULL AS BOOLEAN)"]),
    (
        "Timestamp",
        &[
            "TIMESTAMP '2026-03-01 10:00:00'",
            "TIMESTAMP '1677-09-21 00:12:44'",
            "TIMESTAMP '2262-04-11 23:47:16'",
            "arrow_cast(9223372036854775807, 'Timestamp(Second, None)')",
            "arrow_cast(-9223372036854775807, 'Timestamp(Microsecond, None)')",
            "CAST(NULL AS TIMESTAMP)",
        ],
    ),
    (
        "Date",
        &[
            "DATE '0001-01-01'",
            "DATE '9999-12-31'",
            "arrow_cast(2147483647, 'Date32')",
            "arrow_cast(-2147483647, 'Date32')",
        ],
    ),
    ("Time", &["TIME '23:59:59'", "TIME '00:00:00'"]),
    (
        "Interval",
        &[
            "INTERVAL '1 second'",
            "INTERVAL '-1 nanosecond'",
            "INTERVAL '0 day'",
            "INTERVAL '1 month -28 days'",
            "INTERVAL '100000000 years'",
        ],
    ),
    ("Duration", &["arrow_cast(1, 'Duration(Nanosecond)')", "arrow_cast(9223372036854775807, 'Duration(Second)')"]),
    ("Binary", &["CAST('abc' AS BYTEA)", "CAST(repeat('z', 60000) AS BYTEA)", "CAST('' AS BYTEA)"]),
    (
        "List",
        &[
            "[]",
            "[1, 2, NULL]",
            "[NULL]",
            "[[1, 2], [3]]",
            "['a', '', NULL]",
            "range(0, 8000)",
            "range(0, 1000000)",
            "[1.5, 'NaN'::double]",
            "CAST(NULL AS BIGINT[])",
            "array_repeat('x', 5000)",
        ],
    ),
    ("Struct", &["named_struct('a', 1, 'b', 'x')"]),
    ("Map", &["map(['a', 'b'], [1, 2])", "map([1], [[2]])"]),
];

fn values_of(data_type: &str) -> &'static [&'static str] {
    let found = VALUES.iter().find(|(name, _)| data_type.starts_with(name));
    let list = || data_type.contains("List").then(|| VALUES.iter().find(|(name, _)| *name == "List")).flatten();
    found.or_else(list).map_or(VALUES[0].1, |(_, values)| values)
}

/// Argument types that each function is known to take.
type Signatures = BTreeMap<String, Vec<Vec<String>>>;

async fn signatures(server: &Server) -> Signatures {
    let mut signatures = Signatures::new();
    let all = "SELECT DISTINCT routine_name FROM information_schema.routines WHERE function_type = 'SCALAR' ORDER BY 1";
    for name in server.rows(all).await {
        signatures.insert(name.trim_matches('"').to_owned(), vec![]);
    }
    let parameters = "SELECT specific_name, rid, string_agg(data_type, ';' ORDER BY ordinal_position) \
                      FROM information_schema.parameters WHERE parameter_mode = 'IN' GROUP BY 1, 2 ORDER BY 1, 2";
    for row in server.rows(parameters).await {
        let [name, _, types] = row.splitn(3, ", ").collect::<Vec<_>>()[..] else { continue };
        if let Some(known) = signatures.get_mut(name.trim_matches('"')) {
            known.push(types.trim_matches('"').split(';').map(str::to_owned).collect());
        }
    }
    signatures
}

fn value(random: &mut StdRng, data_type: Option<&str>) -> String {
    let values = match data_type {
        Some(data_type) => values_of(data_type),
        None => VALUES.choose(random).unwrap().1,
    };
    (*values.choose(random).unwrap()).to_owned()
}

fn call(random: &mut StdRng, name: &str, signatures: &Signatures, depth: usize) -> String {
    let known = signatures[name].choose(random).filter(|_| random.random_bool(0.8));
    let types: Vec<Option<&str>> = match known {
        Some(types) => types.iter().map(|data_type| Some(data_type.as_str())).collect(),
        None => vec![None; random.random_range(0..5)],
    };
    let arguments = types.into_iter().map(|data_type| match depth < 2 && random.random_bool(0.15) {
        true => {
            let names: Vec<&String> = signatures.keys().collect();
            let name = names.choose(random).unwrap();
            call(random, name, signatures, depth + 1)
        }
        false => value(random, data_type),
    });
    let arguments: Vec<String> = arguments.collect();
    format!("\"{name}\"({})", arguments.join(", "))
}

/// As a constant, or of rows whose values the planner cannot see.
fn statement(random: &mut StdRng, name: &str, signatures: &Signatures) -> String {
    if random.random_bool(0.5) {
        return format!("SELECT {} AS v", call(random, name, signatures, 0));
    }
    let known = signatures[name].choose(random);
    let types: Vec<Option<&str>> = match known {
        Some(types) => types.iter().map(|data_type| Some(data_type.as_str())).collect(),
        None => vec![None; random.random_range(0..4)],
    };
    if types.is_empty() {
        return format!("SELECT \"{name}\"() AS v FROM generate_series(1, 3) t(x)");
    }
    let columns: Vec<String> = (0..types.len()).map(|i| format!("c{i}")).collect();
    let row = |random: &mut StdRng| {
        let values: Vec<String> = types.iter().map(|data_type| value(random, *data_type)).collect();
        format!("({})", values.join(", "))
    };
    let rows: Vec<String> = (0..random.random_range(1..6)).map(|_| row(random)).collect();
    let columns = columns.join(", ");
    format!(
        "SELECT \"{name}\"({columns}) AS v FROM (VALUES {}) t({columns}), generate_series(1, 3) g(x)",
        rows.join(", ")
    )
}

/// The longest time of many small queries of another connection, until the server has gone.
async fn slowest(url: String) -> Duration {
    let (client, mut slowest) = (reqwest::Client::new(), Duration::ZERO);
    loop {
        let began = Instant::now();
        let Ok(response) = client.post(&url).body("SELECT 1 AS x").send().await else { return slowest };
        assert_eq!(response.status(), StatusCode::OK);
        slowest = slowest.max(began.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_of_extreme_arguments_do_no_harm() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seed = number("DOVETAIL_FUZZ_SEED").unwrap_or_else(rand::random);
    let rounds = number("DOVETAIL_FUZZ_ROUNDS").unwrap_or(8);
    eprintln!("DOVETAIL_FUZZ_SEED={seed} DOVETAIL_FUZZ_ROUNDS={rounds}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut server = Server::new(&data().join("clicks/pipeline.sql"), SETTINGS);
    server.start().await;
    let signatures = signatures(&server).await;
    assert!(signatures.len() > 250, "{} functions", signatures.len());
    let client = reqwest::Client::new();
    let others = TaskTracker::new().spawn(slowest(format!("{}/v1/query", server.url())));
    let (mut outcomes, mut bugs) = (BTreeMap::<String, usize>::new(), vec![]);
    let (mut longest, before) = (Duration::ZERO, server.peak());
    for _ in 0..rounds {
        for name in signatures.keys() {
            let sql = statement(&mut random, name, &signatures);
            let began = Instant::now();
            let asked = client.post(format!("{}/v1/query", server.url())).body(sql.clone()).send().await;
            let told = format!("seed {seed}: {sql}\n{}", server.log());
            let response = asked.unwrap_or_else(|error| panic!("{told}: {error}"));
            let status = response.status();
            let body = response.bytes().await.unwrap_or_else(|error| panic!("{told}: {error}"));
            longest = longest.max(began.elapsed());
            assert!(began.elapsed() < TIMEOUT + LATE, "{:?}, {told}", began.elapsed());
            let peak = server.peak();
            assert!(peak < before + MEMORY, "{} MiB, {} MiB before, {told}", peak >> 20, before >> 20);
            let answer: Value = serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{told}: {error}"));
            let code = answer["error"]["code"].as_str().unwrap_or("answered").to_owned();
            if status == StatusCode::INTERNAL_SERVER_ERROR {
                bugs.push(format!("{sql}\n    {}", answer["error"]["message"]));
            }
            *outcomes.entry(code).or_default() += 1;
        }
    }
    eprintln!(
        "{outcomes:?}, the longest took {longest:?}, {} MiB before, {} MiB at most",
        before >> 20,
        server.peak() >> 20
    );
    eprintln!("{} met a bug and were answered so:\n{}", bugs.len(), bugs.join("\n"));
    assert!(outcomes["answered"] > signatures.len(), "{outcomes:?}");
    server.check("SELECT 1", &["1"]).await;
    server.kill().await;
    let slowest = others.await.unwrap();
    eprintln!("the slowest of another connection's took {slowest:?}");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
}
