//! SQL over HTTP and over the PostgreSQL wire.

use serde_json::Value;
use tokio::task::JoinSet;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use crate::slt::{Interface, Rows};
use crate::support::post;

/// The address of a server.
pub(crate) struct Http(pub(crate) String);

impl Interface for Http {
    fn name(&self) -> &'static str {
        "HTTP"
    }

    async fn ask(&self, sql: &str) -> Result<Rows, String> {
        let rows = post(&self.0, sql).await?;
        let text = |value: Value| match value {
            Value::Null => None,
            Value::String(text) => Some(text),
            other => Some(other.to_string()),
        };
        Ok(rows.into_iter().map(|row| row.into_iter().map(text).collect()).collect())
    }
}

/// A connection; ended when it is dropped.
pub(crate) struct Wire {
    pub(crate) client: Client,
    _connection: JoinSet<()>,
}

impl Wire {
    pub(crate) async fn open(port: u16) -> Self {
        let mut config = Config::new();
        config.host("127.0.0.1").port(port).user("dovetail").dbname("dovetail");
        let (client, connection) = config.connect(NoTls).await.unwrap();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let _ = connection.await;
        });
        Self { client, _connection: task }
    }
}

impl Interface for Wire {
    fn name(&self) -> &'static str {
        "the PostgreSQL wire"
    }

    async fn ask(&self, sql: &str) -> Result<Rows, String> {
        let messages = self.client.simple_query(sql).await;
        let messages = messages.map_err(|e| e.as_db_error().map_or(e.to_string(), |e| e.message().to_owned()))?;
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect()),
            _ => None,
        });
        Ok(rows.collect())
    }
}
