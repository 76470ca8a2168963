//! The segment writer of one partition: fills a segment, writes it, records it, and repeats.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use dovetail_core::assignment::{Assignment, LocalAssignment};
use dovetail_core::backoff::Backoff;
use dovetail_core::clock;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::pipeline::{OnBadRecord, OnDataLoss};
use dovetail_ingestion::decoded_log::{DecodedLog, DecodedLogError};
use dovetail_ingestion::formats::{DeadLetter, Decoded};
use dovetail_ingestion::log::LogError;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::error::LandError;
use super::segment::{Buffer, Sealed, before_first_dead, payload_bytes};
use super::{LandingParts, LandingState, SegmentEnd};

/// Lands one partition until the process ends or the partition stops.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    pub(super) landing: Arc<LandingParts>,
    pub(super) decoded_log: Arc<DecodedLog>,
    pub(super) partition: i32,
    assignment: LocalAssignment,
    /// Cancelled when the process ends or the partition is assigned to another one.
    stop: CancellationToken,
    pub(super) schema: SchemaRef,
    pub(super) fingerprint: String,
}

/// The reason why a segment writer ends.
#[derive(Debug)]
enum WriterEnd {
    Shutdown,
    Stopped { offset: i64, error: String },
}

/// A segment whose end is decided.
struct ClosedSegment {
    buffer: Buffer,
    behind: Behind,
}

/// The cause of a segment's end that concerns the log behind it.
enum Behind {
    More,
    /// A bad record in a stream with `on_bad_record` of `stop`.
    Bad(DeadLetter),
    /// Offsets that the log has lost, in a stream with `on_data_loss` of `continue`.
    Gap(OffsetRange),
}

/// The result of a read.
enum ReadOutcome {
    Records(Arc<Decoded>),
    Gap(OffsetRange),
}

impl SegmentWriter {
    pub(super) fn new(
        landing: Arc<LandingParts>,
        decoded_log: Arc<DecodedLog>,
        partition: i32,
        assignment: Option<&watch::Receiver<Assignment>>,
    ) -> Self {
        let stream = decoded_log.stream();
        let (schema, fingerprint) = (stream.decoded_schema(), stream.fingerprint());
        let assignment = LocalAssignment::new(&stream.name, partition, assignment);
        let stop = landing.shutdown.child_token();
        let segment_writer = Self { landing, decoded_log, partition, assignment, stop, schema, fingerprint };
        if segment_writer.assignment.now() {
            segment_writer.add_to_board();
        }
        segment_writer
    }

    /// Lands while the partition is assigned to this process. Two processes may believe that they own it; that is
    /// harmless: only one of them can record a given range of offsets.
    pub(crate) async fn run(mut self) {
        let shutdown = self.landing.shutdown.clone();
        loop {
            if self.assignment.look() {
                self.add_to_board();
                self.stop = shutdown.child_token();
                let (mut assignment, stop) = (self.assignment.clone(), self.stop.clone());
                let mut landing = std::pin::pin!(self.land());
                let changed = tokio::select! {
                    () = &mut landing => false,
                    () = assignment.changed() => {
                        stop.cancel();
                        landing.await;
                        true
                    }
                };
                if self.assignment.is_fixed() || shutdown.is_cancelled() {
                    return;
                }
                // The partition may be assigned to this process again by now: that would be no change any more.
                if changed {
                    continue;
                }
            } else {
                self.landing.board.remove(&self.decoded_log.stream().name, self.partition);
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = self.assignment.changed() => {}
            }
        }
    }

    fn add_to_board(&self) {
        let stream = self.decoded_log.stream();
        self.landing.board.add(&stream.name, self.partition, &stream.topic, self.landing.clock.now_ms());
    }

    async fn land(&self) {
        let end = self.land_all().await;
        let state = match end {
            WriterEnd::Shutdown => LandingState::Ended,
            WriterEnd::Stopped { offset, error } => {
                error!(topic = self.topic(), partition = self.partition, offset, error, "landing stopped");
                LandingState::Stopped { offset, error }
            }
        };
        self.set_state(state);
    }

    async fn land_all(&self) -> WriterEnd {
        let mut next = match self.persist(0, || self.first()).await {
            Ok(next) => next,
            Err(end) => return end,
        };
        loop {
            self.landing.board.set_next_offset(&self.decoded_log.stream().name, self.partition, next);
            self.set_state(LandingState::Landing);
            match self.land_next(next).await {
                Ok(landed) => next = landed,
                Err(end) => return end,
            }
        }
    }

    /// The offset at which landing begins: the log's first offset when nothing is landed.
    async fn first(&self) -> Result<i64, LandError> {
        let first = self.decoded_log.log().bounds(self.topic(), self.partition).await;
        let first = first.map_err(|error| LandError::Feed(error.into()))?.start;
        Ok(self.landing.catalog.init_partition(self.topic(), self.partition, first).await?)
    }

    /// Lands the segment that starts at `next`; returns the start of the next one.
    async fn land_next(&self, next: i64) -> Result<i64, WriterEnd> {
        let ClosedSegment { buffer, behind } = self.fill(next).await?;
        let range = buffer.range();
        let mut landed = range.end;
        if !range.is_empty() {
            let sealed = self.seal(buffer).await?;
            landed = loop {
                let segment = self.persist(range.start, || self.describe(&sealed)).await?;
                if let Some(landed) = self.persist(range.start, || self.record(&segment, &sealed)).await? {
                    break landed;
                }
            };
        }
        match behind {
            // After a fence, the process that landed the range also decides about the cause of its end.
            Behind::Bad(bad) if landed == range.end => {
                self.landing.board.set_next_offset(&self.decoded_log.stream().name, self.partition, landed);
                Err(WriterEnd::Stopped { offset: bad.offset, error: bad.reason() })
            }
            Behind::Gap(gap) if landed == range.end => self.persist(gap.start, || self.record_gap(gap)).await,
            _ => Ok(landed),
        }
    }

    /// Reads until the segment is large or old enough.
    async fn fill(&self, start: i64) -> Result<ClosedSegment, WriterEnd> {
        let config = &self.landing.config;
        let mut buffer = self.buffer(start).await?;
        let mut deadline = None;
        while buffer.payload_bytes() < config.segment_bytes {
            let from = buffer.range().end;
            let found = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(self.land_at_once(buffer).await),
                () = reached(deadline) => break,
                read = self.persist(from, || self.read(from)) => read?,
            };
            let decoded = match found {
                ReadOutcome::Records(decoded) => decoded,
                ReadOutcome::Gap(gap) => return Ok(self.end_before(buffer, Behind::Gap(gap))),
            };
            if self.decoded_log.stream().options.on_bad_record == OnBadRecord::Stop
                && let Some((good, bad)) = before_first_dead(&decoded)
            {
                let bad = bad.clone();
                buffer = self.add(buffer, Arc::new(good)).await?;
                return Ok(self.end_before(buffer, Behind::Bad(bad)));
            }
            deadline.get_or_insert_with(|| clock::now_monotonic() + config.segment_age);
            if buffer.payload_bytes() + payload_bytes(&decoded) >= config.segment_bytes {
                self.announce(decoded.range.end);
            }
            buffer = self.add(buffer, decoded).await?;
        }
        if buffer.payload_bytes() < config.segment_bytes {
            self.announce(buffer.range().end);
        }
        Ok(ClosedSegment { buffer, behind: Behind::More })
    }

    fn end_before(&self, buffer: Buffer, behind: Behind) -> ClosedSegment {
        if !buffer.range().is_empty() {
            self.announce(buffer.range().end);
        }
        ClosedSegment { buffer, behind }
    }

    async fn buffer(&self, start: i64) -> Result<Buffer, WriterEnd> {
        let new = || async { Ok(Buffer::new(self.partition, start, &self.schema)?) };
        self.persist(start, new).await
    }

    /// Waits for records at or after `from`.
    async fn read(&self, from: i64) -> Result<ReadOutcome, LandError> {
        let goes_on = self.decoded_log.stream().options.on_data_loss == OnDataLoss::Continue;
        loop {
            match self.decoded_log.read(self.partition, from).await {
                Ok(decoded) if !decoded.range.is_empty() => return Ok(ReadOutcome::Records(decoded)),
                // There may be no record for hours although the log is well.
                Ok(_) => {
                    self.set_state(LandingState::Landing);
                    self.decoded_log.wait(self.partition, from).await?;
                }
                Err(DecodedLogError::Log(LogError::Trimmed { first, .. })) if goes_on => {
                    return Ok(ReadOutcome::Gap(OffsetRange::new(from, first)));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Encodes on a thread that answers no requests, because it takes long.
    async fn add(&self, mut buffer: Buffer, decoded: Arc<Decoded>) -> Result<Buffer, WriterEnd> {
        let at = buffer.range().end;
        let added = spawn_blocking(move || buffer.add(&decoded).map(|()| buffer)).await;
        self.encoded(at, added)
    }

    async fn seal(&self, buffer: Buffer) -> Result<Sealed, WriterEnd> {
        let at = buffer.range().start;
        let sealed = spawn_blocking(move || buffer.seal()).await;
        self.encoded(at, sealed)
    }

    /// Unwraps the result of encoding: rows that cannot be encoded cannot be encoded later either.
    fn encoded<T>(
        &self,
        offset: i64,
        result: Result<Result<T, parquet::errors::ParquetError>, tokio::task::JoinError>,
    ) -> Result<T, WriterEnd> {
        let result = result.map_err(LandError::from).and_then(|encoded| Ok(encoded?));
        result.map_err(|error| WriterEnd::Stopped { offset, error: error.reason() })
    }

    fn announce(&self, end: i64) {
        let end = SegmentEnd { topic: self.topic().to_owned(), partition: self.partition, end };
        // There may be no receiver.
        let _ = self.landing.ends.send(end);
    }

    /// Lands the buffer of a stopping process if that is quick: the next process would read it again.
    ///
    /// # On a crash
    /// The buffer is lost, and the next owner of the partition reads its records from the log again.
    async fn land_at_once(&self, buffer: Buffer) -> WriterEnd {
        if buffer.range().is_empty() {
            return WriterEnd::Shutdown;
        }
        let range = buffer.range();
        self.announce(range.end);
        let land = async {
            let sealed = spawn_blocking(move || buffer.seal()).await??;
            let segment = self.describe(&sealed).await?;
            self.record(&segment, &sealed).await
        };
        match timeout(self.landing.config.stop_grace, land).await {
            Ok(Ok(Some(next))) => {
                self.landing.board.set_next_offset(&self.decoded_log.stream().name, self.partition, next)
            }
            Ok(Err(error)) => {
                info!(topic = self.topic(), partition = self.partition, %range, reason = error.reason(), "left to be read again")
            }
            Ok(Ok(None)) | Err(_) => {
                info!(topic = self.topic(), partition = self.partition, %range, "left to be read again")
            }
        }
        WriterEnd::Shutdown
    }

    /// Repeats `attempt` until it succeeds, with growing pauses, and reports the reason in the status.
    async fn persist<T, F>(&self, offset: i64, attempt: impl Fn() -> F) -> Result<T, WriterEnd>
    where
        F: Future<Output = Result<T, LandError>>,
    {
        let config = &self.landing.config;
        let mut backoff = Backoff::new(config.first_pause, config.longest_pause);
        loop {
            let attempted = tokio::select! {
                biased;
                attempted = attempt() => attempted,
                () = self.out_of_grace() => return Err(WriterEnd::Shutdown),
            };
            let error = match attempted {
                Ok(value) => {
                    self.set_state(LandingState::Landing);
                    return Ok(value);
                }
                Err(error) if error.is_end() => return Err(WriterEnd::Shutdown),
                Err(error) if error.is_final() => return Err(WriterEnd::Stopped { offset, error: error.reason() }),
                Err(error) => error,
            };
            let (reason, pause) = (error.reason(), backoff.next_pause());
            warn!(topic = self.topic(), partition = self.partition, reason, ?pause, "landing stalled");
            self.set_state(LandingState::Stalled { reason });
            tokio::select! {
                () = self.stop.cancelled() => return Err(WriterEnd::Shutdown),
                () = clock::sleep(pause) => {}
            }
        }
    }

    /// Waits for the end of the grace of a stopping process, which a store that does not answer must not delay.
    async fn out_of_grace(&self) {
        self.stop.cancelled().await;
        clock::sleep(self.landing.config.stop_grace).await;
    }

    pub(super) fn topic(&self) -> &str {
        &self.decoded_log.stream().topic
    }

    fn set_state(&self, state: LandingState) {
        let now_ms = self.landing.clock.now_ms();
        self.landing.board.set_state(&self.decoded_log.stream().name, self.partition, state, now_ms);
    }
}

/// Waits until the deadline; for ever when there is none.
async fn reached(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => clock::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
