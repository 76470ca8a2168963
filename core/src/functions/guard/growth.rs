//! Estimates of the size of functions' results, from their arguments.

use arrow::array::{Array, AsArray, Int64Array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit};
use datafusion::common::Result;
use datafusion::logical_expr::ColumnarValue;

use super::widths::{Width, elements, total};

/// An upper bound of the result of a call.
#[derive(Debug)]
pub(super) enum Growth {
    /// A result too small to be estimated further.
    Little,
    /// Bytes of the result for each row.
    Rows(Vec<u64>),
    /// Work for each row, in units of about the time that a byte takes; the result is no larger than the arguments.
    Work(Vec<u64>),
}

/// Calls with a smaller result are run as they are, in bytes.
const LITTLE: u64 = 4 << 20;
/// Growth factor of functions that only rearrange their arguments: four bytes of UTF-8 for one, the offset of each
/// element of a list.
const ARRANGED: u64 = 5;

/// Estimates the result of calling `function` with `arguments` over `rows` rows.
pub(super) fn growth(function: &str, arguments: &[ColumnarValue], rows: usize) -> Result<Growth> {
    let arguments = Arguments(arguments);
    let each = |of: &dyn Fn(usize) -> u64| Ok(Growth::Rows((0..rows).map(of).collect()));
    match function {
        "repeat" => {
            let (text, times) = (arguments.width(0)?, arguments.count(1)?);
            each(&|row| text.at(row).saturating_mul(times.at(row)))
        }
        "lpad" | "rpad" => {
            let (text, length) = (arguments.width(0)?, arguments.count(1)?);
            let each_char = if arguments.is_ascii(0) && arguments.is_ascii(2) { 1 } else { 4 };
            each(&|row| text.at(row).saturating_add(length.at(row).saturating_mul(each_char)))
        }
        "array_repeat" => {
            let (value, times) = (arguments.width(0)?, arguments.count(1)?);
            each(&|row| value.at(row).max(1).saturating_mul(times.at(row)))
        }
        "array_resize" => {
            let (list, length, with) = (arguments.width(0)?, arguments.count(1)?, arguments.width(2)?);
            let element = arguments.element_bytes(0)?;
            each(&|row| list.at(row).saturating_add(length.at(row).saturating_mul(with.at(row).max(element))))
        }
        "range" | "generate_series" => {
            let spans = Spans::of(arguments)?;
            each(&|row| spans.at(row).saturating_mul(8))
        }
        "replace" => {
            let (from, to) = (arguments.width(1)?, arguments.width(2)?);
            let all = arguments.total(0, rows)?.saturating_add(rows as u64);
            if let (Width::Same(from), Width::Same(to)) = (&from, &to)
                && all.saturating_mul(to / (*from).max(1) + 2) <= LITTLE
            {
                return Ok(Growth::Little);
            }
            let text = arguments.width(0)?;
            each(&|row| {
                let places = if from.at(row) == 0 { text.at(row) + 1 } else { text.at(row) / from.at(row) };
                text.at(row).saturating_add(places.saturating_mul(to.at(row)))
            })
        }
        "regexp_replace" => {
            let (pattern, with) = (arguments.width(1)?, arguments.width(2)?);
            let all = arguments.total(0, rows)?.saturating_add(rows as u64);
            if let (Width::Same(pattern), Width::Same(with)) = (&pattern, &with)
                && all.saturating_mul(with + pattern / 16 + 2) <= LITTLE
            {
                return Ok(Growth::Little);
            }
            let (text, everywhere) = (arguments.width(0)?, arguments.0.len() > 3);
            each(&|row| {
                let places = if everywhere { text.at(row) + 1 } else { 1 };
                // `\0` stands for the match.
                let found = text.at(row).saturating_mul(with.at(row) / 2);
                let made = text.at(row).saturating_add(places.saturating_mul(with.at(row))).saturating_add(found);
                made.saturating_add(text.at(row).saturating_mul(pattern.at(row)) / 16)
            })
        }
        "regexp_match" | "regexp_count" | "regexp_instr" | "regexp_like" => {
            let pattern = arguments.width(1)?;
            if matches!(pattern, Width::Same(_))
                && arguments.total(0, rows)?.saturating_mul(pattern.at(0) / 2 + 2) <= LITTLE
            {
                return Ok(Growth::Little);
            }
            let text = arguments.width(0)?;
            each(&|row| text.at(row).saturating_mul(pattern.at(row) / 2 + 2))
        }
        "array_to_string" => {
            let (list, between, null) = (arguments.width(0)?, arguments.width(1)?, arguments.width(2)?);
            let elements = arguments.elements(0)?;
            each(&|row| {
                let each_element = between.at(row).saturating_add(null.at(row)).saturating_add(32);
                (list.at(row).saturating_mul(2)).saturating_add(elements.at(row).saturating_mul(each_element))
            })
        }
        "array_replace" | "array_replace_n" | "array_replace_all" => {
            let (list, to, elements) = (arguments.width(0)?, arguments.width(2)?, arguments.elements(0)?);
            each(&|row| list.at(row).saturating_mul(2).saturating_add(elements.at(row).saturating_mul(to.at(row))))
        }
        "string_to_array" => {
            let (text, null) = (arguments.width(0)?, arguments.width(2)?);
            each(&|row| text.at(row).saturating_mul(9).saturating_add(null.at(row)))
        }
        "concat_ws" => {
            let between = arguments.width(0)?;
            let count = arguments.0.len() as u64;
            let all = arguments.all()?;
            each(&|row| all.at(row).saturating_add(between.at(row).saturating_mul(count)))
        }
        "to_char" | "date_format" => {
            let format = arguments.width(1)?;
            if format.total(rows).saturating_mul(24) <= LITTLE {
                return Ok(Growth::Little);
            }
            each(&|row| format.at(row).saturating_mul(24))
        }
        // These take the time of both lengths multiplied.
        "levenshtein" | "btrim" | "ltrim" | "rtrim" | "translate" | "find_in_set" => {
            let other = arguments.width(1)?;
            if matches!(other, Width::Same(_)) && arguments.total(0, rows)?.saturating_mul(other.at(0) + 1) <= LITTLE {
                return Ok(Growth::Little);
            }
            let text = arguments.width(0)?;
            Ok(Growth::Work((0..rows).map(|row| text.at(row).saturating_mul(other.at(row) / 4 + 1)).collect()))
        }
        _ => {
            let totals = (0..arguments.0.len()).map(|argument| arguments.total(argument, rows));
            let all = totals.sum::<Result<u64>>()?;
            if all.saturating_mul(ARRANGED) <= LITTLE {
                return Ok(Growth::Little);
            }
            let all = arguments.all()?;
            each(&|row| all.at(row).saturating_mul(ARRANGED).saturating_add(16))
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Arguments<'a>(&'a [ColumnarValue]);

impl Arguments<'_> {
    /// Bytes of each value of an argument; none for a missing argument.
    fn width(self, argument: usize) -> Result<Width> {
        self.0.get(argument).map_or(Ok(Width::Same(0)), Width::of)
    }

    /// Bytes of all values of an argument.
    fn total(self, argument: usize, rows: usize) -> Result<u64> {
        match self.0.get(argument) {
            Some(argument) if argument.data_type().primitive_width().is_none() => total(argument, rows),
            _ => Ok(0),
        }
    }

    /// Bytes of all arguments of each row.
    fn all(self) -> Result<Width> {
        let widths = self.0.iter().map(Width::of).collect::<Result<Vec<_>>>()?;
        Ok(widths.into_iter().fold(Width::Same(0), Width::plus))
    }

    fn is_ascii(self, argument: usize) -> bool {
        match self.0.get(argument) {
            None => true,
            Some(ColumnarValue::Scalar(scalar)) => scalar.try_as_str().flatten().is_none_or(str::is_ascii),
            Some(ColumnarValue::Array(array)) => match array.data_type() {
                DataType::Utf8 => array.as_string::<i32>().is_ascii(),
                DataType::LargeUtf8 => array.as_string::<i64>().is_ascii(),
                DataType::Utf8View => array.as_string_view().is_ascii(),
                _ => false,
            },
        }
    }

    fn elements(self, argument: usize) -> Result<Width> {
        Ok(match self.0.get(argument) {
            None => Width::Same(0),
            Some(ColumnarValue::Array(array)) => elements(array),
            Some(ColumnarValue::Scalar(scalar)) => Width::Same(elements(&scalar.to_array()?).at(0)),
        })
    }

    /// Bytes of an element of the lists, at least one.
    fn element_bytes(self, argument: usize) -> Result<u64> {
        let (bytes, elements) = (self.width(argument)?.total(1), self.elements(argument)?.total(1));
        Ok(bytes.div_ceil(elements.max(1)).max(1))
    }

    /// The numbers of an argument; negative ones count as 0.
    fn count(self, argument: usize) -> Result<Width> {
        let Some(argument) = self.0.get(argument) else { return Ok(Width::Same(0)) };
        let count = |counts: &Int64Array, row: usize| match counts.is_valid(row) {
            true => u64::try_from(counts.value(row)).unwrap_or(0),
            false => 0,
        };
        let counts = integers(argument, &DataType::Int64)?;
        Ok(match argument {
            ColumnarValue::Scalar(_) => Width::Same(count(&counts, 0)),
            ColumnarValue::Array(_) => Width::Each((0..counts.len()).map(|row| count(&counts, row)).collect()),
        })
    }
}

/// The argument as numbers of `data_type`, which has 64 bits.
fn integers(argument: &ColumnarValue, data_type: &DataType) -> Result<Int64Array> {
    let array = argument.to_array(1)?;
    let options = CastOptions { safe: true, ..CastOptions::default() };
    let array = cast_with_options(&array, data_type, &options)?;
    let array = cast_with_options(&array, &DataType::Int64, &options)?;
    Ok(array.as_primitive::<Int64Type>().clone())
}

/// The series from one value to another by steps.
struct Spans {
    from: Vec<i128>,
    to: Vec<i128>,
    by: Vec<i128>,
}

const NANOS_OF_A_DAY: i128 = 86_400_000_000_000;

impl Spans {
    fn of(arguments: Arguments<'_>) -> Result<Self> {
        let [first, rest @ ..] = arguments.0 else { return Ok(Self { from: vec![], to: vec![], by: vec![] }) };
        Ok(match rest {
            [] => Self { from: vec![0], to: instants(first)?, by: vec![1] },
            [second] => Self { from: instants(first)?, to: instants(second)?, by: vec![1] },
            [second, third, ..] => Self { from: instants(first)?, to: instants(second)?, by: steps(third)? },
        })
    }

    /// The number of values in the series of the row.
    fn at(&self, row: usize) -> u64 {
        let of = |values: &[i128]| values.get(row).or(values.first()).copied().unwrap_or(0);
        let (from, to, by) = (of(&self.from), of(&self.to), of(&self.by));
        match by {
            0 => 0,
            by => u64::try_from(((to - from) / by + 1).max(0)).unwrap_or(u64::MAX),
        }
    }
}

/// Whole numbers as they are, times as nanoseconds.
fn instants(argument: &ColumnarValue) -> Result<Vec<i128>> {
    let (data_type, unit) = match argument.data_type() {
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => {
            (DataType::Timestamp(TimeUnit::Microsecond, None), 1000)
        }
        _ => (DataType::Int64, 1),
    };
    let values = integers(argument, &data_type)?;
    Ok(values.iter().map(|value| i128::from(value.unwrap_or(0)) * unit).collect())
}

fn steps(argument: &ColumnarValue) -> Result<Vec<i128>> {
    if !matches!(argument.data_type(), DataType::Interval(_)) {
        return instants(argument);
    }
    let array = argument.to_array(1)?;
    let array = cast_with_options(
        &array,
        &DataType::Interval(IntervalUnit::MonthDayNano),
        &CastOptions { safe: true, ..CastOptions::default() },
    )?;
    let steps = array.as_primitive::<IntervalMonthDayNanoType>();
    Ok(steps
        .iter()
        .map(|step| {
            let Some(step) = step else { return 0 };
            let days = i128::from(step.months) * 28 + i128::from(step.days);
            match (days * NANOS_OF_A_DAY + i128::from(step.nanoseconds), step.months, step.days, step.nanoseconds) {
                (0, 0, 0, 0) => 0,
                // A month less 28 days may be nothing at all.
                (0, ..) => 1,
                (nanos, ..) => nanos,
            }
        })
        .collect())
}
