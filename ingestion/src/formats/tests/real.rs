//! Real records, where they are at hand.

use super::*;

#[test]
fn every_311_request_decodes() {
    let data = std::env::var_os("DOVETAIL_SHARED_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    let path = data.join("nyc311/service_requests.ndjson.gz");
    let Ok(file) = std::fs::File::open(&path) else {
        println!("skipped: every_311_request_decodes: no data at {}", path.display());
        return;
    };
    let lines = BufReader::new(flate2::read::GzDecoder::new(file)).lines();
    let lines: Vec<String> = lines.collect::<Result<_, _>>().unwrap();
    let time = || DataType::Timestamp(TimeUnit::Microsecond, Some("America/New_York".into()));
    let requests = stream(
        Format::Json,
        vec![
            Field::new("unique_key", DataType::Int64, false),
            Field::new("created_date", time(), false),
            column("closed_date", time()),
            column("agency", DataType::Utf8),
            column("complaint_type", DataType::Utf8),
            column("incident_zip", DataType::Utf8),
            column("borough", DataType::Utf8),
            column("latitude", DataType::Float64),
            column("longitude", DataType::Float64),
            column("location", DataType::Utf8),
        ],
    );
    let mut decoder = decoder(in_zone(requests, America::New_York));
    let (mut rows, mut without_latitude, mut objects) = (0, 0, 0);
    for lines in lines.chunks(5000) {
        let values: Vec<&str> = lines.iter().map(String::as_str).collect();
        let decoded = decode(&mut decoder, &values);
        assert_eq!(decoded.dead, []);
        rows += decoded.rows.num_rows();
        without_latitude += decoded.rows["latitude"].null_count();
        // Another 313 are strings that look like objects, but in Python's notation.
        let is_object = |text: &str| serde_json::from_str(text).is_ok_and(|value: serde_json::Value| value.is_object());
        objects += decoded.rows["location"].as_string::<i32>().iter().flatten().filter(|text| is_object(text)).count();
    }
    assert_eq!((rows, objects, without_latitude), (23_360, 2_758, 641));
}
