//! Checks and decodes a member's messages: inconsistent ones are refused.

use arrow::array::RecordBatch;
use arrow_flight::FlightData;
use arrow_flight::decode::{DecodedPayload, FlightDataDecoder};
use arrow_flight::error::FlightError;
use dovetail_core::error_chain::with_causes;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::realtime_wire::{SlicePart, Status, WireMessage};
use dovetail_core::row_states;
use dovetail_core::view::{RowErrors, View};
use futures::{StreamExt, TryStreamExt};
use tonic::Streaming;

/// The slices of one partition that came together.
#[derive(Debug)]
pub(super) struct Update {
    pub(super) partition: i32,
    /// Whether they replace the earlier ones.
    pub(super) base: bool,
    /// Contiguous, at least one.
    pub(super) slices: Vec<(OffsetRange, Vec<RecordBatch>, RowErrors)>,
    pub(super) pinned: Vec<i64>,
}

#[derive(Debug)]
pub(super) enum Received {
    Update(Update),
    Status(Status),
    /// More parts are needed before it can be used: so many bytes wait.
    Waiting {
        partition: i32,
        bytes: usize,
    },
}

pub(super) struct Receiver {
    messages: FlightDataDecoder,
    parts: UpdateParts,
}

impl Receiver {
    pub(super) fn new(stream: Streaming<FlightData>) -> Self {
        let stream = stream.map_err(|status| FlightError::Tonic(Box::new(status)));
        Self { messages: FlightDataDecoder::new(stream), parts: UpdateParts::default() }
    }

    /// The next message.
    ///
    /// # Errors
    /// The reason why the stream has ended, or the inconsistency of a message.
    pub(super) async fn next(&mut self, view: &View) -> Result<Received, String> {
        loop {
            let message = match self.messages.next().await {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Err(describe(&error)),
                None => return Err("the stream has ended".to_owned()),
            };
            let DecodedPayload::RecordBatch(batch) = message.payload else { continue };
            let said = serde_json::from_slice(&message.inner.app_metadata);
            match said.map_err(|error| format!("a message cannot be read: {error}"))? {
                WireMessage::Status(status) => return Ok(Received::Status(status)),
                WireMessage::Part(part) => return self.parts.add(view, part, &batch),
            }
        }
    }
}

/// The error and its causes, outermost first, without repetition.
pub(super) fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = match error.downcast_ref::<FlightError>() {
        Some(FlightError::Tonic(status)) => return describe(status.as_ref()),
        _ => error.to_string(),
    };
    if let Some(status) = error.downcast_ref::<tonic::Status>() {
        text = status.message().to_owned();
    }
    with_causes(text, error)
}

/// The parts of an update received so far.
#[derive(Debug, Default)]
struct UpdateParts {
    update: Option<Update>,
    /// Whether the last slice has no end yet.
    open: bool,
    bytes: usize,
}

impl UpdateParts {
    fn add(&mut self, view: &View, part: SlicePart, batch: &RecordBatch) -> Result<Received, String> {
        let SlicePart { partition, range, base, end, done, errors, pinned } = part;
        let wrong = |what: &str| Err(format!("a part of partition {partition}, {range}, {what}"));
        if range.start > range.end || (done && !end) {
            return wrong("cannot be");
        }
        let update = self.update.get_or_insert_with(|| Update { partition, base, slices: vec![], pinned: vec![] });
        if update.partition != partition || update.base != base {
            return wrong("came before the one before it was done");
        }
        match update.slices.last() {
            Some((last, ..)) if self.open && *last != range => return wrong("came before the slice before it ended"),
            Some((last, ..)) if !self.open && last.end != range.start => {
                return wrong("does not go on where that ended");
            }
            Some(_) if self.open => {}
            _ => update.slices.push((range, vec![], RowErrors::default())),
        }
        self.open = !end;
        if let Some((_, _, left_out)) = update.slices.last_mut() {
            self.bytes += errors.bytes();
            left_out.append(&errors);
        }
        if batch.num_rows() > 0 {
            let batch = RecordBatch::try_new(view.state_schema(), batch.columns().to_vec());
            let batch = batch.map_err(|error| format!("a state of another shape: {error}"))?;
            // Copied, because each buffer of the received batch would keep the whole message.
            let copied = row_states::copied(&[batch]).map_err(|error| error.to_string())?;
            self.bytes += copied.iter().map(RecordBatch::get_array_memory_size).sum::<usize>();
            if let Some((_, state, _)) = update.slices.last_mut() {
                state.extend(copied);
            }
        }
        if !done {
            return Ok(Received::Waiting { partition, bytes: self.bytes });
        }
        self.bytes = 0;
        update.pinned = pinned;
        Ok(self.update.take().map_or(Received::Waiting { partition, bytes: 0 }, Received::Update))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::remote::tests::view;

    fn part(start: i64, end_offset: i64, base: bool, end: bool, done: bool) -> SlicePart {
        let range = OffsetRange { start, end: end_offset };
        SlicePart { partition: 0, range, base, end, done, errors: RowErrors::default(), pinned: vec![] }
    }

    #[tokio::test]
    async fn parts_are_put_together() {
        let view = view().await;
        let empty = RecordBatch::new_empty(view.state_schema());
        let mut parts = UpdateParts::default();
        for part in [part(5, 9, true, false, false), part(5, 9, true, true, false)] {
            assert!(matches!(parts.add(&view, part, &empty), Ok(Received::Waiting { bytes: 0, .. })));
        }
        match parts.add(&view, part(9, 12, true, true, true), &empty) {
            Ok(Received::Update(update)) => {
                let ranges: Vec<_> = update.slices.iter().map(|(range, ..)| (range.start, range.end)).collect();
                assert_eq!(ranges, [(5, 9), (9, 12)]);
            }
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn what_does_not_fit_together_is_refused() {
        let view = view().await;
        let empty = RecordBatch::new_empty(view.state_schema());
        let begun = |parts: &mut UpdateParts| parts.add(&view, part(5, 9, true, true, false), &empty).map(drop);
        for wrong in [
            part(10, 12, true, true, true),
            part(9, 12, false, true, true),
            part(9, 7, true, true, true),
            part(9, 12, true, false, true),
            SlicePart { partition: 1, ..part(9, 12, true, true, true) },
        ] {
            let mut parts = UpdateParts::default();
            begun(&mut parts).unwrap();
            assert!(parts.add(&view, wrong.clone(), &empty).is_err(), "{wrong:?}");
        }
        let mut parts = UpdateParts::default();
        parts.add(&view, part(5, 9, true, false, false), &empty).unwrap();
        assert!(parts.add(&view, part(9, 12, true, true, true), &empty).is_err(), "a slice has no end");
    }
}
