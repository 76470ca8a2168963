//! Charts as SVG inside the page. Their colours are CSS variables of the page, so that they follow light and dark, and
//! their text is in the page's own font. charts-rs writes fixed colours and a fixed font into its SVG and draws neither
//! error bars nor timelines, which is why the few kinds of chart that the report needs are drawn here.

mod bars;
mod lines;
mod ranges;
mod scale;
mod stacks;
mod text;
mod timelines;

use maud::{Markup, PreEscaped, html};

use crate::document::{Chart, Drawing};

/// The width of every chart in its own units, narrow enough to be read on a telephone. The page scales it.
const WIDTH: f64 = 480.0;

/// A chart without its title and its key.
pub(crate) fn draw(chart: &Chart) -> Markup {
    let Drawn { height, content } = match &chart.drawing {
        Drawing::Bars(groups) => bars::draw(groups),
        Drawing::Ranges(groups) => ranges::draw(groups),
        Drawing::Stacks { unit, parts, stacks } => stacks::draw(*unit, parts, stacks),
        Drawing::Lines { unit, logarithmic, series, marks } => lines::draw(*unit, *logarithmic, series, marks),
        Drawing::Timelines(timelines) => timelines::draw(timelines),
    };
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {}", px(height))) role="img" aria-label=(chart.title) { (content) }
    }
}

/// What was drawn, and how high it is.
struct Drawn {
    height: f64,
    content: Markup,
}

/// A coordinate. What is no number is at 0.
fn px(value: f64) -> String {
    let value = if value.is_finite() { value } else { 0.0 };
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// A straight line.
fn line(class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) -> Markup {
    html! { line class=(class) x1=(px(x1)) y1=(px(y1)) x2=(px(x2)) y2=(px(y2)) {} }
}

/// A filled rectangle. One without a size is drawn as wide as a line, so that it is seen.
fn rect(class: &str, (x, y): (f64, f64), (width, height): (f64, f64)) -> Markup {
    html! { rect class=(class) x=(px(x)) y=(px(y)) width=(px(width.max(1.0))) height=(px(height)) rx="1.5" {} }
}

/// The name of a mark, which a browser shows under the pointer.
fn named(name: &str, content: &Markup) -> Markup {
    html! { g { title { (name) } (PreEscaped(&content.0)) } }
}
