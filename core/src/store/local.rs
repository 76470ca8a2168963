//! Objects as files, durable when a put is answered.
//!
//! object_store's own local store links a file into place before its content has reached the disk: after a loss of
//! power there can be an object with a hole in it, under a path that may never be written again. Here a put is staged,
//! synced, linked into place (which fails if the path exists), and then the folders are synced.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::StoreError;

/// The folder of staged files, on the same file system as the objects.
const STAGING: &str = ".staging";

/// Age at which a staged file counts as left by a dead process.
const ABANDONED_AFTER: Duration = Duration::from_secs(3600);

/// A folder of objects.
#[derive(Debug)]
pub(super) struct DurableLocal {
    root: PathBuf,
    files: LocalFileSystem,
}

impl DurableLocal {
    /// Opens the folder; it is created when absent.
    pub(super) fn open(folder: &FilePath) -> Result<Self, StoreError> {
        let unusable = |source| StoreError::Folder { folder: folder.display().to_string(), source };
        fs::create_dir_all(folder.join(STAGING)).map_err(unusable)?;
        let root = fs::canonicalize(folder).map_err(unusable)?;
        sweep(&root.join(STAGING)).map_err(unusable)?;
        let files = LocalFileSystem::new_with_prefix(&root).map_err(|e| unusable(io::Error::other(e)))?;
        Ok(Self { root, files })
    }
}

/// Puts one object; `mode` says whether it may replace one.
///
/// # On a crash
/// A file may be left in the staging folder; [`sweep`] removes it an hour later, when a process opens the store. A
/// linked object is complete, because it was synced before.
fn put(root: &FilePath, file: &FilePath, payload: &PutPayload, mode: &PutMode) -> io::Result<()> {
    let (mut staged, staged_path) = stage(&root.join(STAGING))?;
    let written = payload.iter().try_for_each(|part| staged.write_all(part)).and_then(|()| staged.sync_all());
    let placed = written.and_then(|()| place(root, &staged_path, file, mode));
    // After a rename there is nothing left to remove; a leftover is swept later.
    let _ = fs::remove_file(&staged_path);
    placed
}

fn stage(folder: &FilePath) -> io::Result<(File, PathBuf)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        // The `#` keeps a staged file from being listed as an object.
        let path = folder.join(format!("{}#{n}", std::process::id()));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            opened => return Ok((opened?, path)),
        }
    }
}

fn place(root: &FilePath, staged: &FilePath, file: &FilePath, mode: &PutMode) -> io::Result<()> {
    let folder = file.parent().unwrap_or(root);
    fs::create_dir_all(folder)?;
    match mode {
        PutMode::Create => fs::hard_link(staged, file)?,
        PutMode::Overwrite | PutMode::Update(_) => fs::rename(staged, file)?,
    }
    // Up to the root, because the folders may be new too; syncing an old one costs nothing.
    folder.ancestors().take_while(|folder| folder.starts_with(root)).try_for_each(sync_folder)
}

fn sync_folder(folder: &FilePath) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Removes files that dead processes staged, judged by the file system's own clock.
fn sweep(staging: &FilePath) -> io::Result<()> {
    let (probe, probe_path) = stage(staging)?;
    let now = probe.metadata()?.modified()?;
    fs::remove_file(probe_path)?;
    for entry in fs::read_dir(staging)? {
        let entry = entry?;
        let age = entry.metadata().and_then(|meta| meta.modified()).map(|then| now.duration_since(then));
        if matches!(age, Ok(Ok(age)) if age > ABANDONED_AFTER) {
            // Another process may have swept it first.
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

fn put_error(path: &Path, source: io::Error) -> Error {
    match source.kind() {
        ErrorKind::AlreadyExists => Error::AlreadyExists { path: path.to_string(), source: source.into() },
        _ => Error::Generic { store: "local", source: source.into() },
    }
}

fn refused(operation: &str) -> Error {
    Error::NotImplemented { operation: operation.to_owned(), implementer: "DurableLocal".to_owned() }
}

impl fmt::Display for DurableLocal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.root.display())
    }
}

#[async_trait]
impl ObjectStore for DurableLocal {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if matches!(options.mode, PutMode::Update(_)) {
            return Err(refused("a conditional update"));
        }
        let (root, file, path) = (self.root.clone(), self.files.path_to_filesystem(location)?, location.clone());
        let put = move || put(&root, &file, &payload, &options.mode);
        let done = tokio::task::spawn_blocking(put).await?;
        done.map_err(|e| put_error(&path, e))?;
        Ok(PutResult { e_tag: None, version: None })
    }

    /// Refused: objects are small enough to be put whole, and only that is durable here.
    async fn put_multipart_opts(
        &self,
        _location: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(refused("a put in parts"))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.files.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.files.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.files.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _from: &Path, _to: &Path, _options: CopyOptions) -> Result<()> {
        Err(refused("a copy"))
    }
}
