//! What does it cost to keep?

use super::block::{Block, Cell, ChartSeries, Drawing, ReportSection, Stack, Stroke, Table};
use super::wording;
use crate::analysis::{Better, Summary, Verdict, compare, total_bytes};
use crate::figures::{Both, Curve, Figures, Points, Side, Stores, Unit};
use crate::format;

const PARTS: [&str; 4] = ["log", "landing", "states", "checkpoints"];

pub(super) fn section(figures: &Figures) -> ReportSection {
    let keeping = &figures.keeping;
    let totals = keeping.stores.map(total_bytes);
    let mut blocks = vec![Block::Text("What is kept at each length of history, and whether it grows with it.".into())];
    blocks.push(Block::Table(table(&keeping.stores, &totals)));
    blocks.extend(lines("Bytes on disk by length of history", &totals));
    blocks.extend(lines("Memory by length of history", &keeping.stores.map(|stores| stores.memory.clone())));
    blocks.extend(stacks(&keeping.stores));
    ReportSection { id: "keeping", title: "What does it cost to keep?", how: Some(keeping.how.clone()), blocks }
}

/// A chart of both curves with their error bars; nothing if neither was measured.
pub(super) fn lines(title: &str, curves: &Both<Curve>) -> Option<Block> {
    let measured: Vec<(Side, &Points)> =
        Side::ALL.into_iter().filter_map(|side| Some((side, curves.of(side).get().ok()?))).collect();
    let unit = measured.first()?.1.unit;
    let series = measured.iter().map(|(side, points)| series(*side, points)).collect();
    Some(Block::chart(title, Drawing::Lines { unit, logarithmic: false, series, marks: Vec::new() }))
}

/// The measured points of a side.
pub(super) fn series(side: Side, points: &Points) -> ChartSeries {
    let points = points.points.iter().filter_map(|point| {
        let known = Summary::of(points.unit, &point.samples)?;
        Some((point.records as f64, [known.median, known.min, known.max]))
    });
    ChartSeries { side, stroke: Stroke::Measured, label: None, points: points.collect() }
}

fn table(stores: &Both<Stores>, totals: &Both<Curve>) -> Table {
    let lengths = lengths(stores);
    let mut head = vec!["Kept, by records of history".to_owned()];
    head.extend(lengths.iter().map(|records| format::large(*records as f64)));
    head.push("Growth".into());
    let mut rows = Vec::new();
    for side in Side::ALL {
        for (name, curve) in named(stores.of(side), totals.of(side)) {
            rows.push(row(&format!("{}: {name}", side.name()), curve, &lengths));
        }
    }
    Table { head, rows }
}

fn named<'a>(stores: &'a Stores, total: &'a Curve) -> [(&'static str, &'a Curve); 6] {
    let Stores { log, landing, states, checkpoints, memory } = stores;
    [
        ("log", log),
        ("landing", landing),
        ("states", states),
        ("checkpoints", checkpoints),
        ("all on disk", total),
        ("memory", memory),
    ]
}

/// All lengths at which something was measured, the shortest first.
fn lengths(stores: &Both<Stores>) -> Vec<u64> {
    let none = Curve::absent("");
    let mut lengths: Vec<u64> = Side::ALL
        .into_iter()
        .flat_map(|side| named(stores.of(side), &none))
        .filter_map(|(_, curve)| curve.get().ok())
        .flat_map(|points| points.points.iter().map(|point| point.records))
        .collect();
    lengths.sort_unstable();
    lengths.dedup();
    lengths
}

fn row(name: &str, curve: &Curve, lengths: &[u64]) -> Vec<Cell> {
    let mut row = vec![Cell::plain(name)];
    let at = |length: &u64| {
        let points = curve.get()?;
        let point = points.points.iter().find(|point| point.records == *length).ok_or("not at this length")?;
        Summary::of(points.unit, &point.samples).ok_or("there are no samples")
    };
    row.extend(lengths.iter().map(|length| match at(length) {
        Ok(known) => Cell::plain(format::amount(known.median, known.unit)),
        Err(reason) => wording::absent(reason),
    }));
    row.push(match curve.get() {
        Ok(points) => growth(points),
        Err(reason) => wording::absent(reason),
    });
    row
}

/// How much more there is at the longest history than at the shortest.
fn growth(points: &Points) -> Cell {
    let summary = |index: usize| {
        let point = points.points.get(index)?;
        Some((point.records, Summary::of(points.unit, &point.samples)?))
    };
    let ends = (summary(0), summary(points.points.len().saturating_sub(1)));
    let (Some((shortest, first)), Some((longest, last))) = ends else { return wording::absent("there are no samples") };
    if points.points.len() < 2 {
        return wording::absent("there is one length");
    }
    if first.max == 0.0 && last.max == 0.0 {
        return Cell::muted("none kept");
    }
    match compare(&Both { lambda: Ok(first), kappa: Ok(last) }, Better::Lower) {
        Verdict::NoDifference | Verdict::NotCompared => Cell::muted("no growth measured"),
        _ if first.median == 0.0 => Cell::plain("grows from 0"),
        _ => Cell::plain(format!(
            "{}× for {}× the records",
            format::number(last.median / first.median),
            format::number(longest as f64 / shortest as f64)
        )),
    }
}

/// What the bytes at the longest history are made of.
fn stacks(stores: &Both<Stores>) -> Option<Block> {
    let longest = *lengths(stores).last()?;
    let value = |curve: &Curve| {
        let points = curve.get().ok()?;
        let point = points.points.iter().find(|point| point.records == longest)?;
        Some(Summary::of(points.unit, &point.samples)?.median)
    };
    let stacks: Vec<Stack> = Side::ALL
        .into_iter()
        .filter_map(|side| {
            let Stores { log, landing, states, checkpoints, .. } = stores.of(side);
            let values = [log, landing, states, checkpoints].map(value).into_iter().collect::<Option<Vec<f64>>>()?;
            Some(Stack { side, values })
        })
        .collect();
    let title = format!("Where the bytes of {} records are", format::large(longest as f64));
    (!stacks.is_empty())
        .then(|| Block::chart(title, Drawing::Stacks { unit: Unit::Bytes, parts: PARTS.to_vec(), stacks }))
}
