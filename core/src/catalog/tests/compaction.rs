use super::*;

async fn landed(place: &Place) -> (Catalog, Vec<Segment>) {
    let catalog = place.open().await;
    catalog.init_partition(TOPIC, 0, 0).await.unwrap();
    let segments = [(0, 10), (10, 15), (15, 30), (30, 40)].map(|(start, end)| segment(start, end, "a"));
    for segment in &segments {
        land(&catalog, segment).await.unwrap();
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
    replace(&catalog, &old[1..3], &new).await.unwrap();
    replace(&catalog, &old[1..3], &new).await.unwrap();
    assert!(changes.has_changed().unwrap());
    assert_eq!(catalog.segments(TOPIC).await.unwrap(), [old[0].clone(), new, old[3].clone()]);
    assert_eq!(catalog.next_offset(TOPIC, 0).await.unwrap(), 40);

    let garbage = paths(&catalog, ObjectState::Garbage).await;
    assert_eq!(garbage, ["dead/10-15-a", "dead/15-30-a", "segments/10-15-a", "segments/15-30-a"]);
    let live = paths(&catalog, ObjectState::Live).await;
    assert_eq!(live, recorded(&catalog).await);
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
        let error = replace(&catalog, given, &new).await.unwrap_err();
        assert!(matches!(error, CatalogError::SegmentsChanged { .. }), "{error}");
        assert!(error.to_string().contains(why), "{error}");
    }
    assert_eq!(catalog.segments(TOPIC).await.unwrap(), old);
    assert!(paths(&catalog, ObjectState::Garbage).await.is_empty());
}

async fn no_cut_is_merged_over(place: Place) {
    let (catalog, old) = landed(&place).await;
    // The run's cut is at 10, and the generation's.
    let run = catalog.start_run(&new_run("a")).await.unwrap();
    let refused = async |why: &str| {
        let error = replace(&catalog, &old[0..2], &merged(0, 15, 2)).await.unwrap_err();
        assert!(matches!(error, CatalogError::SegmentsChanged { .. }), "{why}: {error}");
        assert!(error.to_string().contains("a cut stands at 10"), "{why}: {error}");
    };
    assert_eq!(catalog.boundaries(TOPIC).await.unwrap(), [(0, 10), (1, 20)].into());
    refused("of a running run").await;
    let number = catalog.next_generation_number().await.unwrap();
    let mut new = generation(number.0, run.id, &["f"]);
    let mut manifest = Manifest::from_json(&new.manifest).unwrap();
    manifest.views.values_mut().for_each(|states| states.cut = Cut([(0, 10)].into_iter().collect()));
    new.manifest = manifest.to_json().unwrap();
    publish_as(&catalog, &new, Generation(0)).await.unwrap();
    refused("of a kept generation").await;
    assert_eq!(catalog.boundaries(TOPIC).await.unwrap(), [(0, 10)].into());
    replace(&catalog, &old[1..3], &merged(10, 30, 2)).await.unwrap();
    publish(&catalog, 1, &["g"]).await;
    catalog.retire(Generation(1)).await.unwrap();
    assert_eq!(catalog.boundaries(TOPIC).await.unwrap(), [].into());
}

async fn a_run_of_another_topic_is_in_nobodys_way(place: Place) {
    let (catalog, old) = landed(&place).await;
    let name = StreamName::parse("clicks").unwrap();
    let elsewhere = StreamRow { name, topic: "elsewhere".to_owned(), schema_fingerprint: "1".to_owned() };
    catalog.register_stream(&elsewhere).await.unwrap();
    catalog.start_run(&new_run("a")).await.unwrap();
    replace(&catalog, &old[0..2], &merged(0, 15, 2)).await.unwrap();
}

async fn of_two_compactions_of_the_same_segments_one_wins(place: Place) {
    let (catalog, old) = landed(&place).await;
    let rival = place.open().await;
    let ours = merged(0, 15, 2);
    let theirs = Segment { path: "segments/theirs".to_owned(), ..merged(10, 30, 2) };
    let (one, other) = tokio::join!(replace(&catalog, &old[0..2], &ours), replace(&rival, &old[1..3], &theirs));
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    assert_eq!(catalog.segments(TOPIC).await.unwrap().len(), 3);
}

on_each_database! {
    segments_become_one_and_their_objects_garbage,
    what_does_not_fit_is_refused_and_nothing_changes,
    no_cut_is_merged_over,
    a_run_of_another_topic_is_in_nobodys_way,
    of_two_compactions_of_the_same_segments_one_wins,
}
