//! Verdicts and reasons as they are read.

use super::block::{Cell, Tone};
use crate::analysis::{Known, Verdict};
use crate::figures::{Both, Measured, Side};
use crate::format::{number, summary};

/// Who is better, and by how much.
pub(super) fn verdict(verdict: Verdict) -> Cell {
    match verdict {
        Verdict::Won { by, times } => {
            Cell { text: format!("{} {}", by.name(), by_how_much(times)), tone: Tone::Side(by) }
        }
        Verdict::SeenOnce { ahead, times } => {
            Cell::muted(format!("{} {}, seen once: its spread is not known", ahead.name(), by_how_much(times)))
        }
        Verdict::NoDifference => Cell::muted("no difference measured"),
        Verdict::NotCompared => Cell::muted("not compared"),
    }
}

/// "2.3×", or "12 %" where that is less than half as much again.
pub(super) fn by_how_much(times: Option<f64>) -> String {
    match times {
        Some(times) if times < 1.5 => format!("{} %", number(((times - 1.0) * 1000.0).round() / 10.0)),
        Some(times) => format!("{}×", number(times)),
        None => "(0 against more)".into(),
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
        assert_eq!(by_how_much(Some(1.123)), "12.3 %");
        assert_eq!(by_how_much(Some(2.345)), "2.35×");
        assert_eq!(verdict(Verdict::NoDifference).text, "no difference measured");
        let won = Verdict::Won { by: Side::Kappa, times: Some(3.0) };
        assert_eq!(verdict(won).text, "Kappa 3×");
    }
}
