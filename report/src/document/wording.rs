//! Verdicts and reasons as they are read.

use super::block::{Cell, Tone};
use crate::analysis::{Better, Known, Verdict};
use crate::figures::{Both, Event, Measured, Side};
use crate::format::{number, seconds, summary};

/// Who is better, and by how much.
pub(super) fn verdict(verdict: Verdict, better: Better) -> Cell {
    match verdict {
        Verdict::Won { by, times } => {
            Cell { text: format!("{} {}", by.name(), by_how_much(times, better)), tone: Tone::Side(by) }
        }
        Verdict::SeenOnce { ahead, times } => {
            let by = by_how_much(times, better);
            Cell::muted(format!("{} {by}, seen once: the spread is not known", ahead.name()))
        }
        Verdict::NoDifference => Cell::muted("no difference measured"),
        Verdict::NotCompared => Cell::muted("not compared"),
    }
}

/// "2.3× less", or "12 % less" where the one is less than half as much again as the other. The percents are of the side
/// that is not better.
pub(super) fn by_how_much(times: Option<f64>, better: Better) -> String {
    let percent = |part: f64| number((part * 1000.0).round() / 10.0);
    match (times, better) {
        (Some(times), Better::Lower) if times < 1.5 => format!("{} % less", percent(1.0 - 1.0 / times)),
        (Some(times), Better::Higher) if times < 1.5 => format!("{} % more", percent(times - 1.0)),
        (Some(times), Better::Lower) => format!("{}× less", number(times)),
        (Some(times), Better::Higher) => format!("{}× more", number(times)),
        (None, Better::Lower) => "0 against more".into(),
        (None, Better::Higher) => "more against 0".into(),
    }
}

/// A summary, or why there is none.
pub(super) fn known(known: &Known) -> Cell {
    match known {
        Ok(known) => Cell::plain(summary(known)),
        Err(reason) => absent(reason),
    }
}

pub(super) fn absent(reason: &str) -> Cell {
    Cell::muted(not_measured(reason))
}

pub(super) fn not_measured(reason: &str) -> String {
    format!("not measured: {reason}")
}

/// "exact in all 3 runs".
pub(super) fn exact(exact: &Measured<Vec<bool>>, each: &str) -> Cell {
    match exact.get() {
        Err(reason) => absent(reason),
        Ok(exact) if exact.is_empty() => absent("there are no samples"),
        Ok(exact) => {
            let wrong = exact.iter().filter(|exact| !**exact).count();
            match wrong {
                0 => Cell::plain(format!("exact in {} of {} {each}", exact.len(), exact.len())),
                _ => Cell::alarm(format!("NOT exact in {wrong} of {} {each}", exact.len())),
            }
        }
    }
}

/// When something happened, and what.
pub(crate) fn happened(event: &Event) -> String {
    let at = seconds(event.at_s);
    match event.until_s {
        Some(until_s) => format!("{at} to {}: {}", seconds(until_s), event.what),
        None => format!("{at}: {}", event.what),
    }
}

/// Why a chart is left out, of each side that has no figure for it.
pub(super) fn missing<T>(what: &str, measured: &Both<Measured<T>>) -> Option<String> {
    let reasons: Vec<String> = Side::ALL
        .into_iter()
        .filter_map(|side| Some(format!("{} {}", side.name(), not_measured(measured.of(side).get().err()?))))
        .collect();
    (!reasons.is_empty()).then(|| format!("{what}: {}.", reasons.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_differences_are_percents() {
        assert_eq!(by_how_much(Some(1.25), Better::Lower), "20 % less");
        assert_eq!(by_how_much(Some(1.25), Better::Higher), "25 % more");
        assert_eq!(by_how_much(Some(2.345), Better::Lower), "2.35× less");
        assert_eq!(verdict(Verdict::NoDifference, Better::Lower).text, "no difference measured");
        let won = Verdict::Won { by: Side::Kappa, times: Some(3.0) };
        assert_eq!(verdict(won, Better::Higher).text, "Kappa 3× more");
    }
}
