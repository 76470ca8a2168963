//! Text in a chart.

use maud::{Markup, html};

use super::px;

/// Roughly the width of a character.
const CHARACTER: f64 = 7.4;

/// Text that begins at a point.
pub(super) fn start(class: &str, (x, y): (f64, f64), text: &str) -> Markup {
    html! { text class=(class) x=(px(x)) y=(px(y)) { (text) } }
}

/// Text that has a point at its middle.
pub(super) fn middle(class: &str, (x, y): (f64, f64), text: &str) -> Markup {
    html! { text class=(class) x=(px(x)) y=(px(y)) text-anchor="middle" { (text) } }
}

/// Text that ends at a point.
pub(super) fn end(class: &str, (x, y): (f64, f64), text: &str) -> Markup {
    html! { text class=(class) x=(px(x)) y=(px(y)) text-anchor="end" { (text) } }
}

/// As much of a text as a width has room for.
pub(super) fn fitting(text: &str, width: f64) -> String {
    let room = (width / CHARACTER) as usize;
    if text.chars().count() <= room {
        return text.to_owned();
    }
    text.chars().take(room.saturating_sub(1)).chain(['…']).collect()
}

/// A text on as many lines as a width makes of it, broken between words.
pub(super) fn lines(text: &str, width: f64) -> Vec<String> {
    let room = (width / CHARACTER) as usize;
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + word.chars().count() < room => line.extend([" ", word]),
            _ => lines.push(word.to_owned()),
        }
    }
    lines.iter().map(|line| fitting(line, width)).collect()
}

/// Roughly the width of a text.
pub(super) fn width(text: &str) -> f64 {
    text.chars().count() as f64 * CHARACTER
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        let width = 10.0 * CHARACTER;
        assert_eq!(lines("one two three", width), ["one two", "three"]);
        assert_eq!(lines("", width), [""]);
        assert_eq!(lines("a incomprehensible", width), ["a", "incompreh…"]);
    }
}
