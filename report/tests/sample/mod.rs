//! Figures of a run that never was: round numbers of a plausible size, with known lines and crossing points.

use std::collections::BTreeMap;

use dovetail_report::Figures;
use dovetail_report::figures::*;

/// Records of the shortest history.
const RECORDS: u64 = 1_000_000;

/// Figures with every figure of the report.
pub(crate) fn full() -> Figures {
    Figures {
        meta: meta(),
        fast: fast(),
        fresh: fresh(),
        answering: Answering {
            how: "Each client asks 500 queries one after the other, over the PostgreSQL interface.".into(),
            point: latencies(1.2, 1.3),
            filtered: latencies(3.0, 2.8),
            whole: latencies(40.0, 25.0),
        },
        keeping: keeping(),
        change: change(),
        late: late(),
        question: Question {
            how: "The view is added to the pipeline. It is right when it equals a one-shot query.".into(),
            right: seconds([21.0, 20.0, 22.0], [50.0, 53.0, 49.0]),
            history: 8 * RECORDS,
            missing_after_week: both(Unit::Records, [0.0; 3], [6_130_000.0; 3]),
        },
        crash: crash(),
        exact: exact(),
        operation: operation(),
    }
}

/// Figures of a run that measured nothing.
pub(crate) fn unmeasured() -> Figures {
    Figures::unmeasured(meta(), "the run was stopped")
}

/// Full figures without a few of them, as the quick form leaves them out.
pub(crate) fn quick() -> Figures {
    let reason = "the quick form leaves it out";
    let mut figures = full();
    figures.meta.quick = true;
    figures.fresh.replay = Both { lambda: Latency::absent("Lambda has no replay"), kappa: Latency::absent(reason) };
    figures.change.rebuild.kappa = Curve::absent(reason);
    figures.change.timeline.lambda = Measured::absent(reason);
    figures.late.month = Both::same(LateRecord { seen: Quantity::absent(reason), exact: Measured::absent(reason) });
    figures.keeping.stores.lambda.memory = Curve::absent(reason);
    figures
}

fn both(unit: Unit, lambda: [f64; 3], kappa: [f64; 3]) -> Both<Quantity> {
    Both { lambda: Quantity::samples(unit, lambda), kappa: Quantity::samples(unit, kappa) }
}

fn seconds(lambda: [f64; 3], kappa: [f64; 3]) -> Both<Quantity> {
    both(Unit::Seconds, lambda, kappa)
}

fn meta() -> Meta {
    let versions = [("Dovetail", "0.1.0"), ("rustc", "1.94.0")];
    Meta {
        machine: Machine { cpus: 2, memory_bytes: 24_000_000_000, cpu: "A processor".into(), os: "Linux 6.1".into() },
        versions: BTreeMap::from(versions.map(|(name, version)| (name.to_owned(), version.to_owned()))),
        date: "2026-11-27".into(),
        command: "dovetail compare clicks --events 1000000 --seed 7 --runs 3 --out report/".into(),
        pipeline: "clicks".into(),
        sql: "CREATE VIEW clicks_by_hour AS\nSELECT page, date_trunc('hour', at) AS hour, count(*) AS clicks\nFROM clicks\nGROUP BY page, hour;".into(),
        log: ReportedLog::Embedded,
        records: RECORDS,
        payload_bytes: RECORDS * 120,
        origin: Origin::Seed(7),
        rate: 10_000.0,
        runs: 3,
        quick: false,
        total_s: 540.0,
    }
}

fn fast() -> Fast {
    let share = |share: f64| Quantity::samples(Unit::Share, [share - 0.01, share, share + 0.01]);
    let zero = || Quantity::samples(Unit::Share, [0.0; 3]);
    Fast {
        how: "The log is filled first. Then the processes start, and the clock runs until the head is reached.".into(),
        catch_up: both(Unit::RecordsPerSecond, [310e3, 300e3, 305e3], [420e3, 415e3, 440e3]),
        cpu: both(Unit::CpuSecondsPerMillion, [6.1, 6.0, 6.3], [3.9, 4.0, 3.8]),
        shares: Both {
            lambda: Shares { fetch: share(0.1), decode: share(0.4), fold: share(0.25), land: share(0.2) },
            kappa: Shares { fetch: share(0.15), decode: share(0.5), fold: share(0.3), land: zero() },
        },
    }
}

/// Three runs whose latencies have this size: a few are much slower than most.
fn latency(ms: f64) -> Latency {
    let run = |factor: f64| (1..=200).map(|n| ms * factor * (1.0 + f64::from(n * n) / 8000.0)).collect();
    Latency::runs_ms([run(0.97), run(1.0), run(1.04)])
}

fn latencies(lambda: f64, kappa: f64) -> Both<Latency> {
    Both { lambda: latency(lambda), kappa: latency(kappa) }
}

fn fresh() -> Fresh {
    Fresh {
        how: "A record with a marker is sent, and a client asks for it until it sees it.".into(),
        idle: latencies(8.0, 8.1),
        half_load: latencies(14.0, 15.0),
        background: latencies(30.0, 18.0),
        replay: latencies(60.0, 190.0),
    }
}

fn curve(unit: Unit, intercept: f64, slope: f64, noise: f64) -> Curve {
    let point = |length: u64| {
        let records = length * RECORDS;
        let value = intercept + slope * records as f64;
        (records, vec![value * (1.0 - noise), value, value * (1.0 + noise)])
    };
    Curve::points(unit, [1, 2, 4, 8].map(point))
}

fn keeping() -> Keeping {
    let bytes = |intercept, slope| curve(Unit::Bytes, intercept, slope, 0.01);
    Keeping {
        how: "All records are taken in, a batch run or a checkpoint follows, and the files are counted.".into(),
        stores: Both {
            lambda: Stores {
                log: bytes(8e6, 0.0),
                landing: bytes(1e6, 30.0),
                states: bytes(12e6, 0.0),
                checkpoints: bytes(0.0, 0.0),
                memory: bytes(310e6, 0.0),
            },
            kappa: Stores {
                log: bytes(1e6, 72.0),
                landing: bytes(0.0, 0.0),
                states: bytes(0.0, 0.0),
                checkpoints: bytes(15e6, 0.0),
                memory: bytes(240e6, 0.0),
            },
        },
    }
}

fn change() -> ChangeFigures {
    let lambda = vec![
        Event::at(0.0, "the new code is given"),
        Event::span(0.4, 18.2, "a batch run fills the new view"),
        Event::at(18.6, "the generation is published, and readers get the new answer"),
        Event::at(24.0, "the command to go back"),
        Event::at(24.2, "readers get the old answer"),
    ];
    let kappa = vec![
        Event::at(0.0, "the second job is started"),
        Event::span(0.3, 44.0, "it reads the log again"),
        Event::at(44.5, "readers are switched"),
        Event::at(50.0, "the command to go back"),
        Event::at(50.1, "readers get the old answer"),
    ];
    ChangeFigures {
        how: "One aggregate of the view is changed while records come in at half load.".into(),
        history: 8 * RECORDS,
        // 6 s + 1.5 s a million against 1 s + 5.5 s a million: they cross at 1.25 million records.
        rebuild: Both {
            lambda: curve(Unit::Seconds, 6.0, 1.5e-6, 0.02),
            kappa: curve(Unit::Seconds, 1.0, 5.5e-6, 0.02),
        },
        right: seconds([18.1, 18.2, 18.4], [44.0, 43.0, 46.0]),
        switched: seconds([18.5, 18.6, 18.8], [44.5, 43.5, 46.4]),
        back: seconds([0.20, 0.19, 0.21], [0.1, 0.2, 0.3]),
        extra_cpu: both(Unit::CpuSeconds, [22.0, 21.0, 23.0], [60.0, 58.0, 61.0]),
        extra_memory: both(Unit::Bytes, [90e6, 95e6, 88e6], [130e6, 128e6, 140e6]),
        extra_disk: both(Unit::Bytes, [12e6, 12e6, 12.1e6], [15e6, 15e6, 15.2e6]),
        answers: latencies(3.0, 3.1),
        timeline: Both { lambda: Measured::Value(lambda), kappa: Measured::Value(kappa) },
    }
}

fn late() -> Late {
    let records = || Both::same(Measured::Value(vec![true; 3]));
    let late = |lambda, kappa| {
        let seen = seconds(lambda, kappa);
        let Both { lambda: lambda_exact, kappa: kappa_exact } = records();
        Both {
            lambda: LateRecord { seen: seen.lambda, exact: lambda_exact },
            kappa: LateRecord { seen: seen.kappa, exact: kappa_exact },
        }
    };
    Late {
        how: "A record with an old event time is sent, and a client asks for its group until it is counted.".into(),
        day: late([0.012, 0.011, 0.013], [0.012, 0.010, 0.014]),
        month: late([0.012, 0.012, 0.013], [0.011, 0.012, 0.014]),
    }
}

fn crash() -> Crash {
    let timeline = |read_again: &str, recovered: f64| {
        Measured::Value(vec![
            Event::at(0.0, "kill -9"),
            Event::at(0.3, "the processes are started again"),
            Event::span(0.5, recovered, read_again),
            Event::at(recovered, "answers are exact"),
        ])
    };
    Crash {
        how: "After each of 3 kills the answers are compared with a one-shot query over the same records.".into(),
        recovery: seconds([1.9, 2.3, 2.0], [1.4, 3.2, 2.2]),
        read_again: both(Unit::Records, [40_000.0, 52_000.0, 45_000.0], [210_000.0, 180_000.0, 250_000.0]),
        exact: Both::same(Measured::Value(vec![true; 3])),
        timeline: Both {
            lambda: timeline("the speed layer folds from the cut again", 2.0),
            kappa: timeline("the job folds from its last checkpoint again", 2.2),
        },
    }
}

fn exact() -> ExactFigures {
    let view =
        |view: &str, rows| ViewRows { view: view.into(), rows, lambda_kappa: 0, lambda_query: 0, kappa_query: 0 };
    ExactFigures {
        how: "Both stop at the same offsets. Each row is compared with the rows of a plain query.".into(),
        views: Measured::Value(vec![view("clicks_by_hour", 41_230), view("clicks_by_page", 2_000)]),
    }
}

fn operation() -> OperationFigures {
    let row = |topic, lambda: &str, kappa: &str| OperationRow { topic, lambda: lambda.into(), kappa: kappa.into() };
    OperationFigures {
        rows: vec![
            row(Topic::Processes, "1: batch, speed and serving in one", "1: the job and serving in one"),
            row(Topic::Stores, "log, object store, catalog", "log, object store, catalog"),
            row(Topic::Settings, "log.keep, batch.schedule", "log.keep = all, kappa.checkpoint_every"),
            row(
                Topic::Retention,
                "Nothing that is landed. Records that retention takes before they are landed are lost.",
                "Every record that is older than the retention is lost to a replay.",
            ),
        ],
    }
}
