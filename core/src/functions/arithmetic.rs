//! Arithmetic of integers and decimals that fails where the result does not fit, as PostgreSQL's does.
//!
//! DataFusion's `+`, `-` and `*` wrap. A rule that runs once types are known puts [`Arithmetic`] in their place, under
//! the name that the expression had.

use std::fmt::Display;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Datum};
use arrow::compute::kernels::numeric;
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Decimal128Type, Decimal256Type};
use arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DataFusionError, Result, exec_datafusion_err, internal_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_expr_common::datum::apply;

/// Puts checked arithmetic into plans.
#[derive(Debug)]
pub(super) struct Checked;

impl AnalyzerRule for Checked {
    fn name(&self) -> &str {
        "checked_arithmetic"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(checked)?.data)
    }
}

fn checked(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    // A filter pushed into a scan was checked at its first place.
    if matches!(plan, LogicalPlan::TableScan(_)) {
        return Ok(Transformed::no(plan));
    }
    let schema = merge_schema(&plan.inputs());
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let checked = expr.transform_up(|expr| {
            let Some((operation, arguments)) = operation(&expr) else { return Ok(Transformed::no(expr)) };
            // A parameter has no type until it is bound; the plan comes here again then.
            let types: Result<Vec<_>> = arguments.iter().map(|argument| argument.get_type(&schema)).collect();
            if !types.is_ok_and(|types| operation.may_wrap(&types)) {
                return Ok(Transformed::no(expr));
            }
            let arguments = arguments.into_iter().cloned().collect();
            let function = Arc::new(ScalarUDF::new_from_impl(Arithmetic::of(operation)));
            Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(function, arguments))))
        })?;
        Ok(checked.update_data(|expr| name.restore(expr)))
    })
}

fn operation(expr: &Expr) -> Option<(Operation, Vec<&Expr>)> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => Some((Operation::of(*op)?, vec![left, right])),
        Expr::Negative(argument) => Some((Operation::Negate, vec![argument])),
        _ => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Negate,
}

impl Operation {
    fn of(operator: Operator) -> Option<Self> {
        match operator {
            Operator::Plus => Some(Self::Add),
            Operator::Minus => Some(Self::Subtract),
            Operator::Multiply => Some(Self::Multiply),
            Operator::Divide => Some(Self::Divide),
            _ => None,
        }
    }

    /// Integers wrap, except in a division; decimals may get more digits than their type has.
    fn may_wrap(self, types: &[DataType]) -> bool {
        let integers = types.iter().all(DataType::is_integer) && self != Self::Divide;
        integers || types.iter().all(DataType::is_decimal)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Add => "checked_add",
            Self::Subtract => "checked_subtract",
            Self::Multiply => "checked_multiply",
            Self::Divide => "checked_divide",
            Self::Negate => "checked_negate",
        }
    }

    fn operator(self) -> Operator {
        match self {
            Self::Add => Operator::Plus,
            Self::Subtract | Self::Negate => Operator::Minus,
            Self::Multiply => Operator::Multiply,
            Self::Divide => Operator::Divide,
        }
    }

    fn kernel(self) -> fn(&dyn Datum, &dyn Datum) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Add => numeric::add,
            Self::Subtract | Self::Negate => numeric::sub,
            Self::Multiply => numeric::mul,
            Self::Divide => numeric::div,
        }
    }
}

/// One operation on integers or decimals.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Arithmetic {
    operation: Operation,
    signature: Signature,
}

impl Arithmetic {
    fn of(operation: Operation) -> Self {
        Self { operation, signature: Signature::user_defined(Volatility::Immutable) }
    }

    fn name_of(&self, arguments: &[impl Display]) -> String {
        match arguments {
            [left, right] => format!("{left} {} {right}", self.operation.operator()),
            [only] => format!("(- {only})"),
            _ => self.operation.name().to_owned(),
        }
    }
}

impl ScalarUDFImpl for Arithmetic {
    fn name(&self) -> &str {
        self.operation.name()
    }

    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        let arguments: Vec<_> = arguments.iter().map(|argument| argument.schema_name().to_string()).collect();
        Ok(self.name_of(&arguments))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The rule only meets arguments that are coerced already.
    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        Ok(arguments.to_vec())
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [left, right] => BinaryTypeCoercer::new(left, &self.operation.operator(), right).get_result_type(),
            [only] => Ok(only.clone()),
            _ => internal_err!("`{}` takes one or two arguments", self.operation.name()),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let computed = match arguments.args.as_slice() {
            [left, right] => apply(left, right, self.operation.kernel()),
            [ColumnarValue::Scalar(only)] => only.arithmetic_negate().map(ColumnarValue::Scalar),
            [ColumnarValue::Array(only)] => numeric::neg(only).map(ColumnarValue::Array).map_err(DataFusionError::from),
            _ => return internal_err!("`{}` takes one or two arguments", self.operation.name()),
        };
        let computed = computed.map_err(|error| out_of_range(arguments.return_type(), error))?;
        within_precision(&computed)?;
        Ok(computed)
    }
}

/// An out-of-range error in PostgreSQL's wording.
fn out_of_range(data_type: &DataType, error: DataFusionError) -> DataFusionError {
    let DataFusionError::ArrowError(arrow, _) = &error else { return error };
    let ArrowError::ArithmeticOverflow(told) = arrow.as_ref() else { return error };
    let told = told.strip_prefix("Overflow happened on: ").unwrap_or(told);
    exec_datafusion_err!("{} out of range: {told}", name_of(data_type))
}

fn name_of(data_type: &DataType) -> String {
    match data_type {
        DataType::Int8 => "tinyint".to_owned(),
        DataType::Int16 => "smallint".to_owned(),
        DataType::Int32 => "integer".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            format!("decimal({precision}, {scale})")
        }
        other => other.to_string(),
    }
}

/// Checks decimals of the greatest precision, the only ones whose digits arrow does not check itself.
fn within_precision(computed: &ColumnarValue) -> Result<()> {
    let array = match (computed, computed.data_type()) {
        (
            ColumnarValue::Array(array),
            DataType::Decimal128(DECIMAL128_MAX_PRECISION, _) | DataType::Decimal256(DECIMAL256_MAX_PRECISION, _),
        ) => Arc::clone(array),
        (ColumnarValue::Scalar(scalar), DataType::Decimal128(..) | DataType::Decimal256(..)) => scalar.to_array()?,
        _ => return Ok(()),
    };
    let checked = match array.data_type() {
        DataType::Decimal128(precision, _) => {
            array.as_primitive::<Decimal128Type>().validate_decimal_precision(*precision)
        }
        DataType::Decimal256(precision, _) => {
            array.as_primitive::<Decimal256Type>().validate_decimal_precision(*precision)
        }
        _ => Ok(()),
    };
    checked.map_err(|error| exec_datafusion_err!("{} out of range: {error}", name_of(array.data_type())))
}
