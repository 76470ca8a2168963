//! `generate_series` and `range` behind FROM: they take only nanoseconds, and so reach from 1677 to 2262.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::catalog::{TableFunction, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::Expr;

/// Casts the arguments of those of `functions` to the types that they take.
pub(super) fn wrap(functions: &mut HashMap<String, Arc<TableFunction>>) {
    for name in ["generate_series", "range"] {
        if let Some(of) = functions.get(name).cloned() {
            let series = Arc::new(Series { of });
            functions.insert(name.to_owned(), Arc::new(TableFunction::new(name.to_owned(), series)));
        }
    }
}

#[derive(Debug)]
struct Series {
    of: Arc<TableFunction>,
}

impl TableFunctionImpl for Series {
    fn call_with_args(&self, arguments: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let exprs = arguments.exprs().iter().cloned().map(in_nanos).collect::<Result<Vec<_>>>()?;
        self.of.function().call_with_args(TableFunctionArgs::new(&exprs, arguments.session()))
    }
}

fn in_nanos(expr: Expr) -> Result<Expr> {
    let Expr::Literal(value, metadata) = &expr else { return Ok(expr) };
    let DataType::Timestamp(_, zone) = value.data_type() else { return Ok(expr) };
    let nanos = value.cast_to(&DataType::Timestamp(TimeUnit::Nanosecond, zone))?;
    Ok(Expr::Literal(nanos, metadata.clone()))
}
