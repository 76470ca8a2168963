//! A reading per minute and city, in the format of a topic `weather`: numbers with many digits, a time with an offset,
//! city names with a blank and with letters that are not ASCII.

use super::calendar::{self, MINUTE_MS};
use super::flaw::Flaw;
use super::random::Random;

/// Name, number, and mean temperature of an average day, in millionths of a degree.
const CITIES: &[(&str, u64, i64)] = &[
    ("Porto", 101, 14_500_000),
    ("Bad Ischl", 102, 6_200_000),
    ("Århus", 103, 5_100_000),
    ("Kraków", 104, 6_900_000),
    ("Lyon", 105, 11_300_000),
    ("Tartu", 106, 1_800_000),
    ("Split", 107, 13_900_000),
    ("Bergen", 108, 5_600_000),
    ("Graz", 109, 8_700_000),
    ("Cork", 110, 9_400_000),
    ("Šiauliai", 111, 3_300_000),
    ("Alcalá de Henares", 112, 12_800_000),
];

/// Difference of each hour from the day's average, in millionths of a degree.
const HOURS: [i64; 24] = [
    -3_100_000, -3_500_000, -3_900_000, -4_200_000, -4_400_000, -4_300_000, -3_600_000, -2_400_000, -900_000, 700_000,
    2_200_000, 3_400_000, 4_300_000, 4_800_000, 4_900_000, 4_500_000, 3_700_000, 2_600_000, 1_400_000, 300_000,
    -700_000, -1_500_000, -2_100_000, -2_600_000,
];

#[derive(Debug)]
pub(super) struct Weather {
    start_ms: i64,
    written: u64,
    /// Deviation of each city from its usual course.
    drift: Vec<i64>,
}

impl Weather {
    pub(super) fn new(start_ms: i64) -> Self {
        Self { start_ms, written: 0, drift: vec![0; CITIES.len()] }
    }

    pub(super) fn write(&mut self, random: &mut Random, late_ms: i64, flaw: Option<Flaw>, out: &mut Vec<u8>) {
        let cities = CITIES.len() as u64;
        let (minute, city) = (self.written / cities, (self.written % cities) as usize);
        self.written += 1;
        let turn_ms = MINUTE_MS / cities as i64;
        let in_minute = city as i64 * turn_ms + random.below(turn_ms as u64) as i64;
        let now_ms = self.start_ms + minute as i64 * MINUTE_MS + in_minute - late_ms;
        let (name, id, average) = CITIES[city];
        let current = average + of_hour(now_ms) + self.wander(city, random);
        let (above, below) = (random.below(2_500_000) as i64, random.below(2_500_000) as i64);

        out.push(b'{');
        out.extend_from_slice(b"\"tempCurrent\":");
        match Flaw::number(flaw) {
            Some(text) => out.extend_from_slice(text),
            None => millionths(out, current),
        }
        if !random.one_in(200) {
            out.extend_from_slice(b",\"tempMax\":");
            millionths(out, current + above);
            out.extend_from_slice(b",\"tempMin\":");
            millionths(out, current - below);
        }
        out.extend_from_slice(b",\"comment\":\"station ");
        calendar::number(out, id * 10 + random.below(3));
        out.extend_from_slice(b"\",\"timeStamp\":\"");
        calendar::write_time(out, now_ms);
        out.extend_from_slice(b"+00:00\",\"city\":\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\",\"cityId\":");
        calendar::number(out, id);
        out.push(b'}');
    }

    /// A random walk that is drawn back to zero, with a half-life of about six hours.
    fn wander(&mut self, city: usize, random: &mut Random) -> i64 {
        let step = random.below(200_001) as i64 - 100_000;
        self.drift[city] += step - self.drift[city] / 512;
        self.drift[city]
    }
}

/// The course by the hour, linear between two hours.
fn of_hour(ms: i64) -> i64 {
    let hour = calendar::hour(ms);
    let into_ms = ms.rem_euclid(calendar::HOUR_MS);
    let (this, next) = (HOURS[hour], HOURS[(hour + 1) % 24]);
    this + (next - this) * into_ms / calendar::HOUR_MS
}

/// Appends a number with up to six decimals.
fn millionths(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    let number = number.unsigned_abs();
    calendar::number(out, number / 1_000_000);
    let decimals = number % 1_000_000;
    if decimals > 0 {
        out.push(b'.');
        calendar::digits(out, decimals, 6);
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
}
