//! What exact sums cost: the same updates through DataFusion's accumulators and ours, on one core.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use arrow::array::{Array, ArrayRef, Decimal128Array, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::aggregate::AggregateExprBuilder;
use datafusion::physical_expr::{GroupsAccumulatorAdapter, PhysicalExpr};
use datafusion::physical_plan::expressions::{cast, col};
use datafusion::prelude::SessionContext;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use crate::report::BenchReport;

const ROWS: usize = 8_192;
const BATCHES: usize = 512;
/// So many batches differ.
const KINDS: usize = 16;
const GROUPS: [usize; 3] = [1, 1_000, KINDS * ROWS];

/// A column of values, and the functions that are measured over it.
struct SumCase {
    what: &'static str,
    functions: &'static [&'static str],
    column: fn(&mut SmallRng) -> ArrayRef,
}

const CASES: [SumCase; 5] = [
    SumCase {
        what: "prices",
        functions: &["sum", "avg", "stddev", "regr_slope"],
        column: |random| floats(|| f64::from(random.random_range(0..1_000_000)) / 100.0),
    },
    SumCase { what: "random in 0..1", functions: &["sum"], column: |random| floats(|| random.random::<f64>()) },
    SumCase {
        what: "anything from 1e-200 to 1e140",
        functions: &["sum", "stddev"],
        column: |random| floats(|| random.random::<f64>() * 10f64.powi(random.random_range(-200..140))),
    },
    SumCase {
        what: "BIGINT",
        functions: &["sum", "avg"],
        column: |random| Arc::new((0..ROWS).map(|_| Some(random.random_range(0..1i64 << 40))).collect::<Int64Array>()),
    },
    SumCase {
        what: "DECIMAL(12, 2)",
        functions: &["sum", "avg"],
        column: |random| {
            let values = (0..ROWS).map(|_| Some(random.random_range(0..100_000_000i128))).collect::<Decimal128Array>();
            values.with_precision_and_scale(12, 2).map_or_else(|_| floats(|| 0.0), |values| Arc::new(values))
        },
    },
];

fn floats(value: impl FnMut() -> f64) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(std::iter::repeat_with(value).take(ROWS)))
}

pub(crate) fn measure(report: &mut BenchReport) -> Result<()> {
    let plain = SessionContext::new();
    let ours = SessionContext::new();
    dovetail_core::functions::install(&ours);
    for case in &CASES {
        let mut random = SmallRng::seed_from_u64(1);
        let columns: Vec<ArrayRef> = (0..KINDS).map(|_| (case.column)(&mut random)).collect();
        for function in case.functions {
            for groups in GROUPS {
                // In no order, and no group without a row: DataFusion's averages divide by nothing there.
                let mut rows: Vec<usize> = (0..KINDS * ROWS).map(|row| row % groups).collect();
                rows.shuffle(&mut random);
                let indices: Vec<Vec<usize>> = rows.chunks(ROWS).map(<[usize]>::to_vec).collect();
                let theirs = run(&plain, function, &columns, &indices, groups)?;
                let exact = run(&ours, function, &columns, &indices, groups)?;
                let text = |Cost { update, state, merge, finish, bytes, state_bytes }: &Cost| {
                    format!(
                        "{update:.1} ns/row, a group {bytes:.0} B, as state {state_bytes:.0} B, state {state:.0} merge {merge:.0} finish {finish:.0} ns"
                    )
                };
                let what = format!("{function} of {}, {groups} groups", case.what);
                report.add(&format!("{what}: DataFusion"), text(&theirs), "");
                report.add(&format!("{what}: exact"), text(&exact), "");
            }
        }
    }
    Ok(())
}

struct Cost {
    update: f64,
    state: f64,
    merge: f64,
    finish: f64,
    bytes: f64,
    state_bytes: f64,
}

fn run(
    context: &SessionContext,
    function: &str,
    columns: &[ArrayRef],
    indices: &[Vec<usize>],
    groups: usize,
) -> Result<Cost> {
    let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("x", columns[0].data_type().clone(), true)]));
    let mut accumulator = accumulator(context, function, &schema)?;
    let twice = function.starts_with("regr");
    let arguments: Vec<Vec<ArrayRef>> =
        columns.iter().map(|column| vec![Arc::clone(column); if twice { 2 } else { 1 }]).collect();
    let cast = |arrays: &[ArrayRef]| -> Result<Vec<ArrayRef>> {
        let float = function == "avg" && context.udaf("avg")?.coerce_types(&[DataType::Int64]).is_err();
        let to_float = |array: &ArrayRef| match array.data_type() {
            DataType::Int64 if float => arrow::compute::cast(array, &DataType::Float64),
            _ => Ok(Arc::clone(array)),
        };
        Ok(arrays.iter().map(to_float).collect::<Result<_, _>>()?)
    };
    let arguments: Vec<Vec<ArrayRef>> = arguments.iter().map(|arrays| cast(arrays)).collect::<Result<_>>()?;
    let began = Instant::now();
    for batch in 0..BATCHES {
        let (arguments, groups_of) = (&arguments[batch % arguments.len()], &indices[batch % indices.len()]);
        accumulator.update_batch(arguments, groups_of, None, groups)?;
    }
    let update = began.elapsed().as_secs_f64() * 1e9 / (BATCHES * ROWS) as f64;
    let bytes = accumulator.size() as f64 / groups as f64;
    let per_group = |began: Instant| began.elapsed().as_secs_f64() * 1e9 / groups as f64;
    let began = Instant::now();
    let state = accumulator.state(EmitTo::All)?;
    let state_cost = per_group(began);
    let state_bytes = state.iter().map(|column| column.get_array_memory_size()).sum::<usize>() as f64 / groups as f64;
    let all: Vec<usize> = (0..groups).collect();
    accumulator.merge_batch(&state, &all, groups)?;
    let began = Instant::now();
    accumulator.merge_batch(&state, &all, groups)?;
    let merge = per_group(began);
    let began = Instant::now();
    black_box(accumulator.evaluate(EmitTo::All)?);
    Ok(Cost { update, state: state_cost, merge, finish: per_group(began), bytes, state_bytes })
}

fn accumulator(context: &SessionContext, function: &str, schema: &SchemaRef) -> Result<Box<dyn GroupsAccumulator>> {
    let udaf = context.udaf(function)?;
    let x = col("x", schema)?;
    let float = udaf.coerce_types(&[DataType::Int64]).is_err() && function == "avg";
    let x: Arc<dyn PhysicalExpr> = match x.data_type(schema)? {
        DataType::Int64 if float => cast(x, schema, DataType::Float64)?,
        _ => x,
    };
    let arguments = vec![x; if function.starts_with("regr") { 2 } else { 1 }];
    let expr = AggregateExprBuilder::new(udaf, arguments).schema(Arc::clone(schema)).alias(function).build()?;
    Ok(match expr.groups_accumulator_supported() {
        true => expr.create_groups_accumulator()?,
        false => Box::new(GroupsAccumulatorAdapter::new(move || expr.create_accumulator())),
    })
}
