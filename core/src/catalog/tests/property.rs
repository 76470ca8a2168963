//! Whatever segment writers and compactors do, segments and gaps lie end to end from the first offset to the next one.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    /// Land from the next offset plus a mistake, which is mostly none.
    Land {
        mistake: i64,
        width: i64,
    },
    /// Go on without so many offsets.
    Lose {
        width: i64,
    },
    /// Compact segments `from ..= from + more`, counted round; a stale compactor asks for what was there before.
    Compact {
        from: usize,
        more: usize,
        stale: bool,
    },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let mistake = prop_oneof![6 => Just(0_i64), 1 => -20_i64..20];
    prop_oneof![
        6 => (mistake, 1_i64..20).prop_map(|(mistake, width)| Step::Land { mistake, width }),
        1 => (1_i64..20).prop_map(|width| Step::Lose { width }),
        3 => (any::<usize>(), 0_usize..4, prop::bool::weighted(0.2))
            .prop_map(|(from, more, stale)| Step::Compact { from, more, stale }),
        1 => Just(Step::Reopen),
    ]
}

fn merged(old: &[Segment], n: usize) -> Segment {
    let sum = |of: fn(&Segment) -> u64| old.iter().map(of).sum();
    let (first, last) = (&old[0], &old[old.len() - 1]);
    Segment {
        rows: sum(|s| s.rows),
        dead: sum(|s| s.dead),
        ..segment(first.range.start, last.range.end, &n.to_string())
    }
}

async fn run(place: Place, first: i64, steps: Vec<Step>) {
    let mut catalog = place.open().await;
    catalog.init_partition(TOPIC, 0, first).await.unwrap();
    let (mut next, mut before, mut rows) = (first, Vec::new(), 0);
    for (n, step) in steps.into_iter().enumerate() {
        let now = catalog.segments(TOPIC).await.unwrap();
        match step {
            Step::Land { mistake, width } => {
                let new = segment(next + mistake, next + mistake + width, &n.to_string());
                let landed = land(&catalog, &new).await;
                assert_eq!(landed.is_ok(), mistake == 0, "{landed:?}");
                if mistake == 0 {
                    (next, rows) = (next + width, rows + new.rows);
                }
            }
            Step::Lose { width } => {
                let range = OffsetRange::new(next, next + width);
                let gap = Gap { topic: TOPIC.to_owned(), partition: 0, range, why: String::new(), noted_ms: 0 };
                catalog.record_gap(&gap).await.unwrap();
                next += width;
            }
            Step::Compact { from, more, stale } => {
                let seen = if stale { &before } else { &now };
                if !seen.is_empty() {
                    let from = from % seen.len();
                    let old = &seen[from..seen.len().min(from + more + 1)];
                    let replaced = replace(&catalog, old, &merged(old, n)).await;
                    let touch = old.windows(2).all(|pair| pair[0].range.end == pair[1].range.start);
                    assert_eq!(replaced.is_ok(), touch && old.iter().all(|s| now.contains(s)), "{replaced:?}");
                }
            }
            Step::Reopen => {
                catalog.close().await;
                catalog = place.open().await;
            }
        }
        before = now;
        check(&catalog, first, next, rows).await;
    }
}

async fn check(catalog: &Catalog, first: i64, next: i64, rows: u64) {
    assert_eq!(catalog.next_offset(TOPIC, 0).await.unwrap(), next);
    let segments = catalog.segments(TOPIC).await.unwrap();
    let gaps = catalog.gaps().await.unwrap();
    let mut ranges: Vec<OffsetRange> = segments.iter().map(|s| s.range).chain(gaps.iter().map(|g| g.range)).collect();
    ranges.sort_by_key(|range| range.start);
    let end = ranges.into_iter().fold(first, |at, range| {
        assert_eq!(range.start, at);
        range.end
    });
    assert_eq!(end, next);
    assert_eq!(catalog.landed_totals(TOPIC).await.unwrap().rows, rows);
    assert_eq!(
        paths(catalog, ObjectState::Live).await,
        recorded(catalog).await,
        "what is recorded is live, and nothing else"
    );
}

fn block_on(check: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(check);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn ranges_are_always_contiguous(first in 0_i64..1_000, steps in prop::collection::vec(step(), 1..25)) {
        block_on(run(Place::sqlite(), first, steps));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn ranges_are_always_contiguous_on_postgres(first in 0_i64..1_000, steps in prop::collection::vec(step(), 1..25)) {
        block_on(async {
            if let Some(place) = Place::postgres("ranges_are_always_contiguous_on_postgres").await {
                run(place, first, steps).await;
            }
        });
    }
}
