//! Zones: the offset of a zone from UTC at an instant, and the instant of a local time.
//!
//! | local time | when | instant |
//! |---|---|---|
//! | once | nearly always | that one |
//! | twice | the clocks went back over it | the later one |
//! | never | the clocks went forward over it | as if they had not yet: 02:30 is the instant that reads 03:30 |
//!
//! This is how PostgreSQL computes. (Records whose local time exists twice are the earlier instant.)

use arrow::array::timezone::Tz as ArrowZone;
use chrono::{DateTime, FixedOffset, MappedLocalTime, Offset, TimeZone};
use chrono_tz::{GapInfo, Tz};
use datafusion::common::{DataFusionError, Result, exec_err};

const HOUR: i64 = 3600;
const SLOTS: i64 = 256;

#[derive(Debug, Clone, Copy)]
enum ZoneKind {
    Fixed(i64),
    Named(Tz),
}

/// A zone with a cache of the hours that were asked for.
#[derive(Debug)]
pub(super) struct SqlZone {
    kind: ZoneKind,
    /// Hours since the epoch in UTC -> seconds that local time is ahead throughout.
    ahead: Vec<(i64, i64)>,
    /// The same by local hours.
    local: Vec<(i64, i64)>,
}

impl SqlZone {
    /// Parses an IANA name, or an offset such as `+05:30`. UTC needs neither cache nor computation.
    pub(super) fn parse(name: &str) -> Result<Self> {
        let kind = match name.parse::<Tz>() {
            Ok(Tz::UTC) => ZoneKind::Fixed(0),
            Ok(tz) => ZoneKind::Named(tz),
            Err(_) => ZoneKind::Fixed(fixed(name)?),
        };
        let empty = match kind {
            ZoneKind::Fixed(_) => vec![],
            ZoneKind::Named(_) => vec![(i64::MIN, 0); SLOTS as usize],
        };
        Ok(Self { kind, ahead: empty.clone(), local: empty })
    }

    /// Whether local times are UTC's.
    pub(super) fn is_utc(&self) -> bool {
        matches!(self.kind, ZoneKind::Fixed(0))
    }

    /// Seconds that local time is ahead of UTC at `instant`, in seconds since the epoch.
    pub(super) fn ahead(&mut self, instant: i64) -> Result<i64> {
        let tz = match self.kind {
            ZoneKind::Fixed(ahead) => return Ok(ahead),
            ZoneKind::Named(tz) => tz,
        };
        let hour = instant.div_euclid(HOUR);
        let slot = hour.rem_euclid(SLOTS) as usize;
        let (known, ahead) = self.ahead[slot];
        if known == hour {
            return Ok(ahead);
        }
        // No zone changes its offset twice within an hour, so equal offsets at both ends hold in between.
        let first = ahead_at(tz, hour * HOUR)?;
        if first == ahead_at(tz, hour * HOUR + HOUR - 1)? {
            self.ahead[slot] = (hour, first);
            return Ok(first);
        }
        ahead_at(tz, instant)
    }

    /// The zone's abbreviation at `instant`: `EST`; that of a fixed offset is `+05:30`.
    pub(super) fn abbreviation(&self, instant: i64) -> Result<String> {
        match self.kind {
            ZoneKind::Fixed(0) => Ok("UTC".to_owned()),
            ZoneKind::Fixed(ahead) => Ok(super::digits::offset(ahead)),
            ZoneKind::Named(tz) => Ok(tz.offset_from_utc_datetime(&naive(instant)?).to_string()),
        }
    }

    /// The instant of a local time; both are seconds since the epoch, the local one as if the zone were UTC.
    pub(super) fn instant(&mut self, local: i64) -> Result<i64> {
        let tz = match self.kind {
            ZoneKind::Fixed(ahead) => return Ok(local - ahead),
            ZoneKind::Named(tz) => tz,
        };
        let hour = local.div_euclid(HOUR);
        let slot = hour.rem_euclid(SLOTS) as usize;
        let (known, ahead) = self.local[slot];
        if known == hour {
            return Ok(local - ahead);
        }
        let first = single(tz, hour * HOUR)?;
        if let Some(ahead) = first
            && first == single(tz, hour * HOUR + HOUR - 1)?
        {
            self.local[slot] = (hour, ahead);
            return Ok(local - ahead);
        }
        Ok(local - ahead_of_local(tz, local)?)
    }
}

fn fixed(name: &str) -> Result<i64> {
    let zone: ArrowZone = name.parse().map_err(|_| unknown(name))?;
    let epoch = DateTime::UNIX_EPOCH.naive_utc();
    let offset: FixedOffset = zone.offset_from_utc_datetime(&epoch).fix();
    Ok(i64::from(offset.local_minus_utc()))
}

fn unknown(name: &str) -> DataFusionError {
    DataFusionError::Execution(format!("time zone `{name}` is not known: write a name such as `America/New_York`"))
}

fn naive(seconds: i64) -> Result<chrono::NaiveDateTime> {
    match DateTime::from_timestamp(seconds, 0) {
        Some(time) => Ok(time.naive_utc()),
        None => exec_err!("timestamp out of range"),
    }
}

fn ahead_at(tz: Tz, instant: i64) -> Result<i64> {
    let offset = tz.offset_from_utc_datetime(&naive(instant)?);
    Ok(i64::from(offset.fix().local_minus_utc()))
}

/// Seconds ahead of UTC if the local time exists exactly once.
fn single(tz: Tz, local: i64) -> Result<Option<i64>> {
    let offset = tz.offset_from_local_datetime(&naive(local)?).single();
    Ok(offset.map(|offset| i64::from(offset.fix().local_minus_utc())))
}

fn ahead_of_local(tz: Tz, local: i64) -> Result<i64> {
    let naive = naive(local)?;
    let seconds = |offset: &chrono_tz::TzOffset| i64::from(offset.fix().local_minus_utc());
    match tz.offset_from_local_datetime(&naive) {
        MappedLocalTime::Single(offset) => Ok(seconds(&offset)),
        MappedLocalTime::Ambiguous(one, other) => Ok(seconds(&one).min(seconds(&other))),
        MappedLocalTime::None => match GapInfo::new(&naive, &tz).and_then(|gap| gap.begin) {
            Some((_, before)) => Ok(seconds(&before)),
            None => exec_err!("timestamp out of range"),
        },
    }
}
