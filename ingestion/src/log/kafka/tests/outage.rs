//! Brokers that go away and come back, in the middle of everything.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64};

use dovetail_core::clock::Clock;

use super::own::Brokers;
use super::*;

const BATCH: u64 = 500;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_while_the_broker_restarts() {
    if brokers("nothing_is_lost_or_doubled_while_the_broker_restarts").is_none() {
        return;
    }
    let own = Brokers::start(1, &[]);
    let faults = [("restart", 1), ("kill", 1), ("start", 1), ("stop", 1), ("start", 1)];
    nothing_is_lost_or_doubled(&own, &faults).await;
}

/// The leader is one of the three, whichever it is.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_while_leaders_die() {
    if brokers("nothing_is_lost_or_doubled_while_leaders_die").is_none() {
        return;
    }
    let own = Brokers::start(3, &[]);
    let faults = [("kill", 1), ("start", 1), ("kill", 2), ("start", 2), ("kill", 3), ("start", 3)];
    nothing_is_lost_or_doubled(&own, &faults).await;
}

/// Appends and reads until the last fault is over; then what was read is what was sent.
async fn nothing_is_lost_or_doubled(own: &Brokers, faults: &[(&'static str, u16)]) {
    let mut config = config(&own.addresses());
    config.patience = Duration::from_secs(2);
    let log = KafkaLog::open(config).unwrap();
    until("the topic", || async { log.create_topic("t", 1).await.is_ok() }).await;
    let over = AtomicBool::new(false);
    let sent = AtomicU64::new(u64::MAX);
    let last_errors = Mutex::new([const { String::new() }; 2]);
    let unreachable = |which: usize, why: String| last_errors.lock().unwrap()[which] = why;
    let (appending, reading) = (AtomicU64::new(0), AtomicU64::new(0));

    let append = async {
        let mut next = 0;
        while !over.load(Ordering::Relaxed) {
            let mut numbers: Vec<u64> = (next..next + BATCH).collect();
            next += BATCH;
            appending.store(next, Ordering::Relaxed);
            loop {
                let values: Vec<String> = numbers.iter().map(u64::to_string).collect();
                // Brokers forget producers whose records are old, by the records' own times.
                let records = Records::from_values(Clock::System.now_ms(), values.iter().map(String::as_bytes));
                let mark = SourceMark { source: "s".to_owned(), numbers: numbers.clone(), spread: Spread::over(1) };
                match log.append("t", 0, records, Some(mark)).await {
                    Ok(_) => break,
                    Err(LogError::SourceOverlap { appended, .. }) => numbers.retain(|number| *number > appended),
                    Err(error @ (LogError::Unreachable { .. } | LogError::Undecided { .. })) => {
                        unreachable(0, error.to_string());
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
        sent.store(next, Ordering::Relaxed);
    };
    let read = async {
        let (mut at, mut seen) = (0, Vec::new());
        while (seen.len() as u64) < sent.load(Ordering::Relaxed) {
            match log.read("t", 0, at, 100_000).await {
                Ok(page) if page.range.is_empty() => {
                    let more = log.wait_past("t", 0, at);
                    let _ = tokio::time::timeout(Duration::from_millis(500), more).await;
                }
                Ok(page) => {
                    seen.extend(texts(&page.records));
                    at = page.range.end;
                    reading.store(seen.len() as u64, Ordering::Relaxed);
                }
                Err(error @ LogError::Unreachable { .. }) => unreachable(1, error.to_string()),
                Err(error) => panic!("{error}"),
            }
        }
        seen
    };
    let disturb = async {
        for (what, number) in faults {
            own.one(what, *number).await;
        }
        over.store(true, Ordering::Relaxed);
    };
    let all = async { tokio::join!(append, read, disturb) };
    let Ok(((), seen, ())) = tokio::time::timeout(Duration::from_secs(300), all).await else {
        panic!("it does not go on: appending up to {appending:?}, {reading:?} read, {last_errors:?}")
    };
    let expected: Vec<String> = (0..sent.load(Ordering::Relaxed)).map(|number| number.to_string()).collect();
    assert!(!expected.is_empty());
    let first = seen.iter().zip(&expected).position(|(seen, expected)| seen != expected);
    let around = first.map(|at| seen[at.saturating_sub(2)..seen.len().min(at + 3)].to_vec());
    assert!(
        first.is_none() && seen.len() == expected.len(),
        "{} records, other than sent at {first:?}: {around:?}",
        seen.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_broker_is_away_it_is_said_and_later_it_goes_on() {
    if brokers("while_the_broker_is_away_it_is_said_and_later_it_goes_on").is_none() {
        return;
    }
    let own = Brokers::start(1, &[]);
    let mut config = config(&own.addresses());
    config.patience = Duration::from_secs(1);
    let log = KafkaLog::open(config).unwrap();
    // A broker that has just started may take longer than that.
    until("the topic", || async { log.create_topic("t", 1).await.is_ok() }).await;
    // Numbered, so that what takes longer may be sent again.
    let append = async |number: u64, value: &str| {
        let mark = SourceMark { source: "s".to_owned(), numbers: vec![number], spread: Spread::over(1) };
        log.append("t", 0, values_of(&[value]), Some(mark)).await.map(|_| ())
    };
    let values = async || {
        let (mut at, mut values) = (0, vec![]);
        while let Ok(page) = log.read("t", 0, at, PLENTY).await
            && !page.range.is_empty()
        {
            at = page.range.end;
            values.extend(texts(&page.records));
        }
        values
    };
    until("the first record", || async { append(0, "a").await.is_ok() }).await;
    until("the first record to be read", || async { values().await == ["a"] }).await;

    let end = log.bounds("t", 0).await.unwrap().end;
    own.one("kill", 1).await;
    let bounds = log.bounds("t", 0).await.map(|_| ());
    let appended = append(1, "b").await;
    let read = log.read("t", 0, end, PLENTY).await.map(|_| ());
    let waited = log.wait_past("t", 0, end).await;
    for result in [bounds, appended, read, waited] {
        let Err(LogError::Unreachable { why, .. }) = &result else { panic!("{result:?}") };
        assert!(why.contains(&own.addresses()), "{why}");
    }
    own.one("start", 1).await;
    // The append that was given up was kept or was not, and is made good by the next one of the source.
    until("the broker", || async { append(1, "b").await.is_ok() && append(2, "c").await.is_ok() }).await;
    until("all of them to be read", || async { values().await.len() == 3 }).await;
    assert_eq!(values().await, ["a", "b", "c"]);
}
