//! Which partitions are this process's, when several processes of a layer share them.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::watch;

use crate::name::StreamName;

/// Partitions by stream; a stream that is not named has none here.
pub type Owned = BTreeMap<StreamName, BTreeSet<i32>>;

/// Whether one partition of one stream is this process's.
#[derive(Debug, Clone)]
pub struct OwnedHere {
    stream: StreamName,
    partition: i32,
    /// `None`: all partitions are.
    owned: Option<watch::Receiver<Owned>>,
    /// As it was last taken note of.
    here: bool,
}

impl OwnedHere {
    pub fn new(stream: &StreamName, partition: i32, owned: Option<&watch::Receiver<Owned>>) -> Self {
        Self { stream: stream.clone(), partition, owned: owned.cloned(), here: true }
    }

    /// Whether it stays as it is, because there is nobody to share with.
    pub fn is_fixed(&self) -> bool {
        self.owned.is_none()
    }

    /// As it was last taken note of.
    pub fn here(&self) -> bool {
        self.here
    }

    /// Takes note of how it is now.
    pub fn look(&mut self) -> bool {
        self.here = self.now();
        self.here
    }

    pub fn now(&self) -> bool {
        let has = |owned: &Owned| owned.get(&self.stream).is_some_and(|all| all.contains(&self.partition));
        self.owned.as_ref().is_none_or(|owned| has(&owned.borrow()))
    }

    /// Returns when it is otherwise than last taken note of. Cancel-safe.
    pub async fn changed(&mut self) {
        while self.now() == self.here {
            let told = match &mut self.owned {
                Some(owned) => owned.changed().await.is_ok(),
                None => false,
            };
            if !told {
                return std::future::pending().await;
            }
        }
    }
}
