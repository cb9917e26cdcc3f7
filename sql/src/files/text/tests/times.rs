//! Times of text files as times of events: the instant that the file says, or a refusal.

use crate::{files::test_files::Files, world::World};

/// The times that arrive, or what is told.
async fn arrive(file: (&str, &str), event_time: &str) -> String {
    let world = World::new();
    let files = Files::of(&[(file.0, file.1.as_bytes())], Some(world.account.clone()));
    let insert = "INSERT INTO clevertap.events SELECT id AS identity, 'Seen' AS event_name";
    let told = files.run(&format!("{insert}, {event_time} AS event_time FROM '@/{}'", file.0)).await;
    let sent = world.sent_to("/1/upload").join("");
    let times: Vec<&str> = sent.split("\"ts\":").skip(1).filter_map(|rest| rest.split(',').next()).collect();
    if times.is_empty() { told } else { times.join(" ") }
}

#[tokio::test]
async fn an_instant_is_the_one_that_the_file_says() {
    for (cells, event_time, expected) in [
        ("2026-01-01 00:00:00 UTC", "at", "1767225600"),
        ("2026-01-01 00:00:00 Europe/Berlin", "at", "1767222000"),
        ("2026-01-01T05:30:00+05:30", "at", "1767225600"),
        ("2026-01-01 05:30:00+0530", "at", "1767225600"),
        ("2026-01-01T00:00:00.999Z", "at", "1767225600"),
        ("2026-01-01 00:00:00 UTC\nu2,2026-01-01 05:30:00+05:30", "at", "1767225600 1767225600"),
        ("1767225600", "at", "1767225600"),
        ("1767225600", "to_timestamp(at)", "1767225600"),
        ("1767225600000", "to_timestamp(at / 1000)", "1767225600"),
        ("1767225600000", "to_timestamp_millis(at)", "1767225600"),
        ("2020-02-02T00:23:09Z", "at", "1580602989"),
        ("2020-02-02T00:23:09Z", "to_timestamp(at)", "1580602989"),
        ("2026-01-01 05:30:00", "ct_event_time(at::text, 'Asia/Kolkata')", "1767225600"),
        ("2026-01-01 05:30:00", "at AT TIME ZONE 'Asia/Kolkata'", "1767225600"),
        ("1/1/2026 05:30", "ct_event_time(at, 'dd/mm/yyyy hh:mi', 'Asia/Kolkata')", "1767225600"),
        ("1/1/2026 05:30", "to_timestamp(at, '%d/%m/%Y %H:%M')", "1767225600"),
        ("20260101", "ct_event_time(at, 'yyyymmdd', 'Asia/Kolkata')", "1767205800"),
    ] {
        assert_eq!(arrive(("a.csv", &format!("id,at\nu1,{cells}\n")), event_time).await, expected, "{cells} {event_time}");
    }
    for (cell, event_time, expected) in [
        ("\"2020-02-02T00:23:09Z\"", "ct_event_time(at)", "1580602989"),
        ("\"2020-02-02T00:23:09Z\"", "to_timestamp(at)", "1580602989"),
        ("\"2020-02-02T00:23:09+0530\"", "to_timestamp(at, '%Y-%m-%dT%H:%M:%S%z')", "1580583189"),
        ("1580602989", "at", "1580602989"),
    ] {
        assert_eq!(arrive(("a.json", &format!("{{\"id\":\"u1\",\"at\":{cell}}}\n")), event_time).await, expected, "{cell} {event_time}");
    }
}

#[tokio::test]
async fn what_says_no_instant_is_refused() {
    for (cells, expected) in [
        ("2026-01-01 05:30:00", "and no time zone says which instant it is"),
        ("2026-01-01", "a day is not an instant"),
        ("20260101", "looks like a day of the calendar, written as a number"),
        ("2026010105", "looks like a day of the calendar, written as a number"),
        ("202601010530", "looks like a day of the calendar, written as a number"),
        ("1767225600000", "above 9999999999 and looks like milliseconds"),
        ("2026-01-01 00:00:00Z\nu2,2026-01-02", "expected a timestamp or whole epoch seconds"),
        ("2026-01-01 00:00:00Z\nu2,2026-01-02 00:00:00", "expected a timestamp or whole epoch seconds"),
        ("2026-01-01 00:00:00 IST", "expected a timestamp or whole epoch seconds"),
    ] {
        let told = arrive(("a.csv", &format!("id,at\nu1,{cells}\n")), "at").await;
        assert!(told.contains(expected), "{cells}: {told}");
    }
}
