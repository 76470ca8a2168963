//! Files as people have them, through the command: read, or refused with the way out before anything is appended.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
};
use parquet::arrow::ArrowWriter;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Server, said, settings_on_demand};

const PIPELINE: &str = r"
CREATE EXTERNAL TABLE j (id BIGINT NOT NULL, t VARCHAR, d DOUBLE, price DECIMAL(10, 2), day DATE, open BOOLEAN)
STORED AS JSON LOCATION 'kafka://j' OPTIONS ('partitions' '1', 'header' 'snake_case');
CREATE EXTERNAL TABLE c (id BIGINT NOT NULL, t VARCHAR) STORED AS CSV LOCATION 'kafka://c' OPTIONS ('partitions' '1');
CREATE EXTERNAL TABLE semi (id BIGINT, t VARCHAR) STORED AS CSV LOCATION 'kafka://semi'
OPTIONS ('partitions' '1', 'header' 'none', 'delimiter' ';');
CREATE EXTERNAL TABLE headless (id BIGINT, t VARCHAR) STORED AS JSON LOCATION 'kafka://headless'
OPTIONS ('partitions' '1', 'header' 'none');
CREATE EXTERNAL TABLE lines (line VARCHAR) STORED AS TEXT LOCATION 'kafka://lines' OPTIONS ('partitions' '1');
CREATE VIEW js AS SELECT id, t, d, price, day, open FROM j;
CREATE VIEW cs AS SELECT id, t FROM c;
CREATE VIEW semis AS SELECT id, t FROM semi;
CREATE VIEW headlesss AS SELECT id, t FROM headless;
CREATE VIEW liness AS SELECT _offset AS id, line AS t FROM lines;
";

struct World {
    server: Server,
    folder: TempDir,
}

impl World {
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let pipeline = folder.path().join("pipeline.sql");
        std::fs::write(&pipeline, PIPELINE).unwrap();
        let mut server = Server::new(&pipeline, settings_on_demand());
        server.start().await;
        Self { server, folder }
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    async fn ingest(&self, stream: &str, name: &str, content: impl AsRef<[u8]>, more: &[&str]) -> (bool, String) {
        let path = self.file(name, content);
        let arguments = [["ingest", stream, "--from", path.to_str().unwrap()].as_slice(), more].concat();
        let output = self.server.command(&arguments).output().await.unwrap();
        (output.status.success(), said(&output))
    }

    async fn ingests(&self, stream: &str, name: &str, content: impl AsRef<[u8]>) {
        let (well, said) = self.ingest(stream, name, content, &[]).await;
        assert!(well, "{name}: {said}");
    }

    /// Refused, with these words, and nothing of it is in the log.
    async fn refused(&self, stream: &str, name: &str, content: impl AsRef<[u8]>, words: &[&str]) {
        let ends = "SELECT sum(log_end) FROM sys.partitions";
        let before = self.server.rows(ends).await;
        let (well, said) = self.ingest(stream, name, content, &[]).await;
        assert!(!well && words.iter().all(|word| said.contains(word)), "{name}: {said}");
        assert_eq!(self.server.rows(ends).await, before, "{name}");
    }

    /// Waits for the rows of `<stream>s`, in the order of the first column.
    async fn holds(&self, stream: &str, rows: &[&str]) {
        let count = format!("SELECT count(*) FROM {stream}s");
        self.server.wait_for(&count, &rows.len().to_string()).await;
        self.server.check(&format!("SELECT * FROM {stream}s ORDER BY 1, 2"), rows).await;
    }
}

fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, c)| (name, c, true))).unwrap();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_without_a_header_and_other_delimiters() {
    let world = World::start().await;
    world.ingests("semi", "x.csv", "1;\"a;b\"\n2;x,y\n").await;
    world.ingests("headless", "y.csv", "1\ta\n2\tb\n").await;
    world.ingests("c", "z.csv", "t|id\n\"x,y\"|1\n").await;
    world.holds("semi", &["1, \"a;b\"", "2, \"x,y\""]).await;
    world.holds("headless", &["1, \"a\"", "2, \"b\""]).await;
    world.holds("c", &["1, \"x,y\""]).await;
    let post = reqwest::Client::new().post(format!("{}/v1/streams/semi/records", world.server.url()));
    let answer: Value = post.body("3;\"two\nlines\"\n").send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["appended"], 1, "{answer}");
    world.holds("semi", &["1, \"a;b\"", "2, \"x,y\"", "3, \"two\\nlines\""]).await;
    world.refused("j", "no-header.csv", "1,a\n2,b\n", &["'header' 'none'", "map single headers"]).await;
    world.server.check("SELECT count(*) FROM sys.dead_letters", &["0"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_text_are_records() {
    let world = World::start().await;
    let log = "<34>Oct 11 su: failed, twice\r\n\n{\"a\":1}\n\"open, [quote\n";
    world.ingests("lines", "x.log", log).await;
    let lines = ["0, \"<34>Oct 11 su: failed, twice\"", "1, \"{\\\"a\\\":1}\"", "2, \"\\\"open, [quote\""];
    world.holds("lines", &lines).await;
    let post = reqwest::Client::new().post(format!("{}/v1/streams/lines/records", world.server.url()));
    let answer: Value = post.body("[1,\n2]\n").send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["appended"], 2, "{answer}");
    world.holds("lines", &[lines.as_slice(), &["3, \"[1,\"", "4, \"2]\""]].concat()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parquet_is_read() {
    let world = World::start().await;
    let decimals = Decimal128Array::from(vec![Some(120), None, Some(-1)]).with_precision_and_scale(10, 2).unwrap();
    let file = parquet(vec![
        ("ID", Arc::new(Int64Array::from(vec![9_007_199_254_740_993, 2, 3]))),
        ("t", Arc::new(StringArray::from(vec![Some("a\n\"b"), None, Some("")]))),
        ("d", Arc::new(Float64Array::from(vec![Some(0.1), Some(f64::NAN), Some(f64::NEG_INFINITY)]))),
        ("price", Arc::new(decimals)),
        ("day", Arc::new(Date32Array::from(vec![Some(20_513), None, Some(0)]))),
        ("open", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
        ("more", Arc::new(Int64Array::from(vec![1, 2, 3]))),
    ]);
    world.ingests("j", "x.parquet", &file).await;
    world.server.wait_for("SELECT count(*) FROM js", "3").await;
    let texts =
        "SELECT id, t, CAST(d AS VARCHAR), CAST(price AS VARCHAR), CAST(day AS VARCHAR), open FROM js ORDER BY id";
    let rows = [
        "2, null, \"NaN\", null, null, false",
        "3, \"\", \"-Infinity\", \"-0.01\", \"1970-01-01\", null",
        "9007199254740993, \"a\\n\\\"b\", \"0.1\", \"1.20\", \"2026-03-01\", true",
    ];
    world.server.check(texts, &rows).await;
    let (_, again) = world.ingest("j", "renamed.parquet", &file, &[]).await;
    assert!(again.contains("there is nothing new in"), "{again}");
    let few = parquet(vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2]))),
        ("t", Arc::new(StringArray::from(vec!["a,b", "c"]))),
        ("left_out", Arc::new(StringArray::from(vec!["x", "y"]))),
    ]);
    world.ingests("c", "few.parquet", &few).await;
    world.holds("c", &["1, \"a,b\"", "2, \"c\""]).await;
    world.refused("lines", "few.parquet", &few, &["is a Parquet file", "store it as JSON or CSV"]).await;
    world.refused("j", "cut.parquet", &few[..few.len() - 9], &["Parquet file", "cannot be read"]).await;
    world
        .refused("j", "lacks.parquet", parquet(vec![("t", Arc::new(StringArray::from(vec!["x"])))]), &["lacks `id`"])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_compressed_is_read_or_refused_with_the_way_out() {
    // `printf 'id,t\n1,a\n2,b\n' | bzip2`, `printf 'id,t\n3,a\n4,b\n' | zstd`
    const BZIP2: [u8; 53] = [
        66, 90, 104, 57, 49, 65, 89, 38, 83, 89, 166, 40, 244, 6, 0, 0, 5, 217, 128, 0, 16, 0, 4, 48, 0, 52, 32, 4, 0,
        32, 0, 49, 6, 76, 64, 208, 48, 144, 162, 154, 12, 76, 207, 23, 114, 69, 56, 80, 144, 166, 40, 244, 6,
    ];
    const ZSTD: [u8; 26] =
        [40, 181, 47, 253, 4, 88, 105, 0, 0, 105, 100, 44, 116, 10, 51, 44, 97, 10, 52, 44, 98, 10, 217, 151, 67, 107];
    let world = World::start().await;
    world.ingests("c", "x.csv.bz2", BZIP2).await;
    world.ingests("c", "y.csv.zst", ZSTD).await;
    let rows = ["1, \"a\"", "2, \"b\"", "3, \"a\"", "4, \"b\""];
    world.holds("c", &rows).await;
    world.refused("c", "x.zip", b"PK\x03\x04x", &["zip archive", "unzip -p FILE | dovetail ingest"]).await;
    world.refused("c", "x.csv.xz", b"\xfd7zXZ\0x", &["xz data", "xz -dc FILE |"]).await;
    world.refused("c", "x.7z", b"7z\xbc\xaf\x27\x1cx", &["7-Zip", "7z e -so FILE |"]).await;
    let (well, text) = world.ingest("c", "cut.csv.bz2", &BZIP2[..40], &[]).await;
    assert!(!well && text.contains("cut.csv.bz2"), "{text}");
    world.holds("c", &rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_of_pandas_and_excel_are_booleans() {
    let world = World::start().await;
    let pandas = "{\"id\":1,\"open\":\"True\"}\n{\"id\":2,\"open\":\"False\"}\n{\"id\":3,\"open\":true}\n";
    world.ingests("j", "x.ndjson", pandas).await;
    world.ingests("j", "excel.csv", "ID;Open\n4;TRUE\n5;FALSE\n6;\n").await;
    world.server.wait_for("SELECT count(*) FROM js", "6").await;
    let open = ["1, true", "2, false", "3, true", "4, true", "5, false", "6, null"];
    world.server.check("SELECT id, open FROM js ORDER BY id", &open).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wrong_file_is_refused_before_it_is_appended() {
    let world = World::start().await;
    let lacking: String = "t,x\n".to_owned() + &"a,1\n".repeat(3_000);
    world.refused("j", "lacks.csv", &lacking, &["lacks `id`, NOT NULL in stream `j`", "--force"]).await;
    world.refused("c", "lacks.csv", &lacking, &["lacks `id`, NOT NULL in stream `c`", "--force"]).await;
    let wrong: String = (0..3_000).map(|i| format!("{{\"key\":{i},\"t\":\"x\"}}\n")).collect();
    let words = ["first 1000 records", "all be dead letters", "column `id` is NOT NULL and absent", "--force"];
    world.refused("j", "wrong.ndjson", &wrong, &words).await;
    world.refused("j", "small.ndjson", "{\"t\":\"x\"}\n", &["first 1 record", "--force"]).await;
    // One good one among them, and it is not for us to say.
    let late = wrong.replacen("{\"key\":999", "{\"id\":999", 1);
    world.ingests("j", "late.ndjson", &late).await;
    world.server.wait_for("SELECT count(*) FROM js", "1").await;
    let (well, text) = world.ingest("j", "forced.ndjson", "{\"t\":\"y\"}\n", &["--force"]).await;
    assert!(well, "{text}");
    let (well, text) = world.ingest("c", "forced.csv", "t\nb\n", &["--force"]).await;
    assert!(well, "{text}");
    let dead = "SELECT topic, error, detail, count(*) FROM sys.dead_letters GROUP BY 1, 2, 3 ORDER BY 1";
    let absent = "\"column `id` is NOT NULL and absent\", null";
    let expected = "\"c\", \"column `id` is NOT NULL and empty\", null, 1";
    world.server.wait_for("SELECT count(*) FROM sys.dead_letters", "3001").await;
    world.server.check(dead, &[expected, &format!("\"j\", {absent}, 3000")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_that_fail_alike_have_one_error() {
    let world = World::start().await;
    let mut lines = String::new();
    for i in 0..300 {
        lines += &match i % 6 {
            0 => format!("{{\"id\":{i}}}\n"),
            1 => format!("{{\"id\":{i}.5}}\n"),
            2 => format!("{{\"id\":{i},\"price\":\"{i} EUR\"}}\n"),
            3 => format!("{{\"id\":{i},\"day\":{}}}\n", 20_260_101 + i),
            4 => format!("{{\"id\":{i},\"d\":1e{}}}\n", 400 + i),
            _ => format!("{{\"id\":{i},\n"),
        };
    }
    world.ingests("j", "x.ndjson", lines).await;
    world.server.wait_for("SELECT count(*) FROM js", "50").await;
    world.server.wait_for("SELECT count(*) FROM sys.dead_letters", "250").await;
    let errors = [
        "\"column `d` is not a DOUBLE\", 50, 50",
        "\"column `day` is not a DATE\", 50, 50",
        "\"column `id` is not a BIGINT\", 50, 50",
        "\"column `price` is not a DECIMAL(10, 2)\", 50, 50",
        "\"not a JSON object\", 50, 3",
    ];
    let sql = "SELECT error, count(*), count(DISTINCT detail) FROM sys.dead_letters GROUP BY error ORDER BY error";
    world.server.check(sql, &errors).await;
}

/// Objects one behind the other, as some services write them, over HTTP and from a file.
#[tokio::test(flavor = "multi_thread")]
async fn objects_need_no_line_breaks() {
    let world = World::start().await;
    let mut file = Vec::new();
    (0..2_261).for_each(|id| write!(file, "{{\"id\":{id},\"t\":\"}}{{\"}}").unwrap());
    world.ingests("j", "x.json", &file).await;
    world.server.wait_for("SELECT count(DISTINCT id) FROM js", "2261").await;
    world.server.check("SELECT count(*) FROM sys.dead_letters", &["0"]).await;
}
