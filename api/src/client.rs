//! A client of one server.

#![expect(clippy::disallowed_methods, reason = "a client waits in real time, outside of any engine")]

mod error;

use std::io::Cursor;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamReader;
use bytes::Bytes;
use futures::StreamExt;
use reqwest::{RequestBuilder, Response, StatusCode, Url, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub use self::error::ClientError;
use crate::error::{ErrorDocument, ErrorInfo};
use crate::frames::{self, Digest};
use crate::jobs::{JobInfo, JobRequest, JobStopped, SwitchRequest, Switched};
use crate::layers::LayerInfo;
use crate::paths;
use crate::prefix::Prefix;
use crate::records::{Appended, DryRun, MOST_PER_REQUEST, SourcePosition};
use crate::runs::{Cancelled, RecomputeRequest, Recomputed, Rollback, RunProgress};
use crate::stream::StreamInfo;
use crate::verify::{Verdict, VerifyProgress, VerifyRequest};

/// Time limit of connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Number of attempts to send records that a busy server refuses, or that may not have arrived.
const SEND_ATTEMPTS: u32 = 600;
/// Number of attempts of a question that the server may answer later.
const ASK_ATTEMPTS: u32 = 60;
/// Pause after an attempt that no server answered.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);
/// Pause where the server names none, and the longest that it can ask for.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(30);

type Result<T, E = ClientError> = std::result::Result<T, E>;

/// A server's address, and connections to it.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
}

/// The outcome of sending records.
#[derive(Debug)]
pub enum SendOutcome {
    /// So many were not there before.
    Appended(u64),
    /// One of them, or all together, can never be taken: why.
    TooLarge(String),
}

/// Records of a source, as they are sent.
#[derive(Debug, Clone)]
pub struct NumberedRecords<'s> {
    /// The source's name.
    pub source: &'s str,
    /// Number of the first.
    pub first: u64,
    /// Number of records.
    pub records: u64,
    /// A frame for each record ([`frames`]).
    pub frames: Bytes,
    /// The number and digest of the source's records up to these, if they are to be stored with them.
    pub prefix: Option<Prefix>,
}

/// The answer to a query.
#[derive(Debug)]
pub struct QueryAnswer {
    /// Its columns.
    pub schema: SchemaRef,
    /// Its rows.
    pub batches: Vec<RecordBatch>,
    /// Number of failed records that the answer leaves out, if any; by view where it reads several.
    pub errors: Option<String>,
}

impl Client {
    /// A client of the server at `http://HOST:PORT`. Connects when it is first used.
    pub fn new(server: &str) -> Result<Self> {
        let http = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).build().map_err(ClientError::Client)?;
        let address = || ClientError::Address { server: server.to_owned() };
        let base: Url = server.parse().map_err(|_| address())?;
        if base.cannot_be_a_base() {
            return Err(address());
        }
        Ok(Self { http, base })
    }

    /// The address of `path` with `values` for its parameters, encoded. Nothing else makes addresses.
    fn address(&self, path: &str, values: &[&str]) -> Url {
        let mut url = self.base.clone();
        url.set_query(None);
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(paths::of(path, values));
        }
        url
    }

    fn server(&self) -> String {
        self.base.as_str().trim_end_matches('/').to_owned()
    }

    fn unreachable(&self) -> impl Fn(reqwest::Error) -> ClientError {
        let server = self.server();
        move |source| ClientError::Unreachable { server: server.clone(), source }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let response = request.send().await.map_err(self.unreachable())?;
        match response.status().is_success() {
            true => Ok(response),
            false => Err(refused(response).await),
        }
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        self.send(request).await?.json().await.map_err(self.unreachable())
    }

    /// The answer of a request that is sent again while the server says that it may be taken later.
    async fn json_in_time<T: DeserializeOwned>(
        &self,
        attempts: u32,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<T> {
        let mut attempt = 1;
        loop {
            let response = request().send().await.map_err(self.unreachable())?;
            if response.status().is_success() {
                return response.json().await.map_err(self.unreachable());
            }
            if !is_passing(response.status()) || attempt == attempts {
                return Err(refused(response).await);
            }
            attempt += 1;
            tokio::time::sleep(retry_pause(&response)).await;
        }
    }

    /// Runs a query.
    pub async fn query(&self, sql: &str) -> Result<(SchemaRef, Vec<RecordBatch>)> {
        let QueryAnswer { schema, batches, .. } = self.query_as_of(sql, None).await?;
        Ok((schema, batches))
    }

    /// Runs a query as of `generation`, or of the one that is served.
    pub async fn query_as_of(&self, sql: &str, generation: Option<u64>) -> Result<QueryAnswer> {
        let question = json!({ "sql": sql, "generation": generation });
        let request = self.http.post(self.address(paths::QUERY, &[])).json(&question);
        let request = request.header(header::ACCEPT, "application/vnd.apache.arrow.stream");
        let response = self.send(request).await?;
        let errors = response.headers().get("dovetail-errors").and_then(|errors| errors.to_str().ok());
        let errors = errors.map(str::to_owned);
        let body = response.bytes().await.map_err(self.unreachable())?;
        let reader = StreamReader::try_new(Cursor::new(body), None).map_err(ClientError::Answer)?;
        let schema = reader.schema();
        Ok(QueryAnswer { schema, batches: reader.collect::<Result<_, _>>().map_err(ClientError::Answer)?, errors })
    }

    /// The document at `path`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.json(self.http.get(self.address(path, &[]))).await
    }

    /// The answer to a document that is sent to `path`.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.json(self.http.post(self.address(path, &[])).json(body)).await
    }

    /// The process and its caches, for people.
    pub async fn status(&self) -> Result<Value> {
        self.get(paths::STATUS).await
    }

    /// The state of each layer of the process.
    pub async fn layers(&self) -> Result<Vec<LayerInfo>> {
        self.get(paths::LAYERS).await
    }

    /// Recomputes, and waits until the new generation is served.
    pub async fn recompute(&self, request: &RecomputeRequest) -> Result<Recomputed> {
        self.post(paths::RECOMPUTE, request).await
    }

    /// Progress of the run in progress, or of the last one.
    pub async fn run_progress(&self) -> Result<RunProgress> {
        self.get(paths::RECOMPUTE).await
    }

    /// Cancels the run in progress, if there is one.
    pub async fn cancel_run(&self) -> Result<Cancelled> {
        self.json(self.http.delete(self.address(paths::RECOMPUTE, &[]))).await
    }

    /// Makes an earlier generation current again.
    pub async fn rollback(&self, generation: u64) -> Result<Rollback> {
        self.post(paths::ROLLBACK, &Rollback { generation }).await
    }

    /// All stream jobs, the oldest first.
    pub async fn jobs(&self) -> Result<Vec<JobInfo>> {
        self.get(paths::JOBS).await
    }

    /// Starts a stream job.
    pub async fn start_job(&self, request: &JobRequest) -> Result<JobInfo> {
        self.post(paths::JOBS, request).await
    }

    /// Makes a stream job the one that readers get.
    pub async fn switch_job(&self, request: &SwitchRequest) -> Result<Switched> {
        self.post(paths::JOB_SWITCH, request).await
    }

    /// Stops a stream job and removes it with its checkpoints.
    pub async fn stop_job(&self, job: &str) -> Result<JobStopped> {
        self.json(self.http.delete(self.address(paths::JOB, &[job]))).await
    }

    /// Folds `views` again, all where none is named, and compares them with the served answers.
    pub async fn verify(&self, views: Vec<String>) -> Result<Vec<Verdict>> {
        self.post(paths::VERIFY, &VerifyRequest { views }).await
    }

    /// Progress of the verification in progress, or of the last one.
    pub async fn verify_progress(&self) -> Result<VerifyProgress> {
        self.get(paths::VERIFY).await
    }

    /// The part of `stream` that a reader of its sources needs.
    pub async fn stream(&self, stream: &str) -> Result<StreamInfo> {
        let url = self.address(paths::STREAM, &[stream]);
        self.json_in_time(ASK_ATTEMPTS, || self.http.get(url.clone())).await
    }

    /// The progress of `source` in `stream`.
    pub async fn position(&self, stream: &str, source: &str) -> Result<SourcePosition> {
        let mut url = self.address(paths::SOURCES, &[stream]);
        url.query_pairs_mut().append_pair("source", source);
        self.json_in_time(ASK_ATTEMPTS, || self.http.get(url.clone())).await
    }

    /// Appends records. Waits while the server is busy, and sends records again that may not have arrived: their
    /// numbers make that safe.
    pub async fn append_numbered(&self, stream: &str, sent: NumberedRecords<'_>) -> Result<SendOutcome> {
        let mut url = self.address(paths::RECORDS, &[stream]);
        url.query_pairs_mut().append_pair("source", sent.source).append_pair("first", &sent.first.to_string());
        if let Some(prefix) = sent.prefix {
            url.query_pairs_mut().append_pair("prefix", &prefix.to_string());
        }
        for _ in 0..SEND_ATTEMPTS {
            let Ok(response) = self.framed(url.clone(), sent.frames.clone()).send().await else {
                tokio::time::sleep(RECONNECT_PAUSE).await;
                continue;
            };
            let status = response.status();
            if status.is_success() {
                let Ok(Appended { received, appended }) = response.json().await else { continue };
                if received != sent.records || appended > received {
                    return Err(ClientError::Counts { sent: sent.records, received, appended });
                }
                return Ok(SendOutcome::Appended(appended));
            }
            if !is_passing(status) {
                let why = refused(response).await;
                return match status {
                    StatusCode::PAYLOAD_TOO_LARGE => Ok(SendOutcome::TooLarge(why.to_string())),
                    _ => Err(why),
                };
            }
            tokio::time::sleep(retry_pause(&response)).await;
        }
        Err(ClientError::Busy { server: self.server() })
    }

    fn framed(&self, url: Url, frames: Bytes) -> RequestBuilder {
        self.http.post(url).header(header::CONTENT_TYPE, frames::CONTENT_TYPE).body(frames)
    }

    /// Decodes records, a frame each, without appending them; returns the number of dead letters. Too many at once are
    /// not decoded.
    pub async fn try_records(&self, stream: &str, frames: Bytes) -> Result<DryRun> {
        let mut url = self.address(paths::RECORDS, &[stream]);
        url.query_pairs_mut().append_pair("dry_run", "true");
        match self.json_in_time(SEND_ATTEMPTS, || self.framed(url.clone(), frames.clone())).await {
            Err(ClientError::Refused { status: StatusCode::PAYLOAD_TOO_LARGE, .. }) => {
                Ok(DryRun { received: 0, dead: 0, error: None })
            }
            tried => tried,
        }
    }

    /// Appends the lines of `lines` that are not blank, and returns how many were not there before. Those of no source
    /// are numbered as well, so that each arrives once.
    pub async fn append(&self, stream: &str, from: Option<(&str, u64)>, lines: Vec<u8>) -> Result<u64> {
        let own = source_of_a_run();
        let (source, mut first) = from.unwrap_or((&own, 0));
        let lines: Vec<&[u8]> = lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).collect();
        let mut appended = 0;
        for lines in lines.chunks(MOST_PER_REQUEST as usize) {
            let mut body = Vec::new();
            if !lines.iter().all(|line| frames::push(&mut body, line)) {
                return Err(ClientError::RecordTooLong);
            }
            let records = lines.len() as u64;
            let sent = NumberedRecords { source, first, records, frames: body.into(), prefix: None };
            match self.append_numbered(stream, sent).await? {
                SendOutcome::Appended(n) => appended += n,
                SendOutcome::TooLarge(why) => {
                    let error = Box::new(ErrorInfo { message: why, ..ErrorInfo::default() });
                    return Err(ClientError::Refused { status: StatusCode::PAYLOAD_TOO_LARGE, error });
                }
            }
            first += records;
        }
        Ok(appended)
    }

    /// A digest of each record of `stream` that is in the log or landed, in no order; none of those without a value.
    pub async fn digests(&self, stream: &str, mut each: impl FnMut(Digest)) -> Result<()> {
        let mut url = self.address(paths::VERIFY_RECORDS, &[]);
        url.query_pairs_mut().append_pair("stream", stream);
        let mut pieces = self.send(self.http.get(url)).await?.bytes_stream();
        let mut rest = Vec::new();
        while let Some(piece) = pieces.next().await {
            rest.extend_from_slice(&piece.map_err(|error| ClientError::CutOff(Some(error)))?);
            let (digests, _) = rest.as_chunks();
            digests.iter().for_each(|digest| each(*digest));
            let whole = size_of_val(digests);
            rest.drain(..whole);
        }
        match rest.is_empty() {
            true => Ok(()),
            false => Err(ClientError::CutOff(None)),
        }
    }
}

/// A source that nobody has had before, for records that can be sent once only.
pub fn source_of_a_run() -> String {
    format!("run-{:032x}", rand::random::<u128>())
}

/// Whether a request may be taken another time.
fn is_passing(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::REQUEST_TIMEOUT
            | StatusCode::BAD_GATEWAY
            | StatusCode::GATEWAY_TIMEOUT
    )
}

fn retry_pause(response: &Response) -> Duration {
    let seconds = response.headers().get(header::RETRY_AFTER).and_then(|v| v.to_str().ok()?.parse().ok());
    seconds.map_or(RETRY_PAUSE, Duration::from_secs).min(RETRY_PAUSE_MAX)
}

async fn refused(response: Response) -> ClientError {
    let status = response.status();
    let body = response.text().await.unwrap_or_default();
    let error = match serde_json::from_str::<ErrorDocument>(&body) {
        Ok(document) => document.error,
        Err(_) => ErrorInfo { message: format!("{status}: {body}"), ..ErrorInfo::default() },
    };
    ClientError::Refused { status, error: Box::new(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_hold_any_name() {
        let client = Client::new("http://127.0.0.1:8311/").unwrap();
        assert_eq!(client.address(paths::STATUS, &[]).as_str(), "http://127.0.0.1:8311/v1/status");
        let below = Client::new("http://host/dovetail").unwrap();
        assert_eq!(below.address(paths::STATUS, &[]).as_str(), "http://host/dovetail/v1/status");
        for name in ["a #1.csv", "a&b=1+2.csv", "50%/?x", "..", "größe\u{2028}\u{1f980}", "\0\r\n"] {
            let mut url = client.address(paths::SOURCES, &["s"]);
            url.query_pairs_mut().append_pair("source", name).append_pair("first", "7");
            let pairs: Vec<_> = url.query_pairs().into_owned().collect();
            assert_eq!(pairs, [("source".into(), name.to_owned()), ("first".into(), "7".into())]);
            assert_eq!((url.path(), url.fragment()), ("/v1/streams/s/sources", None));
        }
        let url = client.address(paths::VIEW, &["a/b?c#d e%"]);
        assert_eq!(url.path(), "/v1/views/a%2Fb%3Fc%23d%20e%25");
    }

    #[tokio::test]
    async fn https_is_spoken() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = Client::new(&format!("https://{}", listener.local_addr().unwrap())).unwrap();
        let first = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            tokio::io::AsyncReadExt::read_u8(&mut socket).await.unwrap()
        };
        let request = client.send(client.http.get(client.address(paths::STATUS, &[])));
        let (first, answer) = tokio::join!(first, request);
        // A record of a TLS handshake; nobody goes on with it.
        assert_eq!(first, 22);
        assert!(answer.is_err());
    }

    #[test]
    fn an_address_that_is_none_is_refused() {
        for server in ["127.0.0.1:8311", "", "mailto:x@y"] {
            assert!(Client::new(server).is_err(), "{server}");
        }
    }
}
