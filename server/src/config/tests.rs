//! Every key, from a file and from the environment; and what is refused.

use std::collections::BTreeSet;
use std::time::Duration;

use bytesize::ByteSize;
use serde_json::{Value, json};

use super::*;

fn parse(text: &str, variables: &[(&str, &str)]) -> Result<Config> {
    let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    Config::parse("dovetail.toml", text, variables)
}

fn refused(text: &str, variables: &[(&str, &str)]) -> String {
    format!("{:#}", parse(text, variables).unwrap_err())
}

/// Every key with a value that is not its default: as a variable has it, and as it is then.
fn every_key() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("data_dir", "/data/7", json!("/data/7")),
        ("http.listen", "0.0.0.0:1", json!("0.0.0.0:1")),
        ("postgres.listen", "0.0.0.0:2", json!("0.0.0.0:2")),
        ("flight.listen", "0.0.0.0:3", json!("0.0.0.0:3")),
        ("ingest.in_flight", "1MiB", json!("1.0 MiB")),
        ("ingest.request", "2097152", json!("2.0 MiB")),
        ("log.queue", "3MiB", json!("3.0 MiB")),
        ("log.tail", "4MiB", json!("4.0 MiB")),
        ("log.read", "5MiB", json!("5.0 MiB")),
        ("log.decoded", "6MiB", json!("6.0 MiB")),
        ("log.keep", "all", json!("all")),
        ("landing.segment_size", "7MiB", json!("7.0 MiB")),
        ("landing.segment_age", "8s", json!("8s")),
        ("batch.schedule", "never", json!("never")),
        ("batch.full_schedule", "every 1h", json!("every 1h")),
        ("batch.cores", "9", json!(9)),
        ("batch.keep_generations", "10", json!(10)),
        ("batch.garbage_grace", "11s", json!("11s")),
        ("batch.staging_limit", "23s", json!("23s")),
        ("batch.compact_to", "12MiB", json!("12.0 MiB")),
        ("batch.upkeep_every", "13s", json!("13s")),
        ("speed.memory", "14MiB", json!("14.0 MiB")),
        ("speed.seal", "15ms", json!("15ms")),
        ("kappa.memory", "16MiB", json!("16.0 MiB")),
        ("kappa.checkpoint_every", "7s", json!("7s")),
        ("kappa.keep_checkpoints", "9", json!(9)),
        ("kappa.threads", "2", json!(2)),
        ("query.timeout", "16s", json!("16s")),
        ("query.memory", "17MiB", json!("17.0 MiB")),
        ("query.total_memory", "18MiB", json!("18.0 MiB")),
        ("query.state_cache", "19MiB", json!("19.0 MiB")),
        ("query.concurrent", "20", json!(20)),
        ("query.connections", "21", json!(21)),
        ("kafka.brokers", "a:1,b:2", json!("a:1,b:2")),
        ("kafka.replication", "3", json!(3)),
        ("kafka.topic.retention_ms", "1000", json!("1000")),
        ("kafka.sasl_password", "0123", json!("0123")),
        ("kafka.enable_idempotence", "true", json!("true")),
        ("kafka.topic_metadata_refresh_interval_ms", "10", json!("10")),
        ("catalog.url", "sqlite:x", json!("sqlite:x")),
        ("store.url", "s3://b/p", json!("s3://b/p")),
        ("store.endpoint", "http://s3:9000", json!("http://s3:9000")),
        ("store.region", "7", json!("7")),
        ("store.allow_http", "true", json!(true)),
        ("member.advertise", "10", json!("10")),
        ("member.lease", "22s", json!("22s")),
    ]
}

fn at<'v>(config: &'v Value, key: &str) -> &'v Value {
    key.split('.').fold(config, |value, part| &value[part])
}

/// All keys of a value, with the sections they are in.
fn keys(value: &Value, within: &str, all: &mut BTreeSet<String>) {
    for (key, value) in value.as_object().unwrap() {
        let key = if within.is_empty() { key.clone() } else { format!("{within}.{key}") };
        match value.is_object() {
            true => keys(value, &key, all),
            false => {
                all.insert(key);
            }
        }
    }
}

#[test]
fn every_key_is_set_by_a_variable_and_by_a_file() {
    let mut missing = BTreeSet::new();
    keys(&serde_json::to_value(Config::default()).unwrap(), "", &mut missing);
    for (key, text, expected) in every_key() {
        missing.remove(key);
        let variable = format!("DOVETAIL_{}", key.replace('.', "_").to_uppercase());
        let set = parse("", &[(variable.as_str(), text)]).unwrap_or_else(|error| panic!("{variable}: {error:#}"));
        assert_eq!(at(&serde_json::to_value(set).unwrap(), key), &expected, "{variable}");
        let quoted = if expected.is_string() { format!("{text:?}") } else { text.to_owned() };
        let file = match key.rsplit_once('.') {
            Some((section, key)) => format!("[{section}]\n{key} = {quoted}"),
            None => format!("{key} = {quoted}"),
        };
        let set = parse(&file, &[]).unwrap_or_else(|error| panic!("{file}: {error:#}"));
        assert_eq!(at(&serde_json::to_value(set).unwrap(), key), &expected, "{file}");
        assert_ne!(at(&serde_json::to_value(Config::default()).unwrap(), key), &expected, "{key}: choose another");
    }
    assert_eq!(missing, BTreeSet::new(), "keys that this test does not set");
}

#[test]
fn a_variable_that_sets_nothing_is_an_error_with_a_hint() {
    for (variable, hint) in [
        ("DOVETAIL_SPED_MEMORY", "did you mean `DOVETAIL_SPEED_MEMORY`?"),
        ("DOVETAIL_SPEED_MEMRY", "did you mean `DOVETAIL_SPEED_MEMORY`?"),
        ("DOVETAIL_STORE_ALOW_HTTP", "did you mean `DOVETAIL_STORE_ALLOW_HTTP`?"),
        ("DOVETAIL_SEVER", "did you mean `DOVETAIL_SERVER`?"),
        ("DOVETAIL_DATADIR", "did you mean `DOVETAIL_DATA_DIR`?"),
        ("DOVETAIL_SOMETHING_ELSE_ALTOGETHER", "a section of BATCH, CATALOG,"),
        ("DOVETAIL_", "a section of BATCH, CATALOG,"),
        ("DOVETAIL_KAFKA_", "a section of BATCH, CATALOG,"),
    ] {
        let error = refused("", &[(variable, "1")]);
        assert!(error.contains(&format!("`{variable}` sets nothing")) && error.contains(hint), "{error}");
    }
}

#[test]
fn variables_of_others_are_left_alone() {
    let others = [
        ("HOME", "/"),
        ("DOVETAIL_TEST_POSTGRES", "postgres://"),
        ("DOVETAIL_DEV", "/dev"),
        ("DOVETAIL_PIPELINE", "p.sql"),
        ("DOVETAIL_SERVICE_HOST", "10.0.0.1"),
        ("DOVETAIL_SERVICE_PORT_HTTP", "8311"),
        ("DOVETAIL_PORT", "tcp://10.0.0.1:8311"),
        ("DOVETAIL_PORT_8311_TCP_ADDR", "10.0.0.1"),
        ("DOVETAIL_SPEED_SERVICE_HOST", "10.0.0.1"),
        ("DOVETAIL_SPEED_PORT_8314_TCP", "tcp://10.0.0.1:8314"),
    ];
    parse("", &others).unwrap();
}

#[test]
fn a_value_of_another_type_is_an_error_that_names_the_variable() {
    for (variable, value, why) in [
        ("DOVETAIL_STORE_ALLOW_HTTP", "yes", "a boolean"),
        ("DOVETAIL_QUERY_CONCURRENT", "many", "usize"),
        ("DOVETAIL_QUERY_CONCURRENT", "-1", "usize"),
        ("DOVETAIL_LANDING_SEGMENT_AGE", "5", "a duration"),
        ("DOVETAIL_LOG_KEEP", "some", "unknown variant `some`"),
    ] {
        let error = refused("", &[(variable, value)]);
        assert!(error.contains(&format!("variable `{variable}`")) && error.contains(why), "{error}");
    }
}

#[test]
fn variables_go_over_the_file() {
    let text = "[landing]\nsegment_age = \"9s\"\nsegment_size = \"1MiB\"";
    let config = parse(text, &[("DOVETAIL_LANDING_SEGMENT_AGE", "2s"), ("HOME", "/")]).unwrap();
    assert_eq!(config.landing.segment_age, Duration::from_secs(2));
    assert_eq!(config.landing.segment_size, ByteSize::mib(1));
}

#[test]
fn unknown_keys_of_a_file_are_errors_with_their_line() {
    let error = refused("[landing]\nsegmentage = \"9s\"", &[]);
    assert!(error.contains("dovetail.toml") && error.contains("line 2") && error.contains("segmentage"), "{error}");
    let error = refused("[sped]\nmemory = \"9MiB\"", &[]);
    assert!(error.contains("line 1") && error.contains("sped"), "{error}");
}

#[test]
fn settings_of_librdkafka_are_passed_as_they_are() {
    let text = "[kafka]\nbrokers = \"a:1\"\n\"linger.ms\" = 5\n[kafka.topic]\n\"retention.ms\" = 1000";
    let variables = [
        ("DOVETAIL_KAFKA_SASL_PASSWORD", "0123"),
        ("DOVETAIL_KAFKA_REPLICATION", "3"),
        ("DOVETAIL_KAFKA_SECURITY_PROTOCOL", "sasl_ssl"),
        ("DOVETAIL_KAFKA_TOPIC_SEGMENT_BYTES", "2000"),
    ];
    let kafka = parse(text, &variables).unwrap().kafka().unwrap().unwrap();
    let set = |name: &str| kafka.settings.get(name).map(String::as_str);
    assert_eq!((set("sasl.password"), set("security.protocol")), (Some("0123"), Some("sasl_ssl")));
    assert_eq!((set("linger.ms"), kafka.replication), (Some("5"), Some(3)));
    assert_eq!((kafka.topic["retention.ms"].as_str(), kafka.topic["segment.bytes"].as_str()), ("1000", "2000"));
    let error = format!("{:#}", parse("[kafka]\n\"linger.ms\" = 5", &[]).unwrap().kafka().unwrap_err());
    assert!(error.contains("linger.ms") && error.contains("brokers"), "{error}");
}

#[test]
fn what_nothing_works_with_is_refused() {
    let zeros = [
        "ingest.in_flight = \"0\"",
        "ingest.request = \"0 B\"",
        "log.queue = \"0\"",
        "log.read = \"0\"",
        "landing.segment_size = \"0\"",
        "landing.segment_age = \"0s\"",
        "batch.cores = 0",
        "batch.staging_limit = \"0s\"",
        "batch.upkeep_every = \"0s\"",
        "speed.memory = \"0\"",
        "speed.seal = \"1us\"",
        "query.timeout = \"0s\"",
        "query.memory = \"0\"",
        "query.total_memory = \"0\"",
        "query.concurrent = 0",
        "query.connections = 0",
        "member.lease = \"0s\"",
        "kafka.replication = 0",
    ];
    for text in zeros {
        let (name, _) = text.split_once(' ').unwrap();
        let said = refused(text, &[]);
        assert!(said.contains(&format!("`{name}` has to be at least 1")), "{said}");
    }
    assert!(parse("log.decoded = \"0\"\nquery.state_cache = \"0\"", &[]).is_ok());
}
