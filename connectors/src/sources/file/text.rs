//! The text of a source with the reading position, for messages.

use std::io::{self, BufRead, Read};
use std::sync::Arc;

use super::SourceError;

/// Greatest size of a record in memory, in bytes. A longer one is skipped, as far as it can be a record.
pub(super) const LONGEST_RECORD: usize = 16 * 1024 * 1024;

/// Number of greatest records that are skipped before a quote or bracket that never closes ends reading.
const PASSED_OVER: u64 = 8;

/// The result of [`SourceText::read_line`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineFound {
    Line,
    /// A line of this many bytes, none of which were kept.
    TooLong(u64),
    Nothing,
}

pub(super) struct SourceText {
    reader: Box<dyn BufRead + Send>,
    name: Arc<str>,
    longest: usize,
    line: u64,
    byte: u64,
}

impl SourceText {
    pub(super) fn new(name: Arc<str>, reader: Box<dyn BufRead + Send>, longest: usize) -> Self {
        Self { reader, name, longest, line: 1, byte: 0 }
    }

    /// Line of the next byte, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Some of the next bytes; none at the end.
    pub(super) fn fill(&mut self) -> Result<&[u8], SourceError> {
        while let Err(error) = self.reader.fill_buf() {
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(self.read_error(error));
            }
        }
        let (line, byte, name) = (self.line, self.byte, &self.name);
        self.reader.fill_buf().map_err(|error| SourceError::Read { name: name.to_string(), line, byte, error })
    }

    /// Moves past `n` bytes that [`Self::fill`] returned, with `newlines` among them.
    pub(super) fn consume(&mut self, n: usize, newlines: u64) {
        self.reader.consume(n);
        self.byte += n as u64;
        self.line += newlines;
    }

    /// Greatest size of a record.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// Puts the next line into `line`, with its end.
    pub(super) fn read_line(&mut self, line: &mut Vec<u8>) -> Result<LineFound, SourceError> {
        line.clear();
        let most = self.longest as u64 + 1;
        let n = match self.reader.by_ref().take(most).read_until(b'\n', line) {
            Ok(n) => n,
            Err(error) => return Err(self.read_error(error)),
        };
        self.byte += n as u64;
        if line.last() == Some(&b'\n') {
            self.line += 1;
        } else if line.len() > self.longest {
            line.clear();
            return self.pass_line(n as u64).map(LineFound::TooLong);
        }
        Ok(if n > 0 { LineFound::Line } else { LineFound::Nothing })
    }

    /// Skips the rest of a line of which `length` bytes were read; returns the length of the whole line.
    fn pass_line(&mut self, mut length: u64) -> Result<u64, SourceError> {
        loop {
            let bytes = self.fill()?;
            if bytes.is_empty() {
                return Ok(length);
            }
            let end = bytes.iter().position(|&byte| byte == b'\n');
            let n = end.map_or(bytes.len(), |end| end + 1);
            self.consume(n, u64::from(end.is_some()));
            match end {
                Some(end) => return Ok(length + end as u64),
                None => length += n as u64,
            }
        }
    }

    /// Refuses to skip more of a record that began at `line` and has `length` bytes so far.
    pub(super) fn check_passed(&self, length: u64, line: u64) -> Result<(), SourceError> {
        if length / PASSED_OVER <= self.longest as u64 {
            return Ok(());
        }
        Err(self.too_long(line))
    }

    pub(super) fn too_long(&self, line: u64) -> SourceError {
        SourceError::TooLong { name: self.name.to_string(), line, byte: self.byte, limit: self.longest }
    }

    pub(super) fn truncated(&self, what: &'static str) -> SourceError {
        SourceError::Truncated { name: self.name.to_string(), what, line: self.line, byte: self.byte }
    }

    pub(super) fn after_array(&self) -> SourceError {
        SourceError::AfterArray { name: self.name.to_string(), line: self.line, byte: self.byte }
    }

    pub(super) fn no_array(&self) -> SourceError {
        let (looks_like, advice) = ("text without a JSON array", "see if it holds an object a line instead");
        SourceError::NotData { name: self.name.to_string(), looks_like, advice }
    }

    fn read_error(&self, error: io::Error) -> SourceError {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return self.truncated("its compressed data");
        }
        SourceError::Read { name: self.name.to_string(), line: self.line, byte: self.byte, error }
    }
}

/// Number of newlines in `bytes`.
pub(super) fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&byte| byte == b'\n').count() as u64
}
