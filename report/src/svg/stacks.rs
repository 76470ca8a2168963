//! Parts of a whole, one bar for each side.

use maud::html;

use super::scale::AxisScale;
use super::{Drawn, WIDTH, named, rect, text};
use crate::document::Stack;
use crate::figures::Unit;
use crate::format;

const BAR: f64 = 24.0;
const ROW: f64 = 34.0;
const NAME: f64 = 62.0;
const VALUE: f64 = 76.0;

pub(super) fn draw(unit: Unit, parts: &[&str], stacks: &[Stack]) -> Drawn {
    let total = |stack: &Stack| stack.values.iter().filter(|value| value.is_finite()).sum::<f64>();
    let whole = unit == Unit::Share;
    let right = if whole { WIDTH - 4.0 } else { WIDTH - VALUE };
    let scale = AxisScale::linear(stacks.iter().map(total).fold(0.0, f64::max), (NAME, right));
    let content = html! {
        @for (index, stack) in stacks.iter().enumerate() {
            @let y = index as f64 * ROW;
            (text::start("tick", (0.0, y + BAR / 2.0 + 4.0), stack.side.name()))
            @for (part, (name, start, value)) in placed(parts, &stack.values).into_iter().enumerate() {
                @let (from, to) = (scale.at(start), scale.at(start + value));
                @let amount = format::amount(value, unit);
                @if value > 0.0 {
                    (named(&format!("{name}: {amount}"), &html! {
                        (rect(&format!("bar part{part}"), (from, y), (to - from, BAR)))
                        @if to - from > text::width(&amount) + 4.0 {
                            (text::middle("inside", ((from + to) / 2.0, y + BAR / 2.0 + 4.0), &amount))
                        }
                    }))
                }
            }
            @if !whole {
                (text::start("value", (scale.at(total(stack)) + 6.0, y + BAR / 2.0 + 4.0), &format::amount(total(stack), unit)))
            }
        }
    };
    Drawn { height: stacks.len() as f64 * ROW, content }
}

/// Each part with its name, where it starts and how long it is.
fn placed<'a>(parts: &[&'a str], values: &[f64]) -> Vec<(&'a str, f64, f64)> {
    let mut start = 0.0;
    let place = |(name, value): (&&'a str, &f64)| {
        let placed = (*name, start, *value);
        start += value.max(0.0);
        placed
    };
    parts.iter().zip(values).map(place).collect()
}
