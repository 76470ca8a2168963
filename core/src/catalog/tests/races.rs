//! Two processes do the same thing at the same moment: exactly one does it. Each has connections of its own, and
//! threads of its own too.

use super::*;

/// Runs both at once and returns what came of them.
async fn race<T: Send + 'static>(
    one: impl Future<Output = T> + Send + 'static,
    other: impl Future<Output = T> + Send + 'static,
) -> [T; 2] {
    let mut both = tokio::task::JoinSet::new();
    both.spawn(one);
    both.spawn(other);
    both.join_all().await.try_into().ok().unwrap()
}

fn lost<T: std::fmt::Debug>(both: [Result<T, CatalogError>; 2]) -> CatalogError {
    match both {
        [Ok(_), Err(lost)] | [Err(lost), Ok(_)] => lost,
        both => panic!("{both:?}"),
    }
}

async fn of_two_segments_one_is_recorded(place: Place) {
    let catalogs = [place.open().await, place.open().await];
    catalogs[0].init_partition(TOPIC, 0, 0).await.unwrap();
    for round in 0..20 {
        let record = |n: usize| {
            let (catalog, writer) = (catalogs[n].clone(), format!("writer{n}"));
            async move { land(&catalog, &segment(round * 10, round * 10 + 10, &writer)).await }
        };
        let lost = lost(race(record(0), record(1)).await);
        assert!(matches!(lost, CatalogError::Fenced { found, .. } if found == round * 10 + 10), "{lost}");
    }
    assert_eq!(catalogs[0].segments(TOPIC).await.unwrap().len(), 20);
}

async fn of_two_generations_upon_the_same_one_is_published(place: Place) {
    let catalogs = [place.open().await, place.open().await];
    for _ in 0..10 {
        // Two runs at a time cannot be: the first one's lease has passed when the second begins.
        expire(&catalogs[0], "runs").await;
        let zombie = catalogs[0].start_run(&new_run("zombie")).await.unwrap();
        expire(&catalogs[0], "runs").await;
        let living = catalogs[1].start_run(&new_run("living")).await.unwrap();
        let current = catalogs[0].current().await.unwrap().map_or(Generation(0), |row| row.generation);
        let mut numbers = vec![];
        for catalog in &catalogs {
            numbers.push(catalog.next_generation_number().await.unwrap().0);
        }
        let publish = |n: usize, run: i64, number: u64| {
            let catalog = catalogs[n].clone();
            async move { publish_as(&catalog, &generation(number, run, &["f"]), current).await }
        };
        let lost = lost(race(publish(0, zombie.id, numbers[0]), publish(1, living.id, numbers[1])).await);
        assert!(matches!(lost, CatalogError::RunEnded { id, .. } if id == zombie.id), "{lost}");
        assert_eq!(catalogs[0].current().await.unwrap().unwrap().generation.0, numbers[1]);
    }
}

async fn a_rollback_and_a_publishing_do_not_both_move_the_pointer(place: Place) {
    let catalogs = [place.open().await, place.open().await];
    let mut current = Generation(0);
    for _ in 0..3 {
        current = publish(&catalogs[0], current.0, &["f"]).await.generation;
    }
    for _ in 0..10 {
        let (from, to) = (current, Generation(1));
        let run = catalogs[0].start_run(&new_run("test")).await.unwrap();
        let number = catalogs[0].next_generation_number().await.unwrap();
        let (one, other) = (catalogs[0].clone(), catalogs[1].clone());
        let published = async move { publish_as(&one, &generation(number.0, run.id, &["f"]), from).await };
        let lost = lost(race(published, async move { other.rollback(to, from).await }).await);
        assert!(matches!(lost, CatalogError::PublishConflict { expected, .. } if expected == from), "{lost}");
        current = catalogs[0].current().await.unwrap().unwrap().generation;
        if current == to {
            catalogs[0].finish_run(run.id, &RunEnd::Cancelled).await.unwrap();
            current = publish(&catalogs[0], to.0, &["f"]).await.generation;
        }
    }
}

async fn of_two_schedulers_one_starts_the_run(place: Place) {
    let catalogs = [place.open().await, place.open().await];
    for _ in 0..20 {
        expire(&catalogs[0], "runs").await;
        let start = |n: usize| {
            let catalog = catalogs[n].clone();
            async move { catalog.start_run(&new_run(&format!("owner{n}"))).await }
        };
        let lost = lost(race(start(0), start(1)).await);
        assert!(matches!(lost, CatalogError::RunInProgress { .. }), "{lost}");
    }
    let states = catalogs[0].runs(100).await.unwrap().into_iter().map(|run| run.state);
    assert_eq!(states.filter(|state| *state == RunState::Running).count(), 1);
}

async fn of_two_compactions_that_overlap_one_is_done(place: Place) {
    let catalogs = [place.open().await, place.open().await];
    catalogs[0].init_partition(TOPIC, 0, 0).await.unwrap();
    for round in 0..10 {
        let at = round * 30;
        let old = [(0, 10), (10, 20), (20, 30)].map(|(start, end)| segment(at + start, at + end, "a"));
        for segment in &old {
            land(&catalogs[0], segment).await.unwrap();
        }
        let replace = |n: usize, old: &[Segment]| {
            let (catalog, old) = (catalogs[n].clone(), old.to_vec());
            let (start, end) = (old[0].range.start, old[1].range.end);
            let new = Segment { dead: 2, ..segment(start, end, &format!("compactor{n}")) };
            async move { replace(&catalog, &old, &new).await }
        };
        let lost = lost(race(replace(0, &old[..2]), replace(1, &old[1..])).await);
        assert!(matches!(lost, CatalogError::SegmentsChanged { .. }), "{lost}");
    }
    let segments = catalogs[0].segments(TOPIC).await.unwrap();
    assert!(segments.windows(2).all(|pair| pair[0].range.end == pair[1].range.start), "{segments:?}");
    assert_eq!(segments.len(), 20);
}

async fn a_change_is_seen_by_the_others(place: Place) {
    let (catalog, other) = (place.open().await, place.open().await);
    let mut changes = other.changes();
    let follow = {
        let other = other.clone();
        async move { other.follow_others(Duration::from_millis(5)).await }
    };
    let seen = async {
        catalog.init_partition(TOPIC, 0, 0).await.unwrap();
        land(&catalog, &segment(0, 10, "a")).await.unwrap();
        changes.changed().await.unwrap();
        assert_eq!(other.next_offset(TOPIC, 0).await.unwrap(), 10);
        publish(&catalog, 0, &["f"]).await;
        changes.changed().await.unwrap();
        assert!(other.current().await.unwrap().is_some());
    };
    let within = tokio::time::timeout(Duration::from_secs(20), async {
        tokio::select! { () = follow => {}, () = seen => {} }
    });
    within.await.unwrap();
}

async fn many_open_a_new_catalog_at_once(place: Place) {
    let url = place.url();
    let opened = futures::future::join_all((0..4).map(|_| Catalog::open(&url))).await;
    let mut numbers = vec![];
    for catalog in opened {
        numbers.push(catalog.unwrap().next_writer_number().await.unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4]);
}

on_each_database! {
    of_two_segments_one_is_recorded,
    of_two_generations_upon_the_same_one_is_published,
    a_rollback_and_a_publishing_do_not_both_move_the_pointer,
    of_two_schedulers_one_starts_the_run,
    of_two_compactions_that_overlap_one_is_done,
    a_change_is_seen_by_the_others,
    many_open_a_new_catalog_at_once,
}
