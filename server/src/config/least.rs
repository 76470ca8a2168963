//! Lower limits of settings that cannot be zero.

use std::time::Duration;

use anyhow::{Result, bail};
use bytesize::ByteSize;

use super::Config;

const MILLISECOND: Duration = Duration::from_millis(1);

impl Config {
    /// Refuses a limit of nothing, and a time too short to wait for.
    pub(super) fn check_least(&self) -> Result<()> {
        let Self { ingest, log, landing, batch, speed, kappa, query, member, kafka, .. } = self;
        let sizes = [
            ("ingest.in_flight", ingest.in_flight),
            ("ingest.request", ingest.request),
            ("log.queue", log.queue),
            ("log.read", log.read),
            ("landing.segment_size", landing.segment_size),
            ("speed.memory", speed.memory),
            ("kappa.memory", kappa.memory),
            ("query.memory", query.memory),
            ("query.total_memory", query.total_memory),
        ];
        let times = [
            ("batch.staging_limit", batch.staging_limit),
            ("batch.upkeep_every", batch.upkeep_every),
            ("landing.segment_age", landing.segment_age),
            ("speed.seal", speed.seal),
            ("kappa.checkpoint_every", kappa.checkpoint_every),
            ("query.timeout", query.timeout),
            ("member.lease", member.lease),
        ];
        let counts = [
            ("batch.cores", batch.cores),
            ("kafka.replication", kafka.replication.map(usize::from)),
            ("kappa.keep_checkpoints", Some(kappa.keep_checkpoints)),
            ("kappa.threads", kappa.threads),
            ("query.concurrent", Some(query.concurrent)),
            ("query.connections", Some(query.connections)),
        ];
        let sizes = sizes.iter().filter(|(_, size)| *size == ByteSize::b(0)).map(|(name, _)| (name, "1 B"));
        let times = times.iter().filter(|(_, time)| *time < MILLISECOND).map(|(name, _)| (name, "1ms"));
        let counts = counts.iter().filter(|(_, count)| *count == Some(0)).map(|(name, _)| (name, "1"));
        match sizes.chain(times).chain(counts).next() {
            Some((name, least)) => bail!("`{name}` has to be at least {least}; leave it out for its default"),
            None => Ok(()),
        }
    }
}
