//! Settings: defaults, then `dovetail.toml`, then `DOVETAIL_SECTION_KEY` variables, then flags.

mod layers;
mod sections;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::args::Place;

pub use layers::bytes;
pub use sections::{
    Batch, CatalogPlace, Config, Ingest, Kafka, Keep, Landing, Listen, Log, Member, Query, Speed, StorePlace,
};

/// Where the settings are looked for when no file is named.
const FILE: &str = "dovetail.toml";
const PREFIX: &str = "DOVETAIL_";

impl Config {
    /// Reads the file and the environment, and applies the flags.
    pub fn load(place: &Place) -> Result<Self> {
        let file = place.config.clone().or_else(|| Path::new(FILE).exists().then(|| PathBuf::from(FILE)));
        let text = match &file {
            Some(file) => std::fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?,
            None => String::new(),
        };
        let name = file.map_or_else(|| "settings".to_owned(), |f| f.display().to_string());
        let mut config = Self::parse(&name, &text, std::env::vars())?;
        config.data_dir = place.data_dir.clone().or(config.data_dir);
        config.http.listen = place.http.clone().or(config.http.listen);
        config.postgres.listen = place.postgres.clone().or(config.postgres.listen);
        config.flight.listen = place.flight.clone().or(config.flight.listen);
        Ok(config)
    }

    fn parse(name: &str, text: &str, variables: impl Iterator<Item = (String, String)>) -> Result<Self> {
        // Errors of the file's own text carry its lines; variables are laid over it afterwards.
        let _: Self = toml::from_str(text).with_context(|| format!("in `{name}`"))?;
        let mut table: toml::Table = toml::from_str(text).with_context(|| format!("in `{name}`"))?;
        let mut used = vec![];
        for (variable, value) in variables {
            let Some((section, key)) = section_and_key(&variable) else { continue };
            let section_table = table.entry(section.clone()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            let Some(section_table) = section_table.as_table_mut() else { bail!("`{name}`: not a section") };
            section_table.insert(key.clone(), value_of(&section, &key, value));
            used.push(variable);
        }
        table.try_into().with_context(|| format!("in the variables {}", used.join(", ")))
    }
}

/// Numbers are numbers, but for librdkafka's settings, which are all texts: a password may look like one.
fn value_of(section: &str, key: &str, value: String) -> toml::Value {
    let text = section == "kafka" && key != "replication";
    match value.parse::<i64>() {
        Ok(number) if !text => toml::Value::Integer(number),
        _ => toml::Value::String(value),
    }
}

fn section_and_key(variable: &str) -> Option<(String, String)> {
    let rest = variable.strip_prefix(PREFIX)?.to_ascii_lowercase();
    let sections = [
        "http", "postgres", "ingest", "log", "landing", "batch", "speed", "query", "kafka", "catalog", "store",
        "flight", "member",
    ];
    let section = sections.into_iter().find(|s| rest.starts_with(&format!("{s}_")))?;
    Some((section.to_owned(), rest[section.len() + 1..].to_owned()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytesize::ByteSize;

    use super::*;

    fn parse(text: &str, variables: &[(&str, &str)]) -> Result<Config> {
        let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Config::parse("dovetail.toml", text, variables)
    }

    #[test]
    fn variables_go_over_the_file() {
        let text = "[landing]\nsegment_age = \"9s\"\nsegment_size = \"1MiB\"";
        let config = parse(text, &[("DOVETAIL_LANDING_SEGMENT_AGE", "2s"), ("HOME", "/")]).unwrap();
        assert_eq!(config.landing.segment_age, Duration::from_secs(2));
        assert_eq!(config.landing.segment_size, ByteSize::mib(1));
    }

    #[test]
    fn unknown_keys_are_errors_with_their_line() {
        let error = format!("{:#}", parse("[landing]\nsegmentage = \"9s\"", &[]).unwrap_err());
        assert!(error.contains("dovetail.toml") && error.contains("line 2") && error.contains("segmentage"), "{error}");
        let error = format!("{:#}", parse("", &[("DOVETAIL_SPEED_MEMRY", "1GiB")]).unwrap_err());
        assert!(error.contains("DOVETAIL_SPEED_MEMRY") && error.contains("memry"), "{error}");
    }

    #[test]
    fn settings_of_librdkafka_are_passed_as_they_are() {
        let text = "[kafka]\nbrokers = \"a:1\"\n\"linger.ms\" = 5\n[kafka.topic]\n\"retention.ms\" = 1000";
        let variables = [
            ("DOVETAIL_KAFKA_SASL_PASSWORD", "0123"),
            ("DOVETAIL_KAFKA_REPLICATION", "3"),
            ("DOVETAIL_KAFKA_SECURITY_PROTOCOL", "sasl_ssl"),
        ];
        let kafka = parse(text, &variables).unwrap().kafka().unwrap().unwrap();
        let set = |name: &str| kafka.settings.get(name).map(String::as_str);
        assert_eq!((set("sasl.password"), set("security.protocol")), (Some("0123"), Some("sasl_ssl")));
        assert_eq!((set("linger.ms"), kafka.replication), (Some("5"), Some(3)));
        assert_eq!(kafka.topic["retention.ms"], "1000");
        let error = format!("{:#}", parse("[kafka]\n\"linger.ms\" = 5", &[]).unwrap().kafka().unwrap_err());
        assert!(error.contains("linger.ms") && error.contains("brokers"), "{error}");
    }
}
