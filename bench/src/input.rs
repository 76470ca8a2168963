//! Generated clicks, as batches for the log.

use arrow::array::{BinaryArray, Int64Array, StringArray, TimestampMillisecondArray};
use dovetail_connectors::sources::generate::{GenerateOptions, Generator, Kind, generate};
use dovetail_core::clock::Clock;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::record::{Fetched, Records};

pub(crate) fn clicks(events: u64, seed: u64) -> Generator {
    generate(Kind::Clicks, &GenerateOptions { events, seed, late: 0.02, bad: 0.0, start_ms: None })
}

/// The next at most `n` records.
pub(crate) fn records(generator: &mut Generator, n: usize) -> Records {
    let mut values = arrow::array::BinaryBuilder::with_capacity(n, n * 120);
    let mut line = vec![];
    for _ in 0..n {
        line.clear();
        if !generator.write_next(&mut line) {
            break;
        }
        values.append_value(&line);
    }
    let values = values.finish();
    let n = arrow::array::Array::len(&values);
    Records {
        timestamps: TimestampMillisecondArray::from_value(0, n),
        keys: BinaryArray::new_null(n),
        values,
        headers: StringArray::new_null(n),
    }
}

/// The records as if produced at this moment: Kafka forgets a producer whose records look old.
pub(crate) fn now(records: Records) -> Records {
    let n = records.len();
    Records { timestamps: TimestampMillisecondArray::from_value(Clock::System.now_ms(), n), ..records }
}

/// As a read of a partition returns them.
pub(crate) fn fetched(records: Records, from: i64) -> Fetched {
    let end = from + records.len() as i64;
    Fetched { offsets: Int64Array::from_iter_values(from..end), records, range: OffsetRange::new(from, end) }
}
