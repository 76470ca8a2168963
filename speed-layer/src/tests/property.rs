//! Whatever happens in whatever order, what is read meets the cut and is the answer of one fold.

use dovetail_testkit::fixtures::cut;
use proptest::prelude::*;

use super::rig::{CLICKS, Rig, config};

#[derive(Debug, Clone)]
enum Step {
    Append {
        partition: i32,
        n: usize,
        bad: bool,
    },
    Boundary {
        partition: i32,
        share: f64,
    },
    /// A cut somewhere between the log's start and its end, in each partition.
    Publish {
        shares: [f64; 2],
    },
    Rollback,
    Restart,
    Run {
        shares: [f64; 2],
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let share = || 0.0..=1.0_f64;
    let step = prop_oneof![
        5 => (0..2, 1..60_usize, any::<bool>()).prop_map(|(partition, n, bad)| Step::Append { partition, n, bad }),
        2 => (0..2, share()).prop_map(|(partition, share)| Step::Boundary { partition, share }),
        3 => (share(), share()).prop_map(|(a, b)| Step::Publish { shares: [a, b] }),
        1 => Just(Step::Rollback),
        1 => Just(Step::Restart),
        1 => (share(), share()).prop_map(|(a, b)| Step::Run { shares: [a, b] }),
    ];
    proptest::collection::vec(step, 1..12)
}

async fn at(rig: &Rig, shares: [f64; 2]) -> [i64; 2] {
    let mut offsets = [0; 2];
    for (partition, share) in (0..).zip(shares) {
        offsets[partition as usize] = (rig.log_end(partition).await as f64 * share).round() as i64;
    }
    offsets
}

async fn run(steps: Vec<Step>) {
    let mut rig = Rig::started(CLICKS).await;
    let (mut current, mut generations, mut appended) = (cut(&[]), vec![], 0);
    let mut under_way = None;
    for step in steps {
        match step {
            Step::Append { partition, n, bad } => {
                rig.append_clicks(partition, appended, appended + n).await;
                if bad {
                    rig.append(partition, &["{\"user_id\": \"x\"}".to_owned(), "{".to_owned()]).await;
                }
                appended += n;
            }
            Step::Boundary { partition, share } => {
                let end = (rig.log_end(partition).await as f64 * share * 1.2) as i64;
                rig.layer().expect_boundary(&rig.stream.name, partition, end);
            }
            Step::Run { shares } if under_way.is_none() => {
                under_way = Some(rig.start_run(&cut(&at(&rig, shares).await)).await);
            }
            Step::Run { .. } => {}
            Step::Publish { shares } => {
                current = cut(&at(&rig, shares).await);
                let cuts: Vec<_> = rig.views.iter().map(|view| (view.name.as_str(), &current)).collect();
                let generation = match under_way.take() {
                    Some(run) => rig.publish_run(run, &cuts).await,
                    None => rig.publish(&cuts).await,
                };
                generations.push((generation, current.clone()));
            }
            Step::Rollback => {
                if let Some((generation, cut)) = generations.first() {
                    rig.catalog.rollback(*generation, rig.current().await).await.unwrap();
                    current = cut.clone();
                }
            }
            Step::Restart => {
                rig.stop().await;
                rig.start(config()).await;
            }
        }
        for view in &rig.views {
            let realtime = rig.read(view.name.as_str(), &current).await;
            rig.check(view.name.as_str(), &current, &realtime).await;
        }
    }
    rig.check_all(&current).await;
    rig.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_meets_the_cut(steps in steps()) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run(steps));
    }
}
