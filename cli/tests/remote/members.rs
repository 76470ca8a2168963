//! Members that share the partitions, die, hand them over, are slow or not what they should be.

use std::collections::BTreeSet;
use std::time::Duration;

use dovetail_core::meet::meet_in_part;
use dovetail_core::offsets::Offsets;
use dovetail_core::realtime::{Realtime, RealtimeError};
use dovetail_serving_layer::RemoteConfig;
use dovetail_testkit::fixtures::{cut, name};
use dovetail_testkit::waiting::eventually_ok;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::rig::{CLICKS, Rig, config};

/// Waits until partitions are missing, and returns which and why.
async fn missing(rig: &Rig, view: &str) -> (Vec<i32>, String) {
    eventually_ok("partitions are missing", async || match rig.try_read(view, &cut(&[])).await {
        Err(RealtimeError::Missing { partitions, why, .. }) => Ok((partitions, why)),
        other => Err(format!("{other:?}")),
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_appended_is_read_without_asking() {
    let mut rig = Rig::new(config()).await;
    rig.start("a", &[0, 1, 2, 3]).await;
    rig.check_all(&cut(&[])).await;
    for round in 0..20 {
        rig.append(round % 4, round as usize * 50, round as usize * 50 + 50).await;
    }
    rig.check_all(&cut(&[])).await;
    let unknown = rig.remote.read(&name("nothing"), &cut(&[])).await.unwrap_err();
    assert_eq!(unknown, RealtimeError::UnknownView(name("nothing")));
    assert_eq!(rig.remote.head(&name("total")).unwrap().total(), 1000);
    // However often something new came, there are few slices.
    let slices = rig.read("total", &cut(&[])).await.slices.len();
    assert!(slices <= 4 * 8, "{slices} slices");
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_of_a_dead_member_are_named_until_another_holds_them() {
    let mut rig = Rig::new(config()).await;
    rig.start("a", &[0, 1]).await;
    rig.start("b", &[2, 3]).await;
    for partition in 0..4 {
        rig.append(partition, 0, 80).await;
    }
    rig.check_all(&cut(&[])).await;
    rig.kill("b");
    let (partitions, why) = missing(&rig, "total").await;
    assert_eq!(partitions, [2, 3]);
    assert!(why.contains("`b`"), "{why}");
    // The present partitions can be read, and the answer names the missing ones.
    let part = rig.remote.read(&name("total"), &cut(&[])).await.unwrap();
    let met = meet_in_part(&cut(&[]), &part, 4).unwrap();
    assert_eq!(
        (met.missing, met.head),
        (vec![2, 3], [(0, 80), (1, 80), (2, 0), (3, 0)].into_iter().collect::<Offsets>())
    );
    let held_up: BTreeSet<i32> =
        rig.remote.stalled(&name("total")).into_iter().map(|(partition, _)| partition).collect();
    assert_eq!(held_up, [2, 3].into());
    rig.give("a", &[0, 1, 2, 3]);
    rig.check_all(&cut(&[])).await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_is_silent_is_missing_and_goes_on_where_it_was() {
    let mut rig = Rig::new(config()).await;
    rig.start("a", &[0, 1, 2, 3]).await;
    rig.append(0, 0, 100).await;
    rig.check_all(&cut(&[])).await;
    rig.running["a"].wire.freeze();
    let (partitions, why) = missing(&rig, "total").await;
    assert_eq!(partitions, [0, 1, 2, 3]);
    assert!(why.contains("last heard"), "{why}");
    rig.append(0, 100, 3000).await;
    rig.running["a"].wire.up();
    rig.check_all(&cut(&[])).await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_is_sent_few_large_slices_and_holds_up_nobody() {
    // The reader is patient: the connection stays.
    let mut rig = Rig::new(RemoteConfig { stale_after: Duration::from_secs(20), ..config() }).await;
    rig.start("a", &[0, 1, 2, 3]).await;
    rig.check_all(&cut(&[])).await;
    rig.running["a"].wire.freeze();
    let before = rig.running["a"].wire.passed();
    for round in 0..100 {
        rig.append(round % 4, round as usize * 20, round as usize * 20 + 20).await;
    }
    let layer = std::sync::Arc::clone(&rig.running["a"].layer);
    eventually_ok("the layer goes on", async || match layer.head(&name("total")).unwrap().total() {
        2000 => Ok(()),
        head => Err(head),
    })
    .await;
    rig.running["a"].wire.up();
    rig.check_all(&cut(&[])).await;
    let passed = rig.running["a"].wire.passed() - before;
    assert!(passed < 4 << 20, "{passed} bytes were waiting");
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_stops_in_good_order_hands_over() {
    let mut rig = Rig::new(config()).await;
    rig.start("a", &[0, 1, 2, 3]).await;
    rig.append(1, 0, 200).await;
    rig.check_all(&cut(&[])).await;
    rig.start("b", &[0, 1, 2, 3]).await;
    rig.stop("a");
    rig.append(1, 200, 300).await;
    rig.check_all(&cut(&[])).await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_of_another_definition_are_refused() {
    let mut rig = Rig::new(config()).await;
    rig.start("a", &[0, 1]).await;
    rig.start_other("b", &[2, 3], &CLICKS.replace("ms > 50", "ms > 51")).await;
    rig.append(0, 0, 10).await;
    rig.read_all("total", &cut(&[])).await;
    let refused = eventually_ok("it is refused", async || {
        let realtime = rig.remote.read(&name("slow"), &cut(&[])).await.map_err(|error| error.to_string())?;
        let missing = meet_in_part(&cut(&[]), &realtime, 4).map_err(|error| error.to_string())?.missing;
        if missing == [2, 3] { Ok(()) } else { Err(format!("{missing:?} are missing")) }
    });
    refused.await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_previous_start_is_read_with_a_boundary_at_the_next() {
    let mut rig = Rig::new(config()).await;
    rig.start("a", &[0, 1, 2, 3]).await;
    rig.append(0, 0, 300).await;
    rig.check_all(&cut(&[])).await;
    let next = cut(&[137, 0, 0, 0]);
    rig.publish(&next).await;
    rig.check_all(&next).await;
    // So the two layers can be compared over what lies between.
    let before = rig.read_all("total", &cut(&[])).await;
    assert!(before.slices.iter().all(|slice| slice.partition != 0 || !slice.range.is_cut_by(137)));
    rig.check(&rig.views[1], &cut(&[]), &before).await;
    rig.end().await;
}

/// Why the view cannot be read, if that is for want of room.
async fn no_room(rig: &Rig, view: &str) -> Result<(), String> {
    let realtime = rig.remote.read(&name(view), &cut(&[])).await;
    let why = match realtime.map(|realtime| realtime.whole().map(drop)) {
        Ok(Err(error @ RealtimeError::Missing { .. })) => error.to_string(),
        other => format!("{other:?}"),
    };
    let (begins, ends) = ("no room: speed layer `a` at ", "do not fit into the 20000 bytes (`speed.memory`)");
    if why.contains(begins) && why.contains(ends) { Ok(()) } else { Err(why) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slices_that_do_not_fit_are_missing() {
    let mut rig = Rig::new(RemoteConfig { memory_limit: 20_000, ..config() }).await;
    rig.start("a", &[0, 1, 2, 3]).await;
    rig.append(0, 0, 4000).await;
    // On a busy machine it may be missing for not having been heard, at first.
    eventually_ok("it does not fit", async || no_room(&rig, "slow").await).await;
    let held_up = rig.remote.stalled(&name("slow"));
    let (_, why) = held_up.iter().find(|(partition, _)| *partition == 0).unwrap();
    assert!(why.no_room && why.by_itself && why.why.starts_with("no room: speed layer `a`"), "{why:?}");
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_is_not_sent_again_and_again() {
    let mut rig = Rig::new(RemoteConfig { memory_limit: 20_000, ..config() }).await;
    rig.start("a", &[0, 1, 2, 3]).await;
    rig.append(0, 0, 4000).await;
    eventually_ok("it does not fit", async || no_room(&rig, "slow").await).await;
    let passed = || rig.running["a"].wire.passed();
    let (before, began) = (passed(), std::time::Instant::now());
    let mut reads = 0;
    while began.elapsed() < Duration::from_secs(4) {
        // It stays as it is in between: there is no moment at which it is asked anew by everybody.
        eventually_ok("it does not fit", async || no_room(&rig, "slow").await).await;
        reads += 1;
    }
    let passed = passed() - before;
    // A few tries, and the heartbeats of all views; without a pause it is megabytes.
    assert!(passed < 1_000_000, "{passed} bytes passed while {reads} reads were refused");
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slices_that_did_not_fit_are_read_once_the_start_has_moved() {
    let idle = Duration::from_millis(500);
    let mut rig = Rig::new(RemoteConfig { memory_limit: 20_000, idle, ..config() }).await;
    rig.start("a", &[0, 1, 2, 3]).await;
    rig.append(0, 0, 4000).await;
    eventually_ok("it does not fit", async || no_room(&rig, "slow").await).await;
    let next = cut(&[3990, 0, 0, 0]);
    rig.publish(&next).await;
    let realtime = rig.read_all("slow", &next).await;
    rig.check(&rig.views[2], &next, &realtime).await;
    let well = async || match rig.remote.stalled(&name("slow")).first() {
        None => Ok(()),
        Some((partition, held_up)) => Err(format!("partition {partition}: {}", held_up.why)),
    };
    eventually_ok("nothing is said to be held up", well).await;
    rig.end().await;
}

/// Number of requests to the member for a stream, of any view.
fn asks(metrics: &PrometheusHandle, member: &str) -> u64 {
    let line = format!("dovetail_remote_asks_total{{member=\"{member}\"}} ");
    let text = metrics.render();
    text.lines().find_map(|found| found.strip_prefix(&line)).map_or(0, |count| count.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generations_are_read_in_turn_without_asking_again() {
    let metrics = PrometheusBuilder::new().install_recorder().unwrap();
    // The reader is patient: no member is asked again for having been silent.
    let mut rig = Rig::new(RemoteConfig { stale_after: Duration::from_secs(20), ..config() }).await;
    rig.start("four", &[0, 1, 2, 3]).await;
    let mut cuts = vec![];
    for n in 1..=4 {
        rig.append(0, 100 * (n - 1), 100 * n).await;
        let next = cut(&[100 * n as i64, 0, 0, 0]);
        rig.publish(&next).await;
        rig.read_all("total", &next).await;
        cuts.push(next);
    }
    let view = std::sync::Arc::clone(&rig.views[1]);
    for at in &cuts {
        let realtime = rig.read_all("total", at).await;
        rig.check(&view, at, &realtime).await;
    }
    let before = asks(&metrics, "four");
    for _ in 0..50 {
        for at in &cuts {
            rig.read("total", at).await;
        }
    }
    assert_eq!(asks(&metrics, "four"), before, "of {before} asks");
    // Nobody has read from here while the speed layer held it, and it does not any more.
    let dropped = eventually_ok("it is said to be dropped", async || match rig.try_read("total", &cut(&[])).await {
        Err(error @ RealtimeError::Dropped { .. }) => Ok(error.to_string()),
        other => Err(format!("{:?}", other.map(|realtime| realtime.head))),
    });
    assert!(dropped.await.starts_with("view `total`: partition 0 is no longer held from offset 0, only from "));
    for _ in 0..50 {
        assert!(rig.try_read("total", &cut(&[])).await.is_err());
        for at in &cuts {
            rig.read("total", at).await;
        }
    }
    assert_eq!(asks(&metrics, "four"), before, "of {before} asks");
    rig.end().await;
}
