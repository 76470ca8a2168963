use std::collections::BTreeMap;

use serde_json::Value;

use super::*;

mod pipelines;

const KINDS: [Kind; 3] = [Kind::Nyc311, Kind::Clicks, Kind::Weather];

fn options(events: u64, seed: u64) -> GenerateOptions {
    GenerateOptions { events, seed, late: 0.0, bad: 0.0, start_ms: None }
}

fn lines(kind: Kind, options: &GenerateOptions) -> Vec<String> {
    generate(kind, options).map(|line| String::from_utf8_lossy(&line).into_owned()).collect()
}

fn objects(kind: Kind, options: &GenerateOptions) -> Vec<Value> {
    lines(kind, options).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn hash(kind: Kind, options: &GenerateOptions) -> String {
    let mut hash = blake3::Hasher::new();
    for line in generate(kind, options) {
        hash.update(&line);
        hash.update(b"\n");
    }
    hash.finalize().to_hex()[..16].to_owned()
}

fn event_time(kind: Kind, object: &Value) -> &str {
    let field = match kind {
        Kind::Nyc311 => "created_date",
        Kind::Clicks => "ts",
        Kind::Weather => "timeStamp",
    };
    object[field].as_str().unwrap()
}

/// Occurrences of each value of `field`, most first; absent is `null`.
fn counts(objects: &[Value], field: &str) -> Vec<(String, usize)> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    objects.iter().for_each(|object| *counts.entry(object[field].to_string()).or_default() += 1);
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    counts
}

fn share(objects: &[Value], holds: impl Fn(&Value) -> bool) -> f64 {
    objects.iter().filter(|object| holds(object)).count() as f64 / objects.len() as f64
}

#[test]
fn the_same_seed_gives_the_same_bytes_for_ever() {
    let faulty = GenerateOptions { late: 0.05, bad: 0.01, ..options(20_000, 7) };
    let hashes = KINDS.map(|kind| hash(kind, &faulty));
    assert_eq!(
        hashes,
        ["42a2048a4ddf9065", "5fa88bef5a449fd0", "a709cb40181e891d"],
        "a change of these changes everyone's feeds"
    );
}

#[test]
fn another_seed_gives_another_feed() {
    for kind in KINDS {
        assert_ne!(hash(kind, &options(100, 1)), hash(kind, &options(100, 2)), "{kind:?}");
    }
}

#[test]
fn a_longer_feed_begins_like_a_shorter_one() {
    for kind in KINDS {
        let (short, long) = (lines(kind, &options(500, 3)), lines(kind, &options(1_000, 3)));
        assert_eq!((short.len(), long.len()), (500, 1_000));
        assert_eq!(short, long[..500]);
    }
}

#[test]
fn the_share_of_bad_records_is_what_was_asked_for() {
    let bad = GenerateOptions { bad: 0.1, ..options(20_000, 5) };
    for kind in KINDS {
        let (good, lines) = (lines(kind, &options(20_000, 5)), lines(kind, &bad));
        let broken: Vec<&String> = lines.iter().zip(&good).filter(|(a, b)| a != b).map(|(a, _)| a).collect();
        assert!(broken.len().abs_diff(2_000) < 150, "{kind:?}: {}", broken.len());
        assert_eq!(lines[0], good[0]);
        assert!(lines.iter().all(|line| !line.trim().is_empty() && !line.contains('\n')));
        let objects: Vec<&&String> =
            broken.iter().filter(|line| serde_json::from_str::<Value>(line).is_ok_and(|v| v.is_object())).collect();
        assert!(objects.len().abs_diff(400) < 80, "{kind:?}: {} with a wrong type", objects.len());
        assert!(objects.iter().all(|line| line.contains(":\"abc\"")));
        for flaw in [":.670013", "<html>", "\"\""] {
            assert!(broken.iter().filter(|line| line.contains(flaw)).count() > 300, "{kind:?}: {flaw}");
        }
    }
}

#[test]
fn the_share_of_late_records_is_what_was_asked_for() {
    for kind in KINDS {
        let late = GenerateOptions { late: 0.1, ..options(20_000, 5) };
        let (in_order, objects) = (objects(kind, &options(20_000, 5)), objects(kind, &late));
        assert!(in_order.is_sorted_by(|a, b| event_time(kind, a) <= event_time(kind, b)), "{kind:?}");
        let mut latest = "";
        let mut behind = 0;
        for object in &objects {
            behind += usize::from(event_time(kind, object) < latest);
            latest = latest.max(event_time(kind, object));
        }
        assert!(behind.abs_diff(2_000) < 150, "{kind:?}: {behind}");
    }
}

#[test]
fn a_feed_starts_when_it_is_told_to() {
    for kind in KINDS {
        let at = GenerateOptions { start_ms: Some(1_700_000_000_000), ..options(1, 1) };
        let objects = objects(kind, &at);
        assert_eq!(&event_time(kind, &objects[0])[..10], "2023-11-14");
    }
    let clock = Clock::manual(1_700_000_000_000);
    assert_eq!(options(1, 1).starting_now(&clock).start_ms, Some(1_700_000_000_000));
}

#[test]
fn service_requests_look_like_a_city() {
    let objects = objects(Kind::Nyc311, &options(100_000, 1));
    let keys: Vec<u64> = objects.iter().map(|object| object["unique_key"].as_str().unwrap().parse().unwrap()).collect();
    assert!(keys.is_sorted_by(|a, b| a < b));
    let types = counts(&objects, "complaint_type");
    assert!(types.len() > 20 && types[0].1 > 10 * types.last().unwrap().1, "{types:?}");
    assert_eq!(counts(&objects, "borough").len(), 6);
    for object in &objects {
        assert!(object.as_object().unwrap().iter().all(|(field, value)| value.is_string() || field == "location"));
        assert_eq!(object["status"] == "Closed", object.get("closed_date").is_some());
    }
    let is = |field: &'static str| move |object: &Value| object.get(field).is_none();
    for (field, low, high) in [
        ("closed_date", 0.11, 0.14),
        ("latitude", 0.03, 0.07),
        ("location_type", 0.2, 0.3),
        ("incident_zip", 0.01, 0.05),
    ] {
        let absent = share(&objects, is(field));
        assert!(low < absent && absent < high, "{field} is absent in {absent}");
    }
    let early = share(&objects, |object| object["closed_date"].as_str() < object["created_date"].as_str());
    assert!(early > 0.11, "{early}");
}

#[test]
fn service_requests_have_local_times_that_exist() {
    // 06:59:30Z on 8 March 2026: the clocks go from 02:00 to 03:00 in half a minute.
    let spring = GenerateOptions { start_ms: Some(1_772_953_170_000), ..options(200, 1) };
    let objects = objects(Kind::Nyc311, &spring);
    let hours: Vec<&str> = objects.iter().map(|object| &event_time(Kind::Nyc311, object)[..13]).collect();
    assert!(hours.contains(&"2026-03-08T01") && hours.contains(&"2026-03-08T03"), "{hours:?}");
    assert!(!hours.contains(&"2026-03-08T02"));
    let day = self::objects(Kind::Nyc311, &options(18_000, 1));
    let by_hour = |hour: &str| day.iter().filter(|object| &event_time(Kind::Nyc311, object)[11..13] == hour).count();
    assert!(by_hour("10") > 4 * by_hour("03"), "{} and {}", by_hour("10"), by_hour("03"));
}

#[test]
fn clicks_look_like_a_shop() {
    let lines = lines(Kind::Clicks, &options(100_000, 1));
    let bytes = lines.iter().map(String::len).sum::<usize>() / lines.len();
    assert!((110..=118).contains(&bytes), "{bytes} bytes a record");
    let objects: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (users, pages) = (counts(&objects, "user_id"), counts(&objects, "page"));
    let (countries, sessions) = (counts(&objects, "country"), counts(&objects, "session"));
    assert!(users.len() > 20_000 && users[0].1 > 200, "{} users, {:?}", users.len(), users[0]);
    assert!(pages.len() == 1_000 && pages[0].1 > 20 * pages[500].1, "{} pages, {:?}", pages.len(), pages[0]);
    assert!(countries.len() == 41 && countries[0].1 > 10_000, "{countries:?}");
    assert!(sessions.len() > users.len() && sessions[0].1 > 10, "{} sessions", sessions.len());
    let mut of_session: BTreeMap<&str, &Value> = BTreeMap::new();
    for object in &objects {
        let user = of_session.entry(object["session"].as_str().unwrap()).or_insert(&object["user_id"]);
        assert_eq!(*user, &object["user_id"]);
    }
}

#[test]
fn weather_is_a_reading_a_minute_and_city() {
    let objects = objects(Kind::Weather, &options(12 * 1_440, 1));
    let cities = counts(&objects, "city");
    assert_eq!(cities.iter().map(|&(_, count)| count).collect::<Vec<_>>(), [1_440; 12]);
    assert!(cities.iter().any(|(city, _)| city.contains(' ')));
    assert!(cities.iter().any(|(city, _)| !city.is_ascii()));
    for object in &objects {
        let [min, current, max] = ["tempMin", "tempCurrent", "tempMax"].map(|field| object[field].as_f64());
        assert!(min.zip(max).is_none_or(|(min, max)| min <= current.unwrap() && current.unwrap() <= max));
        assert!(current.unwrap().abs() < 60.0);
    }
    let absent = share(&objects, |object| object.get("tempMax").is_none());
    assert!(0.002 < absent && absent < 0.01, "{absent}");
}
