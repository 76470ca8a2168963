//! Members: the live processes of each layer, their addresses, and the partitions that they own.
//!
//! Processes find one another here. Membership fences nobody: a segment is accepted by the partition's next offset, and
//! a run by its lease.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::connection::Change;
use super::leases::later;
use super::statement::{FromRow, Row, Statement};
use super::{Catalog, CatalogError};
use crate::catalog::string_enum::words;

words!(
    /// The layer that a member runs.
    MemberLayer {
        /// Appends records to the log.
        Ingest = "ingest",
        /// Lands the log and recomputes the views.
        Batch = "batch",
        /// Folds the log above the cut, in memory.
        Speed = "speed",
        /// Answers queries.
        Serve = "serve",
    }
);

/// Partitions by topic.
pub type TopicPartitions = BTreeMap<String, BTreeSet<i32>>;

/// A member that joins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMember {
    /// Unique for ever: no other process has had it or will have it.
    pub id: String,
    /// The layer that it runs.
    pub layer: MemberLayer,
    /// HTTP address for other processes: a URL.
    pub address: String,
    /// Flight address of a speed layer's states, `host:port`; `None` for other layers.
    pub flight: Option<String>,
}

/// A live process of a layer. Times are the database's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Unique for ever: no other process has had it or will have it.
    pub id: String,
    /// The layer that it runs.
    pub layer: MemberLayer,
    /// HTTP address for other processes: a URL.
    pub address: String,
    /// Flight address of a speed layer's states, `host:port`.
    pub flight: Option<String>,
    /// The partitions that it last reported as its own.
    pub owned: TopicPartitions,
    /// Time of joining, in milliseconds since the Unix epoch.
    pub joined_ms: i64,
    /// End of the lease: without a renewal the member counts as dead afterwards. Milliseconds since the Unix epoch.
    pub lease_until_ms: i64,
}

impl Catalog {
    /// Makes a member known for as long as `lease`, replacing an earlier one of its id, and forgets members whose lease
    /// has passed.
    ///
    /// # On a crash
    /// The row of a member that dies stays until its lease has passed; the next member that joins deletes it. A member
    /// that joins and dies before the answer is one of them.
    pub async fn join(&self, member: &NewMember, lease: Duration) -> Result<(), CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("join the members").await?;
            let now_ms = change.now_ms().await?;
            let expire = Statement::new(include_str!("sql/member_expire.sql"));
            change.execute(expire.bind(now_ms)).await?;
            let put = Statement::new(include_str!("sql/member_put.sql"))
                .bind(&member.id)
                .bind(member.layer.as_str())
                .bind(&member.address)
                .bind(&member.flight)
                .bind(self.json("partitions", &TopicPartitions::new())?)
                .bind(now_ms)
                .bind(later(now_ms, lease));
            change.execute(put).await?;
            change.commit_and_tell().await
        })
        .await
    }

    /// Extends a member's lease and records the partitions that it owns. Fails with [`CatalogError::MemberLost`] when
    /// the lease had passed: others may have taken over, so the member releases its partitions and joins again.
    pub async fn renew_member(&self, id: &str, owned: &TopicPartitions, lease: Duration) -> Result<(), CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("renew a membership").await?;
            let now_ms = change.now_ms().await?;
            let select = Statement::new(include_str!("sql/member_get.sql")).bind(id);
            let member: Option<Member> = change.one(select).await?;
            let Some(member) = member.filter(|member| member.lease_until_ms > now_ms) else {
                return Err(CatalogError::MemberLost { id: id.to_owned() });
            };
            let update = Statement::new(include_str!("sql/member_renew.sql"));
            change.execute(update.bind(id).bind(self.json("partitions", owned)?).bind(later(now_ms, lease))).await?;
            // Other members need to know a new assignment; a mere renewal is no news.
            if member.owned == *owned { change.commit().await } else { change.commit_and_tell().await }
        })
        .await
    }

    /// Forgets a member that ends. An unknown member counts as forgotten.
    ///
    /// # On a crash
    /// The member is forgotten once its lease has passed, as if it had never left.
    pub async fn leave(&self, id: &str) -> Result<(), CatalogError> {
        self.patiently(|| async {
            let mut change = self.change("leave the members").await?;
            forget(&mut change, id).await?;
            change.commit_and_tell().await
        })
        .await
    }

    /// The members of a layer whose lease has not passed, by id.
    pub async fn members(&self, layer: MemberLayer) -> Result<Vec<Member>, CatalogError> {
        let now_ms = self.now_ms().await?;
        let select = Statement::new(include_str!("sql/member_list.sql"));
        self.read_all("list members", select.bind(layer.as_str()).bind(now_ms)).await
    }
}

async fn forget(change: &mut Change<'_>, id: &str) -> Result<u64, CatalogError> {
    change.execute(Statement::new(include_str!("sql/member_delete.sql")).bind(id)).await
}

impl FromRow for Member {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            layer: row.parse("layer", MemberLayer::parse)?,
            address: row.get("address")?,
            flight: row.get("flight")?,
            owned: row.json("owned")?,
            joined_ms: row.get("joined_ms")?,
            lease_until_ms: row.get("lease_until_ms")?,
        })
    }
}
