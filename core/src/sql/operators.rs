//! Operators whose result has another type in PostgreSQL, or whose operands it reads otherwise. They are replaced when
//! a statement is planned, so that everything above sees the right type.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{Cast, Placeholder, ScalarFunction};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawAggregateExpr, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, ScalarUDF};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::interval::INTERVAL;
use super::{division, extract, interval, strings, zoned};

#[derive(Debug)]
pub(super) struct Operators;

type PlannedExpr<T> = Result<PlannerResult<T>>;

impl ExprPlanner for Operators {
    fn plan_binary_op(&self, raw: RawBinaryExpr, schema: &DFSchema) -> PlannedExpr<RawBinaryExpr> {
        let raw = with_interval(raw, schema);
        let types = (raw.left.get_type(schema), raw.right.get_type(schema));
        let (Ok(left), Ok(right)) = types else { return Ok(PlannerResult::Original(raw)) };
        if let Some(function) = function(&raw.op, &left, &right) {
            // The moved value comes first, and so does an interval that is multiplied.
            let is_swapped = match raw.op {
                BinaryOperator::Plus => is_span(&left),
                BinaryOperator::Multiply => !is_interval(&left),
                _ => false,
            };
            let arguments = if is_swapped { vec![raw.right, raw.left] } else { vec![raw.left, raw.right] };
            return Ok(PlannerResult::Planned(call(function, arguments)));
        }
        Ok(PlannerResult::Original(match operands(&raw.op, &left, &right) {
            Operands::AsTheyAre => raw,
            Operands::Times => RawBinaryExpr { left: time(raw.left, &left), right: time(raw.right, &right), ..raw },
            Operands::Keys => RawBinaryExpr { left: key(raw.left, &left), right: key(raw.right, &right), ..raw },
            Operands::Floats => {
                RawBinaryExpr { left: as_float(raw.left, &left), right: as_float(raw.right, &right), ..raw }
            }
            Operands::LiteralAs(to) => RawBinaryExpr { left: read(raw.left, &to), right: read(raw.right, &to), ..raw },
        }))
    }

    fn plan_extract(&self, arguments: Vec<Expr>) -> PlannedExpr<Vec<Expr>> {
        Ok(PlannerResult::Planned(call(extract::extract(), arguments)))
    }

    fn plan_substring(&self, arguments: Vec<Expr>) -> PlannedExpr<Vec<Expr>> {
        // `SUBSTRING(t FROM 'pattern')`.
        match arguments.as_slice() {
            [_, Expr::Literal(pattern, _)] if pattern.data_type().is_string() => {
                Ok(PlannerResult::Planned(call(strings::substring_matching(), arguments)))
            }
            _ => Ok(PlannerResult::Original(arguments)),
        }
    }

    /// The fraction arguments of DataFusion's sketches become floats.
    fn plan_aggregate(&self, mut raw: RawAggregateExpr) -> PlannedExpr<RawAggregateExpr> {
        if raw.func.name().contains("percentile") {
            raw.args = raw.args.into_iter().map(float).collect();
        }
        Ok(PlannerResult::Original(raw))
    }
}

/// `ts + $1`: the parameter is an interval, where DataFusion takes it for another time stamp.
fn with_interval(raw: RawBinaryExpr, schema: &DFSchema) -> RawBinaryExpr {
    let is_instant = |expr: &Expr| matches!(expr.get_type(schema), Ok(DataType::Timestamp(..)));
    let interval = |id: &str| {
        Expr::Placeholder(Placeholder::new_with_field(id.to_owned(), Some(Arc::new(Field::new("", INTERVAL, true)))))
    };
    match (&raw.op, &raw.left, &raw.right) {
        (BinaryOperator::Plus, instant, Expr::Placeholder(Placeholder { id, field: None })) if is_instant(instant) => {
            RawBinaryExpr { right: interval(id), ..raw }
        }
        (BinaryOperator::Plus, Expr::Placeholder(Placeholder { id, field: None }), instant) if is_instant(instant) => {
            RawBinaryExpr { left: interval(id), ..raw }
        }
        _ => raw,
    }
}

/// A decimal literal as a float.
fn float(expr: Expr) -> Expr {
    match &expr {
        Expr::Literal(value @ ScalarValue::Decimal128(..), _) => match value.cast_to(&DataType::Float64) {
            Ok(float) => Expr::Literal(float, None),
            Err(_) => expr,
        },
        _ => expr,
    }
}

fn call(function: Arc<ScalarUDF>, arguments: Vec<Expr>) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(function, arguments))
}

fn is_interval(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(_))
}

fn is_date(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Date32 | DataType::Date64)
}

fn is_exact(data_type: &DataType) -> bool {
    data_type.is_integer() || matches!(data_type, DataType::Decimal128(..) | DataType::Decimal256(..))
}

fn is_span(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(_) | DataType::Duration(_))
}

/// The function that replaces an operator.
fn function(operator: &BinaryOperator, left: &DataType, right: &DataType) -> Option<Arc<ScalarUDF>> {
    let is_local = |data_type| zoned::local_zone(data_type).is_some();
    match operator {
        BinaryOperator::Plus if is_local(left) && is_span(right) => Some(zoned::plus()),
        BinaryOperator::Plus if is_span(left) && is_local(right) => Some(zoned::plus()),
        BinaryOperator::Minus if is_local(left) && is_span(right) => Some(zoned::minus()),
        BinaryOperator::Multiply if is_interval(left) && right.is_numeric() => Some(interval::multiplied()),
        BinaryOperator::Multiply if left.is_numeric() && is_interval(right) => Some(interval::multiplied()),
        BinaryOperator::Divide if is_interval(left) && right.is_numeric() => Some(interval::divided()),
        BinaryOperator::Divide if is_exact(left) && is_exact(right) && !(left.is_integer() && right.is_integer()) => {
            Some(division::divide())
        }
        _ => None,
    }
}

/// The change to the operands of an operator that stays.
enum Operands {
    AsTheyAre,
    /// Dates become timestamps: an interval added to them may have a time.
    Times,
    /// Intervals become their comparison keys.
    Keys,
    /// A literal of text is read as the other operand's type.
    LiteralAs(DataType),
    /// Exact numbers beside a float become floats.
    Floats,
}

fn operands(operator: &BinaryOperator, left: &DataType, right: &DataType) -> Operands {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, Minus, NotEq, Plus};
    if is_inexact_with(left, right) || is_inexact_with(right, left) {
        return Operands::Floats;
    }
    match operator {
        Plus if (is_date(left) && is_interval(right)) || (is_interval(left) && is_date(right)) => Operands::Times,
        Minus if is_date(left) && is_interval(right) => Operands::Times,
        Eq | NotEq | Lt | LtEq | Gt | GtEq => match (left, right) {
            (a, b) if is_span(a) && is_span(b) && (is_interval(a) || is_interval(b)) => Operands::Keys,
            (DataType::Utf8, other) | (other, DataType::Utf8) if is_read(other) => Operands::LiteralAs(other.clone()),
            _ => Operands::AsTheyAre,
        },
        _ => Operands::AsTheyAre,
    }
}

/// Types as which PostgreSQL reads a literal, where DataFusion compares text or refuses.
fn is_read(data_type: &DataType) -> bool {
    data_type.is_numeric()
        || is_interval(data_type)
        || matches!(
            data_type,
            DataType::Boolean | DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::List(_)
        )
}

fn cast(expr: Expr, to: DataType) -> Expr {
    Expr::Cast(Cast::new(Box::new(expr), to))
}

/// Whether a float meets an exact number: DataFusion would make a decimal of the float, which has no room for most
/// floats.
fn is_inexact_with(float: &DataType, other: &DataType) -> bool {
    float.is_floating() && matches!(other, DataType::Decimal128(..) | DataType::Decimal256(..))
}

fn as_float(operand: Expr, of: &DataType) -> Expr {
    match float(operand) {
        expr @ Expr::Literal(..) => expr,
        expr if of.is_floating() => expr,
        expr => cast(expr, DataType::Float64),
    }
}

fn time(expr: Expr, of: &DataType) -> Expr {
    match is_date(of) {
        true => cast(expr, DataType::Timestamp(TimeUnit::Microsecond, None)),
        false => expr,
    }
}

fn key(expr: Expr, of: &DataType) -> Expr {
    let interval = if is_interval(of) { expr } else { cast(expr, INTERVAL) };
    call(interval::interval_key(), vec![interval])
}

fn read(expr: Expr, to: &DataType) -> Expr {
    match &expr {
        Expr::Literal(ScalarValue::Utf8(Some(_)), _) => cast(expr, to.clone()),
        _ => expr,
    }
}
