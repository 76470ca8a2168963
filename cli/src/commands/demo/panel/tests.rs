use console::strip_ansi_codes;

use super::*;

fn plain(text: &str) -> String {
    strip_ansi_codes(text).into_owned()
}

#[test]
fn numbers_are_grouped() {
    let texts = [0, 999, 1_000, 1_234_567].map(number);
    assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
}

#[test]
fn the_cut_stands_between_the_layers() {
    let partition = PartitionOffsets { first: 100, landed: 160, cut: 140, head: 190, end: 190 };
    let bar = |scale| plain(&log_bar(&partition, scale, 20, &Ink::new()));
    assert_eq!(bar(100), "━━━━━━━━┃━━━╍╍╍╍╍╍  ");
    assert_eq!(bar(90).chars().count(), 20);
    let all_batch = PartitionOffsets { first: 0, landed: 9, cut: 9, head: 9, end: 9 };
    assert_eq!(plain(&log_bar(&all_batch, 9, 4, &Ink::new())), "━━━━");
    assert_eq!(plain(&log_bar(&PartitionOffsets::default(), 9, 4, &Ink::new())), "    ");
}

#[test]
fn batch_and_speed_add_up_in_the_panel() {
    let group = |name: &str, batch, speed| Group { name: name.to_owned(), batch, speed, merged: batch + speed };
    let look = DashboardData {
        groups: vec![group("BROOKLYN", 1_200, 300), group("QUEENS", 800, 0)],
        ..DashboardData::default()
    };
    let fed = Fed { appended: 2_300, ..Fed::default() };
    let frame = Frame { events: 5_000, elapsed: Duration::from_secs(75), fed, look, ..Frame::default() };
    let lines: Vec<String> = panel(&frame, 80).iter().map(|line| plain(line)).collect();
    let has = |text: &str| lines.iter().any(|line| line.contains(text));
    assert!(has("BROOKLYN           1,200 +       300 =     1,500"), "{lines:#?}");
    assert!(has("all                2,000 +       300 =     2,300"), "{lines:#?}");
    assert!(has("01:15") && has("2,300 of 5,000 records"), "{lines:#?}");
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
    assert!(plain(&line(&frame)).contains("batch 2,000 + speed 300 = merged 2,300"));
}
