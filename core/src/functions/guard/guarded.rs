//! A function run within its allowance.

pub(super) mod calls;

use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{Result, exec_err};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ExpressionPlacement, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, StructFieldMapping, Volatility,
};
use datafusion::scalar::ScalarValue;

use super::Allowance;
use super::growth::{Growth, growth};
use super::widths::total_of_array;

/// Greatest result of one piece in bytes, unless a single row has more.
const PIECE: u64 = 4 << 20;
/// Strings and lists count their bytes and elements in 31 bits.
const MOST_OF_AN_ARRAY: usize = i32::MAX as usize;
/// Greatest work of one row where time is the limit: about a second.
const MOST_WORK: u64 = 1 << 27;
/// Smaller results are not accounted for, in bytes.
const NOTED: usize = 64 << 10;

/// A scalar function with its allowance.
#[derive(Debug, Clone)]
pub struct Guarded {
    pub(super) inner: Arc<ScalarUDF>,
    pub(super) allowance: Arc<dyn Allowance>,
}

/// Two guards of the same function are equal, whatever their allowance.
impl PartialEq for Guarded {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Guarded {}

impl Hash for Guarded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl Guarded {
    fn run(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match catch_unwind(AssertUnwindSafe(|| self.inner.invoke_with_args(args))) {
            Ok(result) => result,
            Err(_) => exec_err!("`{}()` cannot be computed of these values", self.inner.name()),
        }
    }

    /// Runs a call of constants, once for all rows.
    fn once(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = std::mem::replace(&mut args.number_rows, 1);
        let name = self.inner.name();
        let estimate = match growth(name, &args.args, 1)? {
            Growth::Little => 0,
            Growth::Rows(bytes) => bytes.first().map_or(0, |bytes| whole(*bytes)),
            Growth::Work(work) => self.bounded(&work).map(|()| 0)?,
        };
        let _room = self.take(estimate, estimate)?;
        let result = match self.run(args)? {
            ColumnarValue::Array(array) if array.len() == 1 => {
                ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)
            }
            result => result,
        };
        if let ColumnarValue::Scalar(scalar) = &result
            && scalar.data_type().primitive_width().is_none()
        {
            // A reader of the constant as a column has it once for each row.
            let bytes = scalar.size().saturating_sub(size_of::<ScalarValue>());
            self.allowance.made(name, bytes.saturating_mul(rows))?;
        }
        Ok(result)
    }

    fn take(&self, bytes: usize, value: usize) -> Result<Option<MemoryReservation>> {
        let name = self.inner.name();
        if bytes > MOST_OF_AN_ARRAY {
            // Only the allowance can be short here.
            self.allowance.take(name, bytes, value)?;
            return exec_err!("`{name}()` would make {bytes} bytes at once, at most {MOST_OF_AN_ARRAY} fit a column");
        }
        self.allowance.take(name, bytes, value)
    }

    fn bounded(&self, work: &[u64]) -> Result<()> {
        match work.iter().any(|work| *work > MOST_WORK) {
            true => exec_err!("`{}()` of texts as long as these takes too long", self.inner.name()),
            false => Ok(()),
        }
    }

    /// Runs the call in pieces, so that no piece makes much or takes long. A call that takes long makes little.
    fn in_pieces(&self, args: &ScalarFunctionArgs, growth: &[u64], makes: bool) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let mut made: Vec<ArrayRef> = vec![];
        let (mut from, mut size, mut held) = (0, 0_usize, None);
        while from < rows {
            let (mut to, mut bytes, mut largest) = (from, 0_u64, 0);
            while to < rows && (to == from || bytes.saturating_add(growth[to]) <= PIECE) {
                bytes = bytes.saturating_add(growth[to]);
                largest = largest.max(growth[to]);
                to += 1;
            }
            self.allowance.check()?;
            let room = if makes { self.take(whole(bytes), whole(largest))? } else { None };
            let piece = self.run(part(args, from, to)?)?.into_array(to - from)?;
            drop(room);
            from = to;
            size = size.saturating_add(bytes_of(&piece));
            drop(held.take());
            held = self.take(size, 0)?;
            made.push(piece);
        }
        let whole = match made.as_slice() {
            [one] => Arc::clone(one),
            pieces => {
                let _both = self.take(size, 0)?;
                concat(&pieces.iter().map(AsRef::as_ref).collect::<Vec<_>>())?
            }
        };
        drop((made, held));
        self.note(&whole)?;
        Ok(ColumnarValue::Array(whole))
    }

    fn note(&self, made: &ArrayRef) -> Result<()> {
        match bytes_of(made) {
            little if little <= NOTED => Ok(()),
            bytes => self.allowance.made(self.inner.name(), bytes),
        }
    }
}

/// Rows `from..to` of the arguments, copied, because some functions ignore the offset of a slice.
fn part(args: &ScalarFunctionArgs, from: usize, to: usize) -> Result<ScalarFunctionArgs> {
    let mut args = args.clone();
    if from == 0 && to == args.number_rows {
        return Ok(args);
    }
    args.number_rows = to - from;
    let first = |row: usize| u32::try_from(row).unwrap_or(u32::MAX);
    let rows = UInt32Array::from_iter_values(first(from)..first(to));
    for argument in &mut args.args {
        if let ColumnarValue::Array(array) = argument {
            *array = take(array.as_ref(), &rows, None)?;
        }
    }
    Ok(args)
}

/// Bytes of the values themselves; views of texts share their buffers.
fn bytes_of(array: &ArrayRef) -> usize {
    whole(total_of_array(array)).saturating_add(array.len().saturating_mul(8))
}

fn is_much(growth: &[u64]) -> bool {
    growth.iter().copied().fold(0, u64::saturating_add) > PIECE
}

fn whole(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// Raises negative lengths to 0: PostgreSQL pads to nothing there, DataFusion panics.
fn at_least_nothing(name: &str, args: &mut ScalarFunctionArgs) {
    if !matches!(name, "lpad" | "rpad") {
        return;
    }
    match args.args.get_mut(1) {
        Some(ColumnarValue::Scalar(ScalarValue::Int64(Some(length)))) => *length = (*length).max(0),
        Some(ColumnarValue::Array(lengths)) if lengths.data_type() == &DataType::Int64 => {
            let given = lengths.as_primitive::<Int64Type>();
            if given.iter().flatten().any(|length| length < 0) {
                *lengths = Arc::new(given.unary::<_, Int64Type>(|length| length.max(0)));
            }
        }
        _ => {}
    }
}

impl ScalarUDFImpl for Guarded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let inner = self.inner.inner().with_updated_config(config)?;
        Some(guarded(Arc::new(inner), &self.allowance).as_ref().clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn is_strict(&self) -> bool {
        self.inner.is_strict()
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.allowance.check()?;
        let name = self.inner.name();
        at_least_nothing(name, &mut args);
        let constant = args.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        if constant && !args.args.is_empty() && self.signature().volatility != Volatility::Volatile {
            return self.once(args);
        }
        match growth(name, &args.args, args.number_rows)? {
            Growth::Rows(growth) if is_much(&growth) => self.in_pieces(&args, &growth, true),
            Growth::Work(work) if is_much(&work) => {
                self.bounded(&work)?;
                self.in_pieces(&args, &work, false)
            }
            _ => {
                let result = self.run(args)?;
                if let ColumnarValue::Array(array) = &result {
                    self.note(array)?;
                }
                Ok(result)
            }
        }
    }

    /// Guards the simplified form of the call as well.
    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        Ok(match self.inner.simplify(args, info)? {
            ExprSimplifyResult::Simplified(expr) => {
                ExprSimplifyResult::Simplified(calls::around_calls(expr, &self.allowance)?)
            }
            original => original,
        })
    }

    fn preimage(&self, args: &[Expr], literal: &Expr, info: &SimplifyContext) -> Result<PreimageResult> {
        self.inner.preimage(args, literal, info)
    }

    fn short_circuits(&self) -> bool {
        self.inner.short_circuits()
    }

    fn conditional_arguments<'a>(&self, args: &'a [Expr]) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.inner.conditional_arguments(args)
    }

    fn evaluate_bounds(&self, input: &[&Interval]) -> Result<Interval> {
        self.inner.evaluate_bounds(input)
    }

    fn propagate_constraints(&self, interval: &Interval, inputs: &[&Interval]) -> Result<Option<Vec<Interval>>> {
        self.inner.propagate_constraints(interval, inputs)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(inputs)
    }

    fn preserves_lex_ordering(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.inner.preserves_lex_ordering(inputs)
    }

    fn strictly_order_preserving(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.inner.inner().strictly_order_preserving(inputs)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    fn struct_field_mapping(&self, literal_args: &[Option<ScalarValue>]) -> Option<StructFieldMapping> {
        self.inner.inner().struct_field_mapping(literal_args)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn placement(&self, args: &[ExpressionPlacement]) -> ExpressionPlacement {
        self.inner.inner().placement(args)
    }
}

/// `function` without its guard.
pub fn unguarded(function: &ScalarUDF) -> &ScalarUDF {
    function.inner().downcast_ref::<Guarded>().map_or(function, |guarded| guarded.inner.as_ref())
}

/// The call of `function` with `args`.
fn call(function: Arc<ScalarUDF>, args: Vec<Expr>) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(function, args))
}

/// `function` within `allowance`, and within no other.
pub fn guarded(function: Arc<ScalarUDF>, allowance: &Arc<dyn Allowance>) -> Arc<ScalarUDF> {
    if is_left_alone(&function) {
        return function;
    }
    let inner = match function.inner().downcast_ref::<Guarded>() {
        Some(guarded) => Arc::clone(&guarded.inner),
        None => function,
    };
    Arc::new(ScalarUDF::new_from_impl(Guarded { inner, allowance: Arc::clone(allowance) }))
}

/// Functions that optimizer rules know by their implementation. Their results are no larger than their arguments.
fn is_left_alone(function: &ScalarUDF) -> bool {
    matches!(function.name(), "get_field" | "named_struct" | "struct")
}
