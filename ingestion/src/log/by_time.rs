//! The offset of a time, found by reading: the trait of logs has no index of times.

use super::{Log, LogError};

/// Payload bytes of a read that looks at one record.
const LOOK_BYTES: usize = 1;

/// The least offset of a partition from which on all records have a timestamp of `ms` or later, in milliseconds since
/// the Unix epoch; the end where there is none. Times are taken to grow with the offsets: where they fall, records on
/// both sides of `ms` can be next to it.
///
/// # Errors
/// When the log cannot be read.
pub async fn first_at_or_after(log: &dyn Log, topic: &str, partition: i32, ms: i64) -> Result<i64, LogError> {
    let bounds = log.bounds(topic, partition).await?;
    let (mut low, mut high) = (bounds.start, bounds.end);
    while low < high {
        let middle = low + (high - low) / 2;
        let fetched = log.read(topic, partition, middle, LOOK_BYTES).await?;
        let records = fetched.offsets.values().iter().zip(fetched.records.timestamps.values());
        let first = records.into_iter().find(|(offset, _)| (middle..high).contains(*offset));
        match first {
            Some((offset, time)) if *time < ms => low = offset + 1,
            // No record between the middle and the end of the search, or one that is late enough.
            _ => high = middle,
        }
    }
    Ok(low)
}
