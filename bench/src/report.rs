//! The table at the end.

/// Figures in the order they were measured.
#[derive(Debug, Default)]
pub(crate) struct BenchReport {
    rows: Vec<[String; 3]>,
}

impl BenchReport {
    /// Adds a figure and its target, `""` where there is none, and prints it at once.
    pub(crate) fn add(&mut self, what: &str, figure: impl Into<String>, target: &str) {
        let row = [what.to_owned(), figure.into(), target.to_owned()];
        eprintln!(
            "{}: {} {}",
            row[0],
            row[1],
            if target.is_empty() { String::new() } else { format!("(target {target})") }
        );
        self.rows.push(row);
    }

    #[expect(clippy::print_stdout, reason = "the command's result")]
    pub(crate) fn print(&self) {
        println!("| what | measured | target |");
        println!("|---|---|---|");
        for [what, figure, target] in &self.rows {
            println!("| {what} | {figure} | {target} |");
        }
    }
}

/// `1234567.8` as `1,234,568`.
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Milliseconds at a quantile of `sorted` seconds.
pub(crate) fn quantile_ms(sorted: &[f64], q: f64) -> String {
    let i = ((sorted.len() as f64 * q) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(i).map_or_else(|| "-".to_owned(), |seconds| format!("{:.1} ms", seconds * 1e3))
}
