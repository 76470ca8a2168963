//! Errors of the object store, one variant for each thing that the caller can do about it.

use std::error::Error;
use std::io;
use std::time::Duration;

use object_store::path::Path;

/// The reason why an operation on an object failed. The fields are the facts that the message names.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are the facts that the messages name")]
pub enum StoreError {
    /// The path is taken by other content: put under another path.
    #[error("object `{path}` exists with other content and is not replaced: write under a path of its own")]
    Exists { path: String },
    /// No object has this path.
    #[error("object `{path}` is missing: restore it from a copy, or rebuild what it belongs to")]
    Missing { path: String },
    /// The bucket does not exist.
    #[error("could not {doing} object `{path}`: the bucket is missing: make it, or name another")]
    NoBucket { doing: &'static str, path: String },
    /// The store is full.
    #[error("no space left to put object `{path}`: free some in the object store, then it goes on")]
    Full { path: String, source: Box<object_store::Error> },
    /// The user lacks a right.
    #[error("not allowed to {doing} object `{path}`: give this user the right to")]
    Denied { doing: &'static str, path: String, source: Box<object_store::Error> },
    /// No attempt was answered within its limit.
    #[error(
        "could not {doing} object `{path}` in {attempts} attempts of at most {limit:?}: see that the object store answers"
    )]
    TimedOut { doing: &'static str, path: String, attempts: u32, limit: Duration },
    /// All attempts failed.
    #[error("could not {doing} object `{path}` in {attempts} attempts: see that the object store is well")]
    Failed { doing: &'static str, path: String, attempts: u32, source: Box<object_store::Error> },
    /// No store has a URL like this.
    #[error("object store `{url}` cannot be used: {detail}. Write a folder, `file:///FOLDER` or `s3://BUCKET/PREFIX`")]
    Url { url: String, detail: String },
    /// The folder cannot be created or written to.
    #[error("object store folder `{folder}` cannot be used: see that it can be created and written to")]
    Folder { folder: String, source: io::Error },
}

impl StoreError {
    /// The error for a URL that no store has. A possible password is left out.
    pub(super) fn url(url: &str, detail: impl ToString) -> Self {
        let shown = if url.contains('@') { url.split("://").next().unwrap_or_default() } else { url };
        let rest = if shown.len() < url.len() { "://.." } else { "" };
        Self::Url { url: format!("{shown}{rest}"), detail: detail.to_string() }
    }

    /// Whether the same call may succeed later without anybody changing its arguments.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::TimedOut { .. } | Self::Failed { .. })
    }

    pub(super) fn from_store(doing: &'static str, path: &Path, attempts: u32, source: object_store::Error) -> Self {
        let path = path.to_string();
        let kind = io_kind(&source);
        match source {
            object_store::Error::AlreadyExists { .. } => Self::Exists { path },
            source if has_no_bucket(&source) => Self::NoBucket { doing, path },
            object_store::Error::NotFound { .. } => Self::Missing { path },
            source if is_full(kind) => Self::Full { path, source: Box::new(source) },
            source if is_denied(&source, kind) => Self::Denied { doing, path, source: Box::new(source) },
            source => Self::Failed { doing, path, attempts, source: Box::new(source) },
        }
    }
}

/// Whether an immediate retry can help.
pub(super) fn is_worth_retrying(error: &object_store::Error) -> bool {
    use object_store::Error as E;
    let kind = io_kind(error);
    match error {
        E::AlreadyExists { .. } | E::NotFound { .. } | E::InvalidPath { .. } | E::NotSupported { .. } => false,
        E::NotImplemented { .. } | E::Precondition { .. } | E::UnknownConfigurationKey { .. } => false,
        error => !is_full(kind) && !is_denied(error, kind) && !has_no_bucket(error),
    }
}

/// Whether the bucket is missing, by the code in S3's answer: the error has nothing else.
fn has_no_bucket(error: &object_store::Error) -> bool {
    error.to_string().contains("NoSuchBucket")
}

fn is_full(kind: Option<io::ErrorKind>) -> bool {
    matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
}

fn is_denied(error: &object_store::Error, kind: Option<io::ErrorKind>) -> bool {
    use object_store::Error as E;
    matches!(error, E::PermissionDenied { .. } | E::Unauthenticated { .. })
        || matches!(kind, Some(io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem))
}

/// The kind of the innermost I/O error, if there is one.
fn io_kind(error: &object_store::Error) -> Option<io::ErrorKind> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        cause = error.source();
    }
    None
}
