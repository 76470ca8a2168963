//! Statements that only concern the session: settings, transactions without writes, housekeeping.

mod called;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::sql::sqlparser::ast::{ContextModifier, Expr, Ident, Reset, ResetStatement, Set, Statement};
use datafusion_postgres::pgwire::api::Type;
use datafusion_postgres::pgwire::api::results::{DataRowEncoder, FieldFormat, FieldInfo, QueryResponse, Response, Tag};
use datafusion_postgres::pgwire::error::PgWireResult;
use datafusion_postgres::pgwire::messages::response::TransactionStatus;
use dovetail_core::name::Generation;

pub(super) use self::called::answered;
use super::open::{Open, SettingValues};
use super::respond::done;
use super::wire_error::session_error;
use crate::sql::schemas::PUBLIC;
use crate::sql::settings::{GENERATION, KNOWN, PARTIAL, Settings};

/// Greatest length of a value, because savepoints keep all values.
const LONGEST_VALUE: usize = 1024;

/// Settings as the connection keeps them, by lower-case name.
type Metadata = HashMap<String, String>;

fn value(metadata: &Metadata, name: &str) -> Option<String> {
    if let Some(value) = metadata.get(name) {
        return Some(value.clone());
    }
    // For example `psql "options=-c search_path=batch"`.
    let options = metadata.get("options").map(String::as_str).unwrap_or_default();
    options
        .split_whitespace()
        .filter_map(|word| word.trim_start_matches("-c").trim_start_matches("--").split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
}

/// Applies the settings of a connecting client, whose names may be in any case.
pub(super) fn begin(metadata: &mut Metadata) -> PgWireResult<()> {
    let sent: Vec<(String, String)> = metadata.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    for (name, value) in sent {
        let known = name.to_lowercase();
        if known != name && KNOWN.iter().any(|(name, _)| *name == known) {
            put(metadata, known, value)?;
        }
    }
    Ok(())
}

/// The schemas of the search path.
fn schemas(metadata: &Metadata) -> impl Iterator<Item = String> {
    let path = value(metadata, "search_path").unwrap_or_else(|| PUBLIC.to_owned());
    let names: Vec<String> = path.split(',').map(|name| name.trim().trim_matches(['"', '\'']).to_owned()).collect();
    names.into_iter().filter(|name| !name.is_empty() && name != "$user")
}

/// The session's settings as they concern a query.
pub(super) fn settings(metadata: &Metadata) -> Settings {
    Settings {
        schema: schemas(metadata).next(),
        time_zone: value(metadata, "timezone").filter(|zone| !zone.eq_ignore_ascii_case("utc")),
        generation: value(metadata, GENERATION).and_then(|number| number.parse().ok().map(Generation)),
        timeout: value(metadata, "statement_timeout").and_then(|text| milliseconds(&text)).filter(|t| !t.is_zero()),
        partial: value(metadata, PARTIAL).and_then(|text| switch(&text)).unwrap_or(false),
        ..Settings::default()
    }
}

/// Parses `on` or `off` in PostgreSQL's spellings.
fn switch(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Some(true),
        "off" | "false" | "no" | "0" => Some(false),
        _ => None,
    }
}

/// Parses `250`, `250ms`, `5s`, `1min`.
fn milliseconds(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let number: u64 = digits.parse().ok()?;
    let factor = match text[digits.len()..].trim() {
        "" | "ms" => 1,
        "s" => 1000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.saturating_mul(factor)))
}

/// The columns that a statement of the session answers.
pub(super) fn described(statement: &Statement) -> SchemaRef {
    let fields: Vec<Field> = match shown(statement) {
        Some(name) if name == "all" => {
            ["name", "setting"].map(|column| Field::new(column, DataType::Utf8, false)).into()
        }
        Some(name) => vec![Field::new(name, DataType::Utf8, false)],
        None => vec![],
    };
    Arc::new(Schema::new(fields))
}

/// The setting of a `SHOW`.
fn shown(statement: &Statement) -> Option<String> {
    let Statement::ShowVariable { variable } = statement else { return None };
    let words: Vec<String> = variable.iter().map(|word| word.value.to_lowercase()).collect();
    Some(match words.join(" ").as_str() {
        "time zone" => "timezone".to_owned(),
        // The parser drops the point.
        "dovetail partial" => PARTIAL.to_owned(),
        "transaction isolation level" => "transaction_isolation".to_owned(),
        "session authorization" => "session_authorization".to_owned(),
        "dovetail generation" => GENERATION.to_owned(),
        name => name.to_owned(),
    })
}

/// Runs a statement of the session; `None` when it is none.
pub(super) fn run(
    statement: &Statement,
    metadata: &mut Metadata,
    transaction: TransactionStatus,
    open: &Open,
) -> Option<PgWireResult<Response>> {
    let outside = |what: &str| {
        let message = format!("{what} can only be used in transaction blocks");
        Err(session_error("25P01", message))
    };
    let ends = matches!(statement, Statement::Commit { .. } | Statement::Rollback { .. });
    if transaction == TransactionStatus::Error && !ends {
        let message = "current transaction is aborted, commands ignored until end of transaction block";
        return Some(Err(session_error("25P02", message)));
    }
    Some(match statement {
        Statement::Set(set) => match (transaction, is_local(set)) {
            // Without a transaction it lasts for no time.
            (TransactionStatus::Idle, true) => assign(set, &mut metadata.clone()),
            (TransactionStatus::Idle, false) => assign(set, metadata),
            (_, only_here) => {
                let before = metadata.clone();
                let assigned = assign(set, metadata);
                if assigned.is_ok()
                    && let Some(name) = assigned_name(set)
                {
                    match only_here {
                        true => open.sets_local(&name, before.get(&name)),
                        false => open.sets(&name),
                    }
                }
                assigned
            }
        },
        Statement::Reset(ResetStatement { reset: Reset::ALL }) => {
            KNOWN.iter().for_each(|(name, _)| open.sets(name));
            clear(metadata);
            Ok(done("RESET"))
        }
        Statement::Reset(ResetStatement { reset: Reset::ConfigurationParameter(name) }) => {
            let name = name.to_string().to_lowercase();
            if KNOWN.iter().all(|(known, _)| *known != name) {
                let message = format!("unrecognized configuration parameter \"{name}\"");
                return Some(Err(session_error("42704", message)));
            }
            open.sets(&name);
            metadata.remove(&name);
            Ok(done("RESET"))
        }
        Statement::ShowVariable { .. } | Statement::ShowVariables { .. } => show(statement, metadata),
        Statement::StartTransaction { .. } if transaction == TransactionStatus::Idle => {
            open.begin(values(metadata));
            Ok(Response::TransactionStart(Tag::new("BEGIN")))
        }
        Statement::StartTransaction { .. } => Ok(done("BEGIN")),
        Statement::Commit { chain: true, .. } | Statement::Rollback { chain: true, .. } => {
            Err(session_error("0A000", "AND CHAIN is not supported: begin the next transaction with BEGIN"))
        }
        Statement::Commit { .. } => {
            if transaction == TransactionStatus::Error {
                put_back(metadata, open.roll_back());
                return Some(Ok(Response::TransactionEnd(Tag::new("ROLLBACK"))));
            }
            settle(metadata, open.commit());
            Ok(Response::TransactionEnd(Tag::new("COMMIT")))
        }
        // The transaction goes on: see `WireService::goes_back`.
        Statement::Rollback { savepoint: Some(_), .. } if transaction == TransactionStatus::Idle => {
            outside("ROLLBACK TO SAVEPOINT")
        }
        Statement::Rollback { savepoint: Some(name), .. } => open.roll_back_to(&folded(name)).map(|values| {
            put_back(metadata, values);
            done("ROLLBACK")
        }),
        Statement::Rollback { .. } => {
            put_back(metadata, open.roll_back());
            Ok(Response::TransactionEnd(Tag::new("ROLLBACK")))
        }
        Statement::Savepoint { .. } if transaction == TransactionStatus::Idle => outside("SAVEPOINT"),
        Statement::Savepoint { name } => open.save(&folded(name), values(metadata)).map(|()| done("SAVEPOINT")),
        Statement::ReleaseSavepoint { .. } if transaction == TransactionStatus::Idle => outside("RELEASE SAVEPOINT"),
        Statement::ReleaseSavepoint { name } => open.release(&folded(name)).map(|()| done("RELEASE")),
        Statement::Discard { .. } if transaction != TransactionStatus::Idle => {
            Err(session_error("25001", "DISCARD ALL cannot run inside a transaction block"))
        }
        Statement::Discard { .. } => {
            open.close_all();
            clear(metadata);
            Ok(done("DISCARD ALL"))
        }
        Statement::Deallocate { .. } => Ok(done("DEALLOCATE")),
        Statement::LISTEN { .. } => Ok(done("LISTEN")),
        Statement::UNLISTEN { .. } => Ok(done("UNLISTEN")),
        Statement::Prepare { .. } | Statement::Execute { .. } => {
            let message = "PREPARE and EXECUTE as statements are not supported, use the driver's prepared statements";
            Err(session_error("0A000", message))
        }
        _ => return None,
    })
}

/// The state of the transaction after this response.
pub(super) fn after(transaction: TransactionStatus, response: &Response) -> TransactionStatus {
    match response {
        Response::TransactionStart(_) => transaction.to_in_transaction_state(),
        Response::TransactionEnd(_) => transaction.to_idle_state(),
        _ => transaction,
    }
}

/// Settings whose changes are reported to clients, in PostgreSQL's spelling.
const TOLD: [&str; 5] = ["application_name", "client_encoding", "DateStyle", "IntervalStyle", "TimeZone"];

/// The settings to report to a client after a statement that may have changed them.
pub(super) fn told(statement: &Statement, metadata: &Metadata) -> Vec<(&'static str, String)> {
    let may_change = matches!(
        statement,
        Statement::Set(_)
            | Statement::Reset(_)
            | Statement::Discard { .. }
            | Statement::Commit { .. }
            | Statement::Rollback { .. }
    );
    if !may_change {
        return vec![];
    }
    let current = |name: &'static str| {
        let key = name.to_lowercase();
        let default = KNOWN.iter().find(|(known, _)| *known == key).map_or("", |(_, default)| *default);
        (name, value(metadata, &key).unwrap_or_else(|| default.to_owned()))
    };
    TOLD.into_iter().map(current).collect()
}

fn clear(metadata: &mut Metadata) {
    for (name, _) in KNOWN {
        metadata.remove(name);
    }
}

/// The name, in lower case unless it is quoted.
pub(super) fn folded(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    }
}

/// The changed settings.
fn values(metadata: &Metadata) -> SettingValues {
    let known = KNOWN.iter().filter_map(|(name, _)| metadata.get_key_value(*name));
    known.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Restores all settings to `values`.
fn put_back(metadata: &mut Metadata, values: SettingValues) {
    clear(metadata);
    metadata.extend(values);
}

/// Sets the settings to their values after a commit.
fn settle(metadata: &mut Metadata, settings: HashMap<String, Option<String>>) {
    for (name, value) in settings {
        match value {
            Some(value) => metadata.insert(name, value),
            None => metadata.remove(&name),
        };
    }
}

fn is_local(set: &Set) -> bool {
    match set {
        Set::SingleAssignment { scope, .. } => *scope == Some(ContextModifier::Local),
        Set::SetTimeZone { local, .. } => *local,
        _ => false,
    }
}

/// The setting that the statement changes.
fn assigned_name(set: &Set) -> Option<String> {
    match set {
        Set::SingleAssignment { variable, .. } => Some(variable.to_string().to_lowercase()),
        Set::SetTimeZone { .. } => Some("timezone".to_owned()),
        _ => None,
    }
}

fn assign(set: &Set, metadata: &mut Metadata) -> PgWireResult<Response> {
    match set {
        Set::SingleAssignment { variable, values, .. } => {
            let name = variable.to_string().to_lowercase();
            if KNOWN.iter().all(|(known, _)| *known != name) {
                let message = format!("unrecognized configuration parameter \"{name}\"");
                return Err(session_error("42704", message));
            }
            let value = values.iter().map(text).collect::<Vec<_>>().join(", ");
            put(metadata, name, value)
        }
        Set::SetTimeZone { value, .. } => put(metadata, "timezone".to_owned(), text(value)),
        Set::SetNames { .. } | Set::SetNamesDefault {} | Set::SetTransaction { .. } | Set::SetSessionParam(_) => {
            Ok(done("SET"))
        }
        Set::SetRole { .. } | Set::SetSessionAuthorization(_) => Ok(done("SET")),
        other => Err(session_error("0A000", format!("`SET {other}` is not supported"))),
    }
}

fn put(metadata: &mut Metadata, name: String, value: String) -> PgWireResult<Response> {
    let current = name == GENERATION && value.eq_ignore_ascii_case("current");
    if current || value.eq_ignore_ascii_case("default") {
        metadata.remove(&name);
        return Ok(done("SET"));
    }
    let value = if name == "timezone" { zone(value) } else { value };
    let valid = match name.as_str() {
        "statement_timeout" | "lock_timeout" => milliseconds(&value).is_some(),
        PARTIAL => switch(&value).is_some(),
        "timezone" => value.parse::<arrow::array::timezone::Tz>().is_ok(),
        GENERATION => value.parse::<u64>().is_ok(),
        "extra_float_digits" => value.parse::<i8>().is_ok_and(|digits| (-15..=3).contains(&digits)),
        "bytea_output" => matches!(value.to_lowercase().as_str(), "hex" | "escape"),
        "client_encoding" => {
            matches!(value.to_lowercase().as_str(), "utf8" | "utf-8" | "unicode" | "sql_ascii")
        }
        // Values have only these output formats.
        "datestyle" => matches!(
            value.split(',').next().map(|style| style.trim().to_lowercase()).as_deref(),
            Some("iso" | "mdy" | "dmy" | "ymd" | "us" | "european" | "")
        ),
        "intervalstyle" => matches!(value.to_lowercase().as_str(), "postgres" | "iso_8601"),
        _ => true,
    };
    if value.len() > LONGEST_VALUE {
        let message = format!("the value for parameter \"{name}\" is longer than {LONGEST_VALUE} bytes");
        return Err(session_error("22023", message));
    }
    if !valid {
        return Err(session_error("22023", format!("invalid value for parameter \"{name}\": \"{value}\"")));
    }
    metadata.insert(name, value);
    Ok(done("SET"))
}

/// The zone: `GMT+03:00`, in Java's spelling, counts hours to the west as in POSIX: `-03:00`.
fn zone(name: String) -> String {
    match name.strip_prefix("GMT").and_then(|offset| offset.split_at_checked(1)) {
        Some(("+", west)) => format!("-{west}"),
        Some(("-", east)) => format!("+{east}"),
        _ => name,
    }
}

fn text(value: &Expr) -> String {
    match value {
        Expr::Value(value) => value.clone().into_string().unwrap_or_else(|| value.to_string()),
        Expr::Identifier(name) => name.value.clone(),
        other => other.to_string().trim_matches('\'').to_owned(),
    }
}

fn show(statement: &Statement, metadata: &Metadata) -> PgWireResult<Response> {
    let name = shown(statement).unwrap_or_else(|| "all".to_owned());
    let current = |name: &str, default: &str| value(metadata, name).unwrap_or_else(|| default.to_owned());
    if name == "all" {
        let rows = KNOWN.iter().map(|(name, default)| vec![(*name).to_owned(), current(name, default)]).collect();
        return response(&["name", "setting"], rows);
    }
    match KNOWN.iter().find(|(known, _)| *known == name) {
        Some((_, default)) => response(&[name.as_str()], vec![vec![current(&name, default)]]),
        None => Err(session_error("42704", format!("unrecognized configuration parameter \"{name}\""))),
    }
}

fn response(names: &[&str], rows: Vec<Vec<String>>) -> PgWireResult<Response> {
    let field = |name: &&str| FieldInfo::new((*name).to_owned(), None, None, Type::TEXT, FieldFormat::Text);
    let fields: Arc<Vec<FieldInfo>> = Arc::new(names.iter().map(field).collect());
    let mut encoded = vec![];
    for row in rows {
        let mut encoder = DataRowEncoder::new(Arc::clone(&fields));
        for value in row {
            encoder.encode_field(&Some(value))?;
        }
        encoded.push(Ok(encoder.take_row()));
    }
    let mut response = QueryResponse::new(fields, futures::stream::iter(encoded));
    response.set_command_tag("SHOW");
    Ok(Response::Query(response))
}
