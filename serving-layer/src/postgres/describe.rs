//! The description of a statement before it runs: its parameters and its columns.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::execution::SessionStateBuilder;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::FieldInfo;
use datafusion_postgres::pgwire::api::stmt::QueryParser;
use datafusion_postgres::pgwire::api::{ClientInfo, Type};
use datafusion_postgres::pgwire::error::PgWireResult;

use super::bind::{self, Parameter};
use super::open::Open;
use super::session::{answered, described, settings};
use super::values::fields;
use super::wire_error::{session_error, wire_error};
use crate::error::QueryError;
use crate::serving::Serving;
use crate::sql::fetch::is_move;
use crate::sql::settings::Settings;
use crate::sql::statement::{Does, check, planned};

/// A statement with the description that its client got.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) sql: String,
    pub(super) statement: Statement,
    pub(super) parameters: Vec<Parameter>,
    pub(super) schema: SchemaRef,
}

/// Parses and describes.
pub(super) struct Parser {
    pub(super) serving: Arc<Serving>,
    pub(super) open: Arc<Open>,
}

impl Parser {
    async fn describe(
        &self,
        sql: &str,
        types: &[Option<Type>],
        metadata: &HashMap<String, String>,
    ) -> PgWireResult<Option<Arc<Prepared>>> {
        let wire = |error| wire_error(error, sql);
        let settings = &settings(metadata);
        let mut statements = self.serving.dialect.parse(sql).map_err(wire)?;
        let Some(statement) = statements.pop() else { return Ok(None) };
        if !statements.is_empty() {
            return Err(session_error("42601", "cannot insert multiple commands into a prepared statement"));
        }
        let statement = bind::with_intervals(statement, types);
        let does = check(&statement).map_err(wire)?;
        let nothing = Arc::new(Schema::empty());
        let (parameters, schema) = match &statement {
            statement if does == Does::Read => {
                // Nothing is set yet: these settings are a copy.
                let statement = answered(statement.clone(), &mut metadata.clone())?;
                self.plan(&statement, types, settings).await.map_err(wire)?
            }
            Statement::Fetch { into, .. } if is_move(into.as_ref()) => (vec![], nothing),
            Statement::Fetch { name, .. } => (vec![], self.open.schema(&name.value)?),
            Statement::Declare { stmts } => match stmts.first().and_then(|cursor| cursor.for_query.clone()) {
                Some(query) => {
                    let planned = self.plan(&Statement::Query(query), types, settings).await;
                    (planned.map_err(wire)?.0, nothing)
                }
                None => (vec![], nothing),
            },
            statement => (vec![], described(statement)),
        };
        Ok(Some(Arc::new(Prepared { sql: sql.to_owned(), statement, parameters, schema })))
    }

    /// The parameters, and the schema of the answer for their final types.
    async fn plan(
        &self,
        statement: &Statement,
        types: &[Option<Type>],
        settings: &Settings,
    ) -> Result<(Vec<Parameter>, SchemaRef), QueryError> {
        let mut state = self.serving.template.state();
        if let Some(schema) = &settings.schema {
            let mut config = state.config().clone();
            config.options_mut().catalog.default_schema.clone_from(schema);
            state = SessionStateBuilder::new_from_existing(state).with_config(config).build();
        }
        let plan = Box::pin(planned(&state, statement.clone())).await;
        let plan = plan.map_err(|error| self.serving.with_table_hint(error))?;
        let parameters = bind::parameters(&plan, &bind::declared(statement, types))?;
        let plan = plan.replace_params_with_values(&bind::nulls(&parameters, zone(settings))?)?;
        // Before it is analysed a plan has the types of its parts: those of a union's first part.
        let plan = state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {})?;
        Ok((parameters, Arc::new(plan.schema().as_arrow().clone())))
    }
}

/// The zone of times without one.
pub(super) fn zone(settings: &Settings) -> &str {
    settings.time_zone.as_deref().unwrap_or("UTC")
}

#[async_trait]
impl QueryParser for Parser {
    type Statement = Arc<Prepared>;

    async fn parse_sql<C>(&self, client: &C, sql: &str, types: &[Option<Type>]) -> PgWireResult<Option<Arc<Prepared>>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        self.describe(sql, types, client.metadata()).await
    }

    fn get_parameter_types(&self, prepared: &Arc<Prepared>) -> PgWireResult<Vec<Type>> {
        Ok(prepared.parameters.iter().map(|parameter| parameter.wire.clone()).collect())
    }

    fn get_result_schema(&self, prepared: &Arc<Prepared>, format: Option<&Format>) -> PgWireResult<Vec<FieldInfo>> {
        // Settings are always text.
        let format = format.filter(|_| has_rows(&prepared.statement)).unwrap_or(&Format::UnifiedText);
        match &prepared.statement {
            // Another cursor may have this name by now.
            Statement::Fetch { name, into: None, .. } => {
                let schema = self.open.schema(&name.value)?;
                fields(&schema, format)
            }
            _ => fields(&prepared.schema, format),
        }
    }
}

/// Whether the statement may have many rows.
pub(super) fn has_rows(statement: &Statement) -> bool {
    match statement {
        Statement::Fetch { into, .. } => !is_move(into.as_ref()),
        statement => check(statement).is_ok_and(|does| does == Does::Read),
    }
}
