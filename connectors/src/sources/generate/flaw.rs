//! The flaws of broken records. None of them decodes.

use super::random::Random;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// The line ends early.
    CutOff,
    /// The field of a number contains a word.
    WrongType,
    /// A number is written in a form that JSON does not allow.
    BadNumber,
    /// An error page instead of a record.
    Markup,
    /// An empty string instead of a record; an empty line would be no record at all.
    Empty,
}

impl Flaw {
    pub(super) fn any(random: &mut Random) -> Self {
        random.pick(&[Self::CutOff, Self::WrongType, Self::BadNumber, Self::Markup, Self::Empty])
    }

    /// The text in place of a field's number; the writer of the record asks.
    pub(super) fn number(flaw: Option<Self>) -> Option<&'static [u8]> {
        match flaw? {
            Self::WrongType => Some(b"\"abc\""),
            Self::BadNumber => Some(b".670013"),
            Self::CutOff | Self::Markup | Self::Empty => None,
        }
    }

    /// Breaks a `line` that was written whole.
    pub(super) fn spoil(self, random: &mut Random, line: &mut Vec<u8>) {
        match self {
            Self::WrongType | Self::BadNumber => {}
            Self::CutOff => {
                let keep = 1 + random.below(line.len() as u64 - 1) as usize;
                line.truncate(keep);
            }
            Self::Markup => replace(line, b"<html><body><h1>502 Bad Gateway</h1></body></html>"),
            Self::Empty => replace(line, b"\"\""),
        }
    }
}

fn replace(line: &mut Vec<u8>, text: &[u8]) {
    line.clear();
    line.extend_from_slice(text);
}
