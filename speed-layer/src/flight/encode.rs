//! Flight's encoding of a state's batches, each with its message.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow_flight::FlightData;
use dovetail_core::realtime_wire::WireMessage;
use dovetail_core::view::split_state;

/// Approximate size in bytes of a message's batch, unless a row is larger.
const BYTES: usize = 1 << 20;

pub(super) struct StateEncoder {
    generator: IpcDataGenerator,
    dictionaries: DictionaryTracker,
    options: IpcWriteOptions,
    context: IpcWriteContext,
}

impl StateEncoder {
    /// The encoder and the first message of the stream.
    pub(super) fn new(schema: &Schema) -> (Self, FlightData) {
        let (generator, options) = (IpcDataGenerator::default(), IpcWriteOptions::default());
        let mut dictionaries = DictionaryTracker::new(false);
        let first = generator.schema_to_bytes_with_dictionary_tracker(schema, &mut dictionaries, &options);
        (Self { generator, dictionaries, options, context: IpcWriteContext::default() }, first.into())
    }

    /// The dictionaries that the batch needs and that were not sent yet, then the batch with the message.
    pub(super) fn encode(&mut self, batch: &RecordBatch, message: &WireMessage) -> Result<Vec<FlightData>, ArrowError> {
        let metadata = serde_json::to_vec(message).map_err(|error| ArrowError::ExternalError(Box::new(error)))?;
        let (dictionaries, batch) =
            self.generator.encode(batch, &mut self.dictionaries, &self.options, &mut self.context)?;
        let mut all: Vec<FlightData> = dictionaries.into_iter().map(Into::into).collect();
        all.push(FlightData::from(batch).with_app_metadata(metadata));
        Ok(all)
    }
}

/// The rows of `state` in batches of about [`BYTES`].
pub(super) fn in_messages(state: &[RecordBatch]) -> Vec<RecordBatch> {
    let all = state.iter().flat_map(|batch| {
        let row = batch.get_array_memory_size() / batch.num_rows().max(1);
        split_state(batch, (BYTES / row.max(1)).max(1))
    });
    all.collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, DictionaryArray, Int64Array};
    use arrow::compute::concat_batches;
    use arrow::datatypes::Int32Type;
    use arrow_flight::decode::{DecodedPayload, FlightDataDecoder};
    use dovetail_core::realtime_wire::Status;
    use futures::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn dictionaries_that_change_arrive() {
        let batch = |words: &[&str]| {
            let words: DictionaryArray<Int32Type> = words.iter().copied().collect();
            RecordBatch::try_from_iter([("word", Arc::new(words) as ArrayRef)]).unwrap()
        };
        let batches = [batch(&["a", "b", "a"]), batch(&["c"]), batch(&["b", "c"])];
        let (mut encoder, first) = StateEncoder::new(&batches[0].schema());
        let mut sent = vec![Ok(first)];
        for batch in &batches {
            sent.extend(encoder.encode(batch, &WireMessage::Status(Status::default())).unwrap().into_iter().map(Ok));
        }
        let received: Vec<_> = FlightDataDecoder::new(futures::stream::iter(sent)).try_collect().await.unwrap();
        let received: Vec<RecordBatch> = received
            .into_iter()
            .filter_map(|message| match message.payload {
                DecodedPayload::RecordBatch(batch) => Some(batch),
                _ => None,
            })
            .collect();
        assert_eq!(received, batches);
    }

    #[test]
    fn a_large_state_goes_in_many_messages() {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..400_000));
        let state = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        let parts = in_messages(std::slice::from_ref(&state));
        assert!(parts.len() >= 3, "{}", parts.len());
        assert_eq!(concat_batches(&state.schema(), &parts).unwrap(), state);
        assert!(in_messages(&[RecordBatch::new_empty(state.schema())]).is_empty());
    }
}
