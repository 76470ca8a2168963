//! Members: the processes of a layer that live, where they are, and which partitions they say they have.
//!
//! This is how they find one another. It fences nobody out: what a lander may record is decided by the
//! partition's next offset, and whose run counts by the run's lease.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::connection::Change;
use super::leases::later;
use super::statement::{FromRow, Row, Statement};
use super::{Catalog, CatalogError};
use crate::catalog::string_enum::words;

words!(
    /// What a member does.
    MemberLayer {
        Ingest = "ingest",
        Batch = "batch",
        Speed = "speed",
        Serve = "serve",
    }
);

/// Topic to partitions.
pub type TopicPartitions = BTreeMap<String, BTreeSet<i32>>;

/// What a process says of itself when it joins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMember {
    /// No other process's, now or ever.
    pub id: String,
    pub layer: MemberLayer,
    pub address: String,
    pub flight: Option<String>,
}

/// A process of a layer. Times are the database's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// No other process's, now or ever.
    pub id: String,
    pub layer: MemberLayer,
    /// Where others reach it by HTTP: a URL.
    pub address: String,
    /// Where a speed layer's states are read: `host:port`.
    pub flight: Option<String>,
    pub owned: TopicPartitions,
    pub joined_ms: i64,
    /// Until when it counts as living without a sign of it.
    pub lease_until_ms: i64,
}

impl Catalog {
    /// Makes a member known for as long as `lease`, in place of what was known under its id, and forgets those whose
    /// lease has passed.
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

    /// Extends a member's lease and says what it has. [`CatalogError::MemberLost`] when the lease had
    /// passed: others may have taken over, so it lets go of what it had and joins again.
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
            // Others need to know who has what; that somebody still lives is no news.
            if member.owned == *owned { change.commit().await } else { change.commit_and_tell().await }
        })
        .await
    }

    /// Forgets a member that ends. One that is not known counts as forgotten.
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
