//! Whether every figure is there.

use crate::figures::{Absent, Both, Curve, Figures, Latency, Measured, Point, Quantity, Stores, Topic, Unit};

/// What is wrong with the figures: one line, which begins with the path in `report.json`, for each figure that is
/// absent, has no samples, is not positive where it has to be, or has another unit than it should have. A complete
/// report has none.
pub fn check(figures: &Figures) -> Vec<String> {
    let mut problems = Problems::default();
    meta(&mut problems, figures);
    fast_and_fresh(&mut problems, figures);
    keeping(&mut problems, figures);
    change(&mut problems, figures);
    late_and_question(&mut problems, figures);
    crash(&mut problems, figures);
    exact_and_operation(&mut problems, figures);
    problems.0
}

/// Whether 0 is a sound sample.
#[derive(Clone, Copy, PartialEq)]
enum Zero {
    Sound,
    Wrong,
}

fn meta(problems: &mut Problems, figures: &Figures) {
    let meta = &figures.meta;
    let numbers = [
        ("machine.cpus", f64::from(meta.machine.cpus)),
        ("machine.memory_bytes", meta.machine.memory_bytes as f64),
        ("records", meta.records as f64),
        ("payload_bytes", meta.payload_bytes as f64),
        ("rate", meta.rate),
        ("runs", f64::from(meta.runs)),
        ("total_s", meta.total_s),
    ];
    for (name, value) in numbers {
        problems.samples(&format!("meta.{name}"), &[value], Zero::Wrong);
    }
    let texts = [
        ("machine.cpu", &meta.machine.cpu),
        ("machine.os", &meta.machine.os),
        ("date", &meta.date),
        ("command", &meta.command),
        ("pipeline", &meta.pipeline),
        ("sql", &meta.sql),
    ];
    for (name, text) in texts {
        problems.text(&format!("meta.{name}"), text);
    }
    if meta.versions.is_empty() {
        problems.add("meta.versions", "is empty");
    }
}

fn fast_and_fresh(problems: &mut Problems, figures: &Figures) {
    let fast = &figures.fast;
    problems.text("fast.how", &fast.how);
    problems.both("fast.catch_up", &fast.catch_up, Unit::RecordsPerSecond, Zero::Wrong);
    problems.both("fast.cpu", &fast.cpu, Unit::CpuSecondsPerMillion, Zero::Wrong);
    for (side, shares) in sides(&fast.shares) {
        let of = |name| format!("fast.shares.{side}.{name}");
        problems.quantity(&of("fetch"), &shares.fetch, Unit::Share, Zero::Sound);
        problems.quantity(&of("decode"), &shares.decode, Unit::Share, Zero::Sound);
        problems.quantity(&of("fold"), &shares.fold, Unit::Share, Zero::Wrong);
        problems.quantity(&of("land"), &shares.land, Unit::Share, Zero::Sound);
    }
    let fresh = &figures.fresh;
    problems.text("fresh.how", &fresh.how);
    problems.latency("fresh.idle", &fresh.idle);
    problems.latency("fresh.half_load", &fresh.half_load);
    problems.latency("fresh.background", &fresh.background);
    problems.latency("fresh.replay", &fresh.replay);
    let answering = &figures.answering;
    problems.text("answering.how", &answering.how);
    problems.latency("answering.point", &answering.point);
    problems.latency("answering.filtered", &answering.filtered);
    problems.latency("answering.whole", &answering.whole);
}

fn keeping(problems: &mut Problems, figures: &Figures) {
    problems.text("keeping.how", &figures.keeping.how);
    for (side, stores) in sides(&figures.keeping.stores) {
        let Stores { log, landing, states, checkpoints, memory } = stores;
        let of = |name| format!("keeping.stores.{side}.{name}");
        problems.curve(&of("log"), log, Unit::Bytes, Zero::Sound);
        problems.curve(&of("landing"), landing, Unit::Bytes, Zero::Sound);
        problems.curve(&of("states"), states, Unit::Bytes, Zero::Sound);
        problems.curve(&of("checkpoints"), checkpoints, Unit::Bytes, Zero::Sound);
        problems.curve(&of("memory"), memory, Unit::Bytes, Zero::Wrong);
    }
    let stores = &figures.keeping.stores;
    for (path, curve) in [
        ("keeping.stores.lambda.landing", &stores.lambda.landing),
        ("keeping.stores.lambda.states", &stores.lambda.states),
        ("keeping.stores.kappa.log", &stores.kappa.log),
        ("keeping.stores.kappa.checkpoints", &stores.kappa.checkpoints),
    ] {
        problems.positive(path, curve);
    }
}

fn change(problems: &mut Problems, figures: &Figures) {
    let change = &figures.change;
    problems.text("change.how", &change.how);
    problems.samples("change.history", &[change.history as f64], Zero::Wrong);
    for (side, curve) in sides(&change.rebuild) {
        problems.curve(&format!("change.rebuild.{side}"), curve, Unit::Seconds, Zero::Wrong);
    }
    problems.both("change.right", &change.right, Unit::Seconds, Zero::Wrong);
    problems.both("change.switched", &change.switched, Unit::Seconds, Zero::Wrong);
    problems.both("change.back", &change.back, Unit::Seconds, Zero::Wrong);
    problems.both("change.extra_cpu", &change.extra_cpu, Unit::CpuSeconds, Zero::Wrong);
    problems.both("change.extra_memory", &change.extra_memory, Unit::Bytes, Zero::Sound);
    problems.both("change.extra_disk", &change.extra_disk, Unit::Bytes, Zero::Sound);
    problems.latency("change.answers", &change.answers);
    problems.lists("change.timeline", &change.timeline);
}

fn late_and_question(problems: &mut Problems, figures: &Figures) {
    problems.text("late.how", &figures.late.how);
    for (name, records) in [("day", &figures.late.day), ("month", &figures.late.month)] {
        problems.both(&format!("late.{name}.seen"), &records.map(|late| late.seen.clone()), Unit::Seconds, Zero::Wrong);
        problems.lists(&format!("late.{name}.exact"), &records.map(|late| late.exact.clone()));
    }
    let question = &figures.question;
    problems.text("question.how", &question.how);
    problems.both("question.right", &question.right, Unit::Seconds, Zero::Wrong);
    problems.samples("question.history", &[question.history as f64], Zero::Wrong);
    problems.both("question.missing_after_week", &question.missing_after_week, Unit::Records, Zero::Sound);
}

fn crash(problems: &mut Problems, figures: &Figures) {
    let crash = &figures.crash;
    problems.text("crash.how", &crash.how);
    problems.both("crash.recovery", &crash.recovery, Unit::Seconds, Zero::Wrong);
    problems.both("crash.read_again", &crash.read_again, Unit::Records, Zero::Sound);
    problems.lists("crash.exact", &crash.exact);
    problems.lists("crash.timeline", &crash.timeline);
}

fn exact_and_operation(problems: &mut Problems, figures: &Figures) {
    problems.text("exact.how", &figures.exact.how);
    problems.list("exact.views", &figures.exact.views);
    for view in figures.exact.views.get().into_iter().flatten() {
        problems.samples(&format!("exact.views.{}.rows", view.view), &[view.rows as f64], Zero::Wrong);
    }
    for topic in Topic::ALL {
        if !figures.operation.rows.iter().any(|row| row.topic == topic) {
            problems.add("operation.rows", &format!("has no row about `{}`", topic.title()));
        }
    }
}

fn sides<T>(both: &Both<T>) -> [(&'static str, &T); 2] {
    [("lambda", &both.lambda), ("kappa", &both.kappa)]
}

#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    fn add(&mut self, path: &str, what: &str) {
        self.0.push(format!("{path}: {what}"));
    }

    fn text(&mut self, path: &str, text: &str) {
        if text.trim().is_empty() {
            self.add(path, "is empty");
        }
    }

    fn value<'a, T>(&mut self, path: &str, measured: &'a Measured<T>) -> Option<&'a T> {
        match measured {
            Measured::Value(value) => Some(value),
            Measured::Absent(Absent { not_measured }) => {
                self.add(path, &format!("not measured: {not_measured}"));
                None
            }
        }
    }

    fn unit(&mut self, path: &str, unit: Unit, expected: Unit) {
        if unit != expected {
            self.add(path, &format!("the unit is `{}` and should be `{}`", unit.name(), expected.name()));
        }
    }

    fn samples(&mut self, path: &str, samples: &[f64], zero: Zero) {
        if samples.is_empty() {
            self.add(path, "has no samples");
        }
        let sound = |sample: &f64| sample.is_finite() && (*sample > 0.0 || zero == Zero::Sound && *sample == 0.0);
        if let Some(sample) = samples.iter().find(|sample| !sound(sample)) {
            self.add(path, &format!("{sample} is not positive"));
        }
    }

    fn quantity(&mut self, path: &str, quantity: &Quantity, unit: Unit, zero: Zero) {
        if let Some(samples) = self.value(path, quantity) {
            self.unit(path, samples.unit, unit);
            self.samples(path, &samples.samples, zero);
        }
    }

    fn both(&mut self, path: &str, both: &Both<Quantity>, unit: Unit, zero: Zero) {
        for (side, quantity) in sides(both) {
            self.quantity(&format!("{path}.{side}"), quantity, unit, zero);
        }
    }

    fn latency(&mut self, path: &str, both: &Both<Latency>) {
        for (side, latency) in sides(both) {
            let path = format!("{path}.{side}");
            let Some(latency) = self.value(&path, latency) else { continue };
            self.unit(&path, latency.unit, Unit::Milliseconds);
            if latency.runs.is_empty() {
                self.add(&path, "has no runs");
            }
            for run in &latency.runs {
                self.samples(&path, run, Zero::Wrong);
            }
        }
    }

    fn curve(&mut self, path: &str, curve: &Curve, unit: Unit, zero: Zero) {
        let Some(points) = self.value(path, curve) else { return };
        self.unit(path, points.unit, unit);
        if points.points.len() < 2 {
            self.add(path, "has fewer than two lengths");
        }
        for Point { records, samples } in &points.points {
            self.samples(&format!("{path} at {records} records"), samples, zero);
        }
    }

    /// At its longest, the curve is above 0.
    fn positive(&mut self, path: &str, curve: &Curve) {
        if let Some(last) = curve.get().ok().and_then(|points| points.points.last())
            && last.samples.iter().all(|sample| *sample == 0.0)
        {
            self.add(path, "0 at the longest history");
        }
    }

    fn list<T>(&mut self, path: &str, list: &Measured<Vec<T>>) {
        if self.value(path, list).is_some_and(Vec::is_empty) {
            self.add(path, "is empty");
        }
    }

    fn lists<T>(&mut self, path: &str, both: &Both<Measured<Vec<T>>>) {
        for (side, list) in sides(both) {
            self.list(&format!("{path}.{side}"), list);
        }
    }
}
