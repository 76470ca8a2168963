use super::*;

fn gap(start: i64, end: i64) -> Gap {
    let range = OffsetRange::new(start, end);
    Gap { topic: TOPIC.to_owned(), partition: 0, range, why: "retention".to_owned(), noted_ms: 7 }
}

async fn a_gap_moves_the_next_offset_over_what_is_lost(place: Place) {
    let catalog = place.open().await;
    catalog.init_partition(TOPIC, 0, 0).await.unwrap();
    land(&catalog, &segment(0, 10, "a")).await.unwrap();
    let changes = catalog.changes();
    catalog.record_gap(&gap(10, 500)).await.unwrap();
    assert!(changes.has_changed().unwrap());
    catalog.record_gap(&gap(10, 500)).await.unwrap();
    assert_eq!(catalog.next_offset(TOPIC, 0).await.unwrap(), 500);
    land(&catalog, &segment(500, 510, "a")).await.unwrap();
    assert_eq!(catalog.gaps().await.unwrap(), [gap(10, 500)]);
}

async fn a_gap_over_what_somebody_landed_is_fenced(place: Place) {
    let catalog = place.open().await;
    catalog.init_partition(TOPIC, 0, 0).await.unwrap();
    land(&catalog, &segment(0, 10, "a")).await.unwrap();
    for wrong in [gap(0, 500), gap(5, 500), gap(11, 500)] {
        let error = catalog.record_gap(&wrong).await.unwrap_err();
        assert!(matches!(error, CatalogError::Fenced { found: 10, .. }), "{error}");
    }
    catalog.record_gap(&gap(10, 500)).await.unwrap();
    let other = catalog.record_gap(&gap(10, 400)).await.unwrap_err();
    assert!(matches!(other, CatalogError::Fenced { found: 500, .. }), "{other}");
    assert_eq!(catalog.gaps().await.unwrap(), [gap(10, 500)]);
    assert_eq!(catalog.segments(TOPIC).await.unwrap(), [segment(0, 10, "a")]);
}

on_each_database! {
    a_gap_moves_the_next_offset_over_what_is_lost,
    a_gap_over_what_somebody_landed_is_fenced,
}
