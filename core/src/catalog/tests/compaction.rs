use super::*;

async fn landed(place: &Place) -> (Catalog, Vec<Segment>) {
    let catalog = place.open().await;
    catalog.init_partition(TOPIC, 0, 0).await.unwrap();
    let segments = [(0, 10), (10, 15), (15, 30), (30, 40)].map(|(start, end)| segment(start, end, "a"));
    for segment in &segments {
        catalog.record_segment(segment).await.unwrap();
    }
    (catalog, segments.to_vec())
}

fn merged(start: i64, end: i64, dead: u64) -> Segment {
    Segment { dead, created_ms: 5_000, ..segment(start, end, "merged") }
}

async fn segments_become_one_and_their_objects_garbage(place: Place) {
    let (catalog, old) = landed(&place).await;
    let changes = catalog.changes();
    let new = merged(10, 30, 2);
    catalog.replace_segments(&old[1..3], &new).await.unwrap();
    catalog.replace_segments(&old[1..3], &new).await.unwrap();
    assert!(changes.has_changed().unwrap());
    assert_eq!(catalog.segments(TOPIC).await.unwrap(), [old[0].clone(), new, old[3].clone()]);
    assert_eq!(catalog.next_offset(TOPIC, 0).await.unwrap(), 40);

    assert_eq!(catalog.garbage_before(5_000).await.unwrap(), Vec::<String>::new());
    let garbage = catalog.garbage_before(5_001).await.unwrap();
    assert_eq!(garbage, ["dead/10-15-a", "dead/15-30-a", "segments/10-15-a", "segments/15-30-a"]);
    catalog.forget_garbage("dead/10-15-a").await.unwrap();
    catalog.forget_garbage("dead/10-15-a").await.unwrap();
    assert_eq!(catalog.garbage_before(5_001).await.unwrap(), garbage[1..]);
}

async fn what_does_not_fit_is_refused_and_nothing_changes(place: Place) {
    let (catalog, old) = landed(&place).await;
    let vanished = vec![old[0].clone(), segment(10, 15, "b")];
    let cases: [(&[Segment], Segment, &str); 6] = [
        (&[], merged(40, 50, 0), "no segment was given"),
        (&vanished, merged(0, 15, 2), "others are recorded there"),
        (&old[0..1], merged(0, 15, 1), "others are recorded there"),
        (&old[0..2], merged(0, 12, 2), "those given end at [0, 15)"),
        (&old[0..2], merged(0, 15, 3), "they hold 15 rows and 2 dead letters"),
        (&old[0..2], Segment { partition: 1, ..merged(0, 15, 2) }, "others are recorded there"),
    ];
    for (given, new, why) in cases {
        let error = catalog.replace_segments(given, &new).await.unwrap_err();
        assert!(matches!(error, CatalogError::SegmentsChanged { .. }), "{error}");
        assert!(error.to_string().contains(why), "{error}");
    }
    assert_eq!(catalog.segments(TOPIC).await.unwrap(), old);
    assert!(catalog.garbage_before(i64::MAX).await.unwrap().is_empty());
}

async fn of_two_compactions_of_the_same_segments_one_wins(place: Place) {
    let (catalog, old) = landed(&place).await;
    let rival = place.open().await;
    let ours = merged(0, 15, 2);
    let theirs = Segment { path: "segments/theirs".to_owned(), ..merged(10, 30, 2) };
    let (one, other) =
        tokio::join!(catalog.replace_segments(&old[0..2], &ours), rival.replace_segments(&old[1..3], &theirs));
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    assert_eq!(catalog.segments(TOPIC).await.unwrap().len(), 3);
}

on_each_database! {
    segments_become_one_and_their_objects_garbage,
    what_does_not_fit_is_refused_and_nothing_changes,
    of_two_compactions_of_the_same_segments_one_wins,
}
