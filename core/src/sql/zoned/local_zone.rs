//! A zone as times in it are computed: instants to local times, and back.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use chrono::{DateTime, NaiveDateTime};
use datafusion::common::{DataFusionError, Result};

use crate::sql::zone::SqlZone;

/// Number of units in a second.
pub(crate) fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

pub(crate) fn out_of_range() -> DataFusionError {
    DataFusionError::Execution("timestamp out of range".to_owned())
}

/// The unit and zone of a type whose days are not UTC's.
pub(crate) fn local_zone(data_type: &DataType) -> Option<(TimeUnit, Arc<str>)> {
    match data_type {
        DataType::Timestamp(unit, Some(zone)) => {
            let is_local = SqlZone::parse(zone).is_ok_and(|zone| !zone.is_utc());
            is_local.then(|| (*unit, Arc::clone(zone)))
        }
        _ => None,
    }
}

/// Maps every instant of an array of timestamps, as numbers of `unit`.
pub(crate) fn each(
    array: &ArrayRef,
    unit: TimeUnit,
    zone: &str,
    mut change: impl FnMut(i64, &mut LocalZone) -> Result<i64>,
) -> Result<ArrayRef> {
    let mut local = LocalZone { zone: SqlZone::parse(zone)?, per_second: per_second(unit) };
    let instants = cast(array, &DataType::Int64)?;
    let instants: &Int64Array = instants.as_primitive::<Int64Type>();
    let changed = instants.iter().map(|instant| instant.map(|instant| change(instant, &mut local)).transpose());
    let changed: Int64Array = changed.collect::<Result<_>>()?;
    Ok(cast(&changed, array.data_type())?)
}

/// A zone, and the unit of its instants.
#[derive(Debug)]
pub(crate) struct LocalZone {
    pub(crate) zone: SqlZone,
    pub(crate) per_second: i64,
}

impl LocalZone {
    /// Units that local time is ahead of UTC.
    pub(crate) fn ahead(&mut self, instant: i64) -> Result<i64> {
        Ok(self.zone.ahead(instant.div_euclid(self.per_second))? * self.per_second)
    }

    /// The local time of an instant.
    pub(crate) fn local(&mut self, instant: i64) -> Result<i64> {
        instant.checked_add(self.ahead(instant)?).ok_or_else(out_of_range)
    }

    /// The instant of a local time.
    pub(crate) fn instant(&mut self, local: i64) -> Result<i64> {
        let (seconds, fraction) = (local.div_euclid(self.per_second), local.rem_euclid(self.per_second));
        let instant = self.zone.instant(seconds)?;
        instant.checked_mul(self.per_second).and_then(|i| i.checked_add(fraction)).ok_or_else(out_of_range)
    }

    /// A local time as a date and a time of the day.
    pub(crate) fn calendar(&self, local: i64) -> Result<NaiveDateTime> {
        let (seconds, fraction) = (local.div_euclid(self.per_second), local.rem_euclid(self.per_second));
        let nanos = fraction * (1_000_000_000 / self.per_second);
        let time = DateTime::from_timestamp(seconds, nanos as u32).ok_or_else(out_of_range)?;
        Ok(time.naive_utc())
    }

    /// A date and a time of the day as a local time.
    pub(crate) fn units(&self, time: NaiveDateTime) -> Result<i64> {
        let nanos = i64::from(time.and_utc().timestamp_subsec_nanos());
        let whole = time.and_utc().timestamp().checked_mul(self.per_second).ok_or_else(out_of_range)?;
        whole.checked_add(nanos / (1_000_000_000 / self.per_second)).ok_or_else(out_of_range)
    }
}
