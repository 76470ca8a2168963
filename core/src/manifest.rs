//! The manifest: the object that names a generation, the cut of each view and the files of its states.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::name::{Generation, StreamName, ViewName};
use crate::offsets::Cut;
use crate::view::Tally;

/// The manifest's format that this program writes and reads.
const FORMAT: u32 = 1;

/// A generation: the states of all views, each below its cut. Written once, create-only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The number of the generation.
    pub generation: Generation,
    /// The run that wrote it.
    pub run_id: i64,
    /// Time of writing, in milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// The version of the program that wrote it.
    pub engine: String,
    /// The batch view of each view.
    pub views: BTreeMap<ViewName, ViewStates>,
}

/// A batch view: one view's states of one generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewStates {
    /// Fingerprint of the view that the states were folded for; states of different fingerprints never meet.
    pub fingerprint: String,
    /// The stream that the view reads.
    pub stream: StreamName,
    /// The stream's topic.
    pub topic: String,
    /// The states hold every record below it.
    pub cut: Cut,
    /// Number of input rows folded.
    pub rows: u64,
    /// Number of states in the files; a group that is in a delta as well counts again.
    pub groups: u64,
    /// Merged files: no group is in two of them. They may be of an earlier generation.
    pub files: Vec<StateFile>,
    /// Files that incremental runs added since `files` were merged, oldest first. Readers merge them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deltas: Vec<StateFile>,
    /// The records that the states leave out.
    #[serde(default, skip_serializing_if = "LeftOut::is_empty")]
    pub errors: LeftOut,
}

impl ViewStates {
    /// All files that the states consist of.
    pub fn state_files(&self) -> impl Iterator<Item = &StateFile> {
        self.files.iter().chain(&self.deltas)
    }

    /// All files that the batch view consists of.
    pub fn all_files(&self) -> impl Iterator<Item = &StateFile> {
        self.state_files().chain(&self.errors.files)
    }
}

/// The records whose evaluation failed in a view, below its cut.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// Number and digest of the records.
    pub tally: Tally,
    /// Files with a row for each of the records, see [`crate::view_error_file`].
    pub files: Vec<StateFile>,
}

impl LeftOut {
    /// Whether no record was left out.
    pub fn is_empty(&self) -> bool {
        self.tally.is_zero() && self.files.is_empty()
    }
}

/// One Parquet file of states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateFile {
    /// Path in the object store.
    pub path: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Number of rows.
    pub rows: u64,
}

/// The reason why a text is not a manifest.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are the facts that the messages name")]
pub enum ManifestError {
    /// The manifest has another format version.
    #[error("manifest has format {found}, this program reads format {FORMAT}: use the version that wrote it, or newer")]
    Format { found: u64 },
    /// The text is no JSON of a manifest.
    #[error("manifest cannot be read or written: {0}")]
    Json(#[from] serde_json::Error),
}

/// The manifest with its format in front.
#[derive(Serialize)]
struct ManifestDocument<'m> {
    format: u32,
    #[serde(flatten)]
    manifest: &'m Manifest,
}

impl Manifest {
    /// The text that is stored.
    pub fn to_json(&self) -> Result<String, ManifestError> {
        let written = ManifestDocument { format: FORMAT, manifest: self };
        Ok(serde_json::to_string_pretty(&written)?)
    }

    /// Reads a stored manifest. Unknown fields are refused, because their statement about the states would be ignored.
    pub fn from_json(json: &str) -> Result<Self, ManifestError> {
        let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(json)?;
        let found = fields.remove("format").and_then(|format| format.as_u64()).unwrap_or_default();
        if found != u64::from(FORMAT) {
            return Err(ManifestError::Format { found });
        }
        Ok(Self::deserialize(serde_json::Value::Object(fields))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let file = StateFile { path: "generations/7/by_day-0.parquet".to_owned(), bytes: 1200, rows: 31 };
        let states = ViewStates {
            fingerprint: "f1".to_owned(),
            stream: StreamName::parse("requests").unwrap(),
            topic: "ServiceRequests".to_owned(),
            cut: Cut([(0, 5), (11, 7)].into_iter().collect()),
            rows: 12,
            groups: 31,
            files: vec![file.clone()],
            deltas: vec![StateFile { path: "generations/8/by_day-0.parquet".to_owned(), ..file.clone() }],
            errors: LeftOut {
                tally: Tally { count: 31, digest: u64::MAX },
                files: vec![StateFile { path: "generations/8/by_day-errors-0.parquet".to_owned(), ..file }],
            },
        };
        Manifest {
            generation: Generation(7),
            run_id: 3,
            created_ms: 1_700_000_000_000,
            engine: "0.1.0".to_owned(),
            views: [(ViewName::parse("by_day").unwrap(), states)].into(),
        }
    }

    #[test]
    fn a_manifest_comes_back_as_written() {
        let json = manifest().to_json().unwrap();
        assert!(json.starts_with("{\n  \"format\": 1,"), "{json}");
        assert_eq!(Manifest::from_json(&json).unwrap(), manifest());
    }

    #[test]
    fn fields_that_are_not_known_are_refused() {
        let json = manifest().to_json().unwrap();
        for (known, unknown) in [("\"engine\"", "\"watermark\": 1, \"engine\""), ("\"cut\"", "\"skew\": 1, \"cut\"")] {
            let error = Manifest::from_json(&json.replace(known, unknown)).unwrap_err();
            assert!(error.to_string().contains("unknown field"), "{error}");
        }
    }

    #[test]
    fn another_format_is_refused() {
        let json = manifest().to_json().unwrap();
        for other in ["\"format\": 2", "\"format\": \"1\""] {
            let error = Manifest::from_json(&json.replace("\"format\": 1", other)).unwrap_err();
            assert!(matches!(error, ManifestError::Format { .. }), "{error}");
        }
        assert!(matches!(Manifest::from_json("{}"), Err(ManifestError::Format { found: 0 })));
        assert!(matches!(Manifest::from_json("[]"), Err(ManifestError::Json(_))));
    }
}
