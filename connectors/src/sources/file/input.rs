//! The bytes of a source: decompressed, without a byte order mark, and with the number of input bytes read.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;

const CHUNK: usize = 256 * 1024;
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// Length of the longest magic number.
const MAGIC: usize = 4;
const BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

/// Number of bytes that are examined before the first record.
pub(super) const PREFIX: usize = 16 * 1024;

/// Number of input bytes read, in compressed bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct InputPosition(Arc<AtomicU64>);

impl InputPosition {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }
}

/// A reader that counts the bytes read through it.
struct CountedReader<R> {
    inner: R,
    position: InputPosition,
}

impl<R: Read> Read for CountedReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.position.0.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// A source's text and its beginning.
pub(super) struct SourceInput {
    pub(super) text: Box<dyn BufRead + Send>,
    /// The first bytes of `text`, which still holds them.
    pub(super) prefix: Vec<u8>,
    pub(super) position: InputPosition,
}

impl SourceInput {
    /// Decompresses `raw` if it starts with the magic number of gzip, bzip2 or zstd, and reads ahead at the beginning
    /// of its text.
    ///
    /// A `live` input is read ahead no further than its first line, so that a slowly written pipe is read as it comes.
    pub(super) fn new(raw: impl Read + Send + 'static, live: bool) -> io::Result<Self> {
        let position = InputPosition::default();
        let raw = CountedReader { inner: raw, position: position.clone() };
        let raw = Peeked::new(BufReader::with_capacity(CHUNK, raw), |seen| seen.len() >= MAGIC);
        let text: Box<dyn BufRead + Send> = match raw.prefix() {
            packed if packed.starts_with(GZIP_MAGIC) => buffered(MultiGzDecoder::new(raw)),
            packed if packed.starts_with(ZSTD_MAGIC) => buffered(zstd::Decoder::with_buffer(raw)?),
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => buffered(MultiBzDecoder::new(raw)),
            _ => Box::new(raw),
        };
        let enough = move |seen: &[u8]| seen.len() >= PREFIX || (live && has_line(seen));
        let mut text = Peeked::new(text, enough);
        if text.prefix().is_empty() {
            text.take_error()?;
        }
        if text.prefix().starts_with(BYTE_ORDER_MARK) {
            text.consume(BYTE_ORDER_MARK.len());
        }
        Ok(Self { prefix: text.prefix().to_vec(), text: Box::new(text), position })
    }
}

fn buffered(text: impl Read + Send + 'static) -> Box<dyn BufRead + Send> {
    Box::new(BufReader::with_capacity(CHUNK, text))
}

fn has_line(seen: &[u8]) -> bool {
    let blank = seen.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    seen[blank..].contains(&b'\n')
}

/// A reader whose first bytes were read ahead. An error met there is returned after them.
struct Peeked<R> {
    prefix: Cursor<Vec<u8>>,
    error: Option<io::Error>,
    rest: R,
}

impl<R: BufRead> Peeked<R> {
    fn new(mut rest: R, enough: impl Fn(&[u8]) -> bool) -> Self {
        let mut prefix = Vec::new();
        let mut error = None;
        while !enough(&prefix) {
            match rest.fill_buf() {
                Ok([]) => break,
                Ok(bytes) => {
                    let n = bytes.len().min(PREFIX);
                    prefix.extend_from_slice(&bytes[..n]);
                    rest.consume(n);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    error = Some(e);
                    break;
                }
            }
        }
        Self { prefix: Cursor::new(prefix), error, rest }
    }

    fn prefix(&self) -> &[u8] {
        let from = self.prefix.position() as usize;
        &self.prefix.get_ref()[from..]
    }

    fn take_error(&mut self) -> io::Result<()> {
        self.error.take().map_or(Ok(()), Err)
    }
}

impl<R: BufRead> Read for Peeked<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if !self.prefix().is_empty() {
            return self.prefix.read(buf);
        }
        self.take_error()?;
        self.rest.read(buf)
    }
}

impl<R: BufRead> BufRead for Peeked<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if !self.prefix().is_empty() {
            return self.prefix.fill_buf();
        }
        self.take_error()?;
        self.rest.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        if self.prefix().is_empty() { self.rest.consume(n) } else { self.prefix.consume(n) }
    }
}
