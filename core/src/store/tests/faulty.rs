//! A store that fails or stalls.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, PutMultipartOptions, PutResult, Result,
};

use super::*;

/// The fault of the first calls.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The call fails and nothing happens.
    Fails,
    /// The call does what it should, but its answer is lost.
    LosesAnswer,
    /// The call never answers.
    Stalls,
    /// The disk is full.
    IsFull,
}

/// A store whose first `left` calls go wrong.
#[derive(Debug)]
struct Faulty {
    inner: InMemory,
    fault: Fault,
    left: AtomicU32,
    calls: AtomicU32,
}

impl Faulty {
    fn new(fault: Fault, times: u32) -> Arc<Self> {
        let (left, calls) = (AtomicU32::new(times), AtomicU32::new(0));
        Arc::new(Self { inner: InMemory::new(), fault, left, calls })
    }

    async fn around<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let spent = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if spent.is_err() {
            return call.await;
        }
        let failed = |kind| object_store::Error::Generic { store: "faulty", source: std::io::Error::from(kind).into() };
        match self.fault {
            Fault::Fails => Err(failed(std::io::ErrorKind::ConnectionReset)),
            Fault::IsFull => Err(failed(std::io::ErrorKind::StorageFull)),
            Fault::LosesAnswer => call.await.and(Err(failed(std::io::ErrorKind::ConnectionReset))),
            Fault::Stalls => std::future::pending().await,
        }
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
        self.around(self.inner.put_opts(location, payload, options)).await
    }

    async fn put_multipart_opts(&self, at: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.around(self.inner.get_opts(location, options)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
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

fn faulty(fault: Fault, times: u32) -> (Store, Arc<Faulty>) {
    let faulty = Faulty::new(fault, times);
    let settings = StoreSettings {
        timeout: Duration::from_millis(50),
        attempts: 3,
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(2),
    };
    let inner: Arc<dyn ObjectStore> = Arc::<Faulty>::clone(&faulty);
    (Store::new(inner).with_settings(settings), faulty)
}

#[tokio::test]
async fn what_fails_or_stalls_for_a_while_is_tried_again() {
    for fault in [Fault::Fails, Fault::LosesAnswer, Fault::Stalls] {
        let (store, _) = faulty(fault, 2);
        store.put_new(&Path::from("x"), Bytes::from_static(b"one")).await.unwrap();
        assert_eq!(store.get(&Path::from("x")).await.unwrap(), "one", "{fault:?}");
    }
}

#[tokio::test]
async fn patience_has_an_end() {
    let (store, inner) = faulty(Fault::Stalls, u32::MAX);
    let error = store.put_new(&Path::from("x"), Bytes::new()).await.unwrap_err();
    let limit = Duration::from_millis(50);
    assert!(matches!(error, StoreError::TimedOut { attempts: 3, limit: l, .. } if l == limit), "{error}");
    assert!(error.to_string().contains("`x`") && error.is_transient(), "{error}");
    assert_eq!(inner.calls.load(Ordering::Relaxed), 3);

    let (store, _) = faulty(Fault::Fails, u32::MAX);
    let error = store.get(&Path::from("x")).await.unwrap_err();
    assert!(matches!(error, StoreError::Failed { attempts: 3, .. }), "{error}");
}

#[tokio::test]
async fn a_full_disk_is_told_at_once_and_by_name() {
    let (store, inner) = faulty(Fault::IsFull, 1);
    let error = store.put_new(&Path::from("a/x"), Bytes::new()).await.unwrap_err();
    assert!(matches!(&error, StoreError::Full { path, .. } if path == "a/x"), "{error}");
    assert!(error.is_transient());
    assert_eq!(inner.calls.load(Ordering::Relaxed), 1);
    store.put_new(&Path::from("a/x"), Bytes::new()).await.unwrap();
}

#[tokio::test]
async fn a_put_that_was_given_up_may_still_arrive() {
    let (store, inner) = faulty(Fault::LosesAnswer, 1);
    let path = Path::from("x");
    inner.inner.put(&path, PutPayload::from_static(b"other")).await.unwrap();
    let error = store.put_new(&path, Bytes::from_static(b"one")).await.unwrap_err();
    assert!(matches!(error, StoreError::Exists { .. }), "{error}");
}
