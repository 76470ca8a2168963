//! The pipeline of an `.slt` file, with views over its views, and the records of its streams.

use std::path::{Path, PathBuf};

use dovetail_connectors::sources::generate::Kind;

use super::input::{Input, folder, lines, pipeline};

pub(crate) struct Case {
    kind: Kind,
    pub(crate) stream: &'static str,
    pub(crate) topic: &'static str,
    /// A view and a column of it whose sum is the number of records that decode.
    counted: (&'static str, &'static str),
}

pub(crate) const NYC311: Case = Case {
    kind: Kind::Nyc311,
    stream: "service_requests",
    topic: "ServiceRequests",
    counted: ("open_requests", "total"),
};
pub(crate) const CLICKS: Case =
    Case { kind: Kind::Clicks, stream: "clicks", topic: "clicks", counted: ("clicks_per_user", "clicks") };
pub(crate) const WEATHER: Case =
    Case { kind: Kind::Weather, stream: "readings", topic: "weather", counted: ("temperature_by_hour", "readings") };

/// Number of records ..
pub(crate) const RECORDS: usize = 3_000;
/// .. how many of them a generation in the middle holds ..
pub(crate) const CUT: usize = 1_800;
/// .. and how many decode.
pub(crate) const GOOD: i64 = 2_970;

impl Case {
    pub(crate) fn name(&self) -> &'static str {
        folder(self.kind)
    }

    pub(crate) fn slt(&self) -> PathBuf {
        slt(&format!("{}.slt", self.name()))
    }

    pub(crate) fn sql(&self) -> String {
        let derived = std::fs::read_to_string(slt(&format!("{}.views.sql", self.name()))).unwrap();
        std::fs::read_to_string(pipeline(self.kind)).unwrap() + "\n" + &derived
    }

    /// SQL for the number of records in a layer's views.
    pub(crate) fn count(&self, layer: &str) -> String {
        let (view, column) = self.counted;
        format!("SELECT sum({column}) FROM {layer}.{view}")
    }

    /// Writes `below.ndjson` and `above.ndjson`, the records on both sides of the cut, `all.ndjson`, and the lookups.
    pub(crate) fn write_to(&self, to: &Path) {
        for file in std::fs::read_dir(pipeline(self.kind).parent().unwrap()).unwrap().map(Result::unwrap) {
            if file.path().extension().is_some_and(|extension| extension == "csv") {
                std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
            }
        }
        let lines = lines(self.kind, &Input { events: RECORDS as u64, seed: 311 });
        let (below, above) = lines.split_at(CUT);
        for (name, part) in [("below.ndjson", below), ("above.ndjson", above), ("all.ndjson", &lines)] {
            std::fs::write(to.join(name), part.join(&b'\n')).unwrap();
        }
    }
}

fn slt(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slt").join(name)
}
