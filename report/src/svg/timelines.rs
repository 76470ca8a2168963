//! What happened when: a row for each event, with a bar for what took time and a diamond for a moment.

use maud::{Markup, html};

use super::bars::class;
use super::scale::{AxisScale, tick};
use super::{Drawn, WIDTH, line, named, px, rect, text};
use crate::document::happened;
use crate::figures::{Event, Side, Timeline, Unit};

const LINE: f64 = 16.0;
const MARK: f64 = 15.0;
const HEAD: f64 = 24.0;

pub(super) fn draw(timelines: &[(Side, Timeline)]) -> Drawn {
    let events = || timelines.iter().flat_map(|(_, events)| events);
    let scale = AxisScale::linear(events().map(end).fold(0.0, f64::max), (6.0, WIDTH - 8.0));
    let (rows, bottom) = rows(timelines, &scale);
    let content = html! {
        @for value in scale.ticks(6) {
            @let x = scale.at(value);
            (line("grid", (x, 0.0), (x, bottom)))
            (text::middle("tick", (x.clamp(6.0, WIDTH - 20.0), bottom + 15.0), &tick(value, Unit::Seconds)))
        }
        @for row in rows { (row) }
    };
    Drawn { height: bottom + 20.0, content }
}

/// Each name with its events, from the top down, and where they end.
fn rows(timelines: &[(Side, Timeline)], scale: &AxisScale) -> (Vec<Markup>, f64) {
    let (mut rows, mut y) = (Vec::new(), 0.0);
    for (side, events) in timelines {
        y += HEAD;
        rows.push(text::start(&format!("head {}", class(*side)), (0.0, y - 6.0), side.name()));
        for event in events {
            let what = happened(event);
            for line in text::lines(&what, WIDTH) {
                y += LINE;
                rows.push(text::start("label halo", (0.0, y - 3.0), &line));
            }
            rows.push(named(&what, &mark(*side, event, scale, y + MARK / 2.0)));
            y += MARK;
        }
    }
    (rows, y)
}

/// When it is over.
fn end(event: &Event) -> f64 {
    event.until_s.unwrap_or(event.at_s).max(event.at_s)
}

fn mark(side: Side, event: &Event, scale: &AxisScale, middle: f64) -> Markup {
    let (start, end) = (scale.at(event.at_s), scale.at(end(event)));
    let class = format!("bar {}", class(side));
    match event.until_s {
        Some(_) => rect(&class, (start, middle - 4.0), (end - start, 8.0)),
        None => html! { polygon class=(class) points=(diamond(start, middle)) {} },
    }
}

fn diamond(x: f64, y: f64) -> String {
    let corners = [(x - 5.0, y), (x, y - 5.0), (x + 5.0, y), (x, y + 5.0)];
    corners.map(|(x, y)| format!("{},{}", px(x), px(y))).join(" ")
}
