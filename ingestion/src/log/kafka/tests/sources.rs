//! Sources that are interrupted, or send to another process, go on where they were.

use super::*;
use crate::log::kafka::delivery::Delivery;

fn mark(source: &str, numbers: impl IntoIterator<Item = u64>) -> Option<SourceMark> {
    Some(SourceMark { source: source.to_owned(), numbers: numbers.into_iter().collect(), spread: Spread::over(1) })
}

async fn last(log: &KafkaLog, topic: &str, source: &str) -> Option<u64> {
    log.source_position(topic, 0, source).await.unwrap().map(|position| position.last)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_is_found_by_another_process() {
    let Some(rig) = Rig::new("a_position_is_found_by_another_process").await else { return };
    let send = async |log: &KafkaLog, source: &str, numbers: &[u64]| {
        let values: Vec<String> = numbers.iter().map(|n| format!("{source}{n}")).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        log.append(&rig.topic, 0, values_of(&values), mark(source, numbers.iter().copied())).await.unwrap();
    };
    send(&rig.log, "a", &[1, 4]).await;
    let other = open(&rig.brokers);
    let position = async |log: &KafkaLog, source: &str| last(log, &rig.topic, source).await;
    assert_eq!(position(&other, "a").await, Some(4));
    assert_eq!(position(&other, "b").await, None);
    // Far behind: more than one window of other records.
    let filler: Vec<&str> = vec!["-"; 6000];
    rig.append(&filler).await;
    // By turns: neither relies on what it knew.
    send(&other, "a", &[7]).await;
    assert_eq!(position(&rig.log, "a").await, Some(7));
    send(&rig.log, "b", &[1]).await;
    send(&rig.log, "a", &[9]).await;
    assert_eq!(position(&other, "a").await, Some(9));
    assert_eq!(position(&other, "b").await, Some(1));
    let third = open(&rig.brokers);
    assert_eq!(position(&third, "a").await, Some(9));
    send(&third, "a", &[7, 9]).await;
    let values: Vec<_> = rig.values().await.into_iter().filter(|value| value != "-").collect();
    assert_eq!(values, ["a1", "a4", "a7", "b1", "a9"]);
}

/// A process is stopped while a request is on its way, and goes on after another one has taken the source up.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_stopped_process_still_sends_does_not_arrive() {
    let Some(rig) = Rig::new("what_a_stopped_process_still_sends_does_not_arrive").await else { return };
    let stopped = &rig.log.clients;
    let partition = rig.log.partition(&rig.topic, 0).await.unwrap();
    let until = Instant::now() + LOG_TIMEOUT;
    let mut hold = source_producers::hold(stopped, &rig.topic, "s", until).await.unwrap();
    let sender = hold.held(stopped, &rig.topic, until).await.unwrap().sender().cloned().unwrap();
    let send = async |numbers: Range<u64>| {
        let values: Vec<String> = numbers.clone().map(|n| n.to_string()).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let delivery = Arc::new(Delivery::of(values.len(), sender.gone()));
        let (records, mark) = (values_of(&values), mark("s", numbers));
        let sent = appending::enqueue(stopped, &sender, &partition, &records, mark.as_ref(), &delivery, until).await;
        sent.map(|()| delivery)
    };
    sender.begin_transaction().unwrap();
    let delivery = send(0..3).await.unwrap();
    delivery.settled().await;
    assert!(delivery.outcome().is_ok(), "the broker has them, and they are not committed");

    let other = open(&rig.brokers);
    let values: Vec<String> = (0..6).map(|n: u64| n.to_string()).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    other.append(&rig.topic, 0, values_of(&values), mark("s", 0..6)).await.unwrap();

    let late = send(3..6).await;
    let committed = tokio::task::block_in_place(|| sender.commit_transaction(LOG_TIMEOUT));
    assert!(committed.is_err());
    if let Ok(late) = late {
        late.settled().await;
        assert!(late.outcome().is_err());
    }
    drop(hold);
    assert_eq!(rig.values().await, values);
    // It takes the source up again, and knows what is there.
    let numbers = 4..8;
    let eight: Vec<String> = (4..8).map(|n: u64| n.to_string()).collect();
    let eight: Vec<&str> = eight.iter().map(String::as_str).collect();
    let overlap = rig.log.append(&rig.topic, 0, values_of(&eight), mark("s", numbers)).await;
    assert!(matches!(overlap, Err(LogError::SourceOverlap { first: 4, appended: 5, .. })), "{overlap:?}");
}

/// A process that was killed leaves a transaction open, behind which lies what others have committed.
#[tokio::test(flavor = "multi_thread")]
async fn what_lies_behind_an_open_transaction_is_not_taken_for_missing() {
    let Some(rig) = Rig::new("what_lies_behind_an_open_transaction_is_not_taken_for_missing").await else { return };
    rig.log.append(&rig.topic, 0, values_of(&["0"]), mark("s", 0..1)).await.unwrap();
    let foreign = rig.producer(&[("transactional.id", &rig.topic)]);
    foreign.init_transactions(LOG_TIMEOUT).unwrap();
    foreign.begin_transaction().unwrap();
    foreign.send(BaseRecord::<(), str>::to(&rig.topic).partition(0).payload("open")).unwrap();
    foreign.flush(LOG_TIMEOUT).unwrap();
    rig.log.append(&rig.topic, 0, values_of(&["1"]), mark("s", 1..2)).await.unwrap();
    assert_eq!(rig.values().await, ["0"]);

    let other = open(&rig.brokers);
    let again = other.append(&rig.topic, 0, values_of(&["0", "1"]), mark("s", 0..2));
    let abort = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        tokio::task::block_in_place(|| foreign.abort_transaction(LOG_TIMEOUT)).unwrap();
    };
    let (again, ()) = tokio::join!(again, abort);
    again.unwrap();
    assert_eq!(rig.values().await, ["0", "1"]);
}

/// A process dies with a request of the source on its way.
#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_a_source_ends_the_transaction_that_it_left_open() {
    let Some(rig) = Rig::new("who_asks_for_a_source_ends_the_transaction_that_it_left_open").await else { return };
    rig.log.append(&rig.topic, 0, values_of(&["0"]), mark("s", 0..1)).await.unwrap();
    let died = rig.producer(&[("transactional.id", &source_producers::transactional_id(&rig.topic, "s"))]);
    died.init_transactions(LOG_TIMEOUT).unwrap();
    died.begin_transaction().unwrap();
    died.send(BaseRecord::<(), str>::to(&rig.topic).partition(0).payload("open")).unwrap();
    died.flush(LOG_TIMEOUT).unwrap();
    assert_eq!(last(&open(&rig.brokers), &rig.topic, "s").await, Some(0));
    // By the brokers' time limit it is open for a minute.
    assert!(died.commit_transaction(LOG_TIMEOUT).is_err());
}

/// A process plans a request, stands still, and another one appends it elsewhere: the topic has more partitions by then.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_planned_before_another_took_the_source_up_is_not_appended() {
    let test = "what_was_planned_before_another_took_the_source_up_is_not_appended";
    let Some(brokers) = brokers(test) else { return };
    let (stopped, other, topic) = (open(&brokers), open(&brokers), fresh(test));
    stopped.create_topic(&topic, 2).await.unwrap();
    let batch = |partition, numbers: Range<u64>| {
        let records = values_of(&vec!["x"; numbers.clone().count()]);
        vec![AppendBatch { partition, records, mark: mark("s", numbers).unwrap() }]
    };
    let planned = stopped.take_up(&topic, "s", 0..1).await.unwrap();
    let done = AppendOutcome { records: 3, again: false };
    let hold = other.take_up(&topic, "s", 0..2).await.unwrap().hold;
    assert_eq!(other.append_request(&topic, batch(1, 0..3), hold).await.unwrap(), done);

    let again = AppendOutcome { records: 0, again: true };
    assert_eq!(stopped.append_request(&topic, batch(0, 0..3), planned.hold).await.unwrap(), again);
    let anew = stopped.take_up(&topic, "s", 0..2).await.unwrap();
    assert_eq!(anew.positions.iter().map(|p| p.as_ref().map(|p| p.last)).collect::<Vec<_>>(), [None, Some(2)]);
    assert_eq!(stopped.append_request(&topic, batch(0, 0..3), planned.hold).await.unwrap(), again, "of the old plan");
    assert_eq!(stopped.append_request(&topic, batch(1, 3..6), anew.hold).await.unwrap(), done);
    assert_eq!(stopped.append_request(&topic, batch(1, 3..6), anew.hold).await.unwrap().records, 0);
    assert_eq!(stopped.bounds(&topic, 0).await.unwrap().end, 0);
}

/// Two processes are sent the same requests at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_goes_to_two_processes_arrives_once() {
    let Some(rig) = Rig::new("a_request_that_goes_to_two_processes_arrives_once").await else { return };
    let other = open(&rig.brokers);
    for request in 0..8_u64 {
        let numbers = request * 3..request * 3 + 3;
        let values: Vec<String> = numbers.clone().map(|n| n.to_string()).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let append =
            async |log: &KafkaLog| log.append(&rig.topic, 0, values_of(&values), mark("s", numbers.clone())).await;
        let (one, two) = tokio::join!(append(&rig.log), append(&other));
        one.unwrap();
        two.unwrap();
    }
    assert_eq!(rig.values().await, (0..24).map(|n| n.to_string()).collect::<Vec<_>>());
}

/// Of an append of five, the process died after three were written.
#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_was_cut_off_is_completed() {
    let Some(rig) = Rig::new("an_append_that_was_cut_off_is_completed").await else { return };
    let numbers = [2, 3, 5, 8, 13];
    let values: Vec<String> = numbers.iter().map(u64::to_string).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    rig.log.append(&rig.topic, 0, values_of(&values[..3]), mark("s", numbers[..3].iter().copied())).await.unwrap();

    let next = open(&rig.brokers);
    let all = next.append(&rig.topic, 0, values_of(&values), mark("s", numbers)).await;
    assert!(matches!(all, Err(LogError::SourceOverlap { first: 2, appended: 5, .. })), "{all:?}");
    assert_eq!(last(&next, &rig.topic, "s").await, Some(5));
    next.append(&rig.topic, 0, values_of(&values[3..]), mark("s", numbers[3..].iter().copied())).await.unwrap();
    assert_eq!(rig.values().await, values);
    assert!(rig.read(0).await.records.headers.is_null(0), "the marks are not shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_was_given_up_is_not_repeated() {
    let Some(rig) = Rig::new("an_append_that_was_given_up_is_not_repeated").await else { return };
    let mut next = 0;
    for round in 0..30_u64 {
        let numbers = next..next + 50;
        let values: Vec<String> = numbers.clone().map(|n| n.to_string()).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let append = || rig.log.append(&rig.topic, 0, values_of(&values), mark("s", numbers.clone()));
        // Given up at all sorts of moments, then sent again as it was.
        let _ = tokio::time::timeout(Duration::from_micros(round * 300), append()).await;
        match append().await {
            Ok(_) => {}
            Err(LogError::SourceOverlap { appended, .. }) => {
                let rest: Vec<u64> = numbers.clone().filter(|n| *n > appended).collect();
                let rest_values: Vec<String> = rest.iter().map(u64::to_string).collect();
                let rest_values: Vec<&str> = rest_values.iter().map(String::as_str).collect();
                rig.log.append(&rig.topic, 0, values_of(&rest_values), mark("s", rest)).await.unwrap();
            }
            Err(error) => panic!("{error}"),
        }
        next = numbers.end;
    }
    let expected: Vec<String> = (0..next).map(|n| n.to_string()).collect();
    assert_eq!(rig.values().await, expected);
}

/// The partition is long, and looking through it takes many reads.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_appends_while_others_are_looked_for_in_a_long_partition() {
    let test = "a_source_appends_while_others_are_looked_for_in_a_long_partition";
    let Some(rig) = Rig::new(test).await else { return };
    let filler = vec!["-"; 20_000];
    rig.log.append(&rig.topic, 0, values_of(&["first"]), mark("first", [7])).await.unwrap();
    for _ in 0..10 {
        rig.append(&filler).await;
    }
    let log = open(&rig.brokers);
    // The source is known from here on.
    log.append(&rig.topic, 0, values_of(&["0"]), mark("busy", [0])).await.unwrap();
    let long = vec!["+"; 20_000];
    for _ in 0..10 {
        rig.append(&long).await;
    }
    let log = Arc::new(open(&rig.brokers));
    assert_eq!(last(&log, &rig.topic, "busy").await, Some(0));
    let searched = AtomicU32::new(0);
    let search = async {
        let found = tokio::join!(
            last(&log, &rig.topic, "first"),
            last(&log, &rig.topic, "no such source"),
            last(&log, &rig.topic, "nor this one")
        );
        searched.store(1, Ordering::Relaxed);
        found
    };
    let busy = async {
        let mut number = 0;
        let mut meanwhile = 0;
        while searched.load(Ordering::Relaxed) == 0 || number == 0 {
            number += 1;
            let value = number.to_string();
            log.append(&rig.topic, 0, values_of(&[&value]), mark("busy", [number])).await.unwrap();
            meanwhile += u64::from(searched.load(Ordering::Relaxed) == 0);
        }
        (number, meanwhile)
    };
    let (found, (number, meanwhile)) = tokio::join!(search, busy);
    assert_eq!(found, (Some(7), None, None));
    assert!(meanwhile > 0, "nothing was appended while others were looked for");
    assert_eq!(last(&log, &rig.topic, "busy").await, Some(number));
    let values = rig.values().await;
    let of_busy: Vec<_> = values.iter().filter(|value| value.parse::<u64>().is_ok()).cloned().collect();
    assert_eq!(of_busy, (0..=number).map(|i| i.to_string()).collect::<Vec<_>>());
}
