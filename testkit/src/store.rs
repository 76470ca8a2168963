//! An object store that fails, loses answers, or holds calls.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::faults::Faults;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Put,
    Read,
    Head,
    List,
    Delete,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreCall {
    pub op: Op,
    /// Path of the object, or the listed prefix.
    pub path: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFault {
    /// The call fails and nothing happens.
    Fails(io::ErrorKind),
    /// The call does what it should, but its answer is lost.
    LosesAnswer,
    /// The call waits for the end of the fault before it does anything,
    HoldsBefore,
    /// or after it has done its work.
    HoldsAfter,
}

impl StoreFault {
    /// The disk is full.
    pub const FULL: Self = Self::Fails(io::ErrorKind::StorageFull);
    pub const RESET: Self = Self::Fails(io::ErrorKind::ConnectionReset);
}

/// Puts of objects below `prefix`.
pub fn puts(prefix: &str) -> impl Fn(&StoreCall) -> bool + use<> {
    below(Op::Put, prefix)
}

pub fn reads(prefix: &str) -> impl Fn(&StoreCall) -> bool + use<> {
    below(Op::Read, prefix)
}

pub fn deletes(prefix: &str) -> impl Fn(&StoreCall) -> bool + use<> {
    below(Op::Delete, prefix)
}

fn below(op: Op, prefix: &str) -> impl Fn(&StoreCall) -> bool + use<> {
    let prefix = prefix.to_owned();
    move |call| call.op == op && call.path.starts_with(&prefix)
}

/// A fake over another store, which several fakes can share.
#[derive(Debug, Clone)]
pub struct FakeStore {
    objects: Arc<dyn ObjectStore>,
    pub faults: Arc<Faults<StoreCall, StoreFault>>,
    arrived: Arc<Mutex<Vec<String>>>,
}

impl FakeStore {
    pub fn over(objects: Arc<dyn ObjectStore>) -> Arc<Self> {
        Arc::new(Self { objects, faults: Arc::default(), arrived: Arc::default() })
    }

    pub fn in_memory() -> Arc<Self> {
        Self::over(Arc::new(InMemory::new()))
    }

    /// The wrapped store, which has no faults.
    pub fn objects(&self) -> &Arc<dyn ObjectStore> {
        &self.objects
    }

    /// Paths of the puts that reached the wrapped store.
    pub fn arrived(&self) -> Vec<String> {
        self.arrived.lock().unwrap().clone()
    }

    pub async fn truncate(&self, path: &str, len: usize) {
        let content = self.objects.get(&path.into()).await.unwrap().bytes().await.unwrap();
        self.objects.put(&path.into(), content.slice(..len).into()).await.unwrap();
    }

    /// Overwrites the middle of an object; its size stays.
    pub async fn damage(&self, path: &str) {
        let mut content = self.objects.get(&path.into()).await.unwrap().bytes().await.unwrap().to_vec();
        let half = content.len() / 2;
        content[4..half].fill(0xff);
        self.objects.put(&path.into(), content.into()).await.unwrap();
    }

    pub async fn remove(&self, path: &str) {
        self.objects.delete(&path.into()).await.unwrap();
    }

    async fn through<T>(&self, op: Op, path: &str, done: impl Future<Output = Result<T>>) -> Result<T> {
        let call = StoreCall { op, path: path.to_owned() };
        self.faults.ask(call.clone());
        loop {
            let mut changes = self.faults.changes();
            let fault = self.faults.of(&call);
            match fault {
                None => return done.await,
                Some(StoreFault::Fails(kind)) => {
                    self.faults.note_met();
                    return Err(failed(kind));
                }
                Some(StoreFault::LosesAnswer) => {
                    self.faults.note_met();
                    return done.await.and(Err(failed(io::ErrorKind::ConnectionReset)));
                }
                Some(StoreFault::HoldsBefore) => {
                    self.faults.note_met();
                    changes.next().await;
                }
                Some(StoreFault::HoldsAfter) => {
                    let done = done.await;
                    self.faults.note_met();
                    changes.next().await;
                    return done;
                }
            }
        }
    }
}

fn failed(kind: io::ErrorKind) -> Error {
    Error::Generic { store: "fake", source: io::Error::from(kind).into() }
}

fn listed(prefix: Option<&Path>) -> String {
    prefix.map(Path::to_string).unwrap_or_default()
}

impl fmt::Display for FakeStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fake over {}", self.objects)
    }
}

#[async_trait]
impl ObjectStore for FakeStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let put = async {
            self.arrived.lock().unwrap().push(location.to_string());
            self.objects.put_opts(location, payload, options).await
        };
        self.through(Op::Put, location.as_ref(), put).await
    }

    async fn put_multipart_opts(&self, at: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.through(Op::Put, at.as_ref(), self.objects.put_multipart_opts(at, options)).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let op = if options.head { Op::Head } else { Op::Read };
        self.through(op, location.as_ref(), self.objects.get_opts(location, options)).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.through(Op::Read, location.as_ref(), self.objects.get_ranges(location, ranges)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        locations
            .then(move |location| {
                let store = store.clone();
                async move {
                    let location = location?;
                    let one = stream::iter([Ok(location.clone())]).boxed();
                    let mut deleting = store.objects.delete_stream(one);
                    let deleted = async { deleting.next().await.unwrap_or_else(|| Ok(location.clone())) };
                    store.through(Op::Delete, location.as_ref(), deleted).await
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, prefix, list) = (self.clone(), listed(prefix), self.objects.list(prefix));
        let list = async move { store.through(Op::List, &prefix, async { Ok(list) }).await };
        stream::once(list).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.through(Op::List, &listed(prefix), self.objects.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}
