//! The object store: segments, states, manifests. Objects are written once and never change.
//!
//! [`Store`] is how the layers write and look around: every call has a time limit and is tried a few times.
//! DataFusion reads through the plain store underneath ([`Store::register`]).

mod error;
mod local;
pub mod path;
mod retry;
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

pub use self::error::StoreError;
pub use self::retry::StoreSettings;

/// A handle to the object store: clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<dyn ObjectStore>,
    settings: StoreSettings,
}

impl Store {
    /// Objects as files below `folder`, which is created when absent. What was put survives a loss of power.
    pub fn local(folder: &FilePath) -> Result<Self, StoreError> {
        Ok(Self::new(Arc::new(local::DurableLocal::open(folder)?)))
    }

    /// Any other object store; its puts must be durable when they are answered.
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner, settings: StoreSettings::USUAL }
    }

    /// The same store with other time limits.
    pub fn with_settings(self, settings: StoreSettings) -> Self {
        Self { settings, ..self }
    }

    /// Where DataFusion finds this store once it is registered.
    pub fn url(&self) -> ObjectStoreUrl {
        ObjectStoreUrl::parse("dovetail://store").expect("a constant that parses")
    }

    /// Makes DataFusion read `dovetail://store/..` from this store.
    pub fn register(&self, runtime: &RuntimeEnv) {
        runtime.register_object_store(self.url().as_ref(), Arc::clone(&self.inner));
    }

    /// The store underneath, for readers that bring their own patience.
    pub fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.inner)
    }

    /// Writes a new object, all of it or nothing. An object that is there already with the same content counts as
    /// written, because a put whose answer was lost is tried again; with other content it is
    /// [`StoreError::Exists`], and stays as it is.
    pub async fn put_new(&self, path: &Path, content: Bytes) -> Result<(), StoreError> {
        let put = || async {
            let options = PutOptions::from(PutMode::Create);
            self.inner.put_opts(path, PutPayload::from(content.clone()), options).await
        };
        match retry::attempt(&self.settings, "put", path, put).await {
            Ok(_) => Ok(()),
            Err(StoreError::Exists { path: named }) => {
                if self.get(path).await? == content {
                    Ok(())
                } else {
                    Err(StoreError::Exists { path: named })
                }
            }
            Err(error) => Err(error),
        }
    }

    /// All of an object.
    pub async fn get(&self, path: &Path) -> Result<Bytes, StoreError> {
        let get = || async { self.inner.get(path).await?.bytes().await };
        retry::attempt(&self.settings, "get", path, get).await
    }

    /// Deletes an object; one that is not there counts as deleted.
    pub async fn delete(&self, path: &Path) -> Result<(), StoreError> {
        match retry::attempt(&self.settings, "delete", path, || self.inner.delete(path)).await {
            Err(StoreError::Missing { .. }) => Ok(()),
            deleted => deleted,
        }
    }

    /// Bytes of an object.
    pub async fn size(&self, path: &Path) -> Result<u64, StoreError> {
        let meta = retry::attempt(&self.settings, "look at", path, || self.inner.head(path)).await?;
        Ok(meta.size)
    }

    /// Whether an object is there.
    pub async fn exists(&self, path: &Path) -> Result<bool, StoreError> {
        match self.size(path).await {
            Ok(_) => Ok(true),
            Err(StoreError::Missing { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The objects below `prefix`, which ends at a `/` of their paths, by path.
    pub async fn list_prefix(&self, prefix: &Path) -> Result<Vec<ObjectMeta>, StoreError> {
        let list = || self.inner.list(Some(prefix)).try_collect::<Vec<_>>();
        let mut objects = retry::attempt(&self.settings, "list", prefix, list).await?;
        objects.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(objects)
    }
}
