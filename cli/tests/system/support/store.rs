//! An object store over another one that fails or hangs as a test says.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Puts find no space.
    Full,
    /// Nothing returns.
    Stalled,
}

#[derive(Debug)]
pub(crate) struct Faulty {
    objects: Arc<dyn ObjectStore>,
    fault: watch::Sender<Fault>,
    met: watch::Sender<u64>,
}

impl Faulty {
    pub(crate) fn over(objects: Arc<dyn ObjectStore>) -> Arc<Self> {
        Arc::new(Self { objects, fault: watch::Sender::new(Fault::None), met: watch::Sender::new(0) })
    }

    pub(crate) fn set(&self, fault: Fault) {
        self.met.send_replace(0);
        self.fault.send_replace(fault);
    }

    /// Number of operations that have met the fault.
    pub(crate) fn met(&self) -> u64 {
        *self.met.borrow()
    }

    /// Returns once the store answers.
    async fn answers(&self) {
        let mut fault = self.fault.subscribe();
        if *fault.borrow() == Fault::Stalled {
            self.met.send_modify(|met| *met += 1);
        }
        // The sender lives as long as `self`.
        let _ = fault.wait_for(|fault| *fault != Fault::Stalled).await;
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
        self.answers().await;
        if *self.fault.borrow() == Fault::Full {
            self.met.send_modify(|met| *met += 1);
            let full = io::Error::from(io::ErrorKind::StorageFull);
            return Err(Error::Generic { store: "faulty", source: full.into() });
        }
        self.objects.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(&self, at: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.answers().await;
        self.objects.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.answers().await;
        self.objects.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.answers().await;
        self.objects.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.objects.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.objects.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.answers().await;
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.answers().await;
        self.objects.copy_opts(from, to, options).await
    }
}
