//! The paths of all routes. Parameters are in braces; [`of`] fills them in, encoded.

/// A statement, and its answer.
pub const QUERY: &str = "/v1/query";
/// All views.
pub const VIEWS: &str = "/v1/views";
/// One view.
pub const VIEW: &str = "/v1/views/{view}";
/// The process and its caches, for people.
pub const STATUS: &str = "/v1/status";
/// The state of each layer of the process in each partition: [`crate::layers::LayerInfo`].
pub const LAYERS: &str = "/v1/layers";
/// One stream: [`crate::stream::StreamInfo`].
pub const STREAM: &str = "/v1/streams/{stream}";
/// Records are appended here: [`crate::records::Appended`].
pub const RECORDS: &str = "/v1/streams/{stream}/records";
/// The progress of a source: [`crate::records::SourcePosition`].
pub const SOURCES: &str = "/v1/streams/{stream}/sources";
/// The same with the source's name in the path.
pub const SOURCE: &str = "/v1/streams/{stream}/sources/{source}";
/// Batch runs: start, progress, cancel.
pub const RECOMPUTE: &str = "/v1/recompute";
/// Makes an earlier generation current again.
pub const ROLLBACK: &str = "/v1/rollback";
/// Stream jobs: start, progress.
pub const JOBS: &str = "/v1/jobs";
/// Makes a stream job the one that readers get.
pub const JOB_SWITCH: &str = "/v1/jobs/switch";
/// One stream job: stop.
pub const JOB: &str = "/v1/jobs/{job}";
/// Verification: start, progress.
pub const VERIFY: &str = "/v1/verify";
/// A digest of every record of a stream.
pub const VERIFY_RECORDS: &str = "/v1/verify/records";
/// Whether the process lives.
pub const HEALTHZ: &str = "/healthz";
/// Whether the process is ready.
pub const READYZ: &str = "/readyz";
/// Metrics in Prometheus' text format.
pub const METRICS: &str = "/metrics";

/// The segments of `path` with its parameters replaced by `values`, in order; not yet encoded.
pub fn of<'p>(path: &'p str, values: &[&'p str]) -> Vec<&'p str> {
    let mut values = values.iter();
    let filled = |segment: &'p str| match segment.starts_with('{') {
        true => values.next().copied().unwrap_or(segment),
        false => segment,
    };
    path.trim_start_matches('/').split('/').map(filled).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_filled_in_order() {
        assert_eq!(of(SOURCE, &["a/b", "c"]), ["v1", "streams", "a/b", "sources", "c"]);
        assert_eq!(of(HEALTHZ, &[]), ["healthz"]);
    }
}
