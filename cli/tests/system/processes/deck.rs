//! The faults of a fleet, dealt from a shuffled deck, so that a run as long as the deck, which is the default, meets
//! every kind.

use dovetail_testkit::s3;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
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
    pub(super) fault: s3::Fault,
    /// The operations of one method, or all.
    pub(super) method: Option<&'static str>,
    /// The store's behaviour under the fault.
    pub(super) does: &'static str,
}

const UNAVAILABLE: Requests = Requests { fault: s3::Fault::Unavailable, method: None, does: "answers 503" };
const STALLS: Requests = Requests { fault: s3::Fault::Stalls, method: None, does: "does not answer" };
const LOSES_ANSWERS: Requests = Requests {
    fault: s3::Fault::LosesAnswer,
    method: Some("PUT"),
    does: "does what puts ask for and loses its answers",
};

/// Each, and how many of it are in the deck.
const DECK: [(Fault, usize); 17] = [
    (Fault::Broker, 2),
    (Fault::Postgres, 3),
    (Fault::S3, 2),
    (Fault::Partition, 2),
    (Fault::Requests(UNAVAILABLE), 3),
    (Fault::Requests(STALLS), 3),
    (Fault::Requests(LOSES_ANSWERS), 4),
    (Fault::Client, 5),
    (Fault::Kill("ingest"), 6),
    (Fault::Kill("batch"), 5),
    (Fault::KillLeader, 5),
    (Fault::Kill("speed"), 6),
    (Fault::Kill("serve"), 5),
    (Fault::Stop("batch"), 4),
    (Fault::Stop("ingest"), 2),
    (Fault::Stop("speed"), 2),
    (Fault::Stop("serve"), 1),
];

pub(super) fn shuffled(random: &mut StdRng) -> Vec<Fault> {
    let mut deck: Vec<_> = DECK.iter().flat_map(|&(fault, times)| std::iter::repeat_n(fault, times)).collect();
    deck.shuffle(random);
    deck
}
