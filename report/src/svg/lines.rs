//! Lines over the length of history. What was measured has points and error bars; a model is dashed.

use maud::{Markup, html};

use super::bars::class;
use super::scale::{AxisScale, tick};
use super::{Drawn, WIDTH, line, named, px, text};
use crate::document::{ChartSeries, Stroke};
use crate::figures::{Side, Unit};
use crate::format;

const HEIGHT: f64 = 290.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = WIDTH - 20.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = HEIGHT - 42.0;

pub(super) fn draw(unit: Unit, logarithmic: bool, series: &[ChartSeries], marks: &[(f64, String)]) -> Drawn {
    let (x, y) = scales(logarithmic, series, marks);
    let y_ticks = if unit == Unit::Seconds { y.times(7) } else { y.ticks(6) };
    let content = html! {
        @for value in y_ticks {
            (line("grid", (LEFT, y.at(value)), (RIGHT, y.at(value))))
            (text::end("tick", (LEFT - 6.0, y.at(value) + 4.0), &tick(value, unit)))
        }
        @for value in x.ticks(6) {
            (line("grid", (x.at(value), BOTTOM), (x.at(value), BOTTOM + 4.0)))
            (text::middle("tick", (x.at(value), BOTTOM + 17.0), &tick(value, Unit::Records)))
        }
        (line("axis", (LEFT, BOTTOM), (RIGHT, BOTTOM)))
        (text::middle("tick", ((LEFT + RIGHT) / 2.0, HEIGHT - 6.0), "records of history"))
        @for (records, name) in marks {
            (line("mark", (x.at(*records), TOP), (x.at(*records), BOTTOM)))
            (text::end("tick", (x.at(*records) + text::width(name).min(WIDTH - x.at(*records)), TOP - 5.0), name))
        }
        @for series in series { (one(series, unit, &x, &y)) }
    };
    Drawn { height: HEIGHT, content }
}

fn scales(logarithmic: bool, series: &[ChartSeries], marks: &[(f64, String)]) -> (AxisScale, AxisScale) {
    let points = || series.iter().flat_map(|series| &series.points);
    let records = || points().map(|(records, _)| *records).chain(marks.iter().map(|(records, _)| *records));
    let longest = records().fold(0.0, f64::max);
    let highest = points().map(|(_, [.., max])| *max).fold(0.0, f64::max);
    if !logarithmic {
        return (AxisScale::linear(longest, (LEFT, RIGHT)), AxisScale::linear(highest * 1.05, (BOTTOM, TOP)));
    }
    let shortest = records().filter(|records| *records > 0.0).fold(f64::INFINITY, f64::min);
    let lowest = points().map(|(_, [_, min, _])| *min).filter(|min| *min > 0.0).fold(f64::INFINITY, f64::min);
    (
        AxisScale::logarithmic(shortest, longest, (LEFT, RIGHT)),
        AxisScale::logarithmic(lowest / 2.0, highest * 2.0, (BOTTOM, TOP)),
    )
}

fn one(series: &ChartSeries, unit: Unit, x: &AxisScale, y: &AxisScale) -> Markup {
    let class = class(series.side);
    let points: Vec<String> = series
        .points
        .iter()
        .map(|(records, [median, ..])| format!("{},{}", px(x.at(*records)), px(y.at(*median))))
        .collect();
    let dashed = if series.stroke == Stroke::Model { " model" } else { "" };
    let beside = series.points.get(series.points.len() * 3 / 5);
    let beside = beside.map(|(records, [median, ..])| (x.at(*records) + 6.0, y.at(*median) + 14.0));
    html! {
        polyline class=(format!("line {class}{dashed}")) points=(points.join(" ")) {}
        @if series.stroke == Stroke::Measured {
            @for (records, known) in &series.points { (point(series.side, (*records, *known), unit, x, y)) }
        }
        @if let (Some(label), Some(beside)) = (&series.label, beside) { (text::start("value", beside, label)) }
    }
}

fn point(
    side: Side,
    (records, [median, min, max]): (f64, [f64; 3]),
    unit: Unit,
    x: &AxisScale,
    y: &AxisScale,
) -> Markup {
    let (at, middle) = (x.at(records), y.at(median));
    let class = format!("bar {}", class(side));
    let content = html! {
        @if min != max {
            (line("error", (at, y.at(min)), (at, y.at(max))))
            @for end in [min, max] { (line("error", (at - 4.0, y.at(end)), (at + 4.0, y.at(end)))) }
        }
        @match side {
            Side::Lambda => circle class=(class) cx=(px(at)) cy=(px(middle)) r="4" {},
            Side::Kappa => rect class=(class) x=(px(at - 3.5)) y=(px(middle - 3.5)) width="7" height="7" {},
        }
    };
    let amount = |value| format::amount(value, unit);
    let name = format!(
        "{}, {} records: {} ({} to {})",
        side.name(),
        format::large(records),
        amount(median),
        amount(min),
        amount(max)
    );
    named(&name, &content)
}
