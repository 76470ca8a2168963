//! The partitions assigned to this process when several processes of a layer share a stream.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::watch;

use crate::name::StreamName;

/// Assigned partitions by stream; a stream that is absent has none.
pub type Assignment = BTreeMap<StreamName, BTreeSet<i32>>;

/// Tells whether one partition of one stream is assigned to this process.
#[derive(Debug, Clone)]
pub struct LocalAssignment {
    stream: StreamName,
    partition: i32,
    /// The assignment; `None` means that all partitions are assigned to this process.
    owned: Option<watch::Receiver<Assignment>>,
    /// The assignment when it was last read.
    here: bool,
}

impl LocalAssignment {
    /// Reads `owned` for one partition; without `owned` the partition is always assigned to this process.
    pub fn new(stream: &StreamName, partition: i32, owned: Option<&watch::Receiver<Assignment>>) -> Self {
        Self { stream: stream.clone(), partition, owned: owned.cloned(), here: true }
    }

    /// Whether the assignment can never change, because no other process shares the stream.
    pub fn is_fixed(&self) -> bool {
        self.owned.is_none()
    }

    /// Whether the partition was assigned to this process when [`Self::look`] last read it.
    pub fn here(&self) -> bool {
        self.here
    }

    /// Reads the current assignment, remembers it and returns it.
    pub fn look(&mut self) -> bool {
        self.here = self.now();
        self.here
    }

    /// The current assignment, without remembering it.
    pub fn now(&self) -> bool {
        let has = |owned: &Assignment| owned.get(&self.stream).is_some_and(|all| all.contains(&self.partition));
        self.owned.as_ref().is_none_or(|owned| has(&owned.borrow()))
    }

    /// Waits until the assignment differs from the one last read by [`Self::look`]. Cancel-safe.
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
