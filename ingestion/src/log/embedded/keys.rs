//! Keys of the store. Numbers are big-endian, so that the batches of a partition lie in the order of their offsets.
//!
//! | key | value |
//! |---|---|
//! | `b` topic partition offset | the batch whose first record has this offset |
//! | `f` topic partition | first offset that was not trimmed |
//! | `e` topic partition | the log's end |
//! | `s` topic partition source | number of the last record that the source appended |
//! | `t` topic name | id and number of partitions |

/// A partition in keys: the topic's id and the partition's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PartitionId {
    pub(super) topic: u32,
    pub(super) number: u32,
}

/// The first byte of every topic's key.
pub(super) const TOPIC: u8 = b't';

pub(super) fn batch(id: PartitionId, first: i64) -> Vec<u8> {
    let mut key = of_partition(b'b', id);
    key.extend_from_slice(&first.to_be_bytes());
    key
}

/// The offset in a key that [`batch`] made.
pub(super) fn offset_of_batch(key: &[u8]) -> Option<i64> {
    number(key.get(9..)?)
}

pub(super) fn first(id: PartitionId) -> Vec<u8> {
    of_partition(b'f', id)
}

pub(super) fn end(id: PartitionId) -> Vec<u8> {
    of_partition(b'e', id)
}

pub(super) fn source(id: PartitionId, source: &str) -> Vec<u8> {
    let mut key = of_partition(b's', id);
    key.extend_from_slice(source.as_bytes());
    key
}

pub(super) fn topic(name: &str) -> Vec<u8> {
    let mut key = vec![TOPIC];
    key.extend_from_slice(name.as_bytes());
    key
}

/// A stored offset or record number.
pub(super) fn number(value: &[u8]) -> Option<i64> {
    value.try_into().ok().map(i64::from_be_bytes)
}

/// A stored topic: its id and how many partitions it has.
pub(super) fn topic_row(value: &[u8]) -> Option<(u32, u32)> {
    let (id, partitions) = value.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*id), u32::from_be_bytes(partitions.try_into().ok()?)))
}

fn of_partition(kind: u8, id: PartitionId) -> Vec<u8> {
    let mut key = Vec::with_capacity(17);
    key.push(kind);
    key.extend_from_slice(&id.topic.to_be_bytes());
    key.extend_from_slice(&id.number.to_be_bytes());
    key
}
