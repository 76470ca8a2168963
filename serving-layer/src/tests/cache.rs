//! The cache between queries has one limit, and merging survives a bug.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::Value;

use super::http::http_of;
use super::world::{PIPELINE, World, config, until};
use crate::memory::Pool;
use crate::snapshot::cache::Kind;
use crate::snapshot::drift::compare;
use crate::{Reason, ServingConfig};

const SQL: &str = "SELECT page, clicks FROM by_page ORDER BY page";

/// Two generations' worth of records, in slices.
async fn sliced(limits: ServingConfig) -> World {
    let world = World::with(PIPELINE, limits).await;
    world.append_all(&[("ann", "/a", 10), ("bob", "/b", 20)]);
    world.publish(&[]).await;
    world.append_all(&[("ann", "/a", 1), ("bob", "/b", 2), ("cid", "/c", 3), ("ann", "/d", 4), ("bob", "/b", 5)]);
    world.append_all(&[("ann", "/a", 1), ("bob", "/b", 2)]);
    world.rows.boundaries.lock().unwrap().extend([2, 3]);
    world
}

const ROWS: [&str; 4] = ["/a|3", "/b|4", "/c|1", "/d|1"];

#[tokio::test]
async fn states_merged_copies_and_answers_are_counted_together() {
    let http = http_of(sliced(config()).await).await;
    assert_eq!(http.world.rows(SQL).await, ROWS);
    let cache = Arc::clone(&http.world.serving.layers.cache);
    until("a merged copy is kept", || cache.bytes_of(Kind::Merged) > 0).await;
    assert_eq!(http.world.rows(SQL).await, ROWS);
    let status = http.client.get(format!("{}/v1/status", http.base)).send().await.unwrap().text().await.unwrap();
    let memory = serde_json::from_str::<Value>(&status).unwrap()["memory"].clone();
    let kinds: Vec<u64> = ["states_bytes", "merged_bytes", "answers_bytes"]
        .map(|kind| memory["state_cache"][kind].as_u64().unwrap_or_default())
        .into();
    assert!(kinds.iter().all(|bytes| *bytes > 0), "{memory}");
    assert_eq!(memory["state_cache_bytes"], kinds.iter().sum::<u64>(), "{memory}");
    until("nothing is in use", || http.world.serving.layers.memory.reserved() == 0).await;
}

#[tokio::test]
async fn what_does_not_fit_is_not_kept_and_answers_are_the_same() {
    let world = sliced(ServingConfig { state_cache_bytes: 100, ..config() }).await;
    let inner = &world.serving.layers;
    for _ in 0..3 {
        assert_eq!(world.rows(SQL).await, ROWS);
        assert!(inner.cache.bytes() <= 100);
    }
    assert_eq!(world.rows.merges.load(Ordering::Relaxed), 0, "a merge that does not fit is not begun");
    until("what was lent is given back", || inner.memory.reserved() == 0).await;
}

#[tokio::test]
async fn the_least_recently_used_goes() {
    let room = {
        let world = sliced(config()).await;
        world.rows("SELECT * FROM batch.by_page").await;
        world.serving.layers.cache.bytes_of(Kind::States)
    };
    let world = sliced(ServingConfig { state_cache_bytes: room * 3 / 2, ..config() }).await;
    let cache = &world.serving.layers.cache;
    for view in ["by_page", "by_user", "everything", "by_page"] {
        world.rows(&format!("SELECT * FROM batch.{view}")).await;
        assert!(cache.bytes() <= cache.limit(), "{view}");
    }
    assert_eq!(cache.bytes_of(Kind::Merged), 0);
    assert!(cache.bytes_of(Kind::States) > 0);
}

#[tokio::test]
async fn states_that_fit_nowhere_are_an_error_that_says_so() {
    let world = sliced(ServingConfig { state_cache_bytes: 100, total_memory: 100, ..config() }).await;
    let error = world.error("SELECT * FROM batch.by_page").await;
    assert_eq!(error.reason, Reason::Memory, "{error:?}");
    assert!(error.message.contains("view `by_page` asked for"), "{error}");
    assert!(error.message.contains("of the 100 bytes that `query.total_memory` allows"), "{error}");
}

#[tokio::test]
async fn merging_goes_on_after_one_that_met_a_bug() {
    let world = sliced(config()).await;
    world.rows.spoiled.store(true, Ordering::Relaxed);
    let error = world.error(SQL).await;
    assert_eq!(error.reason, Reason::Internal, "{error:?}");
    assert_eq!(world.rows.merges.load(Ordering::Relaxed), 1);
    world.rows.spoiled.store(false, Ordering::Relaxed);
    let give_up = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let cache = &world.serving.layers.cache;
    while cache.bytes_of(Kind::Merged) == 0 {
        assert!(std::time::Instant::now() < give_up, "nothing was merged any more");
        // With a filter, so that it is not answered from an answer that is kept.
        let filtered = "SELECT page, clicks FROM by_page WHERE page <> '/c' ORDER BY page";
        assert_eq!(world.rows(filtered).await, ["/a|3", "/b|4", "/d|1"]);
    }
}

#[tokio::test]
async fn layers_are_not_compared_without_room() {
    let world = World::new().await;
    world.append(0, ("ann", "/a", 1));
    world.publish(&["by_page"]).await;
    let before = world.serving.layers.served();
    world.append(0, ("ann", "/a", 1));
    world.publish(&["by_page"]).await;
    let inner = &world.serving.layers;
    // Both are in the cache, so comparing is all that has to find room.
    for served in [&before, &inner.served()] {
        let crate::snapshot::generation::Filled::States(states) = served.filled(inner.folded().next().unwrap()) else {
            panic!()
        };
        drop(inner.states.get(inner.folded().next().unwrap(), states).await.unwrap());
    }
    let all = Pool::of("query", &inner.memory).take("other", inner.memory.limit() - 10).unwrap();
    compare(inner, &before, &inner.served()).await;
    drop(all);
    let found = world.rows("SELECT detail FROM sys.drift").await;
    assert!(found[0].starts_with("not compared: no room: there is not enough memory for comparing"), "{found:?}");
    assert!(found[0].contains("view `by_page` asked for") && found[0].contains("`query.total_memory`"), "{found:?}");
}
