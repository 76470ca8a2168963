//! The text of a source with the place where it is read, for messages.

use std::io::{self, BufRead, Read};
use std::sync::Arc;

use super::SourceError;

/// What is held in memory for one record at most. What is longer is passed over, as far as it can be a record.
pub(super) const LONGEST_RECORD: usize = 16 * 1024 * 1024;

/// A quote or a bracket that is never closed ends reading here, in lengths of the longest record.
const PASSED_OVER: u64 = 8;

/// What [`Text::read_line`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Line,
    /// One of this many bytes, of which none are there.
    TooLong(u64),
    Nothing,
}

pub(super) struct Text {
    reader: Box<dyn BufRead + Send>,
    name: Arc<str>,
    longest: usize,
    line: u64,
    byte: u64,
}

impl Text {
    pub(super) fn new(name: Arc<str>, reader: Box<dyn BufRead + Send>, longest: usize) -> Self {
        Self { reader, name, longest, line: 1, byte: 0 }
    }

    /// Line of the next byte, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Some of the bytes that come next; none at the end.
    pub(super) fn fill(&mut self) -> Result<&[u8], SourceError> {
        while let Err(error) = self.reader.fill_buf() {
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(self.read_error(error));
            }
        }
        let (line, byte, name) = (self.line, self.byte, &self.name);
        self.reader.fill_buf().map_err(|error| SourceError::Read { name: name.to_string(), line, byte, error })
    }

    /// Moves past `n` bytes of what [`Self::fill`] returned, which held `newlines` of them.
    pub(super) fn consume(&mut self, n: usize, newlines: u64) {
        self.reader.consume(n);
        self.byte += n as u64;
        self.line += newlines;
    }

    /// What one record has room for.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// Puts the next line into `line`, with its end.
    pub(super) fn read_line(&mut self, line: &mut Vec<u8>) -> Result<Found, SourceError> {
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
            return self.pass_line(n as u64).map(Found::TooLong);
        }
        Ok(if n > 0 { Found::Line } else { Found::Nothing })
    }

    /// Reads past the rest of a line of which `length` bytes were read: how long all of it is.
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

    /// Refuses to pass over more of a record of `length` bytes so far that began at `line`.
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

/// Newlines among `bytes`.
pub(super) fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&byte| byte == b'\n').count() as u64
}
