//! Aggregates over windows, whose texts and lists are counted as they are made: one for each row, of all rows before
//! it, so that a thousand rows may make a million values.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::expr::WindowFunctionParams;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, Expr, LogicalPlan, Signature, WindowFunctionDefinition,
};
use datafusion::optimizer::AnalyzerRule;
use dovetail_core::functions::guard::{Allowance, Width};

use crate::sql::control::Control;

/// A rule that counts the results of aggregates over windows.
#[derive(Debug)]
pub(crate) struct Frames(pub(crate) Arc<Control>);

impl AnalyzerRule for Frames {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let counted = |expr: Expr| match expr {
            Expr::WindowFunction(mut window) => {
                let WindowFunctionDefinition::AggregateUDF(inner) = &window.fun else {
                    return Ok(Transformed::no(Expr::WindowFunction(window)));
                };
                let counted = CountedAggregate { inner: Arc::clone(inner), control: Arc::clone(&self.0) };
                window.fun = WindowFunctionDefinition::AggregateUDF(Arc::new(AggregateUDF::from(counted)));
                Ok(Transformed::yes(Expr::WindowFunction(window)))
            }
            other => Ok(Transformed::no(other)),
        };
        plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Window(_) => node.map_expressions(|expr| expr.transform_up(counted)),
            other => Ok(Transformed::no(other)),
        })
        .data()
    }

    fn name(&self) -> &str {
        "frames"
    }
}

/// An aggregate over a window.
#[derive(Debug, Clone)]
struct CountedAggregate {
    inner: Arc<AggregateUDF>,
    control: Arc<Control>,
}

/// Two counted functions are equal if the functions are, whoever counts.
impl PartialEq for CountedAggregate {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for CountedAggregate {}

impl Hash for CountedAggregate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl CountedAggregate {
    fn counting(&self, inner: Box<dyn Accumulator>) -> Box<dyn Accumulator> {
        Box::new(CountedAccumulator {
            inner,
            function: self.inner.name().to_owned(),
            control: Arc::clone(&self.control),
        })
    }
}

impl AggregateUDFImpl for CountedAggregate {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn window_function_schema_name(&self, params: &WindowFunctionParams) -> Result<String> {
        self.inner.window_function_schema_name(params)
    }

    fn window_function_display_name(&self, params: &WindowFunctionParams) -> Result<String> {
        self.inner.window_function_display_name(params)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arguments)
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments)
    }

    fn return_field(&self, arguments: &[FieldRef]) -> Result<FieldRef> {
        self.inner.return_field(arguments)
    }

    fn is_nullable(&self) -> bool {
        self.inner.is_nullable()
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        self.inner.default_value(data_type)
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(arguments)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.inner.supports_null_handling_clause()
    }

    fn supports_within_group_clause(&self) -> bool {
        self.inner.supports_within_group_clause()
    }

    fn accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(self.counting(self.inner.accumulator(arguments)?))
    }

    fn create_sliding_accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(self.counting(self.inner.create_sliding_accumulator(arguments)?))
    }
}

#[derive(Debug)]
struct CountedAccumulator {
    inner: Box<dyn Accumulator>,
    function: String,
    control: Arc<Control>,
}

impl Accumulator for CountedAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.control.check()?;
        self.inner.update_batch(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let value = self.inner.evaluate()?;
        if value.data_type().primitive_width().is_none() {
            // Only the visible part of a list: others may share the same values.
            let bytes = Width::of(&ColumnarValue::Scalar(value.clone()))?.at(0);
            self.control.made(&self.function, usize::try_from(bytes).unwrap_or(usize::MAX))?;
        }
        Ok(value)
    }

    fn size(&self) -> usize {
        self.inner.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }
}
