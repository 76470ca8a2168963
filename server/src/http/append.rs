//! Appending records, and the progress of a source.

use std::sync::Arc;

use arrow::array::{BinaryArray, StringArray, TimestampMillisecondArray};
use axum::body::Body;
use axum::extract::{Path, Query, RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use dovetail_api::frames;
use dovetail_api::records::{AppendQuery, Appended, DryRun, MOST_PER_REQUEST, SourcePosition};
use dovetail_connectors::sources::file::{split_lines, split_values};
use dovetail_core::offsets::OffsetRange;
use dovetail_core::pipeline::Stream;
use dovetail_core::record::{Fetched, Records};
use dovetail_ingestion::append::{NumberedFrom, SourceProgress};
use dovetail_ingestion::formats::{DeadLetter, DecodeError, Decoder};
use dovetail_ingestion::log::LogError;
use dovetail_serving_layer::{Code, Failed};
use percent_encoding::percent_decode_str;
use serde::Deserialize;

use super::App;
use super::body::ReceivedBody;

/// The source and first number of a request; `None` when its records are not numbered.
fn numbered_by(query: AppendQuery) -> Result<Option<NumberedFrom>, Failed> {
    let refused = |message: &str| Err(Failed::new(Code::BadRequest, message));
    let Ok(prefix) = query.prefix.map(|prefix| prefix.parse()).transpose() else {
        return refused("`prefix` is none; write how many records, `:` and 16 hexadecimal digits");
    };
    match (query.source, query.first) {
        (Some(source), _) if source.is_empty() => refused("`source` is empty; name the source"),
        (Some(source), Some(first)) => Ok(Some(NumberedFrom { source, first, prefix })),
        // Other records would be taken for the first ones of their source, and left out as duplicates.
        (Some(_), None) => refused("`source` numbers the records: say the number of the first one with `first`"),
        (None, Some(_)) => refused("`first` numbers the records of a source: name it with `source`"),
        (None, None) if prefix.is_some() => refused("`prefix` is of a source's records: name it with `source`"),
        (None, None) => Ok(None),
    }
}

pub(super) async fn append(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(from): Query<AppendQuery>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    is_text(query.as_deref())?;
    let appender = app.appender(&name)?;
    let dry_run = from.dry_run;
    let from = numbered_by(from)?;
    let mut received = app.intake.receive(&headers, body).await?;
    let is_framed = headers.get(header::CONTENT_TYPE).is_some_and(|t| t.as_bytes() == frames::CONTENT_TYPE.as_bytes());
    let owned: Vec<Vec<u8>>;
    let bytes = received.bytes.clone();
    let values: Vec<&[u8]> = match is_framed {
        true => frames::split(&bytes).map_err(|e| Failed::new(Code::BadRequest, e.to_string()))?,
        false => match split_lines(appender.stream(), &bytes) {
            Some(lines) => lines,
            None => {
                owned = values(&app, &mut received)?;
                owned.iter().map(Vec::as_slice).collect()
            }
        },
    };
    if (from.is_some() || is_framed) && values.len() as u64 > MOST_PER_REQUEST {
        let message =
            format!("{} numbered or framed records in one request; send {MOST_PER_REQUEST} at most", values.len());
        return Err(Failed::new(Code::TooLarge, message));
    }
    if dry_run {
        return try_records(appender.stream(), &values).map(IntoResponse::into_response);
    }
    if let Some(NumberedFrom { first, prefix: Some(prefix), .. }) = &from
        && first.saturating_add(values.len() as u64) > prefix.records
    {
        return Err(Failed::new(Code::BadRequest, "`prefix` counts fewer records than were sent"));
    }
    let appended =
        appender.append(&values, from.as_ref()).await.map_err(|error| not_appended(error, from.is_some()))?;
    Ok(axum::Json(Appended { received: values.len() as u64, appended }).into_response())
}

/// Refuses a query string that is no UTF-8: its bytes would be replaced, and two sources would get one name.
fn is_text(query: Option<&str>) -> Result<(), Failed> {
    match percent_decode_str(query.unwrap_or_default()).decode_utf8() {
        Ok(_) => Ok(()),
        Err(error) => Err(Failed::new(Code::BadRequest, format!("the query is not UTF-8: {error}"))),
    }
}

/// Decodes the records without appending them, and reports the result.
fn try_records(stream: &Arc<Stream>, values: &[&[u8]]) -> Result<axum::Json<DryRun>, Failed> {
    let failed = |error: DecodeError| Failed::new(Code::Internal, error.to_string());
    let mut decoder = Decoder::new(Arc::clone(stream)).map_err(failed)?;
    let count = values.len();
    let fetched = Fetched {
        offsets: (0..count as i64).collect(),
        records: Records {
            timestamps: TimestampMillisecondArray::from_value(0, count),
            keys: BinaryArray::new_null(count),
            values: BinaryArray::from_iter_values(values),
            headers: StringArray::new_null(count),
        },
        range: OffsetRange::new(0, count as i64),
    };
    let dead = decoder.decode(0, &fetched).map_err(failed)?.dead;
    let error = dead.first().map(DeadLetter::reason);
    Ok(axum::Json(DryRun { received: count as u64, dead: dead.len() as u64, error }))
}

/// The values of a JSON body that are no plain lines.
fn values(app: &App, received: &mut ReceivedBody) -> Result<Vec<Vec<u8>>, Failed> {
    app.intake.double(received)?;
    split_values(&received.bytes).map_err(|e| Failed::new(Code::BadRequest, format!("{e}; nothing was appended")))
}

/// The error of records that were not appended. Numbered records may be sent again in any case. The outcome of others
/// is not known: some may be in the log, so the error does not ask for a retry.
fn not_appended(error: LogError, numbered: bool) -> Failed {
    let code = match &error {
        LogError::SourceOverlap { .. } => Code::SourceOverlap,
        LogError::NameTooLong { .. } | LogError::SourceForgotten { .. } => Code::BadRequest,
        LogError::RecordTooLarge { .. } => Code::TooLarge,
        _ if numbered => Code::Unavailable,
        _ => Code::OutcomeUnknown,
    };
    let why = format!("{:#}", anyhow::Error::from(error));
    Failed::new(code, if numbered { why } else { format!("{why}; {UNKNOWN}") })
}

/// The hint for records without numbers that may be in the log.
pub(super) const UNKNOWN: &str = "some of the records may be in the log: see which before you send them again, or number them with `?source=NAME&first=N`";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceQuery {
    source: String,
}

pub(super) async fn source(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(SourceQuery { source }): Query<SourceQuery>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failed> {
    is_text(query.as_deref())?;
    let position = app.appender(&name)?.position(&source).await;
    let SourceProgress { resume, seen, prefix } = position.map_err(|error| not_appended(error, true))?;
    Ok(axum::Json(SourcePosition { next: resume, seen, prefix }).into_response())
}

pub(super) async fn source_by_path(
    state: State<Arc<App>>,
    Path((name, source)): Path<(String, String)>,
) -> Result<Response, Failed> {
    self::source(state, Path(name), Query(SourceQuery { source }), RawQuery(None)).await
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use dovetail_api::prefix::Prefix;

    use super::*;

    #[test]
    fn nobody_is_told_to_send_again_what_may_be_there() {
        let failed = || LogError::Store("disk full".into());
        let numbered = not_appended(failed(), true).into_response();
        assert_eq!(numbered.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(numbered.headers().contains_key(header::RETRY_AFTER));
        let failed = not_appended(failed(), false);
        assert!(format!("{failed:?}").contains("may be in the log"), "{failed:?}");
        let unnumbered = failed.into_response();
        assert_eq!(unnumbered.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!unnumbered.headers().contains_key(header::RETRY_AFTER));
    }

    #[test]
    fn numbers_need_a_source() {
        let parse = |source: Option<&str>, first| {
            numbered_by(AppendQuery { source: source.map(ToOwned::to_owned), first, ..AppendQuery::default() })
        };
        let prefix = |prefix: &str| {
            let prefix = Some(prefix.to_owned());
            numbered_by(AppendQuery { source: Some("s".to_owned()), first: Some(0), prefix, dry_run: false })
        };
        let said = prefix("7:00000000000000ff").unwrap().unwrap().prefix;
        assert_eq!(said, Some(Prefix { records: 7, digest: 255 }));
        assert!(prefix("x").is_err());
        assert!(parse(None, Some(1)).is_err());
        assert!(parse(Some(""), None).is_err());
        assert!(parse(None, None).unwrap().is_none());
        assert_eq!(parse(Some("s"), Some(0)).unwrap().unwrap().first, 0);
        assert!(parse(Some("s"), None).is_err());
    }
}
