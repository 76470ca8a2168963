//! What happened when: a row for each event, with a bar for what took time and a diamond for a moment.

use maud::{Markup, html};

use super::bars::class;
use super::scale::{Scale, tick};
use super::{Drawn, WIDTH, line, named, px, rect, text};
use crate::figures::{Event, Side, Timeline, Unit};
use crate::format;

const ROW: f64 = 32.0;
const HEAD: f64 = 24.0;

pub(super) fn draw(timelines: &[(Side, Timeline)]) -> Drawn {
    let events = || timelines.iter().flat_map(|(_, events)| events);
    let scale = Scale::linear(events().map(end).fold(0.0, f64::max), (6.0, WIDTH - 8.0));
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
fn rows(timelines: &[(Side, Timeline)], scale: &Scale) -> (Vec<Markup>, f64) {
    let (mut rows, mut y) = (Vec::new(), 0.0);
    for (side, events) in timelines {
        y += HEAD;
        rows.push(text::start(&format!("head {}", class(*side)), (0.0, y - 6.0), side.name()));
        for happened in events {
            rows.push(event(*side, happened, scale, y));
            y += ROW;
        }
    }
    (rows, y)
}

/// When it is over.
fn end(event: &Event) -> f64 {
    event.until_s.unwrap_or(event.at_s).max(event.at_s)
}

fn event(side: Side, event: &Event, scale: &Scale, y: f64) -> Markup {
    let when = match event.until_s {
        Some(until_s) => format!("{} to {}", format::seconds(event.at_s), format::seconds(until_s)),
        None => format::seconds(event.at_s),
    };
    let what = format!("{when}: {}", event.what);
    let (start, end, middle) = (scale.at(event.at_s), scale.at(end(event)), y + 22.0);
    let class = format!("bar {}", class(side));
    let content = html! {
        (text::start("label halo", (0.0, y + 12.0), &text::fitting(&what, WIDTH)))
        @if event.until_s.is_some() {
            (rect(&class, (start, middle - 4.0), (end - start, 8.0)))
        } @else {
            polygon class=(class) points=(diamond(start, middle)) {}
        }
    };
    named(&what, &content)
}

fn diamond(x: f64, y: f64) -> String {
    let corners = [(x - 5.0, y), (x, y - 5.0), (x + 5.0, y), (x, y + 5.0)];
    corners.map(|(x, y)| format!("{},{}", px(x), px(y))).join(" ")
}
