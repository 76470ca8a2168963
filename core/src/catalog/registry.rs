//! The streams and views that were last run with, for people who look.

use crate::name::{StreamName, ViewName};

use super::statement::{FromRow, Row, Statement};
use super::{Catalog, CatalogError};

/// A stream as last registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRow {
    pub name: StreamName,
    pub topic: String,
    pub schema_fingerprint: String,
}

/// A view as last registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewRow {
    pub name: ViewName,
    pub fingerprint: String,
    pub sql: String,
    /// When it was first registered as it is.
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

    /// Registers a view, in place of an earlier one of its name; an unchanged one keeps its time.
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
