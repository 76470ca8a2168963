//! Paths of objects. Offsets and generations have 20 digits, so that paths sort as the numbers do.
//!
//! ```text
//! segments/TOPIC/PARTITION/START-END-WRITER-SEQUENCE.parquet
//! dead/TOPIC/PARTITION/START-END-WRITER-SEQUENCE.parquet
//! generations/GENERATION/VIEW-N.parquet
//! generations/GENERATION/manifest.json
//! ```
//! A range alone does not name a segment: a zombie, or a process that died between put and record, may leave an object
//! of the same range with other content. So every writer takes a number of its own from the catalog
//! ([`crate::catalog::Catalog::next_writer_number`]) and counts its objects. No two writers ever share a path, not even
//! for the same bytes, so a writer that lost may give its object up ([`crate::catalog::Catalog::give_up`]) without harm
//! to the winner's. Generation numbers are never handed out twice either: one run wrote all objects below one.

use std::fmt;

use object_store::path::Path;

use crate::name::{Generation, ViewName};
use crate::offsets::OffsetRange;

/// The part of a segment's path that belongs to its writer alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unique {
    /// From [`crate::catalog::Catalog::next_writer_number`].
    pub writer: i64,
    /// Number of the object, different for each object of this writer.
    pub sequence: u64,
}

impl fmt::Display for Unique {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.writer, self.sequence)
    }
}

/// Path of a landed segment.
pub fn segment(topic: &str, partition: i32, range: OffsetRange, unique: Unique) -> Path {
    ranged("segments", topic, partition, range, unique)
}

/// Path of the dead letters of a segment.
pub fn dead_letters(topic: &str, partition: i32, range: OffsetRange, unique: Unique) -> Path {
    ranged("dead", topic, partition, range, unique)
}

/// Prefix of all segments of a topic.
#[cfg(test)]
pub(super) fn segments_of(topic: &str) -> Path {
    Path::from_iter(["segments", &escaped(topic)])
}

/// The prefixes of all objects.
pub fn roots() -> [Path; 3] {
    ["segments", "dead", "generations"].map(Path::from)
}

/// Path of the `n`th file of a view's states.
pub fn states(generation: Generation, view: &ViewName, n: u32) -> Path {
    generation_folder(generation).join(format!("{view}-{n}.parquet"))
}

/// Path of the `n`th file of the records that a view leaves out. A view's name has no `-`.
pub fn errors(generation: Generation, view: &ViewName, n: u32) -> Path {
    generation_folder(generation).join(format!("{view}-errors-{n}.parquet"))
}

/// Path of the manifest of a generation.
pub fn manifest(generation: Generation) -> Path {
    generation_folder(generation).join("manifest.json")
}

/// Prefix of all objects that the run of a generation wrote.
pub fn generation_folder(Generation(number): Generation) -> Path {
    Path::from_iter(["generations".to_owned(), format!("{number:020}")])
}

fn ranged(root: &str, topic: &str, partition: i32, range: OffsetRange, unique: Unique) -> Path {
    let OffsetRange { start, end } = range;
    let file = format!("{start:020}-{end:020}-{unique}.parquet");
    Path::from_iter([root, &escaped(topic), &partition.to_string(), &file])
}

/// Greatest length of an escaped topic; every file system takes folder names of 255 bytes.
const PART_BYTES_MAX: usize = 200;

/// The topic as one part of a path: letters, digits, `_`, `-` and inner dots stand for themselves, any other byte is
/// `=` and two hex digits. A very long one ends in a hash, after `==`, which no escape makes. Different topics stay
/// different.
fn escaped(topic: &str) -> String {
    let mut part = String::with_capacity(topic.len());
    for (i, byte) in topic.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => part.push(char::from(byte)),
            b'.' if i > 0 => part.push('.'),
            _ => part.push_str(&format!("={byte:02X}")),
        }
    }
    match part.len() {
        0 => "=".to_owned(),
        n if n <= PART_BYTES_MAX => part,
        _ => {
            part.truncate(PART_BYTES_MAX - 64);
            let hash = blake3::hash(topic.as_bytes()).to_hex();
            format!("{part}=={}", &hash[..32])
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UNIQUE: Unique = Unique { writer: 3, sequence: 12 };

    #[test]
    fn paths_say_what_they_hold() {
        let range = OffsetRange::new(500, 720);
        assert_eq!(
            segment("ServiceRequests", 2, range, UNIQUE).as_ref(),
            "segments/ServiceRequests/2/00000000000000000500-00000000000000000720-3-12.parquet"
        );
        assert_eq!(
            dead_letters("a.b", 0, range, UNIQUE).as_ref(),
            "dead/a.b/0/00000000000000000500-00000000000000000720-3-12.parquet"
        );
        let view = ViewName::parse("by_day").unwrap();
        assert_eq!(states(Generation(7), &view, 1).as_ref(), "generations/00000000000000000007/by_day-1.parquet");
        assert_eq!(manifest(Generation(7)).as_ref(), "generations/00000000000000000007/manifest.json");
    }

    #[test]
    fn paths_sort_as_offsets_do() {
        let path = |start: i64, end: i64| segment("t", 0, OffsetRange::new(start, end), UNIQUE);
        assert!(path(9, 10) < path(10, 11) && path(10, 11) < path(10, i64::MAX));
    }

    #[test]
    fn unsafe_topics_are_escaped() {
        assert_eq!(escaped("../Größe=1"), "=2E.=2FGr=C3=B6=C3=9Fe=3D1");
        assert_eq!(escaped(""), "=");
        assert!(escaped(&"ü".repeat(300)).len() <= PART_BYTES_MAX);
    }

    proptest! {
        #[test]
        fn a_topic_is_one_plain_part(topic in "\\PC{0,12}") {
            let path = segments_of(&topic);
            prop_assert_eq!(path.parts().count(), 2);
            prop_assert_eq!(Path::parse(path.as_ref()).unwrap(), path.clone());
            prop_assert!(path.as_ref().bytes().all(|b| b.is_ascii_alphanumeric() || b"=_-./".contains(&b)));
        }

        #[test]
        fn different_topics_lie_apart(one in ".{0,4}|[.=/2EF]{0,5}|x{190,210}", other in ".{0,4}|[.=/2EF]{0,5}|x{190,210}") {
            prop_assert_eq!(one == other, escaped(&one) == escaped(&other));
        }
    }
}
