//! A log that fails, does not answer, or reports fewer partitions than it has.

use std::fmt;
use std::ops::Range;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::record::{Fetched, Records};
use dovetail_ingestion::log::{Log, LogError, PartitionPosition, SourceMark, TakenUp};
use futures::future::try_join_all;

use crate::faults::Faults;

/// A call, with its partition and offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogCall {
    CreateTopic,
    Partitions,
    Identity,
    Append(i32),
    SourcePosition(i32),
    ForgetsSources,
    Bounds(i32),
    Read(i32, i64),
    WaitPast(i32, i64),
    Trim(i32),
    DiskBytes,
}

#[derive(Clone)]
pub enum LogFault {
    Fails(Arc<dyn Fn() -> LogError + Send + Sync>),
    /// The call waits for the end of the fault.
    Holds,
}

impl LogFault {
    pub fn fails(error: impl Fn() -> LogError + Send + Sync + 'static) -> Self {
        Self::Fails(Arc::new(error))
    }

    /// The brokers cannot be reached.
    pub fn unreachable(why: &'static str) -> Self {
        Self::fails(move || LogError::Unreachable { brokers: "b:9092".to_owned(), why: why.to_owned() })
    }
}

impl fmt::Debug for LogFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fails(error) => write!(f, "Fails({:?})", error()),
            Self::Holds => f.write_str("Holds"),
        }
    }
}

/// A fake over another log. Calls that wait for records also meet a fault that is set meanwhile. Takeovers and requests
/// of sources go partition by partition, as the trait does by default, so that each part meets faults of its own.
#[derive(Debug)]
pub struct FakeLog {
    log: Arc<dyn Log>,
    pub faults: Faults<LogCall, LogFault>,
    seems: Mutex<Option<Seems>>,
}

#[derive(Debug, Clone, Copy)]
struct Seems {
    partitions: u32,
    until_taken_up: bool,
}

impl FakeLog {
    pub fn over(log: Arc<dyn Log>) -> Arc<Self> {
        Arc::new(Self { log, faults: Faults::default(), seems: Mutex::new(None) })
    }

    /// The wrapped log, which has no faults.
    pub fn log(&self) -> &Arc<dyn Log> {
        &self.log
    }

    /// From now on it reports this number of partitions for every topic.
    pub fn seems_to_have(&self, partitions: u32) {
        *self.seems.lock().unwrap() = Some(Seems { partitions, until_taken_up: false });
    }

    /// Like [`Self::seems_to_have`], until a source is taken over.
    pub fn seems_until_taken_up_to_have(&self, partitions: u32) {
        *self.seems.lock().unwrap() = Some(Seems { partitions, until_taken_up: true });
    }

    /// From now on it reports the true number of partitions.
    pub fn knows_its_partitions(&self) {
        *self.seems.lock().unwrap() = None;
    }

    async fn through<T>(
        &self,
        call: LogCall,
        answer: impl Future<Output = Result<T, LogError>>,
    ) -> Result<T, LogError> {
        self.faults.ask(call);
        let waits = matches!(call, LogCall::WaitPast(..));
        let mut answer = pin!(answer);
        loop {
            let mut changes = self.faults.changes();
            let fault = self.faults.of(&call);
            if fault.is_some() {
                self.faults.note_met();
            }
            match fault {
                Some(LogFault::Fails(error)) => return Err(error()),
                Some(LogFault::Holds) => changes.next().await,
                None => tokio::select! {
                    answer = &mut answer => return answer,
                    () = changes.next(), if waits => {}
                },
            }
        }
    }
}

#[async_trait]
impl Log for FakeLog {
    async fn create_topic(&self, topic: &str, partitions: u32) -> Result<(), LogError> {
        self.through(LogCall::CreateTopic, self.log.create_topic(topic, partitions)).await
    }

    async fn partitions(&self, topic: &str) -> Result<u32, LogError> {
        let partitions = self.through(LogCall::Partitions, self.log.partitions(topic)).await?;
        Ok(self.seems.lock().unwrap().map_or(partitions, |seems| seems.partitions))
    }

    async fn identity(&self, topic: &str) -> Result<Option<String>, LogError> {
        self.through(LogCall::Identity, self.log.identity(topic)).await
    }

    async fn append(&self, t: &str, p: i32, r: Records, mark: Option<SourceMark>) -> Result<OffsetRange, LogError> {
        self.through(LogCall::Append(p), self.log.append(t, p, r, mark)).await
    }

    async fn source_position(
        &self,
        topic: &str,
        partition: i32,
        source: &str,
    ) -> Result<Option<PartitionPosition>, LogError> {
        self.through(LogCall::SourcePosition(partition), self.log.source_position(topic, partition, source)).await
    }

    async fn take_up(&self, topic: &str, source: &str, partitions: Range<i32>) -> Result<TakenUp, LogError> {
        self.seems.lock().unwrap().take_if(|seems| seems.until_taken_up);
        let positions = partitions.map(|partition| self.source_position(topic, partition, source));
        Ok(TakenUp { positions: try_join_all(positions).await?, hold: 0 })
    }

    async fn forgets_sources(&self, topic: &str) -> Result<Option<usize>, LogError> {
        self.through(LogCall::ForgetsSources, self.log.forgets_sources(topic)).await
    }

    async fn bounds(&self, topic: &str, partition: i32) -> Result<OffsetRange, LogError> {
        self.through(LogCall::Bounds(partition), self.log.bounds(topic, partition)).await
    }

    async fn read(&self, topic: &str, partition: i32, from: i64, max_bytes: usize) -> Result<Fetched, LogError> {
        self.through(LogCall::Read(partition, from), self.log.read(topic, partition, from, max_bytes)).await
    }

    async fn wait_past(&self, topic: &str, partition: i32, offset: i64) -> Result<(), LogError> {
        self.through(LogCall::WaitPast(partition, offset), self.log.wait_past(topic, partition, offset)).await
    }

    async fn trim(&self, topic: &str, partition: i32, before: i64) -> Result<(), LogError> {
        self.through(LogCall::Trim(partition), self.log.trim(topic, partition, before)).await
    }

    async fn disk_bytes(&self) -> Result<u64, LogError> {
        self.through(LogCall::DiskBytes, self.log.disk_bytes()).await
    }
}
