//! Leases, schedules and requested runs, and that the clocks of processes do not matter.

use super::*;
use crate::clock::Clock;

const LONG_LEASE: Duration = Duration::from_secs(100);
const NAME: &str = "batch";

async fn holder(catalog: &Catalog) -> Option<String> {
    catalog.lease(NAME).await.unwrap().map(|lease| lease.holder)
}

async fn one_holds_a_lease_until_it_gives_no_sign_of_life(place: Place) {
    let (catalog, other) = (place.open().await, place.open().await);
    assert_eq!(holder(&catalog).await, None);
    let first = catalog.hold_lease(NAME, "a", LONG_LEASE).await.unwrap();
    assert_eq!((first.holder.as_str(), first.epoch), ("a", 1));
    assert_eq!(other.hold_lease(NAME, "b", LONG_LEASE).await.unwrap(), first, "it stays as it is");
    let again = catalog.hold_lease(NAME, "a", LONG_LEASE).await.unwrap();
    assert_eq!(again.epoch, 1);
    assert!(again.until_ms >= first.until_ms);

    expire(&catalog, "leases").await;
    assert_eq!(holder(&other).await, None);
    let taken = other.hold_lease(NAME, "b", LONG_LEASE).await.unwrap();
    assert_eq!((taken.holder.as_str(), taken.epoch), ("b", 2));
    assert_eq!(catalog.hold_lease(NAME, "a", LONG_LEASE).await.unwrap(), taken);
    catalog.give_up_lease(NAME, "a").await.unwrap();
    assert_eq!(holder(&catalog).await.as_deref(), Some("b"), "it was not a's to give up");
    other.give_up_lease(NAME, "b").await.unwrap();
    assert_eq!(catalog.hold_lease(NAME, "a", LONG_LEASE).await.unwrap().epoch, 3);
    // A holder that had lost the lease in between has another term.
    expire(&catalog, "leases").await;
    assert_eq!(catalog.hold_lease(NAME, "a", LONG_LEASE).await.unwrap().epoch, 4);
}

async fn of_many_one_holds_a_lease(place: Place) {
    let catalogs = [place.open().await, place.open().await];
    for _ in 0..10 {
        expire(&catalogs[0], "leases").await;
        let hold = |n: usize| catalogs[n % 2].hold_lease(NAME, ["a", "b", "c", "d"][n], LONG_LEASE);
        let held = futures::future::join_all((0..4).map(hold)).await;
        let holders: Vec<String> = held.into_iter().map(|lease| lease.unwrap().holder).collect();
        assert!(holders.iter().all(|holder| *holder == holders[0]), "{holders:?}");
    }
}

async fn a_moment_is_seen_to_once(place: Place) {
    let (catalog, other) = (place.open().await, place.open().await);
    let kind = RunKind::Incremental;
    let began = catalog.last_moment(kind).await.unwrap();
    assert_eq!(other.last_moment(kind).await.unwrap(), began, "one schedule for all");
    let moment = Moment { kind, after_ms: began, at_ms: began + 10 };
    let due = NewRun { moment: Some(moment), ..new_run("a") };
    let run = catalog.start_run(&due).await.unwrap();
    catalog.finish_run(run.id, &RunEnd::Cancelled).await.unwrap();
    let again = other.start_run(&NewRun { owner: "b".to_owned(), ..due }).await;
    assert!(matches!(again, Err(CatalogError::MomentTaken { kind: RunKind::Incremental })), "{again:?}");
    assert_eq!(other.last_moment(kind).await.unwrap(), began + 10);
    assert_eq!(catalog.runs(10).await.unwrap().len(), 1);

    other.keep_moment(&moment).await.unwrap();
    assert_eq!(other.last_moment(kind).await.unwrap(), began + 10, "it was kept");
    other.keep_moment(&Moment { kind, after_ms: began + 10, at_ms: began + 30 }).await.unwrap();
    assert_eq!(catalog.last_moment(kind).await.unwrap(), began + 30);
    catalog.forget_moments(kind).await.unwrap();
    assert!(catalog.last_moment(kind).await.unwrap() >= began);
}

async fn a_requested_run_stays_until_a_run_has_covered_it(place: Place) {
    let (catalog, leader) = (place.open().await, place.open().await);
    let triggers = async || leader.requested_runs().await.unwrap().iter().map(|run| run.trigger).collect::<Vec<_>>();
    let changes = catalog.changes();
    catalog.request_run(Trigger::Gap).await.unwrap();
    catalog.request_run(Trigger::Memory).await.unwrap();
    assert!(changes.has_changed().unwrap());
    let seen = leader.requested_runs().await.unwrap();
    assert_eq!(triggers().await, [Trigger::Gap, Trigger::Memory]);
    catalog.request_run(Trigger::Gap).await.unwrap();
    leader.fulfil(&seen).await.unwrap();
    assert_eq!(triggers().await, [Trigger::Gap], "asked for again during the run");
    leader.fulfil(&leader.requested_runs().await.unwrap()).await.unwrap();
    assert_eq!(triggers().await, []);
}

async fn the_dead_hold_nothing_on_a_log_of_ones_own(place: Place) {
    let catalog = place.open().await;
    let run = catalog.start_run(&new_run("dead")).await.unwrap();
    catalog.hold_lease(NAME, "dead", LONG_LEASE).await.unwrap();
    catalog.end_all_leases().await.unwrap();
    assert_eq!(catalog.run(run.id).await.unwrap().error.as_deref(), Some("its process died"));
    assert_eq!(catalog.hold_lease(NAME, "living", LONG_LEASE).await.unwrap().holder, "living");
}

/// On a server, what a process takes for the time does not matter at all: here it is wrong by years.
async fn clocks_of_processes_do_not_matter(place: Place) {
    let mut catalogs = vec![];
    for now_ms in [1, Clock::System.now_ms() + 300_000, 9_000_000_000_000] {
        catalogs.push(Catalog::open_by(&place.url(), Clock::manual(now_ms)).await.unwrap());
    }
    let times = [catalogs[0].now_ms().await.unwrap(), catalogs[2].now_ms().await.unwrap()];
    assert!(times[0] <= times[1] && times[1] - times[0] < 60_000, "{times:?}");

    let flight = None;
    let member = |id: &str| NewMember {
        id: id.to_owned(),
        layer: MemberLayer::Batch,
        address: String::new(),
        flight: flight.clone(),
    };
    for (catalog, id) in catalogs.iter().zip(["slow", "fast", "wild"]) {
        catalog.join(&member(id), LONG_LEASE).await.unwrap();
    }
    for catalog in &catalogs {
        let members = catalog.members(MemberLayer::Batch).await.unwrap();
        assert_eq!(members.iter().map(|m| m.id.as_str()).collect::<Vec<_>>(), ["fast", "slow", "wild"]);
        catalog.renew_member("slow", &TopicPartitions::new(), LONG_LEASE).await.unwrap();
    }
    let run = catalogs[0].start_run(&new_run("slow")).await.unwrap();
    catalogs[0].hold_lease(NAME, "slow", LONG_LEASE).await.unwrap();
    for catalog in &catalogs {
        assert_eq!(catalog.expire_runs().await.unwrap(), 0, "nobody takes it for dead");
        let refused = catalog.start_run(&new_run("other")).await;
        assert!(matches!(refused, Err(CatalogError::RunInProgress { .. })), "{refused:?}");
        assert_eq!(catalog.hold_lease(NAME, "other", LONG_LEASE).await.unwrap().holder, "slow");
        assert_eq!(holder(catalog).await.as_deref(), Some("slow"));
    }
    assert_eq!(catalogs[2].run(run.id).await.unwrap().state, RunState::Running);
    let moment = catalogs[0].last_moment(RunKind::Full).await.unwrap();
    assert!((moment - times[0]).abs() < 60_000, "{moment}");
}

on_each_database! {
    one_holds_a_lease_until_it_gives_no_sign_of_life,
    of_many_one_holds_a_lease,
    a_moment_is_seen_to_once,
    a_requested_run_stays_until_a_run_has_covered_it,
    the_dead_hold_nothing_on_a_log_of_ones_own,
}

mod on_a_server {
    use super::*;

    on_postgres! {
        clocks_of_processes_do_not_matter,
    }
}
