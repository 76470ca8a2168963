//! An object store in memory that fails or hangs as a test says.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::watch;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Puts find no space.
    Full,
    /// Puts below the prefix do not return.
    HangOn(&'static str),
}

#[derive(Debug)]
pub(crate) struct Faulty {
    objects: InMemory,
    fault: watch::Sender<Fault>,
    /// Puts that met a fault.
    met: watch::Sender<u64>,
    puts: Mutex<Vec<String>>,
}

impl Default for Faulty {
    fn default() -> Self {
        let (fault, met) = (watch::Sender::new(Fault::None), watch::Sender::new(0));
        Self { objects: InMemory::new(), fault, met, puts: Mutex::default() }
    }
}

impl Faulty {
    pub(crate) fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// Returns once a put has met the fault.
    pub(crate) async fn met(&self) {
        self.met.subscribe().wait_for(|&met| met > 0).await.unwrap();
    }

    pub(crate) fn puts(&self) -> Vec<String> {
        self.puts.lock().unwrap().clone()
    }

    pub(crate) async fn truncate(&self, path: &str, len: usize) {
        let content = self.objects.get(&path.into()).await.unwrap().bytes().await.unwrap();
        self.objects.put(&path.into(), content.slice(..len).into()).await.unwrap();
    }

    /// Overwrites the middle of an object; its size stays.
    pub(crate) async fn damage(&self, path: &str) {
        let mut content = self.objects.get(&path.into()).await.unwrap().bytes().await.unwrap().to_vec();
        let half = content.len() / 2;
        content[4..half].fill(0xff);
        self.objects.put(&path.into(), content.into()).await.unwrap();
    }

    pub(crate) async fn remove(&self, path: &str) {
        self.objects.delete(&path.into()).await.unwrap();
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("faulty")
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let mut fault = self.fault.subscribe();
        loop {
            let now = fault.borrow_and_update().clone();
            match now {
                Fault::Full => {
                    self.met.send_modify(|met| *met += 1);
                    let full = io::Error::from(io::ErrorKind::StorageFull);
                    return Err(Error::Generic { store: "faulty", source: full.into() });
                }
                Fault::HangOn(prefix) if location.as_ref().starts_with(prefix) => {
                    self.met.send_modify(|met| *met += 1);
                    fault.changed().await.unwrap();
                }
                _ => break,
            }
        }
        self.puts.lock().unwrap().push(location.to_string());
        self.objects.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(&self, at: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.objects.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.objects.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.objects.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.objects.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.objects.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}
