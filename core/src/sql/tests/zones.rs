//! The calendar of zones against PostgreSQL and against Python's zoneinfo, around every kind of change of clocks.

use std::process::Command;

use arrow::datatypes::IntervalMonthDayNano;
use rand::Rng;

use super::super::interval::SECOND;
use super::super::zone::SqlZone;
use super::super::zoned::{LocalZone, Stride, TruncatedField, bin, shift::shifted, trunc};

/// One line of `zones.py`: zone, instant, what is done, with what, result.
fn check(line: &str) -> Option<String> {
    let [zone, instant, kind, what, expected] = line.split('|').collect::<Vec<_>>().try_into().unwrap();
    let instant: i64 = instant.parse().unwrap();
    // Names that this library's tables do not have; and before 1970, where every distribution of the tables has its own
    // way with zones that agree since.
    zone.parse::<chrono_tz::Tz>().ok().filter(|_| instant >= 0)?;
    let mut found = vec![];
    // In seconds, and in nanoseconds with a fraction, as streams have them.
    for (per_second, fraction) in [(1, 0), (SECOND, 123_456_789)] {
        let mut local = LocalZone { zone: SqlZone::parse(zone).unwrap(), per_second };
        let instant = instant * per_second + fraction;
        let result = match kind {
            "trunc" => trunc(instant, TruncatedField::named(what).unwrap(), &mut local).unwrap(),
            "bin" => bin(instant, Stride::Units(what.parse::<i64>().unwrap() * per_second), &mut local).unwrap(),
            "plus" => {
                let [months, days, seconds] =
                    what.split(' ').map(|n| n.parse().unwrap()).collect::<Vec<i64>>().try_into().unwrap();
                let interval = IntervalMonthDayNano::new(months as i32, days as i32, seconds * SECOND);
                shifted(instant, interval, 1, &mut local).unwrap()
            }
            other => panic!("`{other}`"),
        };
        let fraction = if kind == "plus" { fraction } else { 0 };
        assert_eq!(result.rem_euclid(per_second), fraction, "{line}");
        found.push(result.div_euclid(per_second).to_string());
    }
    match found.iter().all(|found| found == expected) {
        true => None,
        false => Some(format!("{line}: {found:?}")),
    }
}

fn check_all(cases: &str, least: usize) {
    let wrong: Vec<String> = cases.lines().filter_map(check).collect();
    assert!(cases.lines().count() >= least, "only {} cases", cases.lines().count());
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.lines().count(), wrong.join("\n"));
}

#[test]
fn zones_are_computed_as_postgresql_does() {
    check_all(include_str!("../../../tests/zones/postgres.txt"), 2_000);
}

/// `DOVETAIL_ZONES=100000` for more of them, `DOVETAIL_SEED=7` for the same ones again.
#[test]
fn zones_are_computed_as_python_does() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seed = number("DOVETAIL_SEED").unwrap_or_else(|| rand::rng().random_range(0..1 << 32));
    let count = number("DOVETAIL_ZONES").unwrap_or(3_000);
    println!("seed {seed}, {count} cases");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/zones/zones.py");
    let Ok(made) = Command::new("python3").args([script, "python", &seed.to_string(), &count.to_string()]).output()
    else {
        assert!(std::env::var_os("CI").is_none(), "python3 is missing");
        return println!("skipped: python3 is missing");
    };
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    println!("seed {seed}");
    check_all(&String::from_utf8(made.stdout).unwrap(), count as usize);
}

/// By hand, from PostgreSQL 15 in a session of the zone.
#[test]
fn the_days_that_people_ask_about() {
    let cases = [
        // Midnight comes twice: one day, from the second one on.
        ("America/Havana", "2026-11-01 04:30:00Z", "trunc", "day", "2026-11-01 05:00:00Z"),
        ("America/Havana", "2026-11-01 05:30:00Z", "trunc", "day", "2026-11-01 05:00:00Z"),
        ("Atlantic/Azores", "2026-10-25 00:30:00Z", "trunc", "day", "2026-10-25 01:00:00Z"),
        // An hour that comes twice is two.
        ("America/New_York", "2026-11-01 05:30:00Z", "trunc", "hour", "2026-11-01 05:00:00Z"),
        ("America/New_York", "2026-11-01 06:30:00Z", "trunc", "hour", "2026-11-01 06:00:00Z"),
        ("America/New_York", "2026-11-01 05:30:00Z", "bin", "900", "2026-11-01 05:30:00Z"),
        ("America/New_York", "2026-11-01 06:30:00Z", "bin", "900", "2026-11-01 06:30:00Z"),
        // A day that begins at one.
        ("America/Sao_Paulo", "2018-11-04 12:00:00Z", "trunc", "day", "2018-11-04 03:00:00Z"),
        ("America/New_York", "2026-03-08 12:00:00Z", "bin", "86400", "2026-03-08 05:00:00Z"),
        // Into a gap, and into an hour that comes twice.
        ("America/New_York", "2026-03-07 07:30:00Z", "plus", "0 1 0", "2026-03-08 07:30:00Z"),
        ("America/New_York", "2026-10-31 05:30:00Z", "plus", "0 1 0", "2026-11-01 06:30:00Z"),
        // The last day of a month.
        ("Europe/Vienna", "2026-01-31 11:00:00Z", "plus", "1 0 0", "2026-02-28 11:00:00Z"),
    ];
    let seconds = |text: &str| chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp();
    let lines = cases.map(|(zone, instant, kind, what, expected)| {
        format!("{zone}|{}|{kind}|{what}|{}", seconds(instant), seconds(expected))
    });
    check_all(&lines.join("\n"), cases.len());
}
