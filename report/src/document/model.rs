//! What would it be at another size? A model.

use super::block::{Block, Cell, ChartSeries, Drawing, ReportSection, Stroke, Table};
use super::{keeping, wording};
use crate::analysis::{HISTORY_DAYS, Line, Model, TB_PER_DAY, total_bytes};
use crate::figures::{Both, Curve, Figures, Side, Unit};
use crate::format;

/// Machines of the rows of the table.
const MACHINES: [f64; 5] = [1.0, 10.0, 100.0, 1000.0, 10_000.0];
/// Machines of the lines of the chart.
const DRAWN: [f64; 2] = [1.0, 1000.0];
/// Points of a dashed line, evenly spread on a logarithmic axis.
const STEPS: u32 = 40;

pub(super) fn section(figures: &Figures) -> ReportSection {
    let blocks = match Model::of(figures) {
        Some(model) => blocks(figures, &model),
        None => vec![Block::Text("There is no model: the size of the records is not known.".into())],
    };
    ReportSection { id: "model", title: "What would it be at another size? A model", how: None, blocks }
}

fn blocks(figures: &Figures, model: &Model) -> Vec<Block> {
    let mut blocks = vec![
        Block::Assumption(
            "Only the solid points in the charts of this section were measured. All else extends the lines of this run far beyond \
             its records.".into(),
        ),
        Block::Text("The lines are fitted by least squares to all samples of the run:".into()),
        Block::List(formulas(model)),
        Block::Text(format!(
            "A record has {} bytes. The history is {HISTORY_DAYS} days. N machines divide the records evenly: that was not \
             measured. The number of groups is that of this run, and does not grow.",
            format::number(model.record_bytes)
        )),
        Block::Table(volumes(model)),
        Block::Table(rebuilds(model)),
    ];
    let marks: Vec<(f64, String)> = TB_PER_DAY.iter().map(|volume| (model.records(*volume), name(*volume))).collect();
    let drawing =
        |unit, series: Vec<ChartSeries>| Drawing::Lines { unit, logarithmic: true, series, marks: marks.clone() };
    let rebuild = rebuild_series(figures, model);
    if !rebuild.is_empty() {
        let title = "Model: time to compute the views again from 30 days";
        blocks.push(Block::chart(title, drawing(Unit::Seconds, rebuild)));
    }
    let bytes = bytes_series(figures, model);
    if !bytes.is_empty() {
        blocks.push(Block::chart("Model: bytes on disk after 30 days", drawing(Unit::Bytes, bytes)));
    }
    blocks
}

fn name(tb_per_day: f64) -> String {
    format!("{} a day", format::bytes(tb_per_day * 1e12))
}

fn formulas(model: &Model) -> Vec<String> {
    let mut formulas = Vec::new();
    for side in Side::ALL {
        let name = side.name();
        formulas.push(formula(name, "time to compute the views again", Unit::Seconds, *model.rebuild.of(side), " / N"));
        formulas.push(formula(name, "bytes on disk", Unit::Bytes, *model.bytes.of(side), ""));
    }
    formulas
}

fn formula(side: &str, what: &str, unit: Unit, line: Option<Line>, divided: &str) -> String {
    let Some(Line { intercept, slope, error }) = line else {
        return format!("{side}, {what}: not measured at two lengths of history.");
    };
    let (intercept, slope) = (format::amount(intercept, unit), format::amount(slope * 1e6, unit));
    let error = format::number((error * 1000.0).round() / 10.0);
    format!(
        "{side}, {what} = {intercept} + {slope} × million records{divided}. It is at most {error} % off a measured median."
    )
}

fn volumes(model: &Model) -> Table {
    let rows = TB_PER_DAY.iter().flat_map(|volume| {
        let scale = model.scale(*volume);
        let number = |value: &Option<f64>| {
            value.map_or_else(|| wording::absent("no figure of this run"), |value| Cell::plain(format::number(value)))
        };
        let bytes = |value: &Option<f64>| {
            value.map_or_else(|| wording::absent("no figure of this run"), |value| Cell::plain(format::bytes(value)))
        };
        let what = |what: &str| Cell::plain(format!("{}: {what}", name(*volume)));
        [
            vec![
                what("machines like this one that keep up"),
                number(&scale.machines.lambda),
                number(&scale.machines.kappa),
            ],
            vec![what("bytes on disk after 30 days"), bytes(&scale.bytes.lambda), bytes(&scale.bytes.kappa)],
        ]
    });
    Table::new(["Model", "Lambda", "Kappa"], rows.collect())
}

fn rebuilds(model: &Model) -> Table {
    let mut rows = Vec::new();
    for volume in TB_PER_DAY {
        let scale = model.scale(volume);
        for machines in MACHINES {
            let cell = |side: Side| match model.rebuild_s(side, scale.records, machines) {
                None => wording::absent("no figure of this run"),
                Some(seconds) if scale.machines.of(side).is_some_and(|least| machines < least) => {
                    Cell::muted(format!("{}, too few to keep up", format::seconds(seconds)))
                }
                Some(seconds) => Cell::plain(format::seconds(seconds)),
            };
            let what = format!("{}: 30 days again on N = {}", name(volume), format::number(machines));
            rows.push(vec![Cell::plain(what), cell(Side::Lambda), cell(Side::Kappa)]);
        }
    }
    Table::new(["Model", "Lambda", "Kappa"], rows)
}

fn rebuild_series(figures: &Figures, model: &Model) -> Vec<ChartSeries> {
    let mut series = measured(&figures.change.rebuild);
    for side in Side::ALL {
        for machines in DRAWN {
            let label = (side == Side::Lambda).then(|| format!("N = {}", format::number(machines)));
            let at = |records| model.rebuild_s(side, records, machines);
            series.extend(dashed(side, label, longest(&figures.change.rebuild), model, at));
        }
    }
    series
}

fn bytes_series(figures: &Figures, model: &Model) -> Vec<ChartSeries> {
    let totals = figures.keeping.stores.map(total_bytes);
    let mut series = measured(&totals);
    for side in Side::ALL {
        let at = |records| model.bytes.of(side).map(|line| line.at(records));
        series.extend(dashed(side, None, longest(&totals), model, at));
    }
    series
}

fn measured(curves: &Both<Curve>) -> Vec<ChartSeries> {
    Side::ALL.into_iter().filter_map(|side| Some(keeping::series(side, curves.of(side).get().ok()?))).collect()
}

fn longest(curves: &Both<Curve>) -> f64 {
    let lengths = Side::ALL.into_iter().filter_map(|side| curves.of(side).get().ok()?.points.last());
    lengths.map(|point| point.records as f64).fold(1.0, f64::max)
}

/// The model from the longest history to the largest volume.
fn dashed(
    side: Side,
    label: Option<String>,
    from: f64,
    model: &Model,
    at: impl Fn(f64) -> Option<f64>,
) -> Option<ChartSeries> {
    let to = TB_PER_DAY.iter().map(|volume| model.records(*volume)).fold(from, f64::max);
    let records = (0..=STEPS).map(|step| from * (to / from).powf(f64::from(step) / f64::from(STEPS)));
    let points: Vec<_> = records
        .filter_map(|records| at(records).filter(|value| *value > 0.0).map(|value| (records, [value; 3])))
        .collect();
    (!points.is_empty()).then_some(ChartSeries { side, stroke: Stroke::Model, label, points })
}
