//! Which partitions are this process's, when several speed layers share them.

use std::collections::{BTreeMap, BTreeSet};

use dovetail_core::name::StreamName;
use tokio::sync::watch;

/// Partitions by stream; a stream that is not named has none here.
pub type Owned = BTreeMap<StreamName, BTreeSet<i32>>;

/// Whether one partition of one stream is this process's.
#[derive(Debug)]
pub(crate) struct OwnedHere {
    stream: StreamName,
    partition: i32,
    /// `None`: all partitions are.
    owned: Option<watch::Receiver<Owned>>,
    /// As it was last taken note of.
    here: bool,
}

impl OwnedHere {
    pub(crate) fn new(stream: &StreamName, partition: i32, owned: Option<&watch::Receiver<Owned>>) -> Self {
        Self { stream: stream.clone(), partition, owned: owned.cloned(), here: true }
    }

    /// As it was last taken note of.
    pub(crate) fn here(&self) -> bool {
        self.here
    }

    /// Takes note of how it is now.
    pub(crate) fn look(&mut self) -> bool {
        self.here = self.now();
        self.here
    }

    pub(crate) fn now(&self) -> bool {
        let has = |owned: &Owned| owned.get(&self.stream).is_some_and(|all| all.contains(&self.partition));
        self.owned.as_ref().is_none_or(|owned| has(&owned.borrow()))
    }

    /// Returns when it is otherwise than last taken note of. Cancel-safe.
    pub(crate) async fn changed(&mut self) {
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
