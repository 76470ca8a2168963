//! Instants of a zone from local times.
//!
//! | local time | when | instant |
//! |---|---|---|
//! | once | nearly always | that one |
//! | twice | the clocks went back over it | the earlier one |
//! | never | the clocks went forward over it | as if they had not yet: 02:30 is the instant that reads 03:30 |

use chrono::{DateTime, MappedLocalTime, Offset, TimeZone};
use chrono_tz::{GapInfo, Tz, TzOffset};

const HOUR: i64 = 3600;
const SLOTS: usize = 256;

/// A zone with a cache of the offsets of recent hours.
#[derive(Debug)]
pub(super) struct Zone {
    tz: Tz,
    /// Local hour since the epoch and the seconds that its local times are ahead of UTC, by hour modulo slots.
    hours: Vec<(i64, i64)>,
}

impl Zone {
    pub(super) fn new(tz: Tz) -> Self {
        Self { tz, hours: vec![(i64::MIN, 0); SLOTS] }
    }

    /// The instant of a local time; both are seconds since the epoch, the local one as if the zone were UTC. `None`
    /// beyond the range of a calendar (years of six digits).
    pub(super) fn instant(&mut self, local: i64) -> Option<i64> {
        let hour = local.div_euclid(HOUR);
        let slot = hour.rem_euclid(SLOTS as i64) as usize;
        let (known, ahead) = self.hours[slot];
        if known == hour {
            return Some(local - ahead);
        }
        // No zone changes its offset twice within an hour, so equal offsets at both ends hold in between.
        let first = single(self.tz, hour * HOUR);
        if let Some(ahead) = first.filter(|_| first == single(self.tz, hour * HOUR + HOUR - 1)) {
            self.hours[slot] = (hour, ahead);
            return Some(local - ahead);
        }
        instant(self.tz, local)
    }
}

/// Seconds ahead of UTC when the local time exists exactly once.
fn single(tz: Tz, local: i64) -> Option<i64> {
    let naive = DateTime::from_timestamp(local, 0)?.naive_utc();
    tz.offset_from_local_datetime(&naive).single().as_ref().map(seconds)
}

fn seconds(offset: &TzOffset) -> i64 {
    i64::from(offset.fix().local_minus_utc())
}

/// [`Zone::instant`] without a cache.
pub(super) fn instant(tz: Tz, local: i64) -> Option<i64> {
    let naive = DateTime::from_timestamp(local, 0)?.naive_utc();
    let ahead = match tz.offset_from_local_datetime(&naive) {
        MappedLocalTime::Single(offset) => seconds(&offset),
        MappedLocalTime::Ambiguous(one, other) => seconds(&one).max(seconds(&other)),
        MappedLocalTime::None => seconds(&GapInfo::new(&naive, &tz)?.begin?.1),
    };
    Some(local - ahead)
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDateTime;
    use chrono_tz::{America, Australia, Pacific};
    use proptest::prelude::*;

    use super::*;

    fn local(text: &str) -> i64 {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap().and_utc().timestamp()
    }

    /// The instant of a local time, as UTC text.
    fn utc(tz: Tz, text: &str) -> String {
        let instant = Zone::new(tz).instant(local(text)).unwrap();
        DateTime::from_timestamp(instant, 0).unwrap().format("%Y-%m-%d %H:%M:%S").to_string()
    }

    #[test]
    fn doubled_hours_take_the_earlier_instant() {
        let new_york = America::New_York;
        assert_eq!(utc(new_york, "2013-11-03 00:59:59"), "2013-11-03 04:59:59");
        assert_eq!(utc(new_york, "2013-11-03 01:00:00"), "2013-11-03 05:00:00");
        assert_eq!(utc(new_york, "2013-11-03 01:59:59"), "2013-11-03 05:59:59");
        assert_eq!(utc(new_york, "2013-11-03 02:00:00"), "2013-11-03 07:00:00");
        // Half an hour, from +11 to +10:30 at 02:00.
        let lord_howe = Australia::Lord_Howe;
        assert_eq!(utc(lord_howe, "2024-04-07 01:29:59"), "2024-04-06 14:29:59");
        assert_eq!(utc(lord_howe, "2024-04-07 01:30:00"), "2024-04-06 14:30:00");
        assert_eq!(utc(lord_howe, "2024-04-07 01:59:59"), "2024-04-06 14:59:59");
        assert_eq!(utc(lord_howe, "2024-04-07 02:00:00"), "2024-04-06 15:30:00");
    }

    #[test]
    fn skipped_hours_move_forward() {
        let new_york = America::New_York;
        assert_eq!(utc(new_york, "2024-03-10 01:59:59"), "2024-03-10 06:59:59");
        assert_eq!(utc(new_york, "2024-03-10 02:30:00"), "2024-03-10 07:30:00");
        assert_eq!(utc(new_york, "2024-03-10 03:30:00"), "2024-03-10 07:30:00");
        // Half an hour, from +10:30 to +11 at 02:00: 02:15 reads 02:45.
        let lord_howe = Australia::Lord_Howe;
        assert_eq!(utc(lord_howe, "2024-10-06 02:15:00"), "2024-10-05 15:45:00");
        assert_eq!(utc(lord_howe, "2024-10-06 02:45:00"), "2024-10-05 15:45:00");
        // A whole day that Samoa skipped.
        assert_eq!(utc(Pacific::Apia, "2011-12-30 12:00:00"), "2011-12-30 22:00:00");
    }

    proptest! {
        #[test]
        fn remembering_changes_nothing(
            start in local("1880-01-01 00:00:00")..local("2037-01-01 00:00:00"),
            steps in proptest::collection::vec(0..90_000_i64, 1..50),
            zone in 0..chrono_tz::TZ_VARIANTS.len(),
        ) {
            let tz = chrono_tz::TZ_VARIANTS[zone];
            let mut remembering = Zone::new(tz);
            let mut local = start;
            for step in steps {
                local += step;
                prop_assert_eq!(remembering.instant(local), instant(tz, local), "{} {}", tz, local);
            }
        }
    }
}
