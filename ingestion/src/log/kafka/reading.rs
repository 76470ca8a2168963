//! Reads of a partition, and waits for more records.

use std::sync::Arc;
use std::time::Duration;

use dovetail_core::clock;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::record::Fetched;
use metrics::counter;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::time::Instant;

use super::blocking;
use super::clients::Clients;
use super::cursor::{Cursor, Step};
use super::partition::{Loan, Partition};
use crate::log::LogError;
use crate::log::kafka::batch_builder::{Mark, Page};

/// Time for which a read waits for expected records, before it checks that they still exist.
const READ_TIMEOUT: Duration = Duration::from_millis(250);
/// Time for which a reader waits for new records, before it checks the state of the partition.
const QUIET_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Bytes searched at once for the marks of sources.
const MARKS_BYTES: usize = 4 << 20;

/// First offset and end, read from the brokers now.
pub(super) async fn bounds(clients: &Arc<Clients>, partition: &Arc<Partition>) -> Result<OffsetRange, LogError> {
    let (clients, asked) = (Arc::clone(clients), Arc::clone(partition));
    let bounds = blocking(move || clients.bounds(&asked.topic, asked.number)).await?;
    partition.reaches(bounds.end);
    Ok(bounds)
}

/// The end including the records of open transactions.
pub(super) async fn undecided_end(clients: &Arc<Clients>, partition: &Arc<Partition>) -> Result<i64, LogError> {
    let (clients, partition) = (Arc::clone(clients), Arc::clone(partition));
    blocking(move || clients.undecided_end(&partition.topic, partition.number)).await
}

/// [`Log::read`](crate::log::Log::read).
pub(super) async fn read(
    clients: &Arc<Clients>,
    partition: &Arc<Partition>,
    from: i64,
    most_bytes: usize,
) -> Result<Fetched, LogError> {
    if from >= partition.known_end() {
        let end = bounds_around(clients, partition, from).await?.end;
        if from == end {
            return Ok(Page::new(from, 0).finish(end));
        }
    }
    let (page, end) = fill(clients, partition, Page::new(from, most_bytes)).await?;
    let topic = partition.topic.to_string();
    counter!("dovetail_log_read_records_total", "topic" => topic.clone()).increment(page.len() as u64);
    counter!("dovetail_log_read_bytes_total", "topic" => topic).increment(page.bytes() as u64);
    Ok(page.finish(end))
}

/// The marks of sources from `from` on, which is not the end, up to one batch; and the offset at which the next begins.
pub(super) async fn marks(
    clients: &Arc<Clients>,
    partition: &Arc<Partition>,
    from: i64,
) -> Result<(Vec<Mark>, i64), LogError> {
    let (page, end) = fill(clients, partition, Page::of_marks(from, MARKS_BYTES)).await?;
    Ok((page.into_marks(), end))
}

/// Fills a batch that begins below the partition's end; also returns the offset at which the next one begins.
async fn fill(clients: &Arc<Clients>, partition: &Arc<Partition>, page: Page) -> Result<(Page, i64), LogError> {
    let until = clock::now_monotonic() + clients.patience();
    let (from, mut page) = (page.from(), page);
    let mut end = partition.known_end();
    let mut ends = 0;
    loop {
        let (filled, step) = attempt(clients, partition, page).await?;
        page = filled;
        match step {
            Ok(Step::To(at)) => {
                partition.reaches(at);
                return Ok((page, at));
            }
            // Once is not enough: a new leader may for a moment not know the end of the last one.
            Ok(Step::Ended) if ends > 0 => return Ok((page, end)),
            Ok(Step::Ended) => ends += 1,
            Ok(Step::Nothing) => {}
            Err(error) if may_pass(&error) => tracing::debug!(topic = %partition.topic, %error, "read"),
            Err(error) => return Err(clients.failed("reading", &partition.topic, &error)),
        }
        end = bounds_around(clients, partition, from).await?.end;
        if clock::now_monotonic() >= until {
            let why = format!("no record came from offset {from} of {}/{}", partition.topic, partition.number);
            return Err(clients.failures.unreachable(&why, &clients.reported));
        }
    }
}

/// One attempt; returns the batch and the offset reached. Without progress the next attempt uses another cursor.
async fn attempt(
    clients: &Arc<Clients>,
    partition: &Arc<Partition>,
    page: Page,
) -> Result<(Page, KafkaResult<Step>), LogError> {
    let mut loan = partition.lend(page.from(), false).await;
    let stands = loan.as_ref().is_some_and(|cursor| cursor.next() == page.from());
    if !stands {
        // Nobody has read here yet, so it is not known whether a read can begin here.
        bounds_around(clients, partition, page.from()).await?;
    }
    let (clients, partition) = (Arc::clone(clients), Arc::clone(partition));
    blocking(move || {
        let mut page = page;
        let mut step = match cursor_at(&clients, &partition, &mut loan, page.from()) {
            Ok(cursor) => cursor.read(&mut page, !stands, clock::now_monotonic() + READ_TIMEOUT),
            Err(error) => Err(error),
        };
        if !loan.as_ref().is_some_and(Cursor::confirm) {
            step = step.and(Ok(Step::Nothing));
        }
        if !matches!(step, Ok(Step::To(_))) {
            page = page.emptied();
            loan.discard();
        }
        clients.reported.identities.check(&partition.topic)?;
        Ok((page, step))
    })
    .await
}

/// The leased cursor, moved to `at` or opened there. Records in flight for another place are dropped.
fn cursor_at<'l>(clients: &Clients, partition: &Partition, loan: &'l mut Loan, at: i64) -> KafkaResult<&'l mut Cursor> {
    let cursor = match loan.take().filter(|cursor| cursor.next() == at) {
        Some(cursor) => cursor,
        None => Cursor::open(clients.lane(loan.lane)?, &partition.topic, partition.number, at)?,
    };
    Ok(loan.insert(cursor))
}

/// The bounds from the brokers, if a read may begin at `from`.
async fn bounds_around(clients: &Arc<Clients>, partition: &Arc<Partition>, from: i64) -> Result<OffsetRange, LogError> {
    let bounds = bounds(clients, partition).await?;
    partition.check(from, bounds)?;
    Ok(bounds)
}

/// Whether another read, after a check of the bounds, may succeed: the bounds give the error if it does not.
fn may_pass(error: &KafkaError) -> bool {
    !matches!(
        error.rdkafka_error_code(),
        Some(Code::BadMessage | Code::InvalidMessage | Code::TopicAuthorizationFailed | Code::MessageSizeTooLarge)
    )
}

/// [`Log::wait_past`](crate::log::Log::wait_past). One of the waiting tasks watches for all.
pub(super) async fn wait_past(clients: &Arc<Clients>, partition: &Arc<Partition>, offset: i64) -> Result<(), LogError> {
    let mut end = partition.end.subscribe();
    if *end.borrow() > offset {
        return Ok(());
    }
    tokio::select! {
        biased;
        // The sender lives in the partition, so this only ends when the end is past.
        _ = end.wait_for(|end| *end > offset) => Ok(()),
        watched = watch(clients, partition, offset) => watched,
    }
}

async fn watch(clients: &Arc<Clients>, partition: &Arc<Partition>, offset: i64) -> Result<(), LogError> {
    let _alone = partition.watching.lock().await;
    let mut asked = None;
    while partition.known_end() <= offset {
        if asked.is_none_or(|at: Instant| at.elapsed() >= QUIET_CHECK_INTERVAL) || partition.known_end() < 0 {
            bounds(clients, partition).await?;
            asked = Some(clock::now_monotonic());
            continue;
        }
        let end = partition.known_end();
        let mut loan = partition.lend(end, true).await;
        if loan.as_ref().is_none_or(|cursor| cursor.next() != end) {
            let (clients, partition) = (Arc::clone(clients), Arc::clone(partition));
            loan = blocking(move || {
                let placed = cursor_at(&clients, &partition, &mut loan, end).map(|_| ());
                placed.map_err(|error| clients.failed("reading", &partition.topic, &error))?;
                Ok(loan)
            })
            .await?;
        }
        let left = asked.map_or(QUIET_CHECK_INTERVAL, |at| QUIET_CHECK_INTERVAL.saturating_sub(at.elapsed()));
        let reached = tokio::time::timeout(left, reached(&mut loan, end)).await;
        match reached {
            // Returned before the end is published, so that the next reader finds it.
            Ok(Ok(reached)) => {
                drop(loan);
                partition.reaches(reached);
            }
            Ok(Err(error)) => {
                tracing::debug!(topic = %partition.topic, %error, "wait");
                loan.discard();
                asked = None;
            }
            Err(_) => {}
        }
    }
    Ok(())
}

/// Waits until the partition's end is past `end`, and returns it.
async fn reached(loan: &mut Loan, end: i64) -> KafkaResult<i64> {
    let Some(cursor) = loan.as_mut() else { return Ok(end) };
    loop {
        let reached = cursor.peek()?;
        if reached > end {
            return Ok(reached);
        }
        cursor.arrived().await;
    }
}
