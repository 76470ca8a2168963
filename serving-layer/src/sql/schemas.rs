//! The names of a query: one catalog with a schema per layer, all bound to one query's snapshot.
//!
//! ```text
//! public   merged views, derived views, lookups
//! batch    the generation's states          raw   landed segments
//! speed    realtime states                  sys   the engine's own state
//! kappa    views of the current stream job  JOB   views of a stream job
//! ```
//! Queries can register nothing here: that writes are impossible does not depend on the parser.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::ViewTable;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{EmptyRelation, LogicalPlan, TableType};
use dovetail_core::name::JobName;
use dovetail_core::view::{DerivedView, Planned};
use parking_lot::RwLock;

use crate::snapshot::Snapshot;
use crate::snapshot::layers::{KAPPA, Layers, ServedJobs};
use crate::sql::lookups::Lookups;
use crate::sql::pg_catalog::PgCatalog;
use crate::sql::raw::RawTable;
use crate::sql::settings::known_settings;
use crate::sql::sys;
use crate::sql::tables::Tables;
use crate::sql::view_table::{Layer, ViewScanTable};

/// The name of the catalog, and so of the database.
pub(crate) const CATALOG: &str = "dovetail";
pub(crate) const PUBLIC: &str = "public";

/// Schemas from elsewhere: `pg_catalog`.
type Others = Arc<RwLock<BTreeMap<String, Arc<dyn SchemaProvider>>>>;

/// The catalog of one query.
#[derive(Debug, Clone)]
pub(crate) struct Catalogs {
    tables: Arc<Tables>,
    /// The snapshot; `None` where only schemas are needed.
    snapshot: Option<Arc<Snapshot>>,
    others: Others,
    /// Plans derived views.
    template: Option<Arc<SessionState>>,
}

impl Catalogs {
    /// A catalog of names and schemas only: nothing can be scanned.
    pub(crate) fn unpinned(tables: &Arc<Tables>) -> Self {
        Self { tables: Arc::clone(tables), snapshot: None, others: Others::default(), template: None }
    }

    /// The same names over one query's snapshot.
    pub(crate) fn pinned(&self, snapshot: &Arc<Snapshot>, template: Arc<SessionState>) -> Self {
        Self { snapshot: Some(Arc::clone(snapshot)), template: Some(template), ..self.clone() }
    }

    /// Whether a schema is there: where a stream job alone keeps the views, there are no layers with parts of them.
    fn has_layer(&self, schema: &str) -> bool {
        !self.tables.public_is_kappa || !matches!(schema, "batch" | "speed")
    }

    /// The stream jobs of the query; those of the moment where there is no snapshot.
    fn jobs(&self) -> Arc<ServedJobs> {
        self.snapshot.as_ref().map_or_else(|| self.tables.layers.jobs(), |snapshot| Arc::clone(&snapshot.jobs.jobs))
    }

    /// The views of a schema: `layer` of both layers, or those of a job.
    fn views_of(&self, views: &SchemaViews) -> Arc<Layers> {
        let of_job = |name: &JobName| self.jobs().all.get(name).map(Arc::clone);
        views.job.as_ref().and_then(of_job).unwrap_or_else(|| Arc::clone(&self.tables.layers))
    }

    fn lookups_of(&self, views: &SchemaViews) -> Arc<Lookups> {
        let of_job = |name: &JobName| self.tables.job_lookups.read().get(name).cloned();
        views.job.as_ref().and_then(of_job).unwrap_or_else(|| Arc::clone(&self.tables.lookups))
    }

    async fn view(&self, view: &Planned, views: &SchemaViews) -> Result<Arc<dyn TableProvider>> {
        match view {
            Planned::Folded(view) => {
                let snapshot = match (&self.snapshot, &views.job) {
                    (Some(snapshot), Some(job)) => snapshot.jobs.get(job),
                    (snapshot, _) => snapshot.as_ref(),
                };
                let leaf = ViewScanTable::new(view, views.layer, snapshot);
                let plan = view.answer_plan(Arc::new(leaf))?;
                Ok(Arc::new(ViewTable::new(plan, Some(view.sql.clone()))))
            }
            Planned::Derived(view) => self.derived(view, &views.schema).await,
        }
    }

    async fn derived(&self, view: &DerivedView, schema: &str) -> Result<Arc<dyn TableProvider>> {
        let Some(template) = &self.template else {
            let schema = Arc::new(view.schema.as_ref().clone().try_into()?);
            let nothing = LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema });
            return Ok(Arc::new(ViewTable::new(nothing, Some(view.sql.clone()))));
        };
        let mut config = template.config().clone();
        config.options_mut().catalog.default_schema = schema.to_owned();
        let state = SessionStateBuilder::new_from_existing(template.as_ref().clone())
            .with_config(config)
            .with_catalog_list(Arc::new(self.clone()))
            .build();
        let plan = Box::pin(dovetail_core::sql::plan(&state, &view.sql)).await?;
        Ok(Arc::new(ViewTable::new(plan, Some(view.sql.clone()))))
    }
}

/// The views of one schema.
#[derive(Debug, Clone)]
struct SchemaViews {
    schema: String,
    layer: Layer,
    /// The stream job; none for views of both layers.
    job: Option<JobName>,
}

impl CatalogProviderList for Catalogs {
    fn register_catalog(&self, _name: String, _catalog: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![CATALOG.to_owned()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == CATALOG).then(|| Arc::new(self.clone()) as Arc<dyn CatalogProvider>)
    }
}

impl CatalogProvider for Catalogs {
    fn schema_names(&self) -> Vec<String> {
        let others = self.others.read();
        let own = [PUBLIC, "batch", "speed", "raw", "sys"];
        let own = own.into_iter().filter(|name| self.has_layer(name)).map(str::to_owned);
        own.into_iter().chain(self.jobs().schemas()).chain(others.keys().cloned()).collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let of = |kind| Some(Arc::new(Schema { catalogs: self.clone(), kind }) as Arc<dyn SchemaProvider>);
        let views = |layer, job| of(SchemaKind::Views(SchemaViews { schema: name.to_owned(), layer, job }));
        let jobs = self.jobs();
        match name {
            PUBLIC if self.tables.public_is_kappa => views(Layer::Merged, jobs.of_schema(KAPPA).cloned()),
            PUBLIC => views(Layer::Merged, None),
            layer if !self.has_layer(layer) => None,
            "batch" => views(Layer::Batch, None),
            "speed" => views(Layer::Speed, None),
            "raw" => of(SchemaKind::Raw),
            "sys" => of(SchemaKind::Sys),
            other => match jobs.of_schema(other) {
                Some(job) => views(Layer::Merged, Some(job.clone())),
                None => self.others.read().get(other).cloned(),
            },
        }
    }

    /// Only for the set-up before the first query.
    fn register_schema(&self, name: &str, schema: Arc<dyn SchemaProvider>) -> Result<Option<Arc<dyn SchemaProvider>>> {
        let mut others = self.others.write();
        if self.snapshot.is_some() {
            return Err(crate::error::QueryError::read_only("CREATE SCHEMA").into());
        }
        let schema: Arc<dyn SchemaProvider> = match name {
            "pg_catalog" => Arc::new(PgCatalog::over(schema, known_settings())),
            _ => schema,
        };
        Ok(others.insert(name.to_owned(), schema))
    }
}

#[derive(Debug, Clone)]
enum SchemaKind {
    Views(SchemaViews),
    Raw,
    Sys,
}

/// One schema of the catalog.
#[derive(Debug)]
struct Schema {
    catalogs: Catalogs,
    kind: SchemaKind,
}

#[async_trait]
impl SchemaProvider for Schema {
    fn table_names(&self) -> Vec<String> {
        let tables = &self.catalogs.tables;
        match &self.kind {
            SchemaKind::Views(views) => {
                let (layers, lookups) = (self.catalogs.views_of(views), self.catalogs.lookups_of(views));
                let names = layers.views.iter().map(|view| view.name().to_string());
                match views.layer {
                    Layer::Merged => names.chain(lookups.names().cloned()).collect(),
                    Layer::Batch | Layer::Speed => names.collect(),
                }
            }
            SchemaKind::Raw => tables.layers.streams.iter().map(|stream| stream.name.to_string()).collect(),
            SchemaKind::Sys => sys::names().map(str::to_owned).collect(),
        }
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let tables = &self.catalogs.tables;
        match &self.kind {
            SchemaKind::Views(views) => match self.catalogs.views_of(views).view(name) {
                Some(view) => self.catalogs.view(view, views).await.map(Some),
                // Derived views read lookups in every layer.
                None => Ok(self.catalogs.lookups_of(views).get(name)),
            },
            SchemaKind::Raw => {
                let stream = tables.layers.streams.iter().find(|stream| stream.name.as_str() == name);
                Ok(stream.map(|stream| Arc::new(RawTable::new(&tables.layers, stream)) as _))
            }
            SchemaKind::Sys => Ok(sys::table(name, tables, self.catalogs.snapshot.as_ref())),
        }
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        Ok(self.table_exist(name).then(|| match &self.kind {
            SchemaKind::Views(views) if self.catalogs.lookups_of(views).get(name).is_none() => TableType::View,
            _ => TableType::Base,
        }))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.table_names().iter().any(|known| known == name)
    }
}
