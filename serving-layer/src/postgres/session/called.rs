//! Functions of the session in a query, like `current_setting('search_path')`: DataFusion knows no sessions, so their
//! results are inserted before a query is planned.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    CaseWhen, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectNamePart, Statement, Value,
    ValueWithSpan, VisitMut, VisitorMut,
};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};

use super::{Metadata, put, schemas, switch, value};
use crate::postgres::wire_error::session_error;
use crate::sql::settings::KNOWN;

/// The statement with the results of its calls of session functions. `set_config` sets.
pub(in crate::postgres) fn answered(mut statement: Statement, metadata: &mut Metadata) -> PgWireResult<Statement> {
    match VisitMut::visit(&mut statement, &mut Called { metadata }) {
        ControlFlow::Continue(()) => Ok(statement),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Called<'m> {
    metadata: &'m mut Metadata,
}

impl VisitorMut for Called<'_> {
    type Break = PgWireError;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<PgWireError> {
        if let Expr::Function(function) = expr {
            match self.answer(function) {
                Ok(Some(answer)) => *expr = answer,
                Ok(None) => {}
                Err(error) => return ControlFlow::Break(error),
            }
        }
        ControlFlow::Continue(())
    }
}

impl Called<'_> {
    /// The result of the function; `None` when it does not concern the session.
    fn answer(&mut self, function: &Function) -> PgWireResult<Option<Expr>> {
        let value = |value: Value| Ok(Some(Expr::Value(value.into())));
        let text = |text: String| value(Value::SingleQuotedString(text));
        let name = name(function).unwrap_or_default();
        let constants = constants(function);
        match (name.as_str(), constants.as_deref()) {
            ("current_setting", Some([setting])) => text(self.current(setting)?),
            ("current_setting", Some([setting, or_null])) => match self.current(setting) {
                Err(_) if switch(or_null) == Some(true) => value(Value::Null),
                current => text(current?),
            },
            ("current_setting", None) => Ok(self.choice(function)),
            ("set_config", Some([setting, value, for_transaction])) => {
                if switch(for_transaction) != Some(false) {
                    let message = "`set_config` for one transaction is not supported: its third argument is `false`";
                    return Err(session_error("0A000", message));
                }
                self.current(setting)?;
                put(self.metadata, setting.to_lowercase(), value.clone())?;
                text(self.current(setting)?)
            }
            ("current_setting" | "set_config", _) => {
                Err(session_error("0A000", format!("the arguments of `{name}` are texts that stand in the statement")))
            }
            ("current_schema", Some([])) => schemas(self.metadata).next().map_or_else(|| value(Value::Null), text),
            _ => Ok(None),
        }
    }

    /// A choice among the values of all settings, for a name that is only known when the query runs.
    fn choice(&self, function: &Function) -> Option<Expr> {
        let FunctionArguments::List(list) = &function.args else { return None };
        let [FunctionArg::Unnamed(FunctionArgExpr::Expr(setting))] = list.args.as_slice() else { return None };
        let constant = |text: &str| Expr::Value(Value::SingleQuotedString(text.to_owned()).into());
        let when = |(name, default): &(&str, &str)| {
            let current = value(self.metadata, name).unwrap_or_else(|| (*default).to_owned());
            CaseWhen { condition: constant(name), result: constant(&current) }
        };
        Some(Expr::Case {
            case_token: AttachedToken::empty(),
            end_token: AttachedToken::empty(),
            operand: Some(Box::new(setting.clone())),
            conditions: KNOWN.iter().map(when).collect(),
            else_result: Some(Box::new(Expr::Function(function.clone()))),
        })
    }

    fn current(&self, setting: &str) -> PgWireResult<String> {
        let setting = setting.to_lowercase();
        let known = KNOWN.iter().find(|(known, _)| *known == setting);
        let unknown = || session_error("42704", format!("unrecognized configuration parameter \"{setting}\""));
        let (_, default) = known.ok_or_else(unknown)?;
        Ok(value(self.metadata, &setting).unwrap_or_else(|| (*default).to_owned()))
    }
}

fn name(function: &Function) -> Option<String> {
    function.name.0.last().and_then(ObjectNamePart::as_ident).map(|name| name.value.to_lowercase())
}

/// The arguments, if all of them are constants.
fn constants(function: &Function) -> Option<Vec<String>> {
    let constant = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => constant(expr),
        _ => None,
    };
    match &function.args {
        FunctionArguments::None => Some(vec![]),
        FunctionArguments::List(list) => list.args.iter().map(constant).collect(),
        FunctionArguments::Subquery(_) => None,
    }
}

fn constant(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => Some(text.clone()),
        Expr::Value(ValueWithSpan { value: Value::Boolean(is), .. }) => Some(is.to_string()),
        // `'jit'::text`
        Expr::Cast { expr, .. } | Expr::Nested(expr) => constant(expr),
        _ => None,
    }
}
