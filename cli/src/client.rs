//! How commands reach a server.

use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::ipc::reader::StreamReader;
use dovetail_core::name::StreamName;
use dovetail_core::pipeline::{Format, Header, OnBadRecord, OnDataLoss, Stream, StreamOptions};
use reqwest::{RequestBuilder, Response, StatusCode, header};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A server's address.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
}

/// How often a request that was told to come back later comes back.
const TRIES: u32 = 600;

impl Client {
    pub fn new(server: &str) -> Result<Self> {
        let http = reqwest::Client::builder().connect_timeout(Duration::from_secs(5)).build()?;
        Ok(Self { http, base: server.trim_end_matches('/').to_owned() })
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let unreachable = || format!("no server answers at {}; start one with `dovetail up`", self.base);
        let response = request.send().await.with_context(unreachable)?;
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
        self.query_as_of(sql, None).await
    }

    /// Runs a query as of `generation`, or of the one that is served.
    pub async fn query_as_of(&self, sql: &str, generation: Option<u64>) -> Result<(SchemaRef, Vec<RecordBatch>)> {
        let question = json!({ "sql": sql, "generation": generation });
        let request = self.http.post(self.url("/v1/query")).json(&question);
        let request = request.header(header::ACCEPT, "application/vnd.apache.arrow.stream");
        let body = self.send(request).await?.bytes().await?;
        let reader = StreamReader::try_new(Cursor::new(body), None)?;
        let schema = reader.schema();
        Ok((schema, reader.collect::<Result<_, _>>()?))
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

    /// Appends NDJSON and returns how many records were not there before; waits as told while the server is busy, and
    /// sends again what may not have arrived when the records have numbers.
    pub async fn append(&self, stream: &str, from: Option<(&str, u64)>, body: Vec<u8>) -> Result<u64> {
        let body = bytes::Bytes::from(body);
        let mut url = self.url(&format!("/v1/streams/{stream}/records"));
        if let Some((source, first)) = from {
            url = format!("{url}?source={source}&first={first}");
        }
        for _ in 0..TRIES {
            let request = self.http.post(&url).header(header::CONTENT_TYPE, "application/x-ndjson").body(body.clone());
            match request.send().await {
                Ok(response) if response.status().is_success() => {
                    let answer: Appended = response.json().await?;
                    return Ok(answer.appended);
                }
                Ok(response) => {
                    let status = response.status();
                    if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
                        return Err(explain(status, &response.text().await.unwrap_or_default()));
                    }
                    tokio::time::sleep(retry_after(&response)).await;
                }
                Err(error) if from.is_none() => return Err(error).context("the records may have arrived or not"),
                Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
            }
        }
        bail!("the server at {} took no records for a long time; run the same command again to continue", self.base)
    }
}

/// What the server says of an append.
#[derive(Debug, Deserialize)]
struct Appended {
    appended: u64,
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
    pub null_texts: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ColumnInfo {
    pub name: String,
    #[serde(rename = "type")]
    pub data_type: String,
}

const UNITS: [(&str, TimeUnit); 4] = [
    ("s", TimeUnit::Second),
    ("ms", TimeUnit::Millisecond),
    ("us", TimeUnit::Microsecond),
    ("ns", TimeUnit::Nanosecond),
];

impl StreamInfo {
    pub fn of(stream: &Stream) -> Self {
        let options = &stream.options;
        let columns = stream
            .columns
            .fields()
            .iter()
            .map(|f| ColumnInfo { name: f.name().clone(), data_type: f.data_type().to_string() });
        let unit = UNITS.iter().find(|(_, unit)| *unit == options.timestamp_unit).map_or("ms", |(name, _)| name);
        Self {
            name: stream.name.clone(),
            topic: stream.topic.clone(),
            format: if stream.format == Format::Csv { "csv" } else { "json" }.to_owned(),
            columns: columns.collect(),
            partitions: options.partitions,
            key: options.key.clone(),
            event_time: options.event_time.clone(),
            timezone: options.timezone.map(|zone| zone.name().to_owned()),
            timestamp_formats: options.timestamp_formats.clone(),
            timestamp_unit: unit.to_owned(),
            header: if options.header == Header::SnakeCase { "snake_case" } else { "as_is" }.to_owned(),
            header_names: options.header_names.clone(),
            null_texts: options.null_texts.clone(),
        }
    }

    /// A stream that reads sources as the server's does. Its columns have names, not types.
    pub fn into_stream(self) -> Result<Stream> {
        let columns: Vec<Field> = self.columns.iter().map(|c| Field::new(&c.name, DataType::Utf8, true)).collect();
        let unit = UNITS.into_iter().find(|(name, _)| *name == self.timestamp_unit).map(|(_, unit)| unit);
        let timezone = self.timezone.map(|zone| zone.parse()).transpose();
        Ok(Stream {
            name: self.name,
            topic: self.topic,
            format: if self.format == "csv" { Format::Csv } else { Format::Json },
            columns: Arc::new(Schema::new(columns)),
            options: StreamOptions {
                event_time: self.event_time,
                timezone: timezone.map_err(|e| anyhow!("the server's time zone is unknown here: {e}"))?,
                timestamp_formats: self.timestamp_formats,
                timestamp_unit: unit.unwrap_or(TimeUnit::Millisecond),
                key: self.key,
                partitions: self.partitions,
                on_bad_record: OnBadRecord::DeadLetter,
                on_data_loss: OnDataLoss::Stop,
                header: if self.header == "snake_case" { Header::SnakeCase } else { Header::AsIs },
                header_names: self.header_names,
                null_texts: self.null_texts,
            },
        })
    }
}
