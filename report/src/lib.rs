//! The report of a comparison of Lambda and Kappa. [`Figures`] are the raw samples of a run, as they stand in
//! `report.json`. [`analysis`] makes medians, verdicts, crossing points and a model of them. [`render_html`] and
//! [`render_markdown`] write what they say, and [`check`] names each figure that is missing.
//!
//! Everything here is a function of its arguments: no clock, no network, no files, no engine.
//!
//! ```text
//! Figures ──► analysis ──► document ──┬─► html (with svg) ──► report.html
//!                                     └─► markdown ─────────► report.md
//! ```

#![deny(missing_docs)]

pub mod analysis;
mod check;
mod document;
pub mod figures;
mod format;
mod html;
mod markdown;
mod svg;

pub use check::check;
pub use figures::Figures;

/// One page in HTML. It needs no other file and makes no request.
pub fn render_html(figures: &Figures) -> String {
    html::page(&document::document(figures))
}

/// The same report in Markdown, with the tables and without the charts.
pub fn render_markdown(figures: &Figures) -> String {
    markdown::page(&document::document(figures))
}
