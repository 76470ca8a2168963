use super::*;

async fn a_partition_begins_at_the_logs_first_offset_and_once(place: Place) {
    let catalog = place.open().await;
    let unknown = catalog.next_offset(TOPIC, 1).await.unwrap_err();
    assert_eq!(unknown.to_string(), "partition 1 of topic `clicks` is not in the catalog");
    assert_eq!(catalog.init_partition(TOPIC, 1, 40).await.unwrap(), 40);
    assert_eq!(catalog.init_partition(TOPIC, 1, 90).await.unwrap(), 40);
    catalog.init_partition(TOPIC, 0, 7).await.unwrap();
    assert_eq!(catalog.next_offsets(TOPIC).await.unwrap(), [(0, 7), (1, 40)].into_iter().collect());
}

async fn a_segment_moves_the_next_offset(place: Place) {
    let catalog = place.open().await;
    catalog.init_partition(TOPIC, 0, 0).await.unwrap();
    let mut changes = catalog.changes();
    land(&catalog, &segment(0, 10, "a")).await.unwrap();
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    land(&catalog, &segment(10, 30, "a")).await.unwrap();
    assert!(changes.has_changed().unwrap());

    assert_eq!(catalog.next_offset(TOPIC, 0).await.unwrap(), 30);
    let all = [segment(0, 10, "a"), segment(10, 30, "a")];
    assert_eq!(catalog.segments(TOPIC).await.unwrap(), all);
    let within = async |start, end| catalog.segments_in(TOPIC, 0, OffsetRange::new(start, end)).await.unwrap();
    assert_eq!(within(0, 10).await, all[..1]);
    assert_eq!(within(9, 11).await, all);
    assert_eq!(within(10, 30).await, all[1..]);
    assert_eq!(within(30, 40).await, []);
    let totals = LandedTotals { rows: 30, dead: 2, bytes: 200, segments: 2 };
    assert_eq!(catalog.landed_totals(TOPIC).await.unwrap(), totals);
    assert_eq!(catalog.landed_totals("other").await.unwrap().segments, 0);
}

async fn a_gap_and_an_overlap_are_fenced(place: Place) {
    let catalog = place.open().await;
    catalog.init_partition(TOPIC, 0, 0).await.unwrap();
    land(&catalog, &segment(0, 10, "a")).await.unwrap();
    let changes = catalog.changes();
    for start in [0, 5, 11] {
        let error = land(&catalog, &segment(start, 20, "b")).await.unwrap_err();
        assert!(matches!(error, CatalogError::Fenced { expected, found: 10, .. } if expected == start), "{error}");
    }
    assert!(!changes.has_changed().unwrap());
    assert_eq!(catalog.segments(TOPIC).await.unwrap(), [segment(0, 10, "a")]);
    let nowhere = Segment { partition: 9, ..segment(0, 10, "z") };
    assert!(matches!(land(&catalog, &nowhere).await, Err(CatalogError::Missing { .. })));
}

async fn recording_again_succeeds_where_the_answer_was_lost(place: Place) {
    let catalog = place.open().await;
    catalog.init_partition(TOPIC, 0, 0).await.unwrap();
    land(&catalog, &segment(0, 10, "a")).await.unwrap();
    land(&catalog, &segment(0, 10, "a")).await.unwrap();
    assert_eq!(catalog.landed_totals(TOPIC).await.unwrap().segments, 1);
    let rival = land(&catalog, &segment(0, 10, "b")).await;
    assert!(matches!(rival, Err(CatalogError::Fenced { .. })));
}

async fn of_two_writers_at_one_offset_exactly_one_wins(place: Place) {
    let catalog = place.open().await;
    let rival = place.open().await;
    catalog.init_partition(TOPIC, 0, 0).await.unwrap();
    for round in 0..10 {
        let (start, end) = (round * 10, round * 10 + 10);
        let (ours, theirs) = (segment(start, end, "a"), segment(start, end, "b"));
        let (one, other) = tokio::join!(land(&catalog, &ours), land(&rival, &theirs));
        let lost = match (one, other) {
            (Ok(()), Err(lost)) | (Err(lost), Ok(())) => lost,
            both => panic!("{both:?}"),
        };
        assert!(matches!(lost, CatalogError::Fenced { found, .. } if found == end), "{lost}");
    }
    assert_eq!(catalog.segments(TOPIC).await.unwrap().len(), 10);
}

on_each_database! {
    a_partition_begins_at_the_logs_first_offset_and_once,
    a_segment_moves_the_next_offset,
    a_gap_and_an_overlap_are_fenced,
    recording_again_succeeds_where_the_answer_was_lost,
    of_two_writers_at_one_offset_exactly_one_wins,
}
