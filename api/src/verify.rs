//! Verifying: every view is folded again from its first record and compared with the served answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A request for a verification.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VerifyRequest {
    /// Names of views; all, where none is named.
    pub views: Vec<String>,
}

/// The result for one view.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Verdict {
    /// Its name.
    pub view: String,
    /// Generation that was served.
    pub generation: u64,
    /// The offset, by partition, up to which both were folded.
    pub head: BTreeMap<i32, i64>,
    /// Records of the log below the head.
    pub records: u64,
    /// Of these, those that the view leaves out because their evaluation fails.
    pub errors: u64,
    /// Rows of the answer.
    pub rows: u64,
    /// Rows that differ.
    pub differences: u64,
    /// The first few of them: served, then folded from scratch.
    pub examples: Vec<(Option<String>, Option<String>)>,
}

/// The progress of the verification in progress, or of the last one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyProgress {
    /// Counts the verifications of this process; 0 before the first one.
    pub number: u64,
    /// The view that is folded.
    pub view: Option<String>,
    /// Number of records read, of all views together, each of which reads the whole log.
    pub records_done: u64,
    /// Grows while the log does: a view's head is frozen when its turn comes.
    pub records: u64,
}
