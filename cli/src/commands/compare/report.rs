//! The figures of the report, from the samples of both sides.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use dovetail_core::clock::Clock;
use dovetail_report::figures::{
    Answering, Both, ChangeFigures, Crash, Fast, Figures, Fresh, Keeping, Late, LateRecord, Machine, Measured, Meta,
    Quantity, Question, ReportedLog, Shares, Stores, Unit,
};

use super::bag::{Bag, latencies, quantities, timelines};
use super::exact::ComparedRows;
use super::operation;
use super::proc;
use super::scale::RunScale;
use super::workload::Workload;
use crate::args::Compare;

/// Everything that was found out.
pub(super) struct Found {
    pub(super) bags: Both<Bag>,
    pub(super) compared: ComparedRows,
    /// What the timed queries were.
    pub(super) looks: String,
    /// Records of the history over which code changed, and a view was added.
    pub(super) history: u64,
    pub(super) history_of_question: u64,
    /// Runs of each side that were made.
    pub(super) runs: u32,
    pub(super) took: Duration,
}

pub(super) fn figures(args: &Compare, workload: &Workload, scale: &RunScale, found: Found) -> Result<Figures> {
    let meta = meta(args, workload, &found)?;
    let (bags, interval) = (&found.bags, scale.interval());
    Ok(Figures {
        meta,
        fast: fast(bags, workload.longest()),
        fresh: fresh(bags, scale, &interval),
        answering: answering(bags, scale, &found.looks),
        keeping: keeping(bags),
        change: change(bags, workload, found.history),
        late: late(bags),
        question: question(bags, workload, found.history_of_question),
        crash: crash(bags, scale, &interval),
        exact: found.compared.section(),
        operation: operation::section(scale),
    })
}

fn meta(args: &Compare, workload: &Workload, found: &Found) -> Result<Meta> {
    let build = if cfg!(debug_assertions) { " built for debugging, which is many times slower" } else { "" };
    let versions = BTreeMap::from([("Dovetail".to_owned(), format!("{}{build}", crate::version::long()))]);
    let date = chrono::DateTime::from_timestamp_millis(Clock::System.now_ms()).unwrap_or_default();
    Ok(Meta {
        machine: Machine {
            cpus: std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u32),
            memory_bytes: proc::memory_bytes()?,
            cpu: proc::cpu_model(),
            os: proc::operating_system(),
        },
        versions,
        date: date.format("%Y-%m-%d %H:%M UTC").to_string(),
        command: command(args),
        pipeline: workload.name.clone(),
        sql: workload.text.clone(),
        log: ReportedLog::Embedded,
        records: workload.shortest(),
        payload_bytes: workload.payload_bytes(),
        origin: workload.origin.clone(),
        rate: args.rate,
        runs: found.runs,
        quick: args.quick,
        total_s: found.took.as_secs_f64(),
    })
}

/// The command line that makes the report again.
fn command(args: &Compare) -> String {
    let mut words = vec!["dovetail compare".to_owned()];
    words.extend(args.pipeline.iter().map(|pipeline| pipeline.display().to_string()));
    words.extend(args.from.iter().map(|from| format!("--from {from}")));
    words.extend(args.events.iter().map(|events| format!("--events {events}")));
    if args.from.is_none() {
        words.push(format!("--seed {}", args.seed));
    }
    words.push(format!("--rate {}", args.rate));
    words.extend(args.runs.iter().map(|runs| format!("--runs {runs}")));
    if args.quick {
        words.push("--quick".to_owned());
    }
    words.join(" ")
}

fn fast(bags: &Both<Bag>, records: u64) -> Fast {
    let shares = bags.map(|bag| {
        let share = |figure: &'static str| bag.quantity(figure, Unit::Share);
        Shares {
            fetch: share("fast.shares.fetch"),
            decode: share("fast.shares.decode"),
            fold: share("fast.shares.fold"),
            land: share("fast.shares.land"),
        }
    });
    let start = bags.map(|bag| bag.median("fast.start").unwrap_or(0.0));
    Fast {
        how: format!(
            "A log with {records} records was written beforehand. Each side then got a copy of it in a folder with nothing \
             else, and one process was started there. The time runs from the start of the process until every view has \
             every record of the log. The start is part of it: without records it took {:.2} s of Lambda and {:.2} s of \
             Kappa, so that longer logs give higher rates. Processor time is that of the process in user and kernel mode, until Lambda has also landed all records and \
             less that of a start without records. For the shares, the comparing process read the log, decoded what it had \
             read, and folded it into all views, one after the other on one thread; and it landed the log by itself, from \
             which reading and decoding are taken away. The processor times of these are divided by that of the process.",
            start.lambda, start.kappa
        ),
        catch_up: quantities(bags, "fast.catch_up", Unit::RecordsPerSecond),
        cpu: quantities(bags, "fast.cpu", Unit::CpuSecondsPerMillion),
        shares,
    }
}

fn fresh(bags: &Both<Bag>, scale: &RunScale, interval: &str) -> Fresh {
    Fresh {
        how: format!(
            "A record with a key of its own was appended over HTTP, and from its acknowledgement on a query for the key \
             was repeated until the answer had it; the latency of the last query is part of the time. {} such records were \
             sent one after the other in each situation and run. In the background of Lambda one batch run followed the \
             other; in that of Kappa two checkpoints were taken, one each {interval}, and most records met none, as when \
             idle. During the replay one full recompute or one replay followed the other. At half load, records came in \
             for {:?} at half of the records a second of catching up, or as fast as the process took them.",
            scale.probes, scale.load
        ),
        idle: latencies(bags, "fresh.idle"),
        half_load: latencies(bags, "fresh.half_load"),
        background: latencies(bags, "fresh.background"),
        replay: latencies(bags, "fresh.replay"),
    }
}

fn answering(bags: &Both<Bag>, scale: &RunScale, looks: &str) -> Answering {
    Answering {
        how: format!(
            "{looks} Each query was asked {} times in each run over HTTP by one client, one after the other, and its rows \
             came as Arrow. Nothing else went on. Lambda had made a batch run before.",
            scale.answers
        ),
        point: latencies(bags, "answering.point"),
        filtered: latencies(bags, "answering.filtered"),
        whole: latencies(bags, "answering.whole"),
    }
}

fn keeping(bags: &Both<Bag>) -> Keeping {
    let curve = |figure: &'static str| bags.map(|bag| bag.curve(figure, Unit::Bytes));
    let (log, landing, states) = (curve("keeping.log"), curve("keeping.landing"), curve("keeping.states"));
    let (checkpoints, memory) = (curve("keeping.checkpoints"), curve("keeping.memory"));
    let held = bags.map(|bag| bag.median("keeping.held").unwrap_or(0.0));
    Keeping {
        how: format!(
            "The records were appended to one folder step by step. Each step came in three parts, with a batch run or a \
             checkpoint after each, because three generations and three checkpoints are kept. After a full recompute or a \
             replay, whose job was stopped again, and once the disk stayed as it was, the space that the files take was \
             measured: the folders `log`, `store/segments` (the landing) and `store/generations` (states or checkpoints). \
             Memory is the resident memory of the process at that moment. The embedded log returns the space of records \
             that it has given up when it compacts, which a short run does not reach: at the end Lambda's log still held \
             {:.0} records and Kappa's {:.0}, and the bytes are those of all that were written.",
            held.lambda, held.kappa
        ),
        stores: Both {
            lambda: Stores {
                log: log.lambda,
                landing: landing.lambda,
                states: states.lambda,
                checkpoints: checkpoints.lambda,
                memory: memory.lambda,
            },
            kappa: Stores {
                log: log.kappa,
                landing: landing.kappa,
                states: states.kappa,
                checkpoints: checkpoints.kappa,
                memory: memory.kappa,
            },
        },
    }
}

fn change(bags: &Both<Bag>, workload: &Workload, history: u64) -> ChangeFigures {
    ChangeFigures {
        how: format!(
            "The change: {}. In Kappa a second job with the new code read the log again; when it was at the head and its \
             answer was right, readers were switched, and later switched back. In Lambda the process was stopped and \
             started with the new file, and a full recompute was made; to go back, it was stopped and started with the old \
             file. An answer was right when its sum over all rows was that of the old code; afterwards `dovetail verify` \
             found no difference. Processor time, memory and disk are those above the second before, in which the same \
             query was asked. That query, the one for a twentieth of the rows (see the answers above), was asked the \
             whole time; where no server answered, it was asked again and its time went on.",
            workload.changed.what
        ),
        history,
        rebuild: bags.map(|bag| bag.curve("change.rebuild", Unit::Seconds)),
        right: quantities(bags, "change.right", Unit::Seconds),
        switched: quantities(bags, "change.switched", Unit::Seconds),
        back: quantities(bags, "change.back", Unit::Seconds),
        extra_cpu: quantities(bags, "change.extra_cpu", Unit::CpuSeconds),
        extra_memory: quantities(bags, "change.extra_memory", Unit::Bytes),
        extra_disk: quantities(bags, "change.extra_disk", Unit::Bytes),
        answers: latencies(bags, "change.answers"),
        timeline: timelines(bags, "change.timeline"),
    }
}

fn late(bags: &Both<Bag>) -> Late {
    let record = |seen: &'static str, exact: &'static str| {
        bags.map(|bag| LateRecord { seen: bag.quantity(seen, Unit::Seconds), exact: bag.flags(exact) })
    };
    Late {
        how: "A record with a key of its own, and with an event time a day or 30 days before that of the first record, was \
              appended over HTTP. A query for its key was repeated from the acknowledgement until the answer had it. Then \
              `dovetail verify` compared every view with a fold of the whole log."
            .to_owned(),
        day: record("late.day.seen", "late.day.exact"),
        month: record("late.month.seen", "late.month.exact"),
    }
}

fn question(bags: &Both<Bag>, workload: &Workload, history: u64) -> Question {
    let missing = |records: u64| Quantity::samples(Unit::Records, [records as f64]);
    let missing_after_week = match workload.older_than_a_week() {
        Some(records) => Both { lambda: missing(0), kappa: missing(records) },
        None => Both::same(Measured::absent("the records have no event time")),
    };
    Question {
        how: format!(
            "The question: {}. It was answered as code is changed, and `dovetail verify` found no difference afterwards. \
             Records that a log of a week would not have any more are counted by their event time: a week before the \
             youngest. Lambda still has them in its landing.",
            workload.added.what
        ),
        right: quantities(bags, "question.right", Unit::Seconds),
        history,
        missing_after_week,
    }
}

fn crash(bags: &Both<Bag>, scale: &RunScale, interval: &str) -> Crash {
    Crash {
        how: format!(
            "Records came in at a quarter of the records a second of catching up, and the process was killed at a random \
             moment in the second half of {:?}, {} in each run. It was started again at once. The time runs from the kill \
             until every view has every record of the log; `dovetail verify` then compared the answers with a fold of the \
             log. Records that are read again are those that the views had at the last look before the kill, at most some \
             hundredths of a second earlier, less those of the last checkpoint (Kappa) or below the cut of the last batch \
             run (Lambda). Checkpoints and batch runs were made every {interval}.",
            scale.feed,
            if scale.kills == 1 { "once".to_owned() } else { format!("{} times", scale.kills) },
        ),
        recovery: quantities(bags, "crash.recovery", Unit::Seconds),
        read_again: quantities(bags, "crash.read_again", Unit::Records),
        exact: bags.map(|bag| bag.flags("crash.exact")),
        timeline: timelines(bags, "crash.timeline"),
    }
}
