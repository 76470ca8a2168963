//! Casts with PostgreSQL's results where `arrow`'s differ: it cuts numbers off and formats text in its own way.
//!
//! | from | to | here |
//! |---|---|---|
//! | a decimal | an integer | half away from zero |
//! | a float | an integer | half to even |
//! | a float | a decimal | by its fifteen leading digits |
//! | text, a float, a decimal | a float | an error where the float does not reach |
//! | times, floats, bytes, arrays | text | as PostgreSQL writes them |
//! | text | an array, bytes | as PostgreSQL reads them |
//! | text | a timestamp | also without seconds; without a zone its offset means nothing |
//! | text | a date, a time, a decimal | as in streams |
//! | text | an interval | a bare number counts seconds |
//! | a whole number | a timestamp, a date | seconds, or days, that can be printed; no time of the day |
//! | a time without a zone | an instant of a zone | also where its clocks change |
//! | a timestamp | one of fewer digits | rounded, see [`texts::timestamps_in`] |

mod bytes;
mod decimals;

use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, StringArray, new_null_array};
use arrow::compute::{CastOptions, cast_with_options, concat, max, min};
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Int32Type, Int64Type, TimeUnit};
use arrow::util::display::FormatOptions;
use chrono::{DateTime, Utc};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, DataFusionError, Result, exec_err};
use datafusion::logical_expr::expr::{Cast, ScalarFunction, TryCast};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::scalar::ScalarValue;

mod floats;
mod moments;

use self::bytes::bytes_of;
use self::decimals::{decimals, whole_decimals, whole_floats};
use super::{arrays, text, zoned};
use crate::texts;

/// Replaces `arrow`'s casts by these, once all types are known.
#[derive(Debug)]
pub(super) struct Casts;

impl AnalyzerRule for Casts {
    fn name(&self) -> &str {
        "casts_of_postgresql"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(in_node).map(|changed| changed.data)
    }
}

fn in_node(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let mut schema = DFSchema::empty();
    for input in plan.inputs() {
        schema.merge(input.schema());
    }
    if let LogicalPlan::TableScan(scan) = &plan {
        schema.merge(&DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?);
    }
    let names = NamePreserver::new(&plan);
    let changed = plan.map_expressions(|expr| {
        let name = names.save(&expr);
        Ok(expr.transform_up(|expr| in_expr(expr, &schema))?.update_data(|expr| name.restore(expr)))
    })?;
    if changed.transformed { changed.map_data(LogicalPlan::recompute_schema) } else { Ok(changed) }
}

fn in_expr(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let (Expr::Cast(Cast { expr: of, field }) | Expr::TryCast(TryCast { expr: of, field })) = &expr else {
        return Ok(Transformed::no(expr));
    };
    let fails = if matches!(expr, Expr::TryCast(_)) { Fails::AsNull } else { Fails::AsError };
    let to = field.data_type();
    // Columns of an outer query are unknown here; they carry their types with them.
    let Ok(from) = of.get_type(schema) else { return Ok(Transformed::no(expr)) };
    if !differs(&from, to) {
        return Ok(Transformed::no(expr));
    }
    let function = Arc::new(ScalarUDF::new_from_impl(CastTo::new(to.clone(), fails)));
    Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![of.as_ref().clone()]))))
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_bytes(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

fn is_list(data_type: &DataType) -> bool {
    matches!(data_type, DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..))
}

fn is_decimal(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal128(..) | DataType::Decimal256(..))
}

fn differs(from: &DataType, to: &DataType) -> bool {
    match (from, to) {
        (from, to) if to.is_integer() => from.is_floating() || is_decimal(from),
        (from, to) if is_decimal(to) => from.is_floating() || is_text(from),
        (DataType::Float64, DataType::Float32 | DataType::Float16) => true,
        (from, DataType::Float32 | DataType::Float64) => is_text(from) || is_decimal(from),
        (from, to) if is_text(to) => text::differs(from),
        (from, to) if is_list(to) => is_text(from),
        (from, to) if is_bytes(to) => is_text(from),
        (from, DataType::Timestamp(..)) if is_text(from) || from.is_integer() => true,
        (from, DataType::Date32 | DataType::Time32(_) | DataType::Time64(_)) => is_text(from) || from.is_integer(),
        (from, DataType::Interval(_)) => is_text(from),
        (DataType::Timestamp(from, zone), DataType::Timestamp(unit, to_zone)) => {
            is_coarser(*unit, *from) || (zone.is_none() && to_zone.is_some() && zoned::local_zone(to).is_some())
        }
        _ => false,
    }
}

fn is_coarser(unit: TimeUnit, than: TimeUnit) -> bool {
    zoned::per_second(unit) < zoned::per_second(than)
}

/// The result for a value that cannot be cast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Fails {
    AsError,
    AsNull,
}

/// A cast to one type.
#[derive(Debug, PartialEq, Eq, Hash)]
struct CastTo {
    to: DataType,
    fails: Fails,
    signature: Signature,
}

impl CastTo {
    fn new(to: DataType, fails: Fails) -> Self {
        Self { to, fails, signature: Signature::any(1, Volatility::Immutable) }
    }

    fn cast(&self, array: &ArrayRef) -> Result<ArrayRef> {
        match (casted(array, &self.to), self.fails) {
            (Err(_), Fails::AsNull) => by_row(array, &self.to),
            (result, _) => result,
        }
    }
}

/// Casts row by row; null where a row cannot be cast.
fn by_row(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let null = new_null_array(to, 1);
    let rows: Vec<ArrayRef> =
        (0..array.len()).map(|row| casted(&array.slice(row, 1), to).unwrap_or_else(|_| Arc::clone(&null))).collect();
    let rows: Vec<&dyn Array> = rows.iter().map(AsRef::as_ref).collect();
    Ok(if rows.is_empty() { new_null_array(to, 0) } else { concat(&rows)? })
}

impl ScalarUDFImpl for CastTo {
    fn name(&self) -> &str {
        "cast"
    }

    /// The name that a cast has.
    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        Ok(arguments.first().map(|argument| argument.schema_name().to_string()).unwrap_or_default())
    }

    fn display_name(&self, arguments: &[Expr]) -> Result<String> {
        let argument = arguments.first().map(ToString::to_string).unwrap_or_default();
        let word = if self.fails == Fails::AsNull { "TRY_CAST" } else { "CAST" };
        Ok(format!("{word}({argument} AS {})", self.to))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    /// Nullable if the input is, or if failing casts give null.
    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let nullable =
            self.fails == Fails::AsNull || arguments.arg_fields.first().is_none_or(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.to.clone(), nullable)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(match &arguments.args[0] {
            ColumnarValue::Array(array) => ColumnarValue::Array(self.cast(array)?),
            ColumnarValue::Scalar(scalar) => {
                ColumnarValue::Scalar(ScalarValue::try_from_array(&self.cast(&scalar.to_array()?)?, 0)?)
            }
        })
    }
}

/// `arrow`'s cast, with an error in place of NULL for a value that cannot be cast.
pub(super) fn strict(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    if differs(array.data_type(), to) {
        return casted(array, to);
    }
    plainly(array, to)
}

/// `arrow`'s cast, also where PostgreSQL's differs.
fn plainly(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let options = CastOptions { safe: false, format_options: FormatOptions::default() };
    Ok(cast_with_options(array, to, &options)?)
}

/// Casts `array` to `to` as PostgreSQL does.
pub(super) fn casted(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let from = array.data_type();
    if !differs(from, to) {
        return strict(array, to);
    }
    if to.is_integer() {
        let whole: ArrayRef = match from {
            DataType::Decimal128(_, scale) => Arc::new(whole_decimals::<Decimal128Type>(array, *scale)?),
            DataType::Decimal256(_, scale) => {
                let narrow = DataType::Decimal128(38, (*scale).min(38));
                return casted(&strict(array, &narrow)?, to);
            }
            _ => Arc::new(whole_floats(array)?),
        };
        return match strict(&whole, to) {
            Ok(whole) => Ok(whole),
            Err(_) => exec_err!("{} out of range", integer_name(to)),
        };
    }
    if is_text(from) && (is_decimal(to) || matches!(to, DataType::Date32 | DataType::Time32(_) | DataType::Time64(_))) {
        return as_in_streams(array, to);
    }
    if is_decimal(to) {
        return decimals(array, to);
    }
    match to {
        DataType::Timestamp(..) if from.is_integer() => return from_seconds(array, to),
        DataType::Date32 if from.is_integer() => {
            let dates = plainly(array, to)?;
            in_calendar(&dates)?;
            return Ok(dates);
        }
        DataType::Time32(_) | DataType::Time64(_) => return exec_err!("cannot cast type {from} to time"),
        DataType::Interval(_) => return plainly(&(Arc::new(with_unit(array)?) as ArrayRef), to),
        _ => {}
    }
    if to.is_floating() {
        return floats::casted(array, to);
    }
    if matches!(to, DataType::Timestamp(..)) && is_text(from) {
        return moments::read(array, to);
    }
    if is_text(to) {
        return strict(&(Arc::new(text::text(array)?) as ArrayRef), to);
    }
    if is_list(to) {
        return arrays::from_text(array, to, strict);
    }
    if is_bytes(to) {
        let texts = strict(array, &DataType::Utf8)?;
        let bytes = texts.as_string::<i32>().iter().map(|text| text.map(bytes_of).transpose());
        let bytes: Vec<Option<Vec<u8>>> = bytes.collect::<Result<_>>()?;
        return strict(&(Arc::new(bytes.into_iter().collect::<BinaryArray>()) as ArrayRef), to);
    }
    match (from, to) {
        (DataType::Timestamp(of, _), DataType::Timestamp(unit, _)) if is_coarser(*unit, *of) => {
            strict(&texts::timestamps_in(array, *unit)?, to)
        }
        _ => zoned::to_instants(array, to),
    }
}

/// Reads text by the rules for a stream's column.
fn as_in_streams(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let texts = plainly(array, &DataType::Utf8)?;
    let texts = texts.as_string::<i32>();
    let mut bad = vec![];
    let Some(read) = texts::column(texts, to, &mut bad) else { return plainly(array, to) };
    // A blank text is null in a stream, and no value here.
    let blank = texts.iter().position(|text| text.is_some_and(|text| text.trim_ascii().is_empty()));
    match bad.first().copied().into_iter().chain(blank).min() {
        Some(row) => exec_err!("invalid input syntax for type {}: \"{}\"", type_name(to), texts.value(row)),
        None => Ok(read),
    }
}

/// Name of a type in errors.
fn type_name(to: &DataType) -> String {
    match to {
        DataType::Date32 => "date".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "time".to_owned(),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            format!("numeric({precision},{scale})")
        }
        other => other.to_string(),
    }
}

/// Reads whole numbers as seconds, or days, of a time.
fn from_seconds(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let DataType::Timestamp(_, zone) = to else { return exec_err!("`{to}` is no timestamp") };
    let seconds = plainly(&plainly(array, &DataType::Int64)?, &DataType::Timestamp(TimeUnit::Second, zone.clone()))?;
    in_calendar(&seconds)?;
    plainly(&seconds, to)
}

/// Adds the unit of seconds to numbers without a unit.
fn with_unit(array: &ArrayRef) -> Result<StringArray> {
    let texts = plainly(array, &DataType::Utf8)?;
    let with_unit = |text: &str| match text.trim().parse::<f64>() {
        Ok(number) if number.is_finite() => format!("{} seconds", text.trim()),
        _ => text.to_owned(),
    };
    Ok(texts.as_string::<i32>().iter().map(|text| text.map(with_unit)).collect())
}

/// Checks that all times of a column can be printed.
///
/// # Errors
/// When one lies beyond the calendar, some 262,000 years from now.
pub fn in_calendar(array: &ArrayRef) -> Result<()> {
    let seconds = |per_second: i64| {
        let instants = plainly(array, &DataType::Int64)?;
        let instants = instants.as_primitive::<Int64Type>();
        Ok::<_, DataFusionError>([min(instants), max(instants)].map(|at| at.map_or(0, |at| at.div_euclid(per_second))))
    };
    let (what, ends) = match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => ("timestamp", seconds(1)?),
        DataType::Timestamp(TimeUnit::Millisecond, _) => ("timestamp", seconds(1_000)?),
        DataType::Timestamp(TimeUnit::Microsecond, _) => ("timestamp", seconds(1_000_000)?),
        DataType::Date32 => {
            let days = plainly(array, &DataType::Int32)?;
            let days = days.as_primitive::<Int32Type>();
            ("date", [min(days), max(days)].map(|day| i64::from(day.unwrap_or(0)) * 86_400))
        }
        _ => return Ok(()),
    };
    // One day less, so that a zone's local time can be printed as well.
    let day = |time: DateTime<Utc>, days: i64| time.timestamp() + days * 86_400;
    let calendar = day(DateTime::<Utc>::MIN_UTC, 1)..=day(DateTime::<Utc>::MAX_UTC, -1);
    if ends.iter().all(|end| calendar.contains(end)) { Ok(()) } else { exec_err!("{what} out of range") }
}

/// PostgreSQL's name for a type of integers.
fn integer_name(to: &DataType) -> String {
    match to {
        DataType::Int16 => "smallint".to_owned(),
        DataType::Int32 => "integer".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        other => other.to_string(),
    }
}
