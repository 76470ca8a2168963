//! The place of a test's objects, separate for each test.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use object_store::memory::InMemory;
use object_store::path::Path;
use tempfile::TempDir;

use crate::store::{S3Options, Store};

/// The variable that names a bucket in which tests may put objects; the usual `AWS_*` say the rest.
const S3: &str = "DOVETAIL_TEST_S3";

pub(super) struct Place {
    pub(super) store: Store,
    /// Empty where the store is not S3's.
    pub(super) url: String,
    _folder: Option<TempDir>,
}

impl Place {
    pub(super) fn memory() -> Self {
        Self { store: Store::new(Arc::new(InMemory::new())), url: String::new(), _folder: None }
    }

    pub(super) fn folder() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::local(&folder.path().join("objects")).unwrap();
        Self { store, url: String::new(), _folder: Some(folder) }
    }

    /// A place in the bucket that the environment names. Without one the test `name` is skipped and says so; on CI
    /// it fails.
    pub(super) async fn bucket(name: &str) -> Option<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let Ok(bucket) = std::env::var(S3) else {
            assert!(std::env::var_os("CI").is_none(), "{name} needs an S3 store: eval \"$(dev/s3 up)\"");
            println!("{name} is skipped: {S3} names no bucket, eval \"$(dev/s3 up)\"");
            return None;
        };
        let url = format!("{bucket}/test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let store = Store::open(&url, &S3Options::default()).unwrap();
        remove_all(&store).await;
        Some(Self { store, url, _folder: None })
    }

    /// The address of the S3 server.
    pub(super) fn server(&self) -> SocketAddr {
        let endpoint = std::env::var("AWS_ENDPOINT_URL").unwrap();
        endpoint.trim_start_matches("http://").trim_end_matches('/').parse().unwrap()
    }

    /// The same place by way of another address.
    pub(super) fn through(&self, address: SocketAddr) -> Store {
        let options = S3Options { endpoint: Some(format!("http://{address}")), ..S3Options::default() };
        Store::open(&self.url, &options).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.url.is_empty() {
            let store = self.store.clone();
            let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            // Objects left behind only lengthen the bucket's listing.
            let _ = std::thread::scope(|scope| scope.spawn(|| runtime().block_on(remove_all(&store))).join());
        }
    }
}

async fn remove_all(store: &Store) {
    for object in store.list_prefix(&Path::from("")).await.unwrap() {
        store.delete(&object.location).await.unwrap();
    }
}

/// Makes each function a test on every kind of store.
macro_rules! on_each_store {
    ($($name:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::Place::memory()).await;
            })+
        }

        mod folder {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::Place::folder()).await;
            })+
        }

        on_s3! { $($name),+ }
    };
}

macro_rules! on_s3 {
    ($($name:ident),+ $(,)?) => {
        mod bucket {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                if let Some(place) = super::Place::bucket(concat!(module_path!(), "::", stringify!($name))).await {
                    super::$name(place).await;
                }
            })+
        }
    };
}

pub(super) use {on_each_store, on_s3};
