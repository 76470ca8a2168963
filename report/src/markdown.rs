//! The report in Markdown: every table, and the events of timelines. The other charts are in the HTML.

use crate::document::{Block, Card, Chart, Document, Drawing, ReportSection, Table, happened};

/// The whole text.
pub(crate) fn page(document: &Document) -> String {
    let mut parts = vec![format!("# {}", escaped(&document.title))];
    parts.extend(document.lead.iter().filter_map(block));
    parts.extend(document.sections.iter().flat_map(section));
    let mut text = parts.join("\n\n");
    text.push('\n');
    text
}

fn section(section: &ReportSection) -> Vec<String> {
    let mut parts = vec![format!("## {}", section.title)];
    parts.extend(section.blocks.iter().filter_map(block));
    parts.extend(section.how.as_ref().map(|how| {
        let how = if how.is_empty() { "The run does not say." } else { how };
        format!("**How it was measured.** {}", escaped(how))
    }));
    parts
}

fn block(block: &Block) -> Option<String> {
    match block {
        Block::Heading(text) => Some(format!("### {}", escaped(text))),
        Block::Text(text) => Some(escaped(text)),
        Block::Assumption(text) => Some(format!("> **Not measured.** {}", escaped(text))),
        Block::List(items) => Some(list(items)),
        Block::Cards(cards) => Some(cards.iter().map(card).collect::<Vec<_>>().join("\n\n")),
        Block::Table(rows) => Some(table(rows)),
        Block::Chart(chart) => Some(pointer(chart)),
        Block::Code(code) => Some(fenced(code)),
    }
}

/// Where a chart is to be seen; of what happened, the events themselves.
fn pointer(chart: &Chart) -> String {
    let Drawing::Timelines(timelines) = &chart.drawing else {
        return format!("*Chart in report.html: {}*", escaped(&chart.title));
    };
    let mut parts = vec![format!("**{}**", escaped(&chart.title))];
    for (side, events) in timelines {
        parts.push(format!("{}:", side.name()));
        parts.push(list(&events.iter().map(happened).collect::<Vec<_>>()));
    }
    parts.join("\n\n")
}

fn card(card: &Card) -> String {
    format!("**{}**\n\n{}", escaped(&card.title), list(&card.items))
}

fn list(items: &[String]) -> String {
    items.iter().map(|item| format!("- {}", escaped(item))).collect::<Vec<_>>().join("\n")
}

fn table(table: &Table) -> String {
    let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let mut lines = vec![line(table.head.iter().map(|head| escaped(head)).collect())];
    lines.push(line(vec!["---".into(); table.head.len()]));
    lines.extend(table.rows.iter().map(|row| line(row.iter().map(|cell| escaped(&cell.text)).collect())));
    lines.join("\n")
}

/// A text without anything that Markdown or HTML would take for markup. It stays on one line.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\n' | '\r' => escaped.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '$' => escaped.extend(['\\', character]),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// A block of code, in a fence that is longer than any in it.
fn fenced(code: &str) -> String {
    let longest = code.split(|character| character != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}\n{}\n{fence}", code.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_text() {
        assert_eq!(escaped("a|b_<i>&\n`c`"), "a\\|b\\_&lt;i&gt;&amp; \\`c\\`");
        assert_eq!(fenced("x ```` y\n"), "`````\nx ```` y\n`````");
        assert_eq!(fenced("SELECT 1"), "```\nSELECT 1\n```");
    }
}
