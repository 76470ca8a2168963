//! The streams and views that the engine last ran with, for people who look.

use crate::name::{StreamName, ViewName};

use super::statement::{FromRow, Row, Statement};
use super::{Catalog, CatalogError};

/// A stream as last registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRow {
    /// Its name.
    pub name: StreamName,
    /// The topic of its records.
    pub topic: String,
    /// Fingerprint of its columns and decoding.
    pub schema_fingerprint: String,
}

/// A view as last registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewRow {
    /// Its name.
    pub name: ViewName,
    /// Fingerprint of its definition.
    pub fingerprint: String,
    /// Its query as written.
    pub sql: String,
    /// Time at which this definition was first registered, in milliseconds since the Unix epoch.
    pub created_ms: i64,
}

impl Catalog {
    /// Registers a stream, in place of an earlier one of its name.
    pub async fn register_stream(&self, stream: &StreamRow) -> Result<(), CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("register a stream").await?;
            let put = Statement::new(include_str!("sql/stream_put.sql"));
            let put = put.bind(stream.name.as_str()).bind(&stream.topic).bind(&stream.schema_fingerprint);
            change.execute(put).await?;
            change.commit().await
        })
        .await
    }

    /// Registers a view, in place of an earlier one of its name; an unchanged view keeps its time.
    pub async fn register_view(&self, view: &ViewRow) -> Result<(), CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("register a view").await?;
            let put = Statement::new(include_str!("sql/view_put.sql"));
            let put = put.bind(view.name.as_str()).bind(&view.fingerprint).bind(&view.sql).bind(view.created_ms);
            change.execute(put).await?;
            change.commit().await
        })
        .await
    }

    /// The streams, by name.
    pub async fn streams(&self) -> Result<Vec<StreamRow>, CatalogError> {
        self.read_all("list streams", Statement::new(include_str!("sql/stream_list.sql"))).await
    }

    /// The views, by name.
    pub async fn views(&self) -> Result<Vec<ViewRow>, CatalogError> {
        self.read_all("list views", Statement::new(include_str!("sql/view_list.sql"))).await
    }
}

impl FromRow for StreamRow {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self {
            name: row.parse("name", StreamName::parse)?,
            topic: row.get("topic")?,
            schema_fingerprint: row.get("schema_fingerprint")?,
        })
    }
}

impl FromRow for ViewRow {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self {
            name: row.parse("name", ViewName::parse)?,
            fingerprint: row.get("fingerprint")?,
            sql: row.get("sql")?,
            created_ms: row.get("created_ms")?,
        })
    }
}
