//! One query sees one moment.

use std::sync::Arc;

use dovetail_core::offsets::Cut;

use super::world::World;
use crate::Reason;

#[tokio::test]
async fn both_sides_of_a_self_join_see_the_same_rows() {
    let world = Arc::new(World::new().await);
    for i in 0..200 {
        world.append(i % 2, ("ann", "/a", 1));
    }
    world.publish(&[]).await;
    let join = "SELECT a.clicks - b.clicks AS differ FROM everything a CROSS JOIN everything b";
    for _ in 0..20 {
        let started = world.ask(join).await.unwrap();
        world.append(0, ("bob", "/b", 1));
        assert_eq!(super::world::lines(&started.collect().await.unwrap()), ["0"]);
    }
    assert_eq!(world.rows("SELECT clicks FROM everything").await, ["220"]);
}

#[tokio::test]
async fn a_query_that_has_begun_keeps_its_snapshot() {
    let world = World::new().await;
    world.append(0, ("ann", "/a", 1));
    world.publish(&[]).await;
    let before = world.ask("SELECT clicks FROM everything").await.unwrap();
    let as_of = before.as_of[0].clone();
    world.append(1, ("ann", "/a", 1));
    world.publish(&[]).await;
    assert_eq!(super::world::lines(&before.collect().await.unwrap()), ["1"]);
    assert_eq!((as_of.generation.0, as_of.cut.get(0), as_of.head.get(1)), (1, 1, 0));
    let after = world.ask("SELECT clicks FROM everything").await.unwrap();
    assert_eq!((after.as_of[0].generation.0, after.as_of[0].cut.get(1)), (2, 1));
}

#[tokio::test]
async fn the_previous_generation_is_served_until_the_new_one_is_met() {
    let world = World::new().await;
    world.append(0, ("ann", "/a", 1));
    assert!(world.publish(&[]).await);
    let first = Cut([(0, 1), (1, 0)].into_iter().collect());
    *world.rows.reached.lock().unwrap() = Some(first);
    world.append(0, ("ann", "/a", 1));
    assert!(!world.publish(&[]).await);
    assert_eq!(world.serving.generation().0, 1);
    assert_eq!(world.rows("SELECT clicks FROM everything").await, ["2"]);
    *world.rows.reached.lock().unwrap() = None;
    assert!(world.serving.follow().await.unwrap());
    assert_eq!(world.serving.generation().0, 2);
    assert_eq!(world.rows("SELECT clicks FROM everything").await, ["2"]);
}

#[tokio::test]
async fn when_neither_can_be_met_the_error_has_the_numbers() {
    let world = World::new().await;
    world.append(0, ("ann", "/a", 1));
    world.publish(&[]).await;
    *world.rows.reached.lock().unwrap() = Some(Cut([(0, 99)].into_iter().collect()));
    let error = world.error("SELECT * FROM everything").await;
    assert_eq!(error.reason, Reason::NotReady);
    assert!(error.message.contains("35 records to go"), "{error}");
    // The batch layer alone does not need the speed layer.
    assert_eq!(world.rows("SELECT clicks FROM batch.everything").await, ["1"]);
}

#[tokio::test]
async fn answers_do_not_depend_on_what_was_merged_ahead() {
    let world = World::new().await;
    for i in 0..40 {
        world.append(i % 2, (["ann", "bob", "cid"][i as usize % 3], ["/a", "/b"][i as usize % 2], i64::from(i)));
    }
    world.publish(&[]).await;
    let sql = "SELECT page, clicks, total FROM by_page ORDER BY page";
    for i in 40..160_i32 {
        world.append(i % 2, ("dan", ["/a", "/b", "/c"][i as usize % 3], i64::from(i)));
        if i % 7 == 0 {
            world.rows.boundaries.lock().unwrap().insert(i64::from(i / 2));
        }
        if i % 50 == 0 {
            // Slices grow together, as when a segment has landed: bases that end inside no longer fit.
            world.rows.boundaries.lock().unwrap().clear();
        }
        if i % 10 == 0 {
            let merged = world.rows(sql).await;
            let once: i64 = (0..=i64::from(i)).sum();
            let totals: i64 =
                merged.iter().map(|row| row.split('|').next_back().unwrap().parse::<i64>().unwrap()).sum();
            assert_eq!(totals, once, "after {i}: {merged:?}");
        }
    }
}
