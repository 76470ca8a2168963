//! Generated, realistic records, to try Dovetail without data of one's own.
//!
//! The same kind and options give the same bytes on every machine: only integer arithmetic decides the content, because
//! the last digit of a logarithm differs between platforms. Late and broken records are drawn apart from the rest, so
//! that the other records are the same with and without them.

use dovetail_core::clock::Clock;

mod calendar;
mod clicks;
mod flaw;
mod nyc311;
mod random;
mod weather;

#[cfg(test)]
mod tests;

use clicks::Clicks;
use flaw::Flaw;
use nyc311::Nyc311;
use random::{Random, Share};
use weather::Weather;

/// 2026-03-01T00:00:00Z: the default time of the first event.
pub const DEFAULT_START_MS: i64 = 1_772_323_200_000;

/// Lateness of late records in milliseconds, from half a minute to three days, mostly minutes.
const LATENESS_MS: &[u64] = &[30_000, 60_000, 120_000, 240_000, 480_000, 1_200_000, 3_600_000, 14_400_000, 259_200_000];

/// The kind of generated records; each has its pipeline in `data/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Service requests of a city, as NYC's open-data API writes them: every value a string, about 1 kB.
    Nyc311,
    /// Page views of a shop, six fields, about 115 bytes.
    Clicks,
    /// One reading per minute and city.
    Weather,
}

/// Options of generation; equal options give equal records.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateOptions {
    /// Number of records.
    pub events: u64,
    /// Seed of the random numbers.
    pub seed: u64,
    /// The share of records, from 0 to 1, whose event time lies minutes to days before their neighbours'.
    pub late: f64,
    /// The share of records, from 0 to 1, that do not decode. The first record always does.
    pub bad: f64,
    /// Time of the first event in milliseconds since the epoch; [`DEFAULT_START_MS`] when absent.
    pub start_ms: Option<i64>,
}

impl GenerateOptions {
    /// The same from the clock's time on, for a demonstration that looks live.
    pub fn starting_now(self, clock: &Clock) -> Self {
        Self { start_ms: Some(clock.now_ms()), ..self }
    }
}

/// A generator of lines. As an iterator it returns each as its own bytes; [`Self::write_next`] reuses a buffer.
#[derive(Debug)]
pub struct Generator {
    feed: GeneratedFeed,
    left: u64,
    first: bool,
    random: Random,
    faults: Random,
    late: Share,
    bad: Share,
}

#[derive(Debug)]
enum GeneratedFeed {
    Nyc311(Nyc311),
    Clicks(Box<Clicks>),
    Weather(Weather),
}

/// Makes a generator of `kind`.
pub fn generate(kind: Kind, options: &GenerateOptions) -> Generator {
    let start_ms = options.start_ms.unwrap_or(DEFAULT_START_MS);
    let feed = match kind {
        Kind::Nyc311 => GeneratedFeed::Nyc311(Nyc311::new(start_ms)),
        Kind::Clicks => GeneratedFeed::Clicks(Box::new(Clicks::new(start_ms))),
        Kind::Weather => GeneratedFeed::Weather(Weather::new(start_ms)),
    };
    Generator {
        feed,
        left: options.events,
        first: true,
        random: Random::new(options.seed),
        faults: Random::new(!options.seed),
        late: Share::new(options.late),
        bad: Share::new(options.bad),
    }
}

impl Generator {
    /// Replaces `line` by the next record, without a newline; false after the last one.
    pub fn write_next(&mut self, line: &mut Vec<u8>) -> bool {
        line.clear();
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let late = self.faults.chance(self.late);
        let late_ms = if late { self.faults.quantile(LATENESS_MS) as i64 } else { 0 };
        let bad = self.faults.chance(self.bad) & !std::mem::take(&mut self.first);
        let flaw = bad.then(|| Flaw::any(&mut self.faults));
        match &mut self.feed {
            GeneratedFeed::Nyc311(feed) => feed.write(&mut self.random, late_ms, flaw, line),
            GeneratedFeed::Clicks(feed) => feed.write(&mut self.random, late_ms, flaw, line),
            GeneratedFeed::Weather(feed) => feed.write(&mut self.random, late_ms, flaw, line),
        }
        if let Some(flaw) = flaw {
            flaw.spoil(&mut self.faults, line);
        }
        true
    }
}

impl Iterator for Generator {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::with_capacity(128);
        self.write_next(&mut line).then_some(line)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.left);
        (left.unwrap_or(usize::MAX), left.ok())
    }
}
