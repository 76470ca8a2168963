//! The screen: draws the panel over itself on a terminal; without one, prints the same in a line now and then.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use anyhow::Result;
use console::{Term, truncate_str};
use dovetail_core::clock;
use tokio::time::Instant;

use super::footer::footer;
use super::panel::{Frame, line, panel};
use crate::args::Demo;
use dovetail_server::process::running::Running;

/// Pause between two lines without a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(2);
/// Between these two a terminal shows nothing, so that no half-drawn panel is seen. Other terminals ignore them.
const HOLD: &str = "\x1b[?2026h";
const RELEASE: &str = "\x1b[?2026l";
const TO_END_OF_LINE: &str = "\x1b[K";
const TO_END_OF_SCREEN: &str = "\x1b[J";
const WIDEST: usize = 100;

pub(super) struct Screen {
    term: Term,
    is_terminal: bool,
    /// Addresses and commands to try.
    footer: Vec<String>,
    /// Number of lines of the panel that are on the terminal.
    drawn: usize,
    line_due: Instant,
}

impl Screen {
    pub(super) fn new(args: &Demo, running: &Running) -> Result<Self> {
        let term = Term::stdout();
        let is_terminal = term.is_term();
        let footer = footer(args, running);
        let screen = Self { term, is_terminal, footer, drawn: 0, line_due: clock::now_monotonic() + LINE_INTERVAL };
        if is_terminal {
            screen.term.hide_cursor()?;
        } else {
            for line in &screen.footer {
                screen.say(line)?;
            }
        }
        Ok(screen)
    }

    /// Whether a frame would be drawn now.
    pub(super) fn is_due(&self) -> bool {
        self.is_terminal || clock::now_monotonic() >= self.line_due
    }

    pub(super) fn draw(&mut self, frame: &Frame) -> Result<()> {
        if !self.is_terminal {
            self.line_due = clock::now_monotonic() + LINE_INTERVAL;
            return self.say(&line(frame));
        }
        let (height, width) = self.term.size();
        let (height, width) = (usize::from(height), usize::from(width).min(WIDEST));
        let mut lines = panel(frame, width);
        lines.extend(self.footer.iter().cloned());
        fit(&mut lines, height.saturating_sub(1).max(1));
        let mut text = HOLD.to_owned();
        if self.drawn > 0 {
            write!(text, "\x1b[{}F", self.drawn)?;
        }
        for line in &lines {
            writeln!(text, "{}{TO_END_OF_LINE}", truncate_str(line, width, "…"))?;
        }
        text.push_str(TO_END_OF_SCREEN);
        text.push_str(RELEASE);
        self.drawn = lines.len();
        self.term.write_str(&text)?;
        Ok(self.term.flush()?)
    }

    /// Leaves the last panel on the terminal; later output is below it.
    pub(super) fn finish(&mut self) -> Result<()> {
        if self.is_terminal {
            self.term.show_cursor()?;
            self.term.write_line("")?;
        }
        Ok(())
    }

    pub(super) fn say(&self, text: &str) -> Result<()> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{text}")?;
        Ok(out.flush()?)
    }
}

/// Removes the least important lines: blank lines, then the end.
fn fit(lines: &mut Vec<String>, height: usize) {
    if lines.len() > height {
        lines.retain(|line| !line.is_empty());
    }
    lines.truncate(height);
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.is_terminal {
            // Nobody is left to be told of an error.
            let _ = self.term.show_cursor();
        }
    }
}
