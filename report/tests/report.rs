//! The pages of full figures, of figures with gaps, and of none.

mod sample;

use dovetail_report::figures::*;
use dovetail_report::{Figures, check, render_html, render_markdown};
use serde_json::Value;

const SECTIONS: [&str; 12] = [
    "How fast are records taken in?",
    "How soon is a record in an answer?",
    "How quick is an answer?",
    "What does it cost to keep?",
    "What does a change of the code cost?",
    "What happens to late records?",
    "What does a new question cost?",
    "What does a crash cost?",
    "Are the answers the same?",
    "What has to be run and set?",
    "What would it be at another size? A model",
    "What was compared",
];

/// The part of the Markdown under a heading.
fn section<'a>(markdown: &'a str, title: &str) -> &'a str {
    let (_, rest) = markdown.split_once(&format!("## {title}")).unwrap_or_else(|| panic!("no section `{title}`"));
    rest.split_once("\n## ").map_or(rest, |(section, _)| section)
}

fn lead(markdown: &str) -> &str {
    markdown.split_once("\n## ").map_or(markdown, |(lead, _)| lead)
}

#[track_caller]
fn has(text: &str, part: &str) {
    assert!(text.contains(part), "`{part}` is not in\n{text}");
}

#[test]
fn all_sections_are_there_whatever_was_measured() {
    for figures in [sample::full(), sample::quick(), sample::unmeasured()] {
        let (html, markdown) = (render_html(&figures), render_markdown(&figures));
        for title in SECTIONS {
            has(&html, &format!("<h2>{title}</h2>"));
            has(&markdown, &format!("\n## {title}\n"));
        }
    }
}

/// The pages are written to a folder of the build, where they can be looked at.
#[test]
fn pages_are_written_for_a_look() -> std::io::Result<()> {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    for (name, figures) in [("full", sample::full()), ("quick", sample::quick()), ("none", sample::unmeasured())] {
        std::fs::write(folder.join(format!("{name}.html")), render_html(&figures))?;
        std::fs::write(folder.join(format!("{name}.md")), render_markdown(&figures))?;
    }
    Ok(())
}

#[test]
fn figures_survive_json() {
    for figures in [sample::full(), sample::quick(), sample::unmeasured()] {
        let json = serde_json::to_string_pretty(&figures).unwrap();
        let read: Figures = serde_json::from_str(&json).unwrap();
        assert_eq!(rounded(serde_json::to_value(&read).unwrap()), rounded(serde_json::to_value(&figures).unwrap()));
        assert_eq!(render_html(&read), render_html(&figures));
    }
    let json = serde_json::to_value(sample::quick()).unwrap();
    assert_eq!(json["fast"]["catch_up"]["kappa"]["unit"], "records/s");
    assert_eq!(json["fast"]["catch_up"]["kappa"]["samples"][0], 420e3);
    assert_eq!(json["fresh"]["replay"]["lambda"]["not_measured"], "Lambda has no replay");
}

/// serde_json may read the last bit of a number otherwise than it was written.
fn rounded(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map(|number| format!("{number:.13e}")).into(),
        Value::Array(values) => values.into_iter().map(rounded).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, rounded(value))).collect(),
        other => other,
    }
}

#[test]
fn json_with_an_unknown_unit_or_field_is_refused() {
    let quantity = serde_json::from_str::<Quantity>;
    assert!(quantity(r#"{"unit": "s", "samples": [1]}"#).is_ok());
    assert!(quantity(r#"{"unit": "furlongs", "samples": [1]}"#).is_err());
    assert!(quantity(r#"{"samples": [1]}"#).is_err());
    assert!(quantity(r#"{"unit": "s", "samples": [1], "not_measured": "?"}"#).is_err());
}

#[test]
fn the_page_needs_nothing_else() {
    let html = render_html(&sample::full());
    for outside in ["http://", "https://", "//cdn", "<script", "<img", "@import", "url(", "src="] {
        assert!(!html.contains(outside), "`{outside}` is in the page");
    }
    has(&html, "prefers-color-scheme: dark");
    has(&html, "default-src 'none'");
}

#[test]
fn names_are_text() {
    let name = "a<b>&\"c\"|`d`";
    let mut figures = sample::full();
    figures.meta.pipeline = name.into();
    figures.meta.sql = "</pre><script>alert(1)</script>\n````\n".into();
    figures.fast.how = "<b>how</b>".into();
    figures.change.timeline.kappa = Measured::Value(vec![Event::at(1.0, "<i>\"event\"</i>")]);
    figures.exact.views = Measured::Value(vec![ViewRows {
        view: "v|<u>".into(),
        rows: 1,
        lambda_kappa: 0,
        lambda_query: 0,
        kappa_query: 0,
    }]);
    let html = render_html(&figures);
    has(&html, "a&lt;b&gt;&amp;&quot;c&quot;|`d`</h1>");
    for markup in ["<b>&", "<script", "<b>how", "<i>", "<u>"] {
        assert!(!html.contains(markup), "`{markup}` is in the page");
    }
    let markdown = render_markdown(&figures);
    has(&markdown, "# Lambda and Kappa on the pipeline a&lt;b&gt;&amp;\"c\"\\|\\`d\\`\n");
    has(&markdown, "| v\\|&lt;u&gt; |");
    has(&markdown, "\n`````\n</pre>");
}

#[test]
fn the_first_page_says_who_is_better_at_what() {
    let markdown = render_markdown(&sample::full());
    let lead = lead(&markdown);
    has(lead, "0 of 43,230 rows differ between Lambda, Kappa and a one-shot query over the same records.");
    has(lead, "**Lambda is better**\n\n- Freshness during a full recompute / a replay, p99: 3.17× less");
    has(lead, "**Kappa is better**\n\n- Records taken in per second: 37.7 % more");
    has(lead, "- Processor time for a million records: 1.56× less");
}

#[test]
fn what_lies_within_the_spread_is_no_win() {
    let markdown = render_markdown(&sample::full());
    has(
        lead(&markdown),
        "| Code changed: to go back | 200 ms (190 to 210 ms) | 200 ms (100 to 300 ms) | no difference measured |",
    );
    has(
        lead(&markdown),
        "| Crash: until answers are exact again | 2 s (1.9 to 2.3 s) | 2.2 s (1.4 to 3.2 s) | no difference measured |",
    );
}

#[test]
fn crossing_points_come_from_the_run() {
    let mut figures = sample::full();
    let markdown = render_markdown(&figures);
    let crossing = "A replay (Kappa) is faster than a full recompute (Lambda) up to 1.25 million records.";
    has(lead(&markdown), crossing);
    // 72 and 30 bytes a record, at 10,000 records a second for 30 days.
    has(lead(&markdown), "2.4 times the bytes of Lambda's landing: 1.87 TB a month against 778 GB");
    // (6.1 - 3.9) s a million records for 8 million, and 38 s more for each change.
    has(
        lead(&markdown),
        "Kappa needs less processor time if the code changes less often than once in 17.3 million records.",
    );

    figures.change.extra_cpu.kappa = figures.change.extra_cpu.lambda.clone();
    assert!(!lead(&render_markdown(&figures)).contains("if the code changes less often"));
    figures.change.rebuild.lambda = figures.change.rebuild.kappa.clone();
    let markdown = render_markdown(&figures);
    has(lead(&markdown), "No difference was measured in the time to compute the views again");
    figures.change.rebuild.lambda = Curve::points(Unit::Seconds, [(1_000_000, vec![1.0; 3])]);
    has(lead(&render_markdown(&figures)), "No crossing point is known for the time to compute the views again");
}

#[test]
fn a_change_is_told_as_it_went() {
    let figures = sample::full();
    let (html, markdown) = (render_html(&figures), render_markdown(&figures));
    let change = section(&markdown, "What does a change of the code cost?");
    has(change, "Lambda:\n\n- 0 s: the new code is given\n- 400 ms to 18.2 s: a batch run fills the new view");
    has(change, "| 8 million records | 18 s (17.6 to 18.4 s) | 45 s (44.1 to 45.9 s) | Lambda 2.5× less |");
    has(&html, ">24 s: the command to go back</text>");
}

#[test]
fn one_run_is_no_proof() {
    let mut figures = sample::full();
    figures.fast.cpu = Both {
        lambda: Quantity::samples(Unit::CpuSecondsPerMillion, [6.0]),
        kappa: Quantity::samples(Unit::CpuSecondsPerMillion, [3.0]),
    };
    has(lead(&render_markdown(&figures)), "Kappa 2× less, seen once");
}

#[test]
fn answers_that_differ_are_said_first() {
    let mut figures = sample::full();
    let Measured::Value(views) = &mut figures.exact.views else { panic!("the sample has views") };
    views[0].lambda_query = 3;
    has(lead(&render_markdown(&figures)), "The answers are NOT the same: 3 differences in 43,230 rows");
}

#[test]
fn what_was_not_measured_says_why() {
    let figures = sample::quick();
    let (html, markdown) = (render_html(&figures), render_markdown(&figures));
    has(section(&markdown, "How soon is a record in an answer?"), "not measured: Lambda has no replay");
    has(section(&markdown, "What happens to late records?"), "not measured: the quick form leaves it out");
    has(
        section(&markdown, "What does a change of the code cost?"),
        "Kappa not measured: the quick form leaves it out.",
    );
    has(lead(&markdown), "- 1 figure of fresh: Lambda has no replay");
    has(&html, "not measured: the quick form leaves it out");
}

#[test]
fn the_model_states_its_formula_and_is_dashed() {
    let figures = sample::full();
    let (html, markdown) = (render_html(&figures), render_markdown(&figures));
    let model = section(&markdown, "What would it be at another size? A model");
    has(model, "**Not measured.**");
    has(model, "Lambda, time to compute the views again = 6 s + 1.5 s × million records / N.");
    has(model, "Kappa, bytes on disk = 16 MB + 72 MB × million records.");
    // 1 TB a day are 8.33e9 records a day, 96,451 a second.
    has(model, "| 1 TB a day: machines like this one that keep up | 1 | 1 |");
    has(model, "| 1 PB a day: machines like this one that keep up | 317 | 230 |");
    has(&html, "line kappa model");
}

#[test]
fn full_figures_pass_the_check() {
    assert_eq!(check(&sample::full()), Vec::<String>::new());
}

#[test]
fn the_check_names_what_is_wrong() {
    let mut figures = sample::full();
    figures.fast.catch_up.kappa = Quantity::absent("no time");
    figures.fast.cpu.lambda = Quantity::samples(Unit::Seconds, [1.0]);
    figures.fresh.idle.lambda = Latency::runs_ms([vec![1.0], vec![]]);
    figures.change.back.kappa = Quantity::samples(Unit::Seconds, [1.0, 0.0]);
    figures.crash.read_again.kappa = Quantity::samples(Unit::Records, [0.0]);
    figures.late.how.clear();
    figures.keeping.stores.kappa.log = Curve::points(Unit::Bytes, [(1, vec![f64::NAN]), (2, vec![1.0])]);
    figures.operation.rows.pop();
    let expected = [
        "fast.catch_up.kappa: not measured: no time",
        "fast.cpu.lambda: the unit is `s` and should be `CPU s/1M records`",
        "fresh.idle.lambda: has no samples",
        "keeping.stores.kappa.log at 1 records: NaN is not positive",
        "change.back.kappa: 0 is not positive",
        "late.how: is empty",
        "operation.rows: has no row about `What retention can lose`",
    ];
    assert_eq!(check(&figures), expected);
}

#[test]
fn the_check_of_nothing_names_every_figure() {
    let problems = check(&sample::unmeasured());
    let figures = problems.iter().filter(|problem| problem.ends_with(": not measured: the run was stopped")).count();
    // By side: 6 of fast, 4 of fresh, 3 of answering, 5 of keeping, 9 of change, 4 of late, 2 of question, 4 of crash.
    assert_eq!(figures, 2 * (6 + 4 + 3 + 5 + 9 + 4 + 2 + 4) + 1, "{problems:#?}");
}

/// Figures that no run should give make a page all the same.
#[test]
fn nonsense_makes_a_page() {
    let mut figures = sample::full();
    figures.meta.records = 0;
    figures.meta.rate = f64::INFINITY;
    for samples in [vec![], vec![f64::NAN], vec![0.0], vec![-1.0, f64::INFINITY], vec![1e300, -1e300]] {
        let quantity = Quantity::samples(Unit::Seconds, samples.clone());
        let curve = Curve::points(Unit::Bytes, [(0, samples.clone()), (u64::MAX, samples.clone())]);
        let sample = samples.first().copied().unwrap_or(0.0);
        figures.fast.catch_up = Both::same(quantity.clone());
        figures.fast.shares.lambda.land = quantity.clone();
        figures.fresh.idle = Both::same(Latency::runs_ms([samples.clone()]));
        figures.keeping.stores.kappa.log = curve.clone();
        figures.change.rebuild = Both::same(curve);
        figures.change.extra_cpu = Both::same(quantity);
        figures.crash.timeline.kappa = Measured::Value(vec![Event::span(sample, -sample, "never")]);
        has(&render_html(&figures), "</html>");
        assert!(!render_html(&figures).contains("=\"NaN"));
        has(&render_markdown(&figures), "## What was compared");
    }
}
