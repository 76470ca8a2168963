//! One server with the `nyc311` pipeline as often as there are inputs: a stream, and its views, for each.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use dovetail_core::view::View;
use dovetail_server::process::plan::Plan;
use dovetail_testkit::oracle::agree;
use tempfile::TempDir;

use crate::support::{Server, data};

pub(super) struct Streams {
    pub(super) server: Server,
    views: Vec<Arc<View>>,
    /// Files for the test's inputs.
    pub(super) folder: TempDir,
}

const VIEWS: [&str; 4] = ["requests_by_day", "time_to_close", "open_requests", "busiest_hours"];

impl Streams {
    /// A stream `NAME`, with views `VIEW_NAME`, for each name.
    pub(super) async fn start(names: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(data().join("nyc311/agencies.csv"), folder.path().join("agencies.csv")).unwrap();
        let sql = std::fs::read_to_string(data().join("nyc311/pipeline.sql")).unwrap();
        let statements: Vec<&str> = sql.split_inclusive(';').collect();
        let mut all = String::new();
        for name in names {
            for statement in &statements {
                let lookup = statement.contains("TABLE agencies");
                if !lookup || *name == names[0] {
                    all += &renamed(statement, name);
                }
            }
        }
        let file = folder.path().join("pipeline.sql");
        std::fs::write(&file, all).unwrap();
        let views = Plan::load(&file).await.unwrap().folded();
        Self { server: Server::started(&file).await, views, folder }
    }

    /// Writes an input.
    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        text(&path)
    }

    pub(super) async fn ingest(&self, stream: &str, from: &str) {
        self.server.run(&["ingest", stream, "--from", from]).await;
    }

    /// Waits until the streams hold these numbers of records.
    pub(super) async fn hold(&self, records: &[(&str, usize)]) {
        for (stream, records) in records {
            let sql =
                format!("SELECT sum(log_end), sum(head), sum(landed) FROM sys.partitions WHERE stream = '{stream}'");
            self.server.wait_for(&sql, &format!("{records}, {records}, {records}")).await;
        }
    }

    async fn answer(&self, view: &str, stream: &str) -> Vec<RecordBatch> {
        self.server.batches(&format!("SELECT * FROM {view}_{stream}")).await
    }

    /// Panics unless all views of both streams answer the same.
    pub(super) async fn same(&self, one: &str, other: &str) {
        for name in VIEWS {
            let full = format!("{name}_{one}");
            let view = self.views.iter().find(|view| view.name.as_str() == full).unwrap();
            let (left, right) = (self.answer(name, one).await, self.answer(name, other).await);
            assert!(left.iter().any(|batch| batch.num_rows() > 0), "{full} is empty");
            agree(view, &left, &right, &format!("{one} and {other}"));
        }
    }
}

fn renamed(statement: &str, name: &str) -> String {
    let views = VIEWS.iter().fold(statement.to_owned(), |statement, view| {
        statement.replace(&format!("VIEW {view} "), &format!("VIEW {view}_{name} "))
    });
    views.replace("service_requests", name).replace("ServiceRequests", name)
}

pub(super) fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
