//! Random expressions over instants, dates and local times in eight zones, days of daylight saving among them: what PostgreSQL has under
//! `SET TimeZone`. Of a local time that is repeated PostgreSQL takes the later instant, and we the earlier one; that difference alone is
//! allowed.

use chrono::{DateTime, LocalResult, TimeZone};
use chrono_tz::Tz;
use clevertap_emulator::Settings;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::server::Postgres;
use super::{rows_of, seeds};
use crate::world::World;

const ZONES: [Tz; 8] = [
    Tz::Asia__Kolkata,
    Tz::America__New_York,
    Tz::Europe__Berlin,
    Tz::America__Sao_Paulo,
    Tz::Australia__Lord_Howe,
    Tz::Africa__Cairo,
    Tz::Pacific__Apia,
    Tz::UTC,
];

/// Local times around which rows lie: days on which clocks of these zones change, and others.
const DAYS: [&str; 10] = [
    "2026-03-08",
    "2026-11-01",
    "2026-03-29",
    "2026-10-25",
    "2026-04-24",
    "2026-10-30",
    "2026-04-05",
    "2011-12-30",
    "2026-02-28",
    "2024-12-31",
];

/// An expression and its type.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Instant,
    Local,
    Date,
}

const UNITS: [&str; 6] = ["year", "month", "week", "day", "hour", "minute"];

/// Random SQL that both systems have; `parts` gets every expression in it.
fn expression(rng: &mut StdRng, kind: Kind, depth: u32, parts: &mut Vec<String>) -> String {
    let made = unlisted(rng, kind, depth, parts);
    parts.push(made.clone());
    made
}

fn unlisted(rng: &mut StdRng, kind: Kind, depth: u32, parts: &mut Vec<String>) -> String {
    let deeper = depth > 0 && rng.random_bool(0.6);
    let day = |rng: &mut StdRng| DAYS[rng.random_range(0..DAYS.len())];
    let interval = |rng: &mut StdRng| {
        let lengths = ["1 day", "1 month", "36 hours", "90 minutes", "7 days", "1 year", "1 month 2 days 3 hours", "1 hour"];
        let sign = if rng.random_bool(0.5) { '+' } else { '-' };
        format!("{sign} interval '{}'", lengths[rng.random_range(0..lengths.len())])
    };
    if !deeper {
        return match kind {
            Kind::Instant => ["at", "at", "to_timestamp(epoch)"][rng.random_range(0..3)].to_owned(),
            Kind::Local => match rng.random_range(0..3) {
                0 | 1 => "local".to_owned(),
                _ => format!("timestamp '{} 0{}:{}0:00'", day(rng), rng.random_range(0..5), rng.random_range(0..6)),
            },
            Kind::Date => match rng.random_range(0..3) {
                0 | 1 => "day".to_owned(),
                _ => format!("DATE '{}'", day(rng)),
            },
        };
    }
    match (kind, rng.random_range(0..3)) {
        (Kind::Instant, 0) => {
            format!("date_trunc('{}', {})", UNITS[rng.random_range(0..UNITS.len())], expression(rng, Kind::Instant, depth - 1, parts))
        }
        (Kind::Instant, _) => format!("({} {})", expression(rng, Kind::Instant, depth - 1, parts), interval(rng)),
        (Kind::Local, 0) => {
            format!("date_trunc('{}', {})", UNITS[rng.random_range(0..UNITS.len())], expression(rng, Kind::Local, depth - 1, parts))
        }
        (Kind::Local, 1) => format!("({})::timestamp", expression(rng, Kind::Instant, depth - 1, parts)),
        (Kind::Local, _) => format!("({} {})", expression(rng, Kind::Local, depth - 1, parts), interval(rng)),
        (Kind::Date, 0 | 1) => format!("({})::date", expression(rng, Kind::Instant, depth - 1, parts)),
        (Kind::Date, _) => format!("({})::date", expression(rng, Kind::Local, depth - 1, parts)),
    }
}

/// A statement over the rows, and every time in it.
fn statement(rng: &mut StdRng) -> (String, Vec<String>) {
    let mut parts = Vec::new();
    let parts = &mut parts;
    let kinds = [Kind::Instant, Kind::Local, Kind::Date];
    let any = |rng: &mut StdRng| kinds[rng.random_range(0..3)];
    let (value, is_instant) = match rng.random_range(0..10) {
        0..=2 => (expression(rng, Kind::Instant, 3, parts), true),
        3 => (expression(rng, Kind::Local, 3, parts), false),
        4 => (expression(rng, Kind::Date, 3, parts), false),
        5 => {
            let field = ["year", "month", "day", "hour", "minute", "dow", "doy", "week", "quarter"][rng.random_range(0..9)];
            let of = if matches!(field, "hour" | "minute") { [Kind::Instant, Kind::Local][rng.random_range(0..2)] } else { any(rng) };
            (format!("CAST(extract({field} FROM {}) AS int)", expression(rng, of, 2, parts)), false)
        }
        6..=8 => {
            // At least one side is an instant: what meets it means its clock.
            let op = ["<", "<=", ">", ">=", "=", "<>"][rng.random_range(0..6)];
            let other = any(rng);
            let (one, other) = (expression(rng, Kind::Instant, 2, parts), expression(rng, other, 2, parts));
            (if rng.random_bool(0.5) { format!("{one} {op} {other}") } else { format!("{other} {op} {one}") }, false)
        }
        _ => {
            let (low, high) = (any(rng), any(rng));
            (
                format!(
                    "{} BETWEEN {} AND {}",
                    expression(rng, Kind::Instant, 2, parts),
                    expression(rng, low, 2, parts),
                    expression(rng, high, 2, parts)
                ),
                false,
            )
        }
    };
    let shown = if is_instant { format!("extract(epoch FROM {value})::bigint") } else { value };
    (format!("SELECT n, {shown} AS v FROM times"), std::mem::take(parts))
}

/// Rows of one zone: number, epoch second.
fn rows(zone: Tz) -> Vec<(usize, i64)> {
    let mut rows = Vec::new();
    for day in DAYS {
        let midnight = day.parse::<chrono::NaiveDate>().expect("a day").and_hms_opt(0, 0, 0).expect("midnight");
        let start = zone.from_utc_datetime(&midnight).timestamp();
        rows.extend([-3 * 3_600, 3_600 + 1_800, 7 * 3_600, 30 * 3_600].map(|after| start + after));
    }
    rows.into_iter().enumerate().collect()
}

/// Whether one of these local times is repeated in the zone.
fn has_repeated(zone: Tz, times: &[String]) -> bool {
    let local = |text: &str| chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").ok();
    let times = times.iter().flat_map(|row| row.split('|')).filter_map(local);
    times.into_iter().any(|time| matches!(zone.from_local_datetime(&time), LocalResult::Ambiguous(..)))
}

#[tokio::test(start_paused = true)]
async fn times_are_what_postgresql_has_under_the_zone() {
    let Some(postgres) = Postgres::start() else { return };
    let seeds: Vec<u64> = seeds(400).collect();
    let mut repeated = 0;
    for (index, zone) in ZONES.into_iter().enumerate() {
        let cases: Vec<(String, Vec<String>)> =
            seeds.iter().filter(|seed| **seed % 8 == index as u64).map(|seed| statement(&mut StdRng::seed_from_u64(*seed))).collect();
        let rows = rows(zone);
        let values: Vec<String> = rows.iter().map(|(n, epoch)| format!("({n}, {epoch})")).collect();
        let setup = format!(
            "SET TimeZone = '{zone}'; DROP TABLE IF EXISTS times;
             CREATE TABLE times AS SELECT n, epoch::bigint AS epoch, to_timestamp(epoch) AS at, to_timestamp(epoch)::timestamp AS local,
             to_timestamp(epoch)::date AS day FROM (VALUES {}) v(n, epoch);",
            values.join(", ")
        );
        let statements: Vec<String> = cases.iter().map(|(statement, _)| statement.clone()).collect();
        let expected = postgres.answers(&setup, &statements);
        let world = World::open_in(zone, Settings { time_zone: zone, ..Settings::default() }, |_| {});
        // Local times and days by chrono, not by what is tested.
        let values: Vec<String> = rows
            .iter()
            .map(|(n, epoch)| {
                let local = DateTime::from_timestamp(*epoch, 0).expect("an instant").with_timezone(&zone).naive_local();
                format!("({n}, {epoch}, '{}', '{}')", local.format("%Y-%m-%dT%H:%M:%S"), local.date())
            })
            .collect();
        world
            .rows(&format!(
                "CREATE TABLE times AS SELECT n, epoch, arrow_cast(epoch, 'Timestamp(s, \"{zone}\")') AS at, arrow_cast(local, 'Timestamp(s)') AS local,
                 arrow_cast(day, 'Date32') AS day FROM (VALUES {}) v(n, epoch, local, day)",
                values.join(", ")
            ))
            .await;
        for ((statement, parts), expected) in cases.iter().zip(expected) {
            let expected = expected.unwrap_or_else(|error| panic!("{statement}\n{error}"));
            let ours = statement.replace("extract(epoch FROM ", "to_unixtime(");
            let ours = rows_of(&world.rows(&ours).await).into_iter().map(|row| row.replace('T', " ")).collect::<Vec<_>>();
            assert_eq!(ours.len(), expected.len(), "{zone}: {statement}");
            for (ours, theirs) in ours.iter().zip(&expected) {
                if ours != theirs {
                    let number = theirs.split('|').next().unwrap_or_default();
                    let times: Vec<String> = parts.iter().map(|part| format!("({part})::timestamp")).collect();
                    let times = postgres.answers(&setup, &[format!("SELECT {} FROM times WHERE n = {number}", times.join(", "))]).remove(0);
                    let times = times.expect("the times of a row");
                    assert!(has_repeated(zone, &times), "{zone}: {statement}\nours {ours}, theirs {theirs}, of {times:?}");
                    repeated += 1;
                }
            }
        }
    }
    assert!(repeated < seeds.len(), "{repeated} values come of a repeated hour");
}
