//! The report as one page that needs nothing else: styles and charts are inside, and there is no script.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::document::{Block, Card, Cell, Chart, Document, Drawing, ReportSection, Table, Tone};
use crate::figures::Side;
use crate::svg;

const STYLE: &str = include_str!("html/style.css");
/// The page may load nothing at all.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// The whole page.
pub(crate) fn page(document: &Document) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                link rel="icon" href="data:,";
                title { (document.title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { (document.title) }
                    section id="lead" { @for block in &document.lead { (render(block)) } }
                    (contents(document))
                    @for section in &document.sections { (section_of(section)) }
                }
            }
        }
    };
    page.into_string()
}

fn contents(document: &Document) -> Markup {
    html! {
        nav aria-label="Sections" {
            ul { @for section in &document.sections { li { a href=(format!("#{}", section.id)) { (section.title) } } } }
        }
    }
}

fn section_of(section: &ReportSection) -> Markup {
    html! {
        section id=(section.id) {
            h2 { (section.title) }
            @for block in &section.blocks { (render(block)) }
            @if let Some(how) = &section.how {
                p class="how" { b { "How it was measured. " } (if how.is_empty() { "The run does not say." } else { how }) }
            }
        }
    }
}

fn render(block: &Block) -> Markup {
    match block {
        Block::Heading(text) => html! { h3 { (text) } },
        Block::Text(text) => html! { p { (text) } },
        Block::Assumption(text) => html! { p class="assumption" { b { "Not measured. " } (text) } },
        Block::List(items) => html! { ul { @for item in items { li { (item) } } } },
        Block::Cards(cards) => html! { div class="cards" { @for one in cards { (card(one)) } } },
        Block::Table(rows) => table(rows),
        Block::Chart(drawn) => chart(drawn),
        Block::Code(code) => html! { pre { code { (code) } } },
    }
}

fn card(card: &Card) -> Markup {
    html! {
        div class=(format!("card {}", class(card.tone))) {
            h3 { (card.title) }
            ul { @for item in &card.items { li { (item) } } }
        }
    }
}

/// A table; on a narrow screen each row is a block, and each cell says what it is.
fn table(table: &Table) -> Markup {
    html! {
        div class="wide" {
            table {
                thead { tr { @for head in &table.head { th scope="col" { (head) } } } }
                tbody {
                    @for row in &table.rows {
                        tr { @for (index, (head, one)) in table.head.iter().zip(row).enumerate() { (cell(index, head, one)) } }
                    }
                }
            }
        }
    }
}

fn cell(index: usize, head: &str, cell: &Cell) -> Markup {
    match index {
        0 => html! { th scope="row" { (cell.text) } },
        _ => html! { td class=(class(cell.tone)) data-head=(head) { span { (cell.text) } } },
    }
}

fn chart(chart: &Chart) -> Markup {
    html! {
        figure {
            figcaption {
                b { (chart.title) }
                span class="key" { @for (class, name) in key(&chart.drawing) { span { i class=(class) {} (name) } } }
            }
            (svg::draw(chart))
        }
    }
}

/// The classes of what is drawn, and their names.
fn key(drawing: &Drawing) -> Vec<(String, String)> {
    let entry = |class: &str, name: &str| (class.to_owned(), name.to_owned());
    match drawing {
        Drawing::Bars(_) => vec![entry("error", "lowest to highest sample")],
        Drawing::Ranges(_) => vec![entry("dot", "p50"), entry("stroke", "p95"), entry("triangle", "p99")],
        Drawing::Stacks { parts, .. } => {
            parts.iter().enumerate().map(|(index, part)| (format!("part{index}"), (*part).to_owned())).collect()
        }
        Drawing::Lines { logarithmic, .. } => {
            let mut key = vec![entry("lambda round", "Lambda"), entry("kappa", "Kappa")];
            key.extend(logarithmic.then(|| entry("dashes", "model, not measured")));
            key
        }
        Drawing::Timelines(_) => vec![entry("bar", "took time"), entry("diamond", "a moment")],
    }
}

fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Plain => "plain",
        Tone::Side(Side::Lambda) => "lambda",
        Tone::Side(Side::Kappa) => "kappa",
        Tone::Muted => "muted",
        Tone::Alarm => "alarm",
    }
}
