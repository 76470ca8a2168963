//! What has to be run and set, in words.

use dovetail_report::figures::{OperationFigures, OperationRow, Topic};

use super::scale::RunScale;

/// The rows of the report.
pub(super) fn section(scale: &RunScale) -> OperationFigures {
    let interval = scale.interval();
    let row = |topic, lambda: String, kappa: String| OperationRow { topic, lambda, kappa };
    let text = str::to_owned;
    OperationFigures {
        rows: vec![
            row(
                Topic::Processes,
                text(
                    "One process, `dovetail up`, or four kinds of their own: `ingest`, `batch`, `speed` and `serve`. One \
                     process leads the batch layer at a time.",
                ),
                text(
                    "One process, `dovetail kappa`, takes records, folds them and answers. While code changes it folds a \
                     second job beside the first, which takes the processor time and the memory of both.",
                ),
            ),
            row(
                Topic::Stores,
                text(
                    "The log, the catalog, and a store with the landing (all records, as Parquet) and the states of the \
                     generations that are kept.",
                ),
                text("The log with all records, the catalog, and a store with the checkpoints of each job."),
            ),
            row(
                Topic::Settings,
                format!(
                    "`batch.schedule` (\"every 1m\"; here runs were made on request, and every {interval} in the crash \
                     test), `landing.segment_age` (5s; here 500ms), `batch.keep_generations` (3), `speed.memory` (1 GiB)."
                ),
                format!(
                    "`kappa.checkpoint_every` (10s; here {interval}), `kappa.keep_checkpoints` (3), `kappa.memory` (1 GiB) \
                     and `kappa.threads`, the share of the processors for folding."
                ),
            ),
            row(
                Topic::Retention,
                text(
                    "Nothing that is landed: the log is needed only for records above the cut. A retention shorter than \
                     the time to land loses records before they are landed.",
                ),
                text(
                    "Every record older than the retention: a new job cannot fold it any more, and no other copy is kept. \
                     A job that needs it is refused with the number of records that are gone. A job that runs keeps what \
                     it has folded.",
                ),
            ),
        ],
    }
}
