//! Keys of the store. Numbers are big-endian, so that the batches of a partition lie in the order of their offsets.
//!
//! | key | value |
//! |---|---|
//! | `b` topic partition offset | the batch whose first record has this offset |
//! | `f` topic partition | first offset that was not trimmed |
//! | `e` topic partition | the log's end |
//! | `s` topic partition source | how far the source has come, see `positions` |
//! | `g` topic | nothing: positions of sources were forgotten |
//! | `i` | the identity of this log |
//! | `v` | the store's format, see `store` |
//! | `t` topic name | id, number of partitions, and with how many it was made, where that differs |

/// A partition in keys: the topic's id and the partition's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PartitionId {
    pub(super) topic: u32,
    pub(super) number: u32,
}

/// The first byte of every topic's key.
pub(super) const TOPIC: u8 = b't';
/// The first byte of the key of every source's position.
pub(super) const SOURCE: u8 = b's';
/// The first byte of the key of every topic of which positions were forgotten.
pub(super) const FORGOTTEN: u8 = b'g';
/// The key of the log's identity.
pub(super) const IDENTITY: &[u8] = b"i";
/// The key of the format.
pub(super) const FORMAT: &[u8] = b"v";

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
    let mut key = of_partition(SOURCE, id);
    key.extend_from_slice(source.as_bytes());
    key
}

/// Partition and source in a key that [`source`] made.
pub(super) fn of_source(key: &[u8]) -> Option<(PartitionId, &str)> {
    let (topic, rest) = key.get(1..)?.split_first_chunk::<4>()?;
    let (number, source) = rest.split_first_chunk::<4>()?;
    let id = PartitionId { topic: u32::from_be_bytes(*topic), number: u32::from_be_bytes(*number) };
    Some((id, str::from_utf8(source).ok()?))
}

pub(super) fn forgotten(topic: u32) -> Vec<u8> {
    let mut key = vec![FORGOTTEN];
    key.extend_from_slice(&topic.to_be_bytes());
    key
}

/// The topic in a key that [`forgotten`] made.
pub(super) fn of_forgotten(key: &[u8]) -> Option<u32> {
    key.get(1..)?.try_into().ok().map(u32::from_be_bytes)
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

/// A topic as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TopicRow {
    pub(super) id: u32,
    pub(super) partitions: u32,
    /// The number of partitions with which it was made.
    pub(super) first: u32,
}

impl TopicRow {
    pub(super) fn read(value: &[u8]) -> Option<Self> {
        let (id, rest) = value.split_first_chunk::<4>()?;
        let (partitions, rest) = rest.split_first_chunk::<4>()?;
        let (id, partitions) = (u32::from_be_bytes(*id), u32::from_be_bytes(*partitions));
        let first = if rest.is_empty() { partitions } else { u32::from_be_bytes(rest.try_into().ok()?) };
        Some(Self { id, partitions, first })
    }

    pub(super) fn write(self) -> Vec<u8> {
        let mut value = [self.id.to_be_bytes(), self.partitions.to_be_bytes()].concat();
        if self.first != self.partitions {
            value.extend_from_slice(&self.first.to_be_bytes());
        }
        value
    }
}

fn of_partition(kind: u8, id: PartitionId) -> Vec<u8> {
    let mut key = Vec::with_capacity(17);
    key.push(kind);
    key.extend_from_slice(&id.topic.to_be_bytes());
    key.extend_from_slice(&id.number.to_be_bytes());
    key
}
