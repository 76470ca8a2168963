//! The identity of each topic: landing, folding and serving continue the topic that was first seen, and no other one of
//! its name.

use chrono::DateTime;

use super::statement::{FromRow, Row, Statement};
use super::{Catalog, CatalogError};

struct NotedTopic {
    identity: String,
    noted_ms: i64,
}

impl Catalog {
    /// Records the identity of a topic that was not seen before; refuses a topic whose identity has changed.
    pub async fn recognise_topic(&self, topic: &str, identity: &str) -> Result<(), CatalogError> {
        let noted: Option<NotedTopic> = self.read_one("look up a topic", get(topic)).await?;
        let noted = match noted {
            Some(noted) => noted,
            None => self.note_topic(topic, identity).await?,
        };
        if noted.identity == identity {
            return Ok(());
        }
        let since = DateTime::from_timestamp_millis(noted.noted_ms).unwrap_or_default();
        Err(CatalogError::OtherTopic {
            topic: topic.to_owned(),
            was: noted.identity,
            is: identity.to_owned(),
            since: since.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
        })
    }

    /// Records the identity if there is none yet; returns the one recorded.
    async fn note_topic(&self, topic: &str, identity: &str) -> Result<NotedTopic, CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("note a topic").await?;
            let noted_ms = change.now_ms().await?;
            let note = Statement::new(include_str!("sql/topic_note.sql"));
            change.execute(note.bind(topic).bind(identity).bind(noted_ms)).await?;
            let noted = change.one(get(topic)).await?;
            change.commit().await?;
            noted.ok_or_else(|| CatalogError::Missing { what: format!("topic `{topic}`") })
        })
        .await
    }
}

fn get(topic: &str) -> Statement {
    Statement::new(include_str!("sql/topic_get.sql")).bind(topic)
}

impl FromRow for NotedTopic {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self { identity: row.get("identity")?, noted_ms: row.get("noted_ms")? })
    }
}
