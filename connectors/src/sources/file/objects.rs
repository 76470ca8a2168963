//! JSON objects outside of an array: one per line, several on a line, or each over several lines.
//!
//! A line that is an object by its brackets is a record unchanged. Else the shortest run of whole lines that consists
//! of JSON objects gives a record each, without the white space between their tokens. Where there is no such run, the
//! first line is a record by itself: a bad line becomes one dead letter, and the rest is examined on its own.

use std::collections::VecDeque;

use serde::de::IgnoredAny;

use super::{Raw, SourceError, lines, text::SourceText, values::ScannedValue};

pub(super) struct Objects {
    text: SourceText,
    /// Lines with their ends.
    ahead: VecDeque<Raw>,
    /// Records that were found and not returned yet.
    found: VecDeque<Raw>,
}

impl Objects {
    pub(super) fn new(text: SourceText) -> Self {
        Self { text, ahead: VecDeque::new(), found: VecDeque::new() }
    }

    pub(super) fn next(&mut self) -> Result<Option<Raw>, SourceError> {
        if let Some(raw) = self.found.pop_front() {
            return Ok(Some(raw));
        }
        while let Some(line) = self.line(0)? {
            if line.is_blank() {
                self.ahead.pop_front();
            } else if !may_open(line) || is_whole(&line.value) {
                return Ok(self.first_line());
            } else {
                return self.run();
            }
        }
        Ok(None)
    }

    /// The line at index `at` of those ahead.
    fn line(&mut self, at: usize) -> Result<Option<&Raw>, SourceError> {
        while self.ahead.len() <= at {
            let Some(line) = lines::read(&mut self.text)? else { return Ok(None) };
            self.ahead.push_back(line);
        }
        Ok(self.ahead.get(at))
    }

    fn first_line(&mut self) -> Option<Raw> {
        self.ahead.pop_front().map(Raw::without_end)
    }

    /// The records of the lines ahead, of which the first begins an object and does not end with it.
    fn run(&mut self) -> Result<Option<Raw>, SourceError> {
        let (mut run, mut brackets, mut tried) = (Vec::new(), Brackets::default(), 0);
        for lines in 1.. {
            let Some(line) = self.line(lines - 1)? else {
                return match objects(&run) {
                    ObjectRun::Bad => Ok(self.first_line()),
                    ObjectRun::Open | ObjectRun::Objects => self.cut_off(),
                };
            };
            if line.too_long.is_some() {
                return Ok(self.first_line());
            }
            run.extend_from_slice(&line.value);
            brackets.read(&line.value);
            if run.len() > self.text.longest() {
                return Err(self.text.too_long(self.ahead[0].line));
            }
            // Tried where it can be complete, and often enough to notice early that it is no object.
            if brackets.depth > 0 && run.len() < 2 * tried {
                continue;
            }
            tried = run.len();
            match objects(&run) {
                ObjectRun::Open => {}
                ObjectRun::Bad => break,
                ObjectRun::Objects => {
                    let first = self.ahead[0].line;
                    self.ahead.drain(..lines);
                    self.found = split(&run, first, self.text.longest());
                    return Ok(self.found.pop_front());
                }
            }
        }
        Ok(self.first_line())
    }

    /// Handles a text that ends inside of an object. An object of several lines fails as a whole, unless a later line
    /// is an object by itself.
    fn cut_off(&mut self) -> Result<Option<Raw>, SourceError> {
        let mut others = self.ahead.iter().skip(1).filter(|line| !line.is_blank()).peekable();
        if others.peek().is_none() || others.any(|line| is_whole(&line.value)) {
            return Ok(self.first_line());
        }
        Err(self.text.truncated("a JSON object"))
    }
}

fn may_open(line: &Raw) -> bool {
    line.too_long.is_none() && line.value.trim_ascii_start().starts_with(b"{")
}

/// Whether `line` is an object and nothing else, by its brackets and quotes.
pub(super) fn is_whole(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    let Some(inside) = line.strip_suffix(b"}").filter(|inside| inside.starts_with(b"{")) else { return false };
    let mut brackets = Brackets::default();
    brackets.read(inside) && brackets.depth == 1 && !brackets.in_string
}

/// The depth of open brackets, outside of strings.
#[derive(Debug, Default)]
struct Brackets {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Brackets {
    /// Returns whether a bracket was open after each byte.
    fn read(&mut self, bytes: &[u8]) -> bool {
        let mut open = true;
        for &byte in bytes {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    open &= self.depth > 0;
                }
                _ => {}
            }
        }
        open
    }
}

enum ObjectRun {
    /// The run consists of objects.
    Objects,
    /// The run can become that.
    Open,
    Bad,
}

fn objects(run: &[u8]) -> ObjectRun {
    let mut rest = run.trim_ascii();
    while !rest.is_empty() {
        if !rest.starts_with(b"{") {
            return ObjectRun::Bad;
        }
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
        match values.next() {
            Some(Ok(_)) => rest = between(&rest[values.byte_offset()..]),
            Some(Err(error)) if !error.is_eof() => return ObjectRun::Bad,
            _ => return ObjectRun::Open,
        }
    }
    ObjectRun::Objects
}

/// The text after the white space and the comma between two values.
fn between(rest: &[u8]) -> &[u8] {
    let rest = rest.trim_ascii_start();
    rest.strip_prefix(b",").unwrap_or(rest).trim_ascii_start()
}

/// The objects of `run`, which begins at `line`.
fn split(run: &[u8], mut line: u64, longest: usize) -> VecDeque<Raw> {
    let mut found = VecDeque::new();
    let mut rest = run;
    loop {
        let start = between(rest);
        line += super::text::newlines(&rest[..rest.len() - start.len()]);
        if start.is_empty() {
            return found;
        }
        let mut value = ScannedValue::new(longest);
        let (taken, _) = value.take(start);
        found.push_back(Raw { value: value.bytes, line, too_long: None });
        line += super::text::newlines(&start[..taken]);
        rest = &start[taken..];
    }
}
