//! `DOVETAIL_SECTION_KEY` variables: the setting of each, and its value.
//!
//! The keys are those of [`Config`], and their types are found by trial: there is no second list of them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, bail};
use dovetail_core::pipeline::nearest;
use toml::{Table, Value};

use super::Config;

const PREFIX: &str = "DOVETAIL_";

/// Variables that belong to no section: of the command line, of the build, of `dev/` and of the tests.
const OTHERS: &[&str] = &[
    // Flags of the command line.
    "CONFIG",
    "PIPELINE",
    "SERVER",
    // Of the build, for `--version`; Cargo passes it on to the programs that it runs.
    "COMMIT",
    // `dev/` and the tests.
    "BINARY",
    "CACHE",
    "CLIENTS_GO",
    "CLIENTS_JDBC",
    "CLIENTS_NODE",
    "CLIENTS_PYTHON",
    "DEV",
    "FAULTS",
    "FILES",
    "FUZZ_ROUNDS",
    "FUZZ_SEED",
    "KILLS",
    "RECORDS",
    "S3_FOLDER",
    "S3_PORT",
    "SEED",
    "SHARED_DATA",
];

/// Prefix of variables of tests.
const OF_TESTS: &str = "TEST_";

/// The setting of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Setting {
    /// A key outside of all sections.
    Top(String),
    Of(String, String),
    /// A setting of a created topic.
    Topic(String),
}

/// The known keys by section, with `""` for those outside of all.
fn known() -> BTreeMap<String, Vec<String>> {
    let mut known = BTreeMap::<String, Vec<String>>::new();
    let Ok(serde_json::Value::Object(all)) = serde_json::to_value(Config::default()) else { return known };
    for (key, value) in all {
        match value {
            serde_json::Value::Object(section) => {
                known.insert(key, section.into_iter().map(|(key, _)| key).collect());
            }
            _ => known.entry(String::new()).or_default().push(key),
        }
    }
    known
}

/// The names of all variables, without `DOVETAIL_`.
fn names(known: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let of = |section: &str, key: &str| match section {
        "" => key.to_uppercase(),
        section => format!("{section}_{key}").to_uppercase(),
    };
    let settings = known.iter().flat_map(|(section, keys)| keys.iter().map(move |key| of(section, key)));
    settings.chain(OTHERS.iter().map(|&name| name.to_owned())).collect()
}

/// Applies the variables to the settings of a file.
pub(super) fn lay_over(table: &mut Table, variables: impl Iterator<Item = (String, String)>) -> Result<()> {
    let known = known();
    for (variable, value) in variables {
        let Some(setting) = setting(&known, &variable, &value)? else { continue };
        let value = typed(&setting, value).map_err(|error| anyhow!("variable `{variable}`: {error}"))?;
        setting.lay_over(table, value)?;
    }
    Ok(())
}

/// Refuses a variable of this process's environment that is not known.
pub fn refuse_unknown() -> Result<()> {
    let known = known();
    for (variable, value) in std::env::vars_os() {
        // A name that is no text is not Dovetail's.
        let (Ok(variable), value) = (variable.into_string(), value.to_string_lossy()) else { continue };
        setting(&known, &variable, &value)?;
    }
    Ok(())
}

fn setting(known: &BTreeMap<String, Vec<String>>, variable: &str, value: &str) -> Result<Option<Setting>> {
    let Some(name) = variable.strip_prefix(PREFIX) else { return Ok(None) };
    if name.starts_with(OF_TESTS) || OTHERS.contains(&name) || is_of_kubernetes(name, value) {
        return Ok(None);
    }
    let lower = name.to_ascii_lowercase();
    if known.get("").is_some_and(|keys| keys.contains(&lower)) {
        return Ok(Some(Setting::Top(lower)));
    }
    for (section, keys) in known.iter().filter(|(section, _)| !section.is_empty()) {
        let Some(key) = lower.strip_prefix(section.as_str()).and_then(|rest| rest.strip_prefix('_')) else { continue };
        // All other keys in the section of Kafka are settings of librdkafka, which checks them.
        if section == "kafka" && !key.is_empty() && !keys.iter().any(|known| known == key) {
            return Ok(Some(of_kafka(key)));
        }
        if keys.iter().any(|known| known == key) {
            return Ok(Some(Setting::Of(section.clone(), key.to_owned())));
        }
    }
    let names = names(known);
    let hint = match nearest(name, names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{PREFIX}{near}`?"),
        None => {
            let sections = known.keys().filter(|section| !section.is_empty()).map(|s| s.to_uppercase());
            format!("it is {PREFIX}SECTION_KEY, with a section of {}", sections.collect::<Vec<_>>().join(", "))
        }
    };
    bail!("variable `{variable}` sets nothing: {hint}")
}

/// Settings of topics have a table of their own; librdkafka has a few with the same prefix.
fn of_kafka(key: &str) -> Setting {
    match key.strip_prefix("topic_") {
        Some(rest) if !rest.starts_with("metadata_") && rest != "blacklist" => Setting::Topic(rest.to_owned()),
        _ => Setting::Of("kafka".to_owned(), key.to_owned()),
    }
}

/// Whether Kubernetes sets the variable in every pod beside a service called `dovetail` or `dovetail-..`.
fn is_of_kubernetes(name: &str, value: &str) -> bool {
    let address = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    let port = name.strip_prefix("PORT_").or_else(|| name.split_once("_PORT_").map(|(_, port)| port));
    name.ends_with("SERVICE_HOST")
        || name.contains("SERVICE_PORT")
        || address && (name == "PORT" || name.ends_with("_PORT"))
        || port.is_some_and(|port| port.starts_with(|c: char| c.is_ascii_digit()))
}

impl Setting {
    fn lay_over(&self, table: &mut Table, value: Value) -> Result<()> {
        let (table, key) = match self {
            Self::Top(key) => (table, key),
            Self::Of(section, key) => (within(table, section)?, key),
            Self::Topic(key) => (within(within(table, "kafka")?, "topic")?, key),
        };
        table.insert(key.clone(), value);
        Ok(())
    }
}

/// The table of that name, made if it does not exist.
fn within<'t>(table: &'t mut Table, name: &str) -> Result<&'t mut Table> {
    let entry = table.entry(name).or_insert_with(|| Value::Table(Table::new()));
    entry.as_table_mut().with_context(|| format!("`{name}` is no section"))
}

/// The value as text where the setting takes one, as a password may look like a number; else as a number or boolean if
/// it is one.
fn typed(setting: &Setting, text: String) -> Result<Value> {
    let takes = |value: &Value| -> Result<()> {
        let mut table = Table::new();
        setting.lay_over(&mut table, value.clone())?;
        table.try_into::<Config>().map(drop).map_err(|error| anyhow!("{}", error.message().trim_end()))
    };
    let number = text.parse().ok().map(Value::Integer);
    let boolean = text.parse().ok().map(Value::Boolean);
    let text = Value::String(text);
    let Err(error) = takes(&text) else { return Ok(text) };
    match [number, boolean].into_iter().flatten().find(|value| takes(value).is_ok()) {
        Some(value) => Ok(value),
        None => Err(error),
    }
}
