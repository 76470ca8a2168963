//! Bars with error bars, side under side.

use maud::{Markup, html};

use super::scale::AxisScale;
use super::{Drawn, WIDTH, line, named, rect, text};
use crate::analysis::Summary;
use crate::document::BarGroup;
use crate::figures::Side;
use crate::format;

const BAR: f64 = 16.0;
const ROW: f64 = 21.0;
const LABEL: f64 = 21.0;
const GAP: f64 = 8.0;
/// Room for the value at the right of a bar.
const VALUE: f64 = 138.0;
const NAME: f64 = 62.0;

pub(super) fn draw(groups: &[BarGroup]) -> Drawn {
    let all = || groups.iter().flat_map(|group| [&group.bars.lambda, &group.bars.kappa]).flatten();
    let scale = AxisScale::linear(all().map(|bar| bar.max).fold(0.0, f64::max), (NAME, WIDTH - VALUE));
    let label = if groups.len() > 1 { LABEL } else { 0.0 };
    let height = label + 2.0 * ROW + GAP;
    let content = html! {
        @for (index, group) in groups.iter().enumerate() {
            @let top = index as f64 * height;
            @if label > 0.0 {
                (text::start("label", (0.0, top + label - 6.0), &text::fitting(&group.label, WIDTH)))
            }
            (bar(Side::Lambda, group.bars.lambda.as_ref(), &scale, top + label))
            (bar(Side::Kappa, group.bars.kappa.as_ref(), &scale, top + label + ROW))
        }
    };
    Drawn { height: groups.len() as f64 * height, content }
}

fn bar(side: Side, bar: Option<&Summary>, scale: &AxisScale, y: f64) -> Markup {
    let middle = y + BAR / 2.0;
    let Some(bar) = bar else {
        return html! {
            (text::start("tick", (0.0, middle + 4.0), side.name()))
            (text::start("tick", (NAME + 4.0, middle + 4.0), "not measured"))
        };
    };
    let value = format::amount(bar.median, bar.unit);
    let content = html! {
        (text::start("tick", (0.0, middle + 4.0), side.name()))
        (rect(&format!("bar {}", class(side)), (NAME, y), (scale.at(bar.median) - NAME, BAR)))
        @if bar.count > 1 {
            (line("error", (scale.at(bar.min), middle), (scale.at(bar.max), middle)))
            @for end in [bar.min, bar.max] {
                (line("error", (scale.at(end), middle - 4.0), (scale.at(end), middle + 4.0)))
            }
        }
        (text::start("value", (scale.at(bar.max) + 6.0, middle + 4.0), &value))
    };
    named(&format!("{}: {}", side.name(), format::summary(bar)), &content)
}

/// The CSS class of a side.
pub(super) fn class(side: Side) -> &'static str {
    match side {
        Side::Lambda => "lambda",
        Side::Kappa => "kappa",
    }
}
