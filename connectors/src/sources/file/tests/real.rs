//! The real files. They are not part of the project: where they are absent these tests say so and pass.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use super::*;

fn data(test: &str) -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let path = std::env::var_os("DOVETAIL_SHARED_DATA").map_or_else(beside, PathBuf::from);
    if !path.is_dir() {
        println!("skipped: {test}: no data at {}", path.display());
        return None;
    }
    Some(path)
}

fn objects(path: PathBuf, stream: Stream) -> Vec<BTreeMap<String, Value>> {
    let options = SourceOptions { stream: Arc::new(stream), format: None, force: false };
    let mut reader = open(path.to_str().unwrap(), &options).unwrap();
    let objects: Vec<_> =
        reader.by_ref().map(|record| serde_json::from_slice(&record.unwrap().value).unwrap()).collect();
    assert_eq!(Some(reader.bytes_read()), reader.total_bytes());
    assert_eq!(reader.malformed_rows(), 0);
    objects
}

fn requests() -> Stream {
    stream(Format::Json, &["unique_key", "created_date"])
}

#[test]
fn nyc311_files_have_all_their_records() {
    let Some(data) = data("nyc311_files_have_all_their_records") else { return };
    let counts = [
        ("service_requests.ndjson.gz", 23_360),
        ("export_2000.csv", 2_000),
        ("export_old_layout.csv", 155),
        ("soda_page_fhrw-4uyv.json", 1_000),
        ("soda_page_erm2-nwe9.json", 1_000),
    ];
    for (file, count) in counts {
        let objects = objects(data.join("nyc311").join(file), requests());
        assert_eq!(objects.len(), count, "{file}");
        assert!(objects.iter().all(|object| object.contains_key("unique_key")), "{file}");
    }
}

#[test]
fn the_export_has_the_field_names_of_the_api() {
    let Some(data) = data("the_export_has_the_field_names_of_the_api") else { return };
    let export = objects(data.join("nyc311/export_2000.csv"), requests());
    let api = objects(data.join("nyc311/service_requests.ndjson.gz"), requests());
    let key = |object: &BTreeMap<String, Value>| object["unique_key"].as_str().unwrap().to_owned();
    let by_key: BTreeMap<String, _> = api.iter().map(|object| (key(object), object)).collect();
    let both: Vec<_> = export.iter().filter_map(|row| Some((row, by_key.get(&key(row))?))).collect();
    assert!(both.len() > 100, "{} records in both", both.len());
    for (row, object) in both {
        for field in ["agency", "complaint_type", "descriptor", "incident_zip", "x_coordinate_state_plane", "bbl"] {
            assert_eq!(row.get(field), object.get(field), "{field} of {}", row["unique_key"]);
        }
    }
}

#[test]
fn hourly_weather_has_no_cells_that_say_na() {
    let Some(data) = data("hourly_weather_has_no_cells_that_say_na") else { return };
    let mut stream = stream(Format::Json, &["origin", "temp", "time_hour"]);
    stream.options.null_texts = vec!["NA".into()];
    let rows = objects(data.join("weather/nyc_airports_hourly.csv.gz"), stream);
    assert_eq!(rows.len(), 26_115);
    assert!(rows.iter().all(|row| row.values().all(|value| value != "NA")));
    assert!(rows.iter().any(|row| !row.contains_key("wind_gust")));
}

#[test]
fn files_that_are_no_data_are_refused() {
    let Some(data) = data("files_that_are_no_data_are_refused") else { return };
    let options = SourceOptions { stream: Arc::new(requests()), format: None, force: false };
    for (file, looks_like) in
        [("html_page_saved_as.csv", "an HTML page"), ("git_lfs_pointer_as.csv", "a git-lfs pointer")]
    {
        let path = data.join("bad").join(file);
        let error = open(path.to_str().unwrap(), &options).unwrap_err().to_string();
        assert!(error.contains(file) && error.contains(looks_like), "{error}");
    }
}
