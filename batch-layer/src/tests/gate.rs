//! An object store that waits where a test tells it to: before or after an object is put, read or deleted.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    BeforePut,
    AfterPut,
    BeforeRead,
    BeforeDelete,
    AfterDelete,
}

#[derive(Debug)]
pub(crate) struct Gate {
    inner: Arc<dyn ObjectStore>,
    /// The step and prefix at which callers wait; `None` lets all through.
    shut: watch::Sender<Option<(At, &'static str)>>,
    /// Number of callers that wait, or have waited.
    waiting: watch::Sender<u64>,
}

impl Gate {
    pub(crate) fn over(inner: Arc<dyn ObjectStore>) -> Arc<Self> {
        Arc::new(Self { inner, shut: watch::Sender::new(None), waiting: watch::Sender::new(0) })
    }

    pub(crate) fn shut(&self, at: At, prefix: &'static str) {
        self.shut.send_replace(Some((at, prefix)));
    }

    pub(crate) fn open(&self) {
        self.shut.send_replace(None);
    }

    /// Waits until a caller waits.
    pub(crate) async fn met(&self) {
        self.waiting.subscribe().wait_for(|&waiting| waiting > 0).await.unwrap();
    }

    async fn pass(&self, at: At, location: &Path) {
        let waits = |shut: &Option<(At, &str)>| {
            shut.is_some_and(|(here, prefix)| here == at && location.as_ref().starts_with(prefix))
        };
        let mut shut = self.shut.subscribe();
        if waits(&shut.borrow_and_update()) {
            self.waiting.send_modify(|waiting| *waiting += 1);
            shut.wait_for(|shut| !waits(shut)).await.unwrap();
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("gate")
    }
}

#[async_trait]
impl ObjectStore for Gate {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.pass(At::BeforePut, location).await;
        let put = self.inner.put_opts(location, payload, options).await;
        self.pass(At::AfterPut, location).await;
        put
    }

    async fn put_multipart_opts(&self, at: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if !options.head {
            self.pass(At::BeforeRead, location).await;
        }
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.pass(At::BeforeRead, location).await;
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        // Waiting needs an owner of the channels that lives as long as the stream.
        let gate = Self { inner: Arc::clone(&self.inner), shut: self.shut.clone(), waiting: self.waiting.clone() };
        let gate = Arc::new(gate);
        locations
            .then(move |location| {
                let gate = Arc::clone(&gate);
                async move {
                    let location = location?;
                    gate.pass(At::BeforeDelete, &location).await;
                    let one = futures::stream::iter([Ok(location.clone())]).boxed();
                    let done = gate.inner.delete_stream(one).next().await;
                    gate.pass(At::AfterDelete, &location).await;
                    done.unwrap_or(Ok(location))
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
