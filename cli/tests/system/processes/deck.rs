//! The faults of a fleet, dealt from a shuffled deck, so that a run as long as the deck, which is the default, meets
//! every kind.

use dovetail_testkit::s3;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

#[derive(Debug, Clone, Copy)]
pub(super) enum FleetFault {
    /// One of the broker, PostgreSQL and the S3 store is restarted.
    Broker,
    Postgres,
    S3,
    /// The topic gets one more partition.
    Partition,
    /// Requests to the S3 store meet a fault for some seconds.
    Requests(Requests),
    /// SIGKILL for an ingesting client,
    Client,
    /// for one of a layer's processes,
    Kill(&'static str),
    /// and for the one that leads the batch layer.
    KillLeader,
    /// A process is stopped for longer than every lease, and goes on: of the batch layer the one that leads it.
    Stop(&'static str),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Requests {
    pub(super) fault: s3::S3Fault,
    /// The operations of one method, or all.
    pub(super) method: Option<&'static str>,
    /// The store's behaviour under the fault.
    pub(super) does: &'static str,
}

const UNAVAILABLE: Requests = Requests { fault: s3::S3Fault::Unavailable, method: None, does: "answers 503" };
const STALLS: Requests = Requests { fault: s3::S3Fault::Stalls, method: None, does: "does not answer" };
const LOSES_ANSWERS: Requests = Requests {
    fault: s3::S3Fault::LosesAnswer,
    method: Some("PUT"),
    does: "does what puts ask for and loses its answers",
};

/// Each, and how many of it are in the deck.
const DECK: [(FleetFault, usize); 17] = [
    (FleetFault::Broker, 2),
    (FleetFault::Postgres, 3),
    (FleetFault::S3, 2),
    (FleetFault::Partition, 2),
    (FleetFault::Requests(UNAVAILABLE), 3),
    (FleetFault::Requests(STALLS), 3),
    (FleetFault::Requests(LOSES_ANSWERS), 4),
    (FleetFault::Client, 5),
    (FleetFault::Kill("ingest"), 6),
    (FleetFault::Kill("batch"), 5),
    (FleetFault::KillLeader, 5),
    (FleetFault::Kill("speed"), 6),
    (FleetFault::Kill("serve"), 5),
    (FleetFault::Stop("batch"), 4),
    (FleetFault::Stop("ingest"), 2),
    (FleetFault::Stop("speed"), 2),
    (FleetFault::Stop("serve"), 1),
];

pub(super) fn shuffled(random: &mut StdRng) -> Vec<FleetFault> {
    let mut deck: Vec<_> = DECK.iter().flat_map(|&(fault, times)| std::iter::repeat_n(fault, times)).collect();
    deck.shuffle(random);
    deck
}
