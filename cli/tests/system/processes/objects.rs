//! The objects' ledger against the store: what is recorded is there, and what is there is recorded.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;

use super::backends::Backends;
use crate::support::eventually;

/// Waits until every live object of the catalog is in the store, and nothing else is left there. The catalog remembers
/// for a while what was deleted without ever having been recorded.
pub(super) async fn settle(backends: &Backends) {
    eventually("the store to hold what the catalog says", async || {
        let (ledger, mut store) = (ledger(backends).await, stored(backends).await);
        let live = ledger.iter().filter(|(_, state)| *state == "live").map(|(path, _)| path);
        let lost: Vec<&String> = live.filter(|path| store.remove(*path).is_none()).collect();
        assert!(lost.is_empty(), "recorded and not in the store: {lost:?}");
        let settled = ledger.values().all(|state| matches!(state.as_str(), "live" | "deleted"));
        (store.is_empty() && settled).then_some(())
    })
    .await;
}

/// Path to state.
async fn ledger(backends: &Backends) -> BTreeMap<String, String> {
    let (client, connection) = tokio_postgres::connect(&backends.catalog, tokio_postgres::NoTls).await.unwrap();
    let asked = async { client.query("SELECT path, state FROM objects", &[]).await.unwrap() };
    let rows = tokio::select! {
        rows = asked => rows,
        ended = connection => panic!("the connection ended: {ended:?}"),
    };
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Path, without the prefix, to size.
async fn stored(backends: &Backends) -> BTreeMap<String, u64> {
    let (bucket, prefix) = backends.store.strip_prefix("s3://").and_then(|url| url.split_once('/')).unwrap();
    let s3 = AmazonS3Builder::from_env().with_bucket_name(bucket).with_allow_http(true).build().unwrap();
    let prefix = Path::from(prefix);
    let listed: Vec<_> = s3.list(Some(&prefix)).try_collect().await.unwrap();
    let relative = |path: &Path| path.prefix_match(&prefix).unwrap().map(|part| part.as_ref().to_owned()).collect();
    listed
        .iter()
        .map(|object| {
            let parts: Vec<String> = relative(&object.location);
            (parts.join("/"), object.size)
        })
        .collect()
}
