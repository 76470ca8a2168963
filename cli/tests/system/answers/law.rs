//! The law on the server system: batch-only = speed-only = merged = one query over the same rows, at several cuts.

use std::ops::Range;
use std::path::Path;

use dovetail_connectors::sources::generate::Kind;
use dovetail_testkit::oracle::{Oracle, agree};

use super::input::{Input, lines, pipeline};
use crate::support::Server;

/// A server, and what should be in it.
struct Cuts {
    server: Server,
    oracle: Oracle,
    stream: &'static str,
    lines: Vec<Vec<u8>>,
    sent: usize,
}

impl Cuts {
    async fn ingest(&mut self, part: usize) {
        let end = self.lines.len().min(self.sent + part);
        let file = self.server.folder().join(format!("from-{}.ndjson", self.sent));
        std::fs::write(&file, self.lines[self.sent..end].join(&b'\n')).unwrap();
        self.sent = end;
        self.server.ingest(self.stream, &file, end as i64).await;
    }

    /// Checks that the batch layer's views are those of the first `cut` lines, the speed layer's those of the
    /// rest, and the merged ones those of all.
    async fn check(&self, cut: usize, when: &str) {
        for (layer, range) in [("batch", 0..cut), ("speed", cut..self.sent), ("public", 0..self.sent)] {
            self.layer(layer, range, when).await;
        }
    }

    async fn layer(&self, layer: &str, range: Range<usize>, when: &str) {
        let expected = self.oracle.answers(&self.lines[range]).await;
        for (view, expected) in self.oracle.views.iter().zip(expected) {
            let served = self.server.batches(&format!("SELECT * FROM {layer}.{}", view.name)).await;
            agree(view, &served, &[expected], &format!("{when}: {layer}"));
        }
    }
}

async fn check(kind: Kind, stream: &'static str) {
    let path = pipeline(kind);
    let oracle = Oracle::of(Path::new(&path)).await;
    let lines = lines(kind, &Input { events: 4_000, seed: 41 });
    let mut cuts = Cuts { server: Server::started(&path).await, oracle, stream, lines, sent: 0 };

    cuts.ingest(1_500).await;
    for layer in ["speed", "public"] {
        cuts.layer(layer, 0..1_500, "before the first generation").await;
    }
    cuts.server.run(&["recompute"]).await;
    cuts.check(1_500, "after the first generation").await;
    cuts.ingest(1_300).await;
    cuts.check(1_500, "with records after the cut").await;
    cuts.server.run(&["recompute"]).await;
    cuts.check(2_800, "after an incremental run").await;
    cuts.ingest(1_200).await;
    cuts.check(2_800, "with records after the second cut").await;
    cuts.server.run(&["rollback", "1"]).await;
    cuts.check(1_500, "after a rollback").await;
    cuts.server.run(&["recompute"]).await;
    cuts.check(4_000, "after an incremental run from an earlier generation").await;
    cuts.server.run(&["rollback", "2"]).await;
    cuts.check(2_800, "after another rollback").await;
    cuts.server.run(&["recompute", "--full"]).await;
    cuts.check(4_000, "after a full run").await;
    let verdict = cuts.server.run(&["verify"]).await;
    assert_eq!(verdict.matches("no difference").count(), cuts.oracle.views.len(), "{verdict}");
}

#[tokio::test]
async fn nyc311_answers_are_those_of_one_query() {
    check(Kind::Nyc311, "service_requests").await;
}

#[tokio::test]
async fn clicks_answers_are_those_of_one_query() {
    check(Kind::Clicks, "clicks").await;
}

#[tokio::test]
async fn weather_answers_are_those_of_one_query() {
    check(Kind::Weather, "readings").await;
}
