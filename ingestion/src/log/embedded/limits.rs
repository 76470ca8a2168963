//! Size limits of the embedded log.

use dovetail_core::record::Records;

use super::topic::TopicPartition;
use crate::log::LogError;
use crate::log::embedded::batch_builder::bytes_of_first;

/// Greatest size of a record in bytes: a batch holds it whole.
pub(super) const RECORD_BYTES: usize = 64 << 20;
/// Greatest length of the name of a topic or a source in bytes: it is part of a key.
const NAME_BYTES: usize = 4096;

/// Refuses the name of a topic or a source that is too long.
pub(super) fn check_name(name: &str) -> Result<(), LogError> {
    if name.len() <= NAME_BYTES {
        return Ok(());
    }
    let name = name.chars().take(40).collect();
    Err(LogError::NameTooLong { name, most: NAME_BYTES })
}

/// Refuses records of which one is too large.
pub(super) fn check_sizes(partition: &TopicPartition, records: &Records) -> Result<(), LogError> {
    if bytes_of_first(records, records.len()) <= RECORD_BYTES {
        return Ok(());
    }
    let sizes = (0..records.len()).map(|i| bytes_of_first(&records.slice(i, 1), 1));
    match sizes.max() {
        Some(bytes) if bytes > RECORD_BYTES => Err(LogError::RecordTooLarge {
            topic: partition.topic.to_string(),
            partition: partition.number(),
            bytes,
            most: RECORD_BYTES,
        }),
        _ => Ok(()),
    }
}
