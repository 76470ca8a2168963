//! Literals that DataFusion reads as something near them: whole numbers beyond its integers, numbers beyond DOUBLE,
//! and timestamps of nanoseconds.

use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, CastKind, DataType, ExactNumberInfo, Expr, UnaryOperator, Value,
};

use super::syntax::{RefusedClause, string};

/// Greatest number of digits of a DECIMAL.
const DIGITS: usize = 76;

/// A whole number that is no BIGINT, signed or unsigned, as a decimal: DataFusion makes a DOUBLE of it, which is equal
/// to its neighbours.
///
/// # Errors
/// When the number is beyond every type.
pub(super) fn number(text: &str, negative: bool) -> Result<Option<Expr>, RefusedClause> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return float(text).map(|()| None);
    }
    let is_known = if negative { format!("-{text}").parse::<i64>().is_ok() } else { text.parse::<u64>().is_ok() };
    if is_known {
        return Ok(None);
    }
    let digits = text.trim_start_matches('0');
    if digits.len() > DIGITS {
        let message = format!("a whole number of {} digits has no type", digits.len());
        return Err(RefusedClause { message, hint: format!("decimals have {DIGITS} digits at most") });
    }
    let sign = if negative { "-" } else { "" };
    let info = ExactNumberInfo::PrecisionAndScale(digits.len() as u64, 0);
    Ok(Some(cast(string(&format!("{sign}{digits}")), DataType::Decimal(info))))
}

/// Checks that a number with a point or an exponent is within DOUBLE; small ones are rounded to zero.
fn float(text: &str) -> Result<(), RefusedClause> {
    if text.parse::<f64>().is_ok_and(f64::is_infinite) {
        let message = format!("`{text}` is out of range for type double precision");
        return Err(RefusedClause { message, hint: "a DOUBLE reaches up to 1.8e308".to_owned() });
    }
    Ok(())
}

/// The type of a timestamp literal: microseconds, as PostgreSQL's, without digits and for nine; also in arrays.
pub(super) fn in_microseconds(data_type: &mut DataType) {
    match data_type {
        DataType::Timestamp(digits @ (None | Some(9)), _) => *digits = Some(6),
        DataType::Array(
            ArrayElemTypeDef::AngleBracket(item)
            | ArrayElemTypeDef::SquareBracket(item, _)
            | ArrayElemTypeDef::Parenthesis(item),
        ) => in_microseconds(item),
        _ => {}
    }
}

/// Makes a cast of a literal to a decimal exact: the literal is read as written, and without a scale the type gets its
/// digits. DataFusion would make a DOUBLE of it first, and ten digits behind the point.
pub(super) fn exact_decimal(expr: &mut Expr, data_type: &mut DataType) {
    use DataType as T;
    let (T::Numeric(info) | T::Decimal(info) | T::Dec(info)) = data_type else { return };
    let (sign, literal) = match &*expr {
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => ("-", expr.as_ref()),
        other => ("", other),
    };
    let Expr::Value(literal) = literal else { return };
    let text = match &literal.value {
        Value::Number(text, _) => format!("{sign}{text}"),
        Value::SingleQuotedString(text) if sign.is_empty() => text.trim().to_owned(),
        _ => return,
    };
    let digits = text.trim_start_matches(['+', '-']);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_plain =
        whole.len() + fraction.len() > 0 && (whole.bytes().chain(fraction.bytes())).all(|b| b.is_ascii_digit());
    let precision = (whole.len() + fraction.len()).max(1);
    if *info == ExactNumberInfo::None && is_plain && precision <= DIGITS {
        *info = ExactNumberInfo::PrecisionAndScale(precision as u64, fraction.len() as i64);
    }
    *expr = string(&text);
}

pub(super) fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None }
}
