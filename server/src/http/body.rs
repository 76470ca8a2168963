//! Bodies of requests, within a limit for each and one for all: memory is reserved as the bytes come in, and a body
//! that can never fit is refused.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use bytesize::ByteSize;
use dovetail_core::clock;
use dovetail_serving_layer::{Code, Failed};
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// Time in which a sender has to send a body of no length ..
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// .. and the least rate in bytes per second beyond that.
const SLOWEST: f64 = 16.0 * 1024.0;

/// Receives bodies.
#[derive(Debug)]
pub(super) struct Intake {
    /// One permit per KiB of the requests that are being read or appended.
    room: Arc<Semaphore>,
    all: usize,
    longest: usize,
    patience: Duration,
}

/// A body, and its memory until it is dropped.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) bytes: Bytes,
    room: OwnedSemaphorePermit,
}

impl Intake {
    pub(super) fn new(all: usize, longest: usize) -> Self {
        Self { room: Arc::new(Semaphore::new(kib(all) as usize)), all, longest, patience: BODY_TIMEOUT }
    }

    /// Reads `body`. When it is refused, further bytes of the sender are dropped for a while, so that the sender sees
    /// the error.
    pub(super) async fn receive(&self, headers: &HeaderMap, body: Body) -> Result<Received, Failed> {
        let mut pieces = body.into_data_stream();
        let began = clock::now_monotonic();
        let received = self.read(headers, &mut pieces, began).await;
        // A client that waits for `100 Continue` has sent nothing.
        if received.is_err() && !headers.contains_key(header::EXPECT) {
            let rest = async { while let Some(Ok(_)) = pieces.next().await {} };
            let _ = timeout_at(began + self.patience, rest).await;
        }
        received
    }

    async fn read(
        &self,
        headers: &HeaderMap,
        pieces: &mut axum::body::BodyDataStream,
        began: Instant,
    ) -> Result<Received, Failed> {
        if let Some(encoding) = headers.get(header::CONTENT_ENCODING).filter(|encoding| *encoding != "identity") {
            let message = format!("the body is encoded as {encoding:?}; send it as it is");
            return Err(Failed::new(Code::UnsupportedMediaType, message));
        }
        let declared: Option<usize> =
            headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let mut read = Vec::new();
        let mut room = self.room(declared.unwrap_or(0), 0)?;
        if let Some(declared) = declared {
            read.reserve_exact(declared);
        }
        loop {
            let patience = self.patience + Duration::from_secs_f64(read.len() as f64 / SLOWEST);
            let Ok(piece) = timeout_at(began + patience, pieces.next()).await else {
                let message = format!("the body came too slowly: {} bytes in {patience:.0?}", read.len());
                return Err(Failed::new(Code::TooSlow, message));
            };
            let Some(piece) = piece else { break };
            let piece = piece.map_err(|e| Failed::new(Code::BadRequest, format!("the body cannot be read: {e}")))?;
            let needed = read.len() + piece.len();
            if needed > read.capacity() {
                // Twice as much, or the limit of one request; the old memory is released when everything has moved to
                // the new one.
                let capacity = needed.max((2 * read.capacity()).min(self.longest));
                let larger = self.room(capacity, read.capacity())?;
                read.reserve_exact(capacity - read.len());
                room = larger;
            }
            read.extend_from_slice(&piece);
        }
        Ok(Received { bytes: read.into(), room })
    }

    /// Reserves memory for a copy of the body.
    pub(super) fn double(&self, received: &mut Received) -> Result<(), Failed> {
        let length = received.bytes.len();
        received.room.merge(self.room(length, length)?);
        Ok(())
    }

    /// Reserves `bytes` for a request that has `held` already.
    fn room(&self, bytes: usize, held: usize) -> Result<OwnedSemaphorePermit, Failed> {
        let needs =
            [(bytes, self.longest, "ingest.request"), (bytes.saturating_add(held), self.all, "ingest.in_flight")];
        for (needed, limit, setting) in needs {
            if needed > limit {
                let message = format!(
                    "the request needs {needed} bytes; `{setting}` allows {limit} ({}): send less at once",
                    ByteSize(limit as u64)
                );
                return Err(Failed::new(Code::TooLarge, message));
            }
        }
        Arc::clone(&self.room).try_acquire_many_owned(kib(bytes).max(1)).map_err(|_| {
            metrics::counter!("dovetail_append_rejected_total").increment(1);
            Failed::new(Code::TooBusy, "too much is being appended at once; come back")
        })
    }
}

fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::http::{HeaderValue, StatusCode};
    use axum::response::IntoResponse;
    use futures::stream;

    use super::*;

    fn declared(length: usize) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_LENGTH, length.into())])
    }

    fn pieces(n: usize, length: usize) -> Body {
        Body::from_stream(stream::iter((0..n).map(move |_| Ok::<_, Infallible>(Bytes::from(vec![b'x'; length])))))
    }

    fn intake(all: usize, longest: usize) -> Intake {
        Intake { patience: Duration::from_millis(30), ..Intake::new(all, longest) }
    }

    async fn status(intake: &Intake, headers: HeaderMap, body: Body) -> StatusCode {
        intake.receive(&headers, body).await.unwrap_err().into_response().status()
    }

    #[tokio::test]
    async fn what_can_never_fit_is_refused_and_what_does_not_fit_now_is_not() {
        let intake = intake(64 << 10, 16 << 10);
        for headers in [declared(20 << 10), HeaderMap::new()] {
            assert_eq!(status(&intake, headers, pieces(20, 1 << 10)).await, StatusCode::PAYLOAD_TOO_LARGE);
        }
        let mut taken = vec![];
        for _ in 0..4 {
            taken.push(intake.receive(&declared(16 << 10), pieces(16, 1 << 10)).await.unwrap());
        }
        for headers in [declared(1 << 10), HeaderMap::new()] {
            assert_eq!(status(&intake, headers, pieces(1, 1 << 10)).await, StatusCode::TOO_MANY_REQUESTS);
        }
        taken.clear();
        let received = intake.receive(&HeaderMap::new(), pieces(16, 1 << 10)).await.unwrap();
        assert_eq!(received.bytes.len(), 16 << 10);
        drop(received);
        assert_eq!(intake.room.available_permits(), 64);
    }

    #[tokio::test]
    async fn what_is_compressed_is_not_taken_for_records() {
        let intake = intake(8 << 10, 8 << 10);
        let encoded = |encoding: &'static str| {
            HeaderMap::from_iter([(header::CONTENT_ENCODING, HeaderValue::from_static(encoding))])
        };
        for encoding in ["gzip", "zstd", "br, gzip"] {
            assert_eq!(status(&intake, encoded(encoding), pieces(1, 10)).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        }
        intake.receive(&encoded("identity"), pieces(1, 10)).await.unwrap();
    }

    #[tokio::test]
    async fn a_request_is_also_less_than_all() {
        let intake = intake(8 << 10, 16 << 10);
        let refused = intake.receive(&declared(9 << 10), pieces(9, 1 << 10)).await.unwrap_err();
        assert!(format!("{refused:?}").contains("`ingest.in_flight` allows 8192"), "{refused:?}");
        assert_eq!(refused.into_response().status(), StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn a_sender_that_stalls_gives_its_room_back() {
        let intake = intake(64 << 10, 64 << 10);
        let first = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"half"))]);
        let stalled = Body::from_stream(first.chain(stream::pending()));
        assert_eq!(status(&intake, declared(64 << 10), stalled).await, StatusCode::REQUEST_TIMEOUT);
        assert_eq!(intake.room.available_permits(), 64);
    }
}
