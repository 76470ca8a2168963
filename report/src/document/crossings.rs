//! At which length of history, rate or number of changes the better side changes.

use crate::analysis::{Crossing, crossing, even_changes, monthly_bytes, total_bytes};
use crate::figures::{Both, Curve, Figures, Side};
use crate::format;

/// One sentence or two for each crossing point.
pub(super) fn sentences(figures: &Figures) -> Vec<String> {
    let mut sentences = vec![
        sentence(&REBUILD, &figures.change.rebuild),
        sentence(&DISK, &figures.keeping.stores.map(total_bytes)),
        sentence(&MEMORY, &figures.keeping.stores.map(|stores| stores.memory.clone())),
    ];
    sentences.extend(monthly(figures));
    sentences.extend(changes(figures));
    sentences
}

/// What grows with history, and what it is called.
struct GrowingStore {
    /// What each side has of it, as the subject of a sentence.
    names: Both<&'static str>,
    verb: &'static str,
    /// What is unknown if it was not measured.
    what: &'static str,
}

const REBUILD: GrowingStore = GrowingStore {
    names: Both { lambda: "A full recompute (Lambda)", kappa: "A replay (Kappa)" },
    verb: "is faster than",
    what: "the time to compute the views again",
};
const DISK: GrowingStore = GrowingStore {
    names: Both { lambda: "Lambda's disk", kappa: "Kappa's disk" },
    verb: "holds fewer bytes than",
    what: "the bytes on disk",
};
const MEMORY: GrowingStore = GrowingStore {
    names: Both { lambda: "Lambda's processes", kappa: "Kappa's processes" },
    verb: "need less memory than",
    what: "the memory",
};

fn sentence(growing: &GrowingStore, curves: &Both<Curve>) -> String {
    let GrowingStore { names, verb, what } = growing;
    let of = |side: Side| *names.of(side);
    match crossing(curves) {
        Crossing::At { records, runs, below, measured } => {
            let (one, other) = (of(below), lower_case(of(below.other())));
            let (records, runs) = (format::large(records), by_run(runs));
            let extended = if measured {
                ""
            } else {
                " This length lies outside those that were measured: it comes from the fitted lines."
            };
            format!(
                "{one} {verb} {other} up to {records} records{runs}. With more records it is the other way round.{extended}"
            )
        }
        Crossing::Always { lower } => {
            format!("{} {verb} {} at every length of history.", of(lower), lower_case(of(lower.other())))
        }
        Crossing::WhereMeasured { lower } => {
            let other = lower_case(of(lower.other()));
            format!("{} {verb} {other} at every measured length of history. No crossing point is known.", of(lower))
        }
        Crossing::NoDifference => format!("No difference was measured in {what}, at any length of history."),
        Crossing::Unknown => {
            format!("No crossing point is known for {what}: it takes two lengths of history on each side.")
        }
    }
}

/// Where the runs cross, if they do not all cross at the same length.
fn by_run((shortest, longest): (f64, f64)) -> String {
    match (format::large(shortest), format::large(longest)) {
        (shortest, longest) if shortest == longest => String::new(),
        (shortest, longest) => format!(" ({shortest} to {longest} by run)"),
    }
}

fn lower_case(name: &str) -> String {
    match name.strip_prefix("A ") {
        Some(rest) => format!("a {rest}"),
        None => name.to_owned(),
    }
}

fn monthly(figures: &Figures) -> Option<String> {
    let monthly = monthly_bytes(figures)?;
    let (log, landing) = (format::bytes(monthly.kappa_log), format::bytes(monthly.lambda_landing));
    let rate = format::number(figures.meta.rate);
    let days = format::number(30.0 / monthly.times());
    Some(format!(
        "Kappa's log takes {} times the bytes of Lambda's landing: {log} a month against {landing}, at {rate} records/s. \
         A log of {days} days takes what a landing of 30 days does.",
        format::number(monthly.times())
    ))
}

fn changes(figures: &Figures) -> Option<String> {
    let (changes, fewer) = even_changes(figures)?;
    let history = figures.change.history as f64;
    Some(format!(
        "{} needs less processor time if the code changes less often than once in {} records. If it changes more often, {} \
         does. A change reads {} records again.",
        fewer.name(),
        format::large(history / changes),
        fewer.other().name(),
        format::large(history)
    ))
}
