//! Percentiles of latencies on a logarithmic axis: a dot at p50, a stroke at p95 and a triangle at p99.

use maud::{Markup, html};

use super::bars::class;
use super::scale::{AxisScale, tick};
use super::{Drawn, WIDTH, line, named, px, text};
use crate::document::RangeGroup;
use crate::figures::{Side, Unit};
use crate::format;

const NAME: f64 = 62.0;
const ROW: f64 = 18.0;
const LABEL: f64 = 22.0;

pub(super) fn draw(groups: &[RangeGroup]) -> Drawn {
    let scale = scale(groups);
    let height = LABEL + 2.0 * ROW;
    let bottom = groups.len() as f64 * height + 4.0;
    let content = html! {
        @for value in scale.ticks(6) {
            (line("grid", (scale.at(value), 0.0), (scale.at(value), bottom)))
            (text::middle("tick", (scale.at(value), bottom + 14.0), &tick(value, Unit::Milliseconds)))
        }
        @for (index, group) in groups.iter().enumerate() {
            @let top = index as f64 * height + LABEL;
            (text::start("label", (0.0, top - 7.0), &text::fitting(&group.label, WIDTH)))
            (range(Side::Lambda, group.ranges.lambda, &scale, top + ROW / 2.0))
            (range(Side::Kappa, group.ranges.kappa, &scale, top + ROW * 1.5))
        }
    };
    Drawn { height: bottom + 20.0, content }
}

fn scale(groups: &[RangeGroup]) -> AxisScale {
    let all = || {
        let ranges = groups.iter().flat_map(|group| [group.ranges.lambda, group.ranges.kappa]);
        ranges.flatten().flatten().filter(|value| *value > 0.0)
    };
    let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max));
    AxisScale::logarithmic(low / 1.3, high * 1.3, (NAME + 6.0, WIDTH - 12.0))
}

fn range(side: Side, range: Option<[f64; 3]>, scale: &AxisScale, y: f64) -> Markup {
    let name = text::start("tick", (0.0, y + 4.0), side.name());
    let Some([p50, p95, p99]) = range else {
        return html! { (name) (text::start("tick", (NAME + 6.0, y + 4.0), "not measured")) };
    };
    let class = class(side);
    let (start, mid, end) = (scale.at(p50), scale.at(p95), scale.at(p99));
    let triangle =
        format!("{},{} {},{} {},{}", px(end - 4.0), px(y - 5.0), px(end + 5.0), px(y), px(end - 4.0), px(y + 5.0));
    let content = html! {
        (name)
        (line(&format!("span {class}"), (start, y), (end, y)))
        circle class=(format!("bar {class}")) cx=(px(start)) cy=(px(y)) r="4.5" {}
        (line(&format!("span {class}"), (mid, y - 6.0), (mid, y + 6.0)))
        polygon class=(format!("bar {class}")) points=(triangle) {}
    };
    let ms = |value| format::amount(value, Unit::Milliseconds);
    named(&format!("{}: p50 {}, p95 {}, p99 {}", side.name(), ms(p50), ms(p95), ms(p99)), &content)
}
