//! Verifying: every view is folded again from its first record and compared with what is served.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What is to be verified.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VerifyRequest {
    /// Names of views; all, where none is named.
    pub views: Vec<String>,
}

/// What became of one view.
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

/// How far the verification in progress is, or how far the last one came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyProgress {
    /// Counts the verifications of this process; 0 before the first one.
    pub number: u64,
    /// The view that is folded.
    pub view: Option<String>,
    /// Of all views together, each of which reads the whole log.
    pub records_done: u64,
    /// Grows while the log does: a view's head is frozen when its turn comes.
    pub records: u64,
}
