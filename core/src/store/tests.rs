//! The store on a real folder, and on one that fails or stalls.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, PutMultipartOptions, PutResult, Result,
};
use tempfile::TempDir;

use super::*;

fn local() -> (Store, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Store::local(&folder.path().join("objects")).unwrap(), folder)
}

fn names(objects: &[ObjectMeta]) -> Vec<&str> {
    objects.iter().map(|object| object.location.as_ref()).collect()
}

#[tokio::test]
async fn objects_are_created_once() {
    let (on_disk, _folder) = local();
    for store in [on_disk, Store::new(Arc::new(InMemory::new()))] {
        let path = Path::from("segments/a/0/x.parquet");
        store.put_new(&path, Bytes::from_static(b"one")).await.unwrap();
        store.put_new(&path, Bytes::from_static(b"one")).await.unwrap();
        let error = store.put_new(&path, Bytes::from_static(b"two")).await.unwrap_err();
        assert!(matches!(&error, StoreError::Exists { path } if path == "segments/a/0/x.parquet"), "{error}");
        assert_eq!(store.get(&path).await.unwrap(), "one");
        assert_eq!(store.size(&path).await.unwrap(), 3);
    }
}

#[tokio::test]
async fn of_many_puts_at_once_one_wins_and_none_is_torn() {
    let (store, _folder) = local();
    let path = Path::from("x");
    let content = |n: u8| Bytes::from(vec![n; 100_000]);
    let puts = futures::future::join_all((0..8).map(|n| store.put_new(&path, content(n)))).await;
    assert_eq!(puts.iter().filter(|put| put.is_ok()).count(), 1);
    let winner = puts.iter().position(|put| put.is_ok()).unwrap();
    assert_eq!(store.get(&path).await.unwrap(), content(winner.try_into().unwrap()));
}

#[tokio::test]
async fn objects_are_listed_and_deleted() {
    let (store, folder) = local();
    for path in ["a/2", "a/1", "a/b/3", "ab/4"] {
        store.put_new(&Path::from(path), Bytes::from_static(b"x")).await.unwrap();
    }
    assert_eq!(names(&store.list_prefix(&Path::from("a")).await.unwrap()), ["a/1", "a/2", "a/b/3"]);
    assert!(store.list_prefix(&Path::from("none")).await.unwrap().is_empty());
    assert_eq!(store.list_prefix(&Path::from("")).await.unwrap().len(), 4, "nothing staged is listed");
    let staged = std::fs::read_dir(folder.path().join("objects/.staging")).unwrap();
    assert_eq!(staged.count(), 0);

    let path = Path::from("a/1");
    assert!(store.exists(&path).await.unwrap());
    store.delete(&path).await.unwrap();
    store.delete(&path).await.unwrap();
    assert!(!store.exists(&path).await.unwrap());
    let error = store.get(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }));
    assert!(error.to_string().starts_with("object `a/1` is missing"), "{error}");
}

#[tokio::test]
async fn escaped_topics_are_found_again_on_disk() {
    let (store, folder) = local();
    let unique = path::Unique { writer: 1, sequence: 0 };
    let path = path::segment("../Größe %41#1", 0, crate::offsets::OffsetRange::new(0, 5), unique);
    store.put_new(&path, Bytes::from_static(b"x")).await.unwrap();
    let listed = store.list_prefix(&path::segments_of("../Größe %41#1")).await.unwrap();
    assert_eq!(names(&listed), [path.as_ref()]);
    assert!(folder.path().join("objects").join(path.as_ref()).is_file());
}

#[test]
fn a_folder_that_is_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(Store::local(&file), Err(StoreError::Folder { .. })));
}

#[tokio::test]
async fn only_old_staged_files_are_swept() {
    let (_store, folder) = local();
    let staging = folder.path().join("objects/.staging");
    let (old, young) = (staging.join("1#0"), staging.join("1#1"));
    for file in [&old, &young] {
        std::fs::write(file, "half").unwrap();
    }
    let young_ms = std::fs::metadata(&young).unwrap().modified().unwrap();
    let file = std::fs::File::options().write(true).open(&old).unwrap();
    file.set_modified(young_ms - Duration::from_secs(7200)).unwrap();
    Store::local(&folder.path().join("objects")).unwrap();
    assert!(!old.exists() && young.exists());
}

#[tokio::test]
async fn datafusion_finds_the_store() {
    let (store, _folder) = local();
    let runtime = RuntimeEnv::default();
    store.register(&runtime);
    let path = Path::from("x");
    store.put_new(&path, Bytes::from_static(b"one")).await.unwrap();
    let found = runtime.object_store(store.url()).unwrap();
    assert_eq!(found.get(&path).await.unwrap().bytes().await.unwrap(), "one");
}

/// What goes wrong with the first calls.
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
