//! DataFusion's errors in the words of this program.

use datafusion::common::{DFSchema, DataFusionError};
use datafusion::logical_expr::{Expr, ExprSchemable};

use super::exactness::function;
use super::refusal::Refusal;
use crate::pipeline::sql_type;

/// The refusal of `expr`, an aggregate function over `input` whose trial failed with `error`.
pub(super) fn cannot_fold(expr: &Expr, input: &DFSchema, error: &DataFusionError) -> Refusal {
    let Some(call) = function(expr) else {
        return Refusal { message: format!("`{expr}` cannot be folded: {}", reason(error)), hint: OTHER.to_owned() };
    };
    let name = call.func.name();
    let types =
        call.params.args.iter().map(|argument| argument.get_type(input).map_or("?".to_owned(), |t| sql_type(&t)));
    let types: Vec<String> = types.collect();
    let distinct = if call.params.distinct { "DISTINCT " } else { "" };
    let message = format!("`{name}({distinct}{})` cannot be folded: {}", types.join(", "), reason(error));
    Refusal { message, hint: hint(name, call.params.distinct, types.len()).to_owned() }
}

const OTHER: &str = "cast the argument to another type, or use another function";

fn hint(name: &str, distinct: bool, arguments: usize) -> &'static str {
    match name {
        "count" if distinct && arguments > 1 => {
            "count structs: count(DISTINCT named_struct('a', a, 'b', b)), which counts NULLs too"
        }
        "approx_distinct" => "cast the argument: approx_distinct(CAST(x AS VARCHAR))",
        "string_agg" => "it joins texts: write string_agg(CAST(x AS VARCHAR), ',' ORDER BY _offset)",
        _ => OTHER,
    }
}

/// The first line of DataFusion's message, without its prefix, in lower case.
fn reason(error: &DataFusionError) -> String {
    let text = match error.find_root() {
        DataFusionError::NotImplemented(text)
        | DataFusionError::Plan(text)
        | DataFusionError::Execution(text)
        | DataFusionError::Internal(text) => text.clone(),
        other => other.strip_backtrace(),
    };
    let line = text.lines().next().unwrap_or_default().trim();
    let line = line.strip_prefix("[physical_plan] ").unwrap_or(line);
    let mut chars = line.chars();
    match chars.next() {
        Some(first) if !line.chars().nth(1).is_some_and(char::is_uppercase) => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => line.to_owned(),
    }
}

/// The refusal of a call whose function takes no such arguments: the planner's message names candidates in Rust's
/// terms.
pub(super) fn no_such_call(error: &DataFusionError) -> Option<Refusal> {
    let text = error.find_root().strip_backtrace();
    if let Some((_, types)) = text.split_once("Cannot automatically convert ") {
        let message = format!("no value is converted from {} where none is cast", in_sql(types.trim()));
        return Some(Refusal { message, hint: OTHER.to_owned() });
    }
    let (_, call) = text.split_once("No function matches the given name and argument types '")?;
    let (call, _) = call.split_once('\'')?;
    let (name, types) = call.split_once('(')?;
    let types = types.strip_suffix(')').unwrap_or(types);
    Some(Refusal {
        message: format!("`{name}({})` does not exist: it does not take these types", in_sql(types)),
        hint: OTHER.to_owned(),
    })
}

/// Replaces arrow's names of types in a text by those of SQL.
fn in_sql(types: &str) -> String {
    const NAMES: [(&str, &str); 14] = [
        ("LargeUtf8", "VARCHAR"),
        ("Utf8View", "VARCHAR"),
        ("Utf8", "VARCHAR"),
        ("Boolean", "BOOLEAN"),
        ("UInt64", "BIGINT UNSIGNED"),
        ("UInt32", "INT UNSIGNED"),
        ("Int64", "BIGINT"),
        ("Int32", "INT"),
        ("Int16", "SMALLINT"),
        ("Int8", "TINYINT"),
        ("Float64", "DOUBLE"),
        ("Float32", "REAL"),
        ("Date32", "DATE"),
        ("Binary", "BYTEA"),
    ];
    NAMES.iter().fold(types.to_owned(), |text, (arrow, sql)| text.replace(arrow, sql))
}
