//! A log that does not answer: everything known without it is shown, and the rest is shown as unknown.

use std::time::{Duration, Instant};

use dovetail_testkit::fixtures::log_in;
use dovetail_testkit::log::{FakeLog, LogFault};

use super::world::World;

#[tokio::test]
async fn sys_partitions_say_that_the_log_does_not_answer() {
    let folder = tempfile::tempdir().unwrap();
    let silent = FakeLog::over(log_in(folder.path()));
    silent.faults.set(LogFault::Holds, |_| true);
    let world = World::on(silent).await;
    let began = Instant::now();
    let sql = "SELECT partition, state, error, log_end FROM sys.partitions ORDER BY 1";
    let stalled = |partition| format!("{partition}|stalled|the log has not answered for 2s|");
    assert_eq!(world.rows(sql).await, [stalled(0), stalled(1)]);
    // Once for how many partitions there are, once for where they end, however many they are.
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[tokio::test]
async fn sys_partitions_say_that_there_is_no_room() {
    let world = World::new().await;
    world.append(0, ("ann", "/a", 1));
    world.rows.no_room.lock().unwrap().insert(1);
    let sql = "SELECT partition, state, error FROM sys.partitions ORDER BY 1";
    assert_eq!(world.rows(sql).await, ["0|reading|", "1|no room|view `by_page`: no room: it does not fit"]);
}
