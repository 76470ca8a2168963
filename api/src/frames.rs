//! Records on the wire, whatever bytes they hold: each is its length, four bytes big-endian, and then itself.
//!
//! A record may be empty or hold line breaks. Frames are numbered, not lines, so a record keeps its number.

/// The content type of a body of frames.
pub const CONTENT_TYPE: &str = "application/vnd.dovetail.records";

const LENGTH: usize = 4;

/// A body that does not end where a frame does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body is cut off in the frame at byte {byte}: send whole frames, a length of four bytes and the record")]
pub struct CutOffBody {
    /// Offset of the incomplete frame in the body.
    pub byte: usize,
}

/// Appends a frame that holds `record`; false, and nothing is appended, when its length does not fit.
#[must_use]
pub fn push(body: &mut Vec<u8>, record: &[u8]) -> bool {
    let Ok(length) = u32::try_from(record.len()) else { return false };
    body.extend_from_slice(&length.to_be_bytes());
    body.extend_from_slice(record);
    true
}

/// Length of the frame of `record`, in bytes.
pub fn framed(record: &[u8]) -> usize {
    LENGTH + record.len()
}

/// The records of `body`.
pub fn split(body: &[u8]) -> Result<Vec<&[u8]>, CutOffBody> {
    let mut records = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let cut = CutOffBody { byte: body.len() - rest.len() };
        let (length, after) = rest.split_first_chunk::<LENGTH>().ok_or(cut)?;
        let length = u32::from_be_bytes(*length) as usize;
        let (record, after) = after.split_at_checked(length).ok_or(cut)?;
        records.push(record);
        rest = after;
    }
    Ok(records)
}

/// A hash that identifies a record where many are compared.
pub type Digest = [u8; 16];

/// The digest of a record.
pub fn digest(record: &[u8]) -> Digest {
    let mut digest = [0; 16];
    digest.copy_from_slice(&blake3::hash(record).as_bytes()[..16]);
    digest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn body(records: &[Vec<u8>]) -> Vec<u8> {
        let mut body = Vec::new();
        assert!(records.iter().all(|record| push(&mut body, record)));
        body
    }

    #[test]
    fn a_cut_body_says_where() {
        let body = body(&[b"ab".to_vec(), vec![], b"\n".to_vec()]);
        assert_eq!(split(&body), Ok(vec![b"ab".as_slice(), b"", b"\n"]));
        for (len, byte) in [(1, 0), (5, 0), (7, 6), (11, 10), (14, 10)] {
            assert_eq!(split(&body[..len]), Err(CutOffBody { byte }), "{len}");
        }
        assert_eq!(split(&[]), Ok(vec![]));
        assert_eq!(split(&[0xff, 0xff, 0xff, 0xff, 1]), Err(CutOffBody { byte: 0 }));
    }

    proptest! {
        #[test]
        fn any_bytes_come_through(records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..20)) {
            let body = body(&records);
            prop_assert_eq!(split(&body).unwrap(), records);
        }

        #[test]
        fn any_body_splits_or_is_refused(body in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(records) = split(&body) {
                prop_assert_eq!(records.iter().map(|record| record.len() + LENGTH).sum::<usize>(), body.len());
            }
        }
    }
}
