//! The two layers are compared when one takes over from the other.

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use dovetail_core::name::Generation;
use std::sync::Arc;

use super::world::World;
use crate::snapshot::drift::{Watch, compare};

async fn drifts(world: &World) -> Vec<String> {
    world.rows("SELECT view, drift, compared_rows, detail FROM sys.drift ORDER BY view").await
}

#[tokio::test]
async fn layers_that_agree_have_no_drift() {
    let world = World::new().await;
    world.append(0, ("ann", "/a", 1));
    world.publish(&[]).await;
    let before = world.serving.layers.served();
    world.append_all(&[("bob", "/b", 200), ("ann", "/b", 3)]);
    world.rows.boundaries.lock().unwrap().extend([1, 2]);
    world.publish(&[]).await;
    world.append(0, ("cid", "/c", 4));
    compare(&world.serving.layers, &before, &world.serving.layers.served()).await;
    assert_eq!(
        drifts(&world).await,
        ["by_page|0.0|2|equal", "by_user|0.0|2|equal", "everything|0.0|1|equal", "slow|0.0|1|equal"]
    );
}

#[tokio::test]
async fn a_state_that_is_wrong_shows_as_drift() {
    let world = World::new().await;
    world.append(0, ("ann", "/a", 1));
    world.publish(&["by_page"]).await;
    let before = world.serving.layers.served();
    world.append(0, ("ann", "/a", 1));
    world.publish_with(&["by_page"], one_more).await;
    compare(&world.serving.layers, &before, &world.serving.layers.served()).await;
    let found = drifts(&world).await;
    assert!(
        found[0].starts_with("by_page|2.0|1|2 rows differ, first: speed /a | 2 | 2, batch has no such row"),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_range_that_is_no_longer_held_is_said_to_be_so() {
    let world = World::new().await;
    world.append(0, ("ann", "/a", 1));
    world.publish(&["by_page"]).await;
    let before = world.serving.layers.served();
    world.append(0, ("ann", "/a", 1));
    world.publish(&["by_page"]).await;
    // One slice over the new cut: its part below cannot be separated from the rest.
    world.append(0, ("ann", "/a", 1));
    compare(&world.serving.layers, &before, &world.serving.layers.served()).await;
    let found = drifts(&world).await;
    assert!(found[0].starts_with("by_page||0|not compared: the speed layer no longer holds"), "{found:?}");
}

/// The rows of the view by generation, as `drift|detail`.
async fn of(world: &World, view: &str) -> Vec<String> {
    let sql = "SELECT generation, drift, detail FROM sys.drift WHERE view =";
    world.rows(&format!("{sql} '{view}' ORDER BY generation")).await
}

#[tokio::test]
async fn what_another_process_found_is_not_undone() {
    let world = World::new().await;
    world.append(0, ("ann", "/a", 1));
    world.publish(&["by_page"]).await;
    let before = world.serving.layers.served();
    world.append(0, ("ann", "/a", 1));
    world.publish_with(&["by_page"], one_more).await;
    let now = world.serving.layers.served();
    compare(&world.serving.layers, &before, &now).await;
    let found = drifts(&world).await;
    assert!(found[0].starts_with("by_page|2.0|1|2 rows differ"), "{found:?}");
    // A process that comes later finds no slice that ends at the cut.
    world.append(0, ("ann", "/a", 1));
    compare(&world.serving.layers, &before, &now).await;
    assert_eq!(drifts(&world).await, found);
}

#[tokio::test]
async fn generations_that_come_between_two_looks_are_compared_one_by_one() {
    let world = World::new().await;
    let mut watch = Watch::start(&world.serving.layers).await;
    for n in 1..=3 {
        world.append(0, ("ann", "/a", 1));
        world.rows.boundaries.lock().unwrap().insert(n);
        let change = |state| if n == 2 { one_more(state) } else { state };
        world.publish_with(&["by_page"], change).await;
    }
    watch.look(&world.serving.layers).await.unwrap();
    let found = of(&world, "by_page").await;
    assert_eq!(found[0], "1||not compared: nothing was published before it");
    assert!(found[1].starts_with("2|2.0|2 rows differ"), "{found:?}");
    assert_eq!(found.len(), 3);
    watch.look(&world.serving.layers).await.unwrap();
    assert_eq!(of(&world, "by_page").await, found);
}

#[tokio::test]
async fn generations_that_come_too_fast_say_so() {
    let world = World::new().await;
    world.append(0, ("ann", "/a", 1));
    world.publish(&["by_page"]).await;
    let mut watch = Watch::start(&world.serving.layers).await;
    for n in 2..=11 {
        world.append(0, ("ann", "/a", 1));
        world.rows.boundaries.lock().unwrap().insert(n);
        world.publish(&["by_page", "by_user"]).await;
    }
    watch.look(&world.serving.layers).await.unwrap();
    let found = of(&world, "by_page").await;
    assert_eq!(found[0], "1||not compared: it was published before a serving process looked");
    assert_eq!(found[1..3], [2, 3].map(|n| format!("{n}||not compared: superseded by generation 11")));
    assert_eq!(found[3..], [4, 5, 6, 7, 8, 9, 10, 11].map(|n| format!("{n}|0.0|equal")));
    // A view that the one before does not hold is named, too.
    let mut watch = Watch::start(&world.serving.layers).await;
    world.publish(&["by_page"]).await;
    world.publish(&["by_user"]).await;
    watch.look(&world.serving.layers).await.unwrap();
    let found = of(&world, "by_user").await;
    assert_eq!(found.last().unwrap(), "13||not compared: generation 12 does not hold the view as it is now");
}

#[tokio::test]
async fn a_rollback_is_no_generation_and_the_next_one_is_compared_with_what_it_took_over() {
    let world = World::new().await;
    let mut watch = Watch::start(&world.serving.layers).await;
    for n in 1..=2 {
        world.append(0, ("ann", "/a", 1));
        world.rows.boundaries.lock().unwrap().insert(n);
        let change = |state| if n == 2 { one_more(state) } else { state };
        world.publish_with(&["by_page"], change).await;
        watch.look(&world.serving.layers).await.unwrap();
    }
    world.catalog.rollback(Generation(1), Generation(2)).await.unwrap();
    assert!(world.serving.follow().await.unwrap());
    watch.look(&world.serving.layers).await.unwrap();
    assert_eq!(of(&world, "by_page").await.len(), 2);
    world.append(0, ("ann", "/a", 1));
    world.publish(&["by_page"]).await;
    watch.look(&world.serving.layers).await.unwrap();
    assert_eq!(of(&world, "by_page").await[2], "3|0.0|equal");
}

/// The state with its integers counted up.
fn one_more(state: RecordBatch) -> RecordBatch {
    let columns = state.columns().iter().map(|column| match column.as_primitive_opt::<Int64Type>() {
        Some(numbers) if numbers.null_count() == 0 => {
            Arc::new(Int64Array::from_iter_values(numbers.values().iter().map(|n| n + 1))) as ArrayRef
        }
        _ => Arc::clone(column),
    });
    RecordBatch::try_new(state.schema(), columns.collect()).unwrap()
}
