//! The object store of segments, states and manifests. Objects are written once and never change.
//!
//! The layers write and list through [`Store`]: every call has a time limit and is tried a few times. DataFusion reads
//! through the plain store underneath ([`Store::register`]).

mod error;
mod local;
pub mod path;
mod retry;
mod s3;
#[cfg(test)]
mod tests;

use std::path::Path as FilePath;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnv;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};

use crate::clock;

pub use self::error::StoreError;
pub use self::retry::StoreSettings;
pub use self::s3::S3Options;

/// A handle to the object store: clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<dyn ObjectStore>,
    /// The same store with retries of its own, for readers that do not repeat.
    patient: Arc<dyn ObjectStore>,
    settings: StoreSettings,
}

impl Store {
    /// Opens a store by its URL; `s3` has the settings of an S3 store.
    ///
    /// | URL | store |
    /// |---|---|
    /// | a path, or `file:///FOLDER` | a folder, see [`Self::local`] |
    /// | `s3://BUCKET[/PREFIX]` | a bucket, which has to be there and to have conditional puts |
    pub fn open(url: &str, s3: &S3Options) -> Result<Self, StoreError> {
        let refused = |detail: &str| StoreError::url(url, detail);
        match url.split_once("://") {
            None => Self::local(FilePath::new(url)),
            Some(("file", folder)) if folder.contains('%') => Err(refused("a folder with a `%` is written as a path")),
            Some(("file", folder)) if folder.starts_with('/') => Self::local(FilePath::new(folder)),
            Some(("file", _)) => Err(refused("after `file://` comes a folder from the root on")),
            Some(("s3", _)) => {
                let s3::Bucket { plain, patient } = s3::open(url, s3)?;
                Ok(Self { patient, ..Self::new(plain) })
            }
            Some(_) => Err(refused("it is of no kind that is known")),
        }
    }

    /// A store of files below `folder`, which is created when absent. An object that was put survives a loss of power.
    pub fn local(folder: &FilePath) -> Result<Self, StoreError> {
        Ok(Self::new(Arc::new(local::DurableLocal::open(folder)?)))
    }

    /// A store over any other object store; its puts must be durable when they are answered.
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self { patient: Arc::clone(&inner), inner, settings: StoreSettings::USUAL }
    }

    /// The same store with other time limits.
    pub fn with_settings(self, settings: StoreSettings) -> Self {
        Self { settings, ..self }
    }

    /// The URL under which DataFusion finds this store once it is registered.
    pub fn url(&self) -> ObjectStoreUrl {
        ObjectStoreUrl::parse("dovetail://store").expect("a constant that parses")
    }

    /// Makes DataFusion read `dovetail://store/..` from this store.
    pub fn register(&self, runtime: &RuntimeEnv) {
        runtime.register_object_store(self.url().as_ref(), self.object_store());
    }

    /// The plain store underneath, for readers.
    pub fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.patient)
    }

    /// Puts a new object, all of it or nothing. An existing object with the same content counts as put, because a put
    /// whose answer was lost is repeated; with other content the result is [`StoreError::Exists`], and the object stays
    /// as it is.
    ///
    /// # On a crash
    /// The object is there or not, never in part. An object that was never recorded is deleted by the batch layer's
    /// collection.
    pub async fn put_new(&self, path: &Path, content: Bytes) -> Result<(), StoreError> {
        let put = || async {
            let options = PutOptions::from(PutMode::Create);
            self.inner.put_opts(path, PutPayload::from(content.clone()), options).await
        };
        let (mut attempt, mut backoff) = (1, self.settings.backoff());
        loop {
            let exists = match retry::attempt(&self.settings, "put", path, put).await {
                Ok(_) => return Ok(()),
                Err(exists @ StoreError::Exists { .. }) => exists,
                Err(error) => return Err(error),
            };
            match self.get(path).await {
                Ok(found) if found == content => return Ok(()),
                Ok(_) => return Err(exists),
                // Another put of it is under way, such as one that timed out: S3 answers with a conflict.
                Err(StoreError::Missing { .. }) if attempt < self.settings.attempts => {
                    clock::sleep(backoff.next_pause()).await;
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads a whole object.
    pub async fn get(&self, path: &Path) -> Result<Bytes, StoreError> {
        let get = || async { self.inner.get(path).await?.bytes().await };
        retry::attempt(&self.settings, "get", path, get).await
    }

    /// Deletes an object; a missing one counts as deleted.
    pub async fn delete(&self, path: &Path) -> Result<(), StoreError> {
        match retry::attempt(&self.settings, "delete", path, || self.inner.delete(path)).await {
            Err(StoreError::Missing { .. }) => Ok(()),
            deleted => deleted,
        }
    }

    /// Size of an object in bytes.
    pub async fn size(&self, path: &Path) -> Result<u64, StoreError> {
        let meta = retry::attempt(&self.settings, "look at", path, || self.inner.head(path)).await?;
        Ok(meta.size)
    }

    /// Whether the object exists.
    pub async fn exists(&self, path: &Path) -> Result<bool, StoreError> {
        match self.size(path).await {
            Ok(_) => Ok(true),
            Err(StoreError::Missing { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Lists the objects below `prefix`, which ends at a `/` of their paths, in the order of their paths.
    pub async fn list_prefix(&self, prefix: &Path) -> Result<Vec<ObjectMeta>, StoreError> {
        let list = || self.inner.list(Some(prefix)).try_collect::<Vec<_>>();
        let mut objects = retry::attempt(&self.settings, "list", prefix, list).await?;
        objects.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(objects)
    }
}
