//! The two layers are compared when one takes over from the other.

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use std::sync::Arc;

use super::world::World;
use crate::drift::compare;

async fn drifts(world: &World) -> Vec<String> {
    world.rows("SELECT view, drift, compared_rows, detail FROM sys.drift ORDER BY view").await
}

#[tokio::test]
async fn layers_that_agree_have_no_drift() {
    let world = World::new().await;
    world.append(0, ("ann", "/a", 1));
    world.publish(&[]).await;
    let before = world.serving.inner.served();
    world.append_all(&[("bob", "/b", 200), ("ann", "/b", 3)]);
    world.rows.boundaries.lock().unwrap().extend([1, 2]);
    world.publish(&[]).await;
    world.append(0, ("cid", "/c", 4));
    compare(&world.serving.inner, &before, &world.serving.inner.served()).await;
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
    let before = world.serving.inner.served();
    world.append(0, ("ann", "/a", 1));
    world.publish_with(&["by_page"], one_more).await;
    compare(&world.serving.inner, &before, &world.serving.inner.served()).await;
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
    let before = world.serving.inner.served();
    world.append(0, ("ann", "/a", 1));
    world.publish(&["by_page"]).await;
    // One slice over the new cut: its part below cannot be told from the rest.
    world.append(0, ("ann", "/a", 1));
    compare(&world.serving.inner, &before, &world.serving.inner.served()).await;
    let found = drifts(&world).await;
    assert!(found[0].starts_with("by_page||0|not compared: the speed layer no longer holds"), "{found:?}");
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
