//! How commands reach a server.

use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::ipc::reader::StreamReader;
use bytes::Bytes;
use dovetail_core::name::StreamName;
use dovetail_core::pipeline::{Format, Header, OnBadRecord, OnDataLoss, Stream, StreamOptions};
use dovetail_ingestion::append::MOST_PER_REQUEST;
use dovetail_ingestion::frames::{self, Digest};
use dovetail_ingestion::log::Prefix;
use futures::StreamExt;
use reqwest::{RequestBuilder, Response, StatusCode, Url, header};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

/// A server's address.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
}

/// How often a request that was told to come back later comes back.
const TRIES: u32 = 600;
/// How often a question is asked that the server may answer later.
const ASKED: u32 = 60;

/// What became of records that were sent.
#[derive(Debug)]
pub enum Outcome {
    /// So many were not there before.
    Appended(u64),
    /// One of them, or all together, can never be taken: why.
    TooLarge(String),
}

/// Records of a source, as they are sent.
#[derive(Debug, Clone)]
pub struct Numbered<'s> {
    pub source: &'s str,
    /// Number of the first.
    pub first: u64,
    pub records: u64,
    /// A frame for each.
    pub frames: Bytes,
    /// The source's records up to these, in short, if that is to be kept with them.
    pub prefix: Option<Prefix>,
}

/// What a query is answered with.
#[derive(Debug)]
pub struct Answered {
    pub schema: SchemaRef,
    pub batches: Vec<RecordBatch>,
    /// How many records the answer leaves out because they fail, if any; by view where it reads several.
    pub errors: Option<String>,
}

impl Client {
    pub fn new(server: &str) -> Result<Self> {
        let http = reqwest::Client::builder().connect_timeout(Duration::from_secs(5)).build()?;
        let base: Url =
            server.parse().with_context(|| format!("`{server}` is no address: write `http://HOST:PORT`"))?;
        if base.cannot_be_a_base() {
            bail!("`{server}` is no address: write `http://HOST:PORT`");
        }
        Ok(Self { http, base })
    }

    /// The address of a path with these segments, whatever is in them. Nothing else makes addresses.
    fn address<'p>(&self, path: impl IntoIterator<Item = &'p str>) -> Url {
        let mut url = self.base.clone();
        url.set_query(None);
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// The address of `path`, of which nothing is encoded.
    fn url(&self, path: &str) -> Url {
        self.address(path.trim_start_matches('/').split('/'))
    }

    fn server(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    fn nobody_answers(&self) -> String {
        format!("no server answers at {}; start one with `dovetail up`", self.server())
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let response = request.send().await.with_context(|| self.nobody_answers())?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = response.text().await.unwrap_or_default();
        Err(explain(status, &text))
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        Ok(self.send(request).await?.json().await?)
    }

    /// Runs a query.
    pub async fn query(&self, sql: &str) -> Result<(SchemaRef, Vec<RecordBatch>)> {
        let Answered { schema, batches, .. } = self.query_as_of(sql, None).await?;
        Ok((schema, batches))
    }

    /// Runs a query as of `generation`, or of the one that is served.
    pub async fn query_as_of(&self, sql: &str, generation: Option<u64>) -> Result<Answered> {
        let question = json!({ "sql": sql, "generation": generation });
        let request = self.http.post(self.url("/v1/query")).json(&question);
        let request = request.header(header::ACCEPT, "application/vnd.apache.arrow.stream");
        let response = self.send(request).await?;
        let errors = response.headers().get("dovetail-errors").and_then(|errors| errors.to_str().ok());
        let errors = errors.map(str::to_owned);
        let reader = StreamReader::try_new(Cursor::new(response.bytes().await?), None)?;
        Ok(Answered { schema: reader.schema(), batches: reader.collect::<Result<_, _>>()?, errors })
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.json(self.http.get(self.url(path))).await
    }

    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T> {
        self.json(self.http.post(self.url(path)).json(body)).await
    }

    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.json(self.http.delete(self.url(path))).await
    }

    /// What reading a source for `stream` needs to know of it.
    pub async fn stream(&self, stream: &StreamName) -> Result<StreamInfo> {
        self.json_in_time(self.address(["v1", "streams", stream.as_str()])).await
    }

    /// How far `source` has come in `stream`.
    pub async fn position(&self, stream: &StreamName, source: &str) -> Result<Reached> {
        let mut url = self.address(["v1", "streams", stream.as_str(), "sources"]);
        url.query_pairs_mut().append_pair("source", source);
        self.json_in_time(url).await
    }

    /// Asks again while the server says that it may know later.
    async fn json_in_time<T: DeserializeOwned>(&self, url: Url) -> Result<T> {
        let mut asked = 1;
        loop {
            let response = self.http.get(url.clone()).send().await.with_context(|| self.nobody_answers())?;
            let status = response.status();
            if status.is_success() {
                return response.json().await.with_context(|| self.nobody_answers());
            }
            if !may_pass(status) || asked == ASKED {
                return Err(explain(status, &response.text().await.unwrap_or_default()));
            }
            asked += 1;
            tokio::time::sleep(retry_after(&response)).await;
        }
    }

    /// Appends records; waits as told while the server is busy, and sends again what may not have arrived: their
    /// numbers make that safe.
    pub async fn append_numbered(&self, stream: &StreamName, sent: Numbered<'_>) -> Result<Outcome> {
        let mut url = self.address(["v1", "streams", stream.as_str(), "records"]);
        url.query_pairs_mut().append_pair("source", sent.source).append_pair("first", &sent.first.to_string());
        if let Some(prefix) = sent.prefix {
            url.query_pairs_mut().append_pair("prefix", &prefix.to_string());
        }
        for _ in 0..TRIES {
            let request = self.http.post(url.clone()).header(header::CONTENT_TYPE, frames::CONTENT_TYPE);
            let Ok(response) = request.body(sent.frames.clone()).send().await else {
                tokio::time::sleep(Duration::from_millis(500)).await;
                continue;
            };
            let status = response.status();
            if status.is_success() {
                let Ok(Appended { received, appended }) = response.json().await else { continue };
                if received != sent.records || appended > received {
                    bail!(
                        "the server took {received} records for {}, {appended} of them new: is it this version?",
                        sent.records
                    );
                }
                return Ok(Outcome::Appended(appended));
            }
            if !may_pass(status) {
                let why = explain(status, &response.text().await.unwrap_or_default());
                return if status == StatusCode::PAYLOAD_TOO_LARGE {
                    Ok(Outcome::TooLarge(why.to_string()))
                } else {
                    Err(why)
                };
            }
            tokio::time::sleep(retry_after(&response)).await;
        }
        bail!("the server at {} took no records for a long time; run the same command again to continue", self.server())
    }

    /// What becomes of records, a frame each, without appending them; of none where they are too many at once.
    pub async fn try_records(&self, stream: &StreamName, frames: Bytes) -> Result<Tried> {
        let mut url = self.address(["v1", "streams", stream.as_str(), "records"]);
        url.query_pairs_mut().append_pair("dry_run", "true");
        for _ in 0..TRIES {
            let request = self.http.post(url.clone()).header(header::CONTENT_TYPE, frames::CONTENT_TYPE);
            let response = request.body(frames.clone()).send().await.with_context(|| self.nobody_answers())?;
            let status = response.status();
            if status == StatusCode::PAYLOAD_TOO_LARGE {
                return Ok(Tried { received: 0, dead: 0, error: None });
            }
            if !may_pass(status) {
                return match status.is_success() {
                    true => Ok(response.json().await.with_context(|| self.nobody_answers())?),
                    false => Err(explain(status, &response.text().await.unwrap_or_default())),
                };
            }
            tokio::time::sleep(retry_after(&response)).await;
        }
        bail!("the server at {} took no records for a long time; run the same command again", self.server())
    }

    /// Appends the lines of `lines` that are not blank, and returns how many were not there before. Those of no source
    /// are numbered as well, so that each arrives once.
    pub async fn append(&self, stream: &str, from: Option<(&str, u64)>, lines: Vec<u8>) -> Result<u64> {
        let stream = StreamName::parse(stream)?;
        let own = source_of_a_run();
        let (source, mut first) = from.unwrap_or((&own, 0));
        let lines: Vec<&[u8]> = lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).collect();
        let mut appended = 0;
        for lines in lines.chunks(MOST_PER_REQUEST as usize) {
            let mut body = Vec::new();
            if !lines.iter().all(|line| frames::push(&mut body, line)) {
                bail!("a record is too long");
            }
            let records = lines.len() as u64;
            match self
                .append_numbered(&stream, Numbered { source, first, records, frames: body.into(), prefix: None })
                .await?
            {
                Outcome::Appended(n) => appended += n,
                Outcome::TooLarge(why) => bail!(why),
            }
            first += records;
        }
        Ok(appended)
    }

    /// A digest of each record of `stream` that is in the log or landed, in no order; none of those without a value.
    pub async fn digests(&self, stream: &StreamName, mut each: impl FnMut(Digest)) -> Result<()> {
        let mut url = self.address(["v1", "verify", "records"]);
        url.query_pairs_mut().append_pair("stream", stream.as_str());
        let mut pieces = self.send(self.http.get(url)).await?.bytes_stream();
        let mut rest = Vec::new();
        while let Some(piece) = pieces.next().await {
            rest.extend_from_slice(&piece.context("the server stopped in the middle of the log; see its own log")?);
            let (digests, _) = rest.as_chunks();
            digests.iter().for_each(|digest| each(*digest));
            let whole = size_of_val(digests);
            rest.drain(..whole);
        }
        if !rest.is_empty() {
            bail!("the server stopped in the middle of the log; see its own log");
        }
        Ok(())
    }
}

/// What a server makes of records that it decodes and does not append.
#[derive(Debug, Deserialize)]
pub struct Tried {
    pub received: u64,
    pub dead: u64,
    /// What is wrong with the first that is.
    pub error: Option<String>,
}

/// A source that nobody has had before, for what can be sent once only.
pub fn source_of_a_run() -> String {
    format!("run-{:032x}", rand::random::<u128>())
}

/// Whether numbered records may be taken another time.
fn may_pass(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::REQUEST_TIMEOUT
            | StatusCode::BAD_GATEWAY
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// What the server says of an append.
#[derive(Debug, Deserialize)]
struct Appended {
    received: u64,
    appended: u64,
}

/// How far a source has come.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct Reached {
    /// The first record to send.
    pub next: u64,
    /// Records before this one are in the log but for a few: they are sent without waiting for their turn, and
    /// the server leaves out those that it has.
    pub seen: u64,
    /// What the records that the log holds are among.
    #[serde(default, deserialize_with = "prefix")]
    pub prefix: Option<Prefix>,
}

fn prefix<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Prefix>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(|_| D::Error::custom("`prefix` is none"))).transpose()
}

fn retry_after(response: &Response) -> Duration {
    let seconds = response.headers().get(header::RETRY_AFTER).and_then(|v| v.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(1)).min(Duration::from_secs(30))
}

fn explain(status: StatusCode, body: &str) -> anyhow::Error {
    let Some(error) = serde_json::from_str::<Value>(body).ok().and_then(|v| v.get("error").cloned()) else {
        return anyhow!("{status}: {body}");
    };
    let text = |key: &str| error.get(key).and_then(Value::as_str).map(ToOwned::to_owned);
    let place = match (error.get("line"), error.get("column")) {
        (Some(line), Some(column)) => format!("line {line}, column {column}: "),
        _ => String::new(),
    };
    let hint = text("hint").map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
    anyhow!("{place}{}{hint}", text("message").unwrap_or_default())
}

/// What reading a source for a stream needs to know of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StreamInfo {
    pub name: StreamName,
    pub topic: String,
    pub format: String,
    pub columns: Vec<ColumnInfo>,
    pub partitions: u32,
    pub key: Option<String>,
    pub event_time: Option<String>,
    pub timezone: Option<String>,
    pub timestamp_formats: Vec<String>,
    pub timestamp_unit: String,
    pub header: String,
    pub header_names: Vec<(String, String)>,
    pub delimiter: Option<char>,
    pub null_texts: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ColumnInfo {
    pub name: String,
    #[serde(rename = "type")]
    pub data_type: String,
    pub nullable: bool,
}

const UNITS: [(&str, TimeUnit); 4] = [
    ("s", TimeUnit::Second),
    ("ms", TimeUnit::Millisecond),
    ("us", TimeUnit::Microsecond),
    ("ns", TimeUnit::Nanosecond),
];

const FORMATS: [(&str, Format); 3] = [("json", Format::Json), ("csv", Format::Csv), ("text", Format::Text)];
const HEADERS: [(&str, Header); 3] =
    [("as_is", Header::AsIs), ("snake_case", Header::SnakeCase), ("none", Header::None)];

fn name_of<T: PartialEq>(names: &[(&str, T)], value: T) -> String {
    names.iter().find(|(_, named)| *named == value).map_or_else(String::new, |(name, _)| (*name).to_owned())
}

/// What the server calls `name`; one that is newer may have more.
fn named<T: Copy>(names: &[(&str, T)], what: &str, name: &str) -> Result<T> {
    let found = names.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    found.with_context(|| format!("the server's {what} `{name}` is unknown here: is it of this version?"))
}

impl StreamInfo {
    pub fn of(stream: &Stream) -> Self {
        let options = &stream.options;
        let columns = stream.columns.fields().iter().map(|f| ColumnInfo {
            name: f.name().clone(),
            data_type: f.data_type().to_string(),
            nullable: f.is_nullable(),
        });
        Self {
            name: stream.name.clone(),
            topic: stream.topic.clone(),
            format: name_of(&FORMATS, stream.format),
            columns: columns.collect(),
            partitions: options.partitions,
            key: options.key.clone(),
            event_time: options.event_time.clone(),
            timezone: options.timezone.map(|zone| zone.name().to_owned()),
            timestamp_formats: options.timestamp_formats.clone(),
            timestamp_unit: name_of(&UNITS, options.timestamp_unit),
            header: name_of(&HEADERS, options.header),
            header_names: options.header_names.clone(),
            delimiter: options.delimiter.map(char::from),
            null_texts: options.null_texts.clone(),
        }
    }

    /// A stream that reads sources as the server's does. Its columns have names, not types.
    pub fn into_stream(self) -> Result<Stream> {
        let column = |column: &ColumnInfo| Field::new(&column.name, DataType::Utf8, column.nullable);
        let columns: Vec<Field> = self.columns.iter().map(column).collect();
        let delimiter = self.delimiter.map(u8::try_from).transpose();
        let timezone = self.timezone.map(|zone| zone.parse()).transpose();
        Ok(Stream {
            name: self.name,
            topic: self.topic,
            format: named(&FORMATS, "format", &self.format)?,
            columns: Arc::new(Schema::new(columns)),
            options: StreamOptions {
                event_time: self.event_time,
                timezone: timezone.map_err(|e| anyhow!("the server's time zone is unknown here: {e}"))?,
                timestamp_formats: self.timestamp_formats,
                timestamp_unit: named(&UNITS, "unit of timestamps", &self.timestamp_unit)?,
                key: self.key,
                partitions: self.partitions,
                on_bad_record: OnBadRecord::DeadLetter,
                on_data_loss: OnDataLoss::Stop,
                header: named(&HEADERS, "header", &self.header)?,
                header_names: self.header_names,
                delimiter: delimiter.context("the server's delimiter is unknown here")?,
                null_texts: self.null_texts,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_hold_any_name() {
        let client = Client::new("http://127.0.0.1:8311/").unwrap();
        assert_eq!(client.url("/v1/status").as_str(), "http://127.0.0.1:8311/v1/status");
        let below = Client::new("http://host/dovetail").unwrap();
        assert_eq!(below.url("/v1/status").as_str(), "http://host/dovetail/v1/status");
        for name in ["a #1.csv", "a&b=1+2.csv", "50%/?x", "..", "größe\u{2028}\u{1f980}", "\0\r\n"] {
            let mut url = client.address(["v1", "streams", "s", "sources"]);
            url.query_pairs_mut().append_pair("source", name).append_pair("first", "7");
            let pairs: Vec<_> = url.query_pairs().into_owned().collect();
            assert_eq!(pairs, [("source".into(), name.to_owned()), ("first".into(), "7".into())]);
            assert_eq!((url.path(), url.fragment()), ("/v1/streams/s/sources", None));
        }
        let url = client.address(["v1", "a/b?c#d e%"]);
        assert_eq!(url.path(), "/v1/a%2Fb%3Fc%23d%20e%25");
    }

    #[test]
    fn an_address_that_is_none_is_refused() {
        for server in ["127.0.0.1:8311", "", "mailto:x@y"] {
            assert!(Client::new(server).is_err(), "{server}");
        }
    }
}
