//! Whatever landers and compactors do, segments lie end to end from the first offset to the next one.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    /// Land from the next offset plus a mistake, which is mostly none.
    Land {
        mistake: i64,
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
                let landed = catalog.record_segment(&new).await;
                assert_eq!(landed.is_ok(), mistake == 0, "{landed:?}");
                if mistake == 0 {
                    (next, rows) = (next + width, rows + new.rows);
                }
            }
            Step::Compact { from, more, stale } => {
                let seen = if stale { &before } else { &now };
                if !seen.is_empty() {
                    let from = from % seen.len();
                    let old = &seen[from..seen.len().min(from + more + 1)];
                    let replaced = catalog.replace_segments(old, &merged(old, n)).await;
                    assert_eq!(replaced.is_ok(), old.iter().all(|s| now.contains(s)), "{replaced:?}");
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
    let end = segments.iter().fold(first, |at, segment| {
        assert_eq!(segment.range.start, at);
        segment.range.end
    });
    assert_eq!(end, next);
    assert_eq!(catalog.landed_totals(TOPIC).await.unwrap().rows, rows);
    let garbage = catalog.garbage_before(i64::MAX).await.unwrap();
    assert!(segments.iter().all(|s| !garbage.contains(&s.path)), "a live segment is garbage");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn segments_are_always_contiguous(first in 0_i64..1_000, steps in prop::collection::vec(step(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            run(Place::sqlite(), first, steps.clone()).await;
            if let Some(place) = Place::postgres("segments_are_always_contiguous").await {
                run(place, first, steps).await;
            }
        });
    }
}
