//! A stored batch: the columns of some records as one value of the store.
//!
//! ```text
//! header      32 bytes: magic, record count, kinds of the four columns, first timestamp, lengths of the three texts
//! timestamps  absent when all are the first one, else 8 bytes each
//! keys        absent when all are null, else [null bitmap] end offsets, bytes
//! headers     the same
//! values      the same
//! ```
//!
//! Numbers are little-endian. There is no checksum here: the store has one on every value, in its journal and in
//! its files. Decoding copies numbers and bitmaps but never keys, headers or values: those stay where they are.

use std::cmp::Ordering;

use arrow::array::Array;
use arrow::array::types::{BinaryType, ByteArrayType, Utf8Type};
use arrow::array::{GenericByteArray, NullBufferBuilder, TimestampMillisecondArray};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};
use bytes::Bytes;
use dovetail_core::record::Records;

#[cfg(test)]
mod tests;

const MAGIC: [u8; 4] = *b"DvB1";
const HEADER_BYTES: usize = 32;

/// Kind of a column that needs no bytes: equal timestamps, or null texts.
const ABSENT: u8 = 0;
const PLAIN: u8 = 1;
const WITH_NULLS: u8 = 2;

/// Greatest number of records in a batch, more than any append has: a batch of records without bytes could claim any
/// number.
const MOST_RECORDS: usize = 16 << 20;

/// A stored value that is not a batch.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub(super) struct Malformed(&'static str);

/// Encodes the records of `pieces`, one after the other, as one batch.
pub(super) fn encode(pieces: &[Records]) -> Vec<u8> {
    let timestamps = TimestampColumn::gather(pieces);
    let keys = TextColumn::gather::<BinaryType>(&pieces.iter().map(|p| &p.keys).collect::<Vec<_>>());
    let headers = TextColumn::gather::<Utf8Type>(&pieces.iter().map(|p| &p.headers).collect::<Vec<_>>());
    let values = TextColumn::gather::<BinaryType>(&pieces.iter().map(|p| &p.values).collect::<Vec<_>>());
    let texts = [keys, headers, values];

    let size = HEADER_BYTES + timestamps.numbers.len() + texts.iter().map(TextColumn::size).sum::<usize>();
    let mut out = Vec::with_capacity(size);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&timestamps.count.to_le_bytes());
    out.push(timestamps.kind);
    out.extend(texts.iter().map(|text| text.kind));
    out.extend_from_slice(&timestamps.first.to_le_bytes());
    for text in &texts {
        out.extend_from_slice(&text.data_len.to_le_bytes());
    }
    out.extend_from_slice(&timestamps.numbers);
    for text in &texts {
        text.write(&mut out);
    }
    debug_assert_eq!(out.len(), size);
    out
}

/// Decodes a batch that [`encode`] wrote; the arrays share `bytes`.
pub(super) fn decode(bytes: Bytes) -> Result<Records, Malformed> {
    let mut rest = Rest(bytes);
    let header = rest.take(HEADER_BYTES)?;
    if header[..4] != MAGIC {
        return Err(Malformed("it does not start with the magic of a batch of this version"));
    }
    let n = u32_at(&header, 4) as usize;
    let kinds = &header[8..12];
    let first = i64::from_le_bytes(array_at(&header, 12));
    let lengths = [20, 24, 28].map(|at| u32_at(&header, at));
    check_length(kinds, n, lengths, rest.0.len())?;
    Ok(Records {
        timestamps: decode_timestamps(kinds[0], n, first, &mut rest)?,
        keys: decode_text::<BinaryType>(kinds[1], n, lengths[0], &mut rest)?,
        headers: decode_text::<Utf8Type>(kinds[2], n, lengths[1], &mut rest)?,
        values: decode_text::<BinaryType>(kinds[3], n, lengths[2], &mut rest)?,
    })
}

/// Checks that `left` bytes match the header, before memory is allocated for them.
fn check_length(kinds: &[u8], n: usize, lengths: [u32; 3], left: usize) -> Result<(), Malformed> {
    if n > MOST_RECORDS {
        return Err(Malformed("it says that it holds more records than any batch"));
    }
    let mut expected = if kinds[0] == ABSENT { 0 } else { n * 8 };
    for (&kind, length) in kinds[1..].iter().zip(lengths) {
        let nulls = if kind == WITH_NULLS { n.div_ceil(8) } else { 0 };
        expected += if kind == ABSENT { 0 } else { nulls + n * 4 + length as usize };
    }
    match left.cmp(&expected) {
        Ordering::Less => Err(Malformed("it is shorter than its header says")),
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(Malformed("it is longer than its header says")),
    }
}

struct TimestampColumn {
    count: u32,
    kind: u8,
    first: i64,
    numbers: Vec<u8>,
}

impl TimestampColumn {
    fn gather(pieces: &[Records]) -> Self {
        let all = || pieces.iter().flat_map(|piece| piece.timestamps.values().iter().copied());
        let count = pieces.iter().map(Records::len).sum::<usize>() as u32;
        let first = all().next().unwrap_or(0);
        if all().all(|ms| ms == first) {
            return Self { count, kind: ABSENT, first, numbers: Vec::new() };
        }
        let mut numbers = Vec::with_capacity(count as usize * 8);
        all().for_each(|ms| numbers.extend_from_slice(&ms.to_le_bytes()));
        Self { count, kind: PLAIN, first, numbers }
    }
}

/// A column of keys, headers or values on its way into a batch.
struct TextColumn<'a> {
    kind: u8,
    nulls: Vec<u8>,
    ends: Vec<u8>,
    data: Vec<&'a [u8]>,
    data_len: u32,
}

impl<'a> TextColumn<'a> {
    fn gather<T: ByteArrayType<Offset = i32>>(pieces: &[&'a GenericByteArray<T>]) -> Self {
        let n = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        let null_count = pieces.iter().map(|piece| piece.null_count()).sum::<usize>();
        if null_count == n {
            return Self { kind: ABSENT, nulls: Vec::new(), ends: Vec::new(), data: Vec::new(), data_len: 0 };
        }
        let mut ends = Vec::with_capacity(n * 4);
        let mut data = Vec::with_capacity(pieces.len());
        let mut data_len = 0_u32;
        for piece in pieces {
            let offsets = piece.value_offsets();
            let (from, to) = (offsets[0], offsets[piece.len()]);
            for &end in &offsets[1..] {
                ends.extend_from_slice(&((end - from) as u32 + data_len).to_le_bytes());
            }
            data.push(&piece.value_data()[from as usize..to as usize]);
            data_len += (to - from) as u32;
        }
        let nulls = null_bitmap(n, pieces);
        Self { kind: if nulls.is_empty() { PLAIN } else { WITH_NULLS }, nulls, ends, data, data_len }
    }

    fn size(&self) -> usize {
        self.nulls.len() + self.ends.len() + self.data_len as usize
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.nulls);
        out.extend_from_slice(&self.ends);
        for data in &self.data {
            out.extend_from_slice(data);
        }
    }
}

/// Bitmap of the non-null ones of `n` records; empty when all are null.
fn null_bitmap<T: ByteArrayType<Offset = i32>>(n: usize, pieces: &[&GenericByteArray<T>]) -> Vec<u8> {
    let mut bits = NullBufferBuilder::new(n);
    for piece in pieces {
        match piece.nulls() {
            Some(nulls) => bits.append_buffer(nulls),
            None => bits.append_n_non_nulls(piece.len()),
        }
    }
    match bits.finish() {
        Some(nulls) if nulls.null_count() > 0 => nulls.validity()[..n.div_ceil(8)].to_vec(),
        _ => Vec::new(),
    }
}

/// The bytes still to be decoded.
struct Rest(Bytes);

impl Rest {
    fn take(&mut self, len: usize) -> Result<Bytes, Malformed> {
        if len > self.0.len() {
            return Err(Malformed("it is shorter than its header says"));
        }
        Ok(self.0.split_to(len))
    }
}

fn decode_timestamps(kind: u8, n: usize, first: i64, rest: &mut Rest) -> Result<TimestampMillisecondArray, Malformed> {
    match kind {
        ABSENT => Ok(TimestampMillisecondArray::from_value(first, n)),
        PLAIN => {
            let numbers = rest.take(n * 8)?;
            let numbers: Vec<i64> = numbers.chunks_exact(8).map(|b| i64::from_le_bytes(array_at(b, 0))).collect();
            Ok(TimestampMillisecondArray::new(numbers.into(), None))
        }
        _ => Err(Malformed("its timestamps are of an unknown kind")),
    }
}

fn decode_text<T: ByteArrayType<Offset = i32>>(
    kind: u8,
    n: usize,
    data_len: u32,
    rest: &mut Rest,
) -> Result<GenericByteArray<T>, Malformed> {
    let nulls = match kind {
        ABSENT => return Ok(GenericByteArray::new_null(n)),
        PLAIN => None,
        WITH_NULLS => {
            let bits = Buffer::from(rest.take(n.div_ceil(8))?);
            Some(NullBuffer::new(BooleanBuffer::new(bits, 0, n)))
        }
        _ => return Err(Malformed("a column of it is of an unknown kind")),
    };
    let ends = rest.take(n * 4)?;
    let offsets: Vec<i32> =
        std::iter::once(0).chain(ends.chunks_exact(4).map(|b| i32::from_le_bytes(array_at(b, 0)))).collect();
    if !offsets.is_sorted() || offsets.last().copied() != i32::try_from(data_len).ok() {
        return Err(Malformed("the offsets of a column of it run backwards or past its end"));
    }
    let data = Buffer::from(rest.take(data_len as usize)?);
    GenericByteArray::try_new(OffsetBuffer::new(offsets.into()), data, nulls)
        .map_err(|_| Malformed("a column of it is not valid Unicode"))
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}
