//! `ct_date` and `ct_event_time`, through SQL.

use datafusion::assert_batches_eq;
use datafusion::error::Result;

use super::{column_type, error, rows, session};

#[tokio::test]
async fn dates_and_times_are_read_from_columns_of_any_text_and_of_numbers() -> Result<()> {
    let ctx = session(vec![])?;
    for text in ["at", "arrow_cast(at, 'LargeUtf8')", "arrow_cast(at, 'Utf8View')", "arrow_cast(at, 'Dictionary(Int32, Utf8)')"] {
        let query = format!(
            "SELECT ct_date({text}, 'dd/mm/yyyy') AS day, ct_event_time({text}, 'dd/mm/yyyy', 'Asia/Kolkata') AS midnight, \
             ct_event_time({text}, 'dd/mm/yyyy hh:mi', 'UTC') AS at FROM (VALUES ('31/12/1990'), ('05/01/2026 10:00'), ('31/02/1990'), (NULL)) AS t (at)"
        );
        assert_batches_eq!(
            [
                "+------------+----------------------+----------------------+",
                "| day        | midnight             | at                   |",
                "+------------+----------------------+----------------------+",
                "| 1990-12-31 | 1990-12-30T18:30:00Z |                      |",
                "|            |                      | 2026-01-05T10:00:00Z |",
                "|            |                      |                      |",
                "|            |                      |                      |",
                "+------------+----------------------+----------------------+",
            ],
            &rows(&ctx, &query).await?
        );
    }
    let numbers = "SELECT ct_date(n, 'yyyymmdd') AS day, ct_event_time(n, 'yyyymmdd', 'UTC') AS at, ct_date(NULL, 'yyyymmdd') AS nothing FROM (VALUES (20260105), (5)) AS t (n)";
    assert_batches_eq!(
        [
            "+------------+----------------------+---------+",
            "| day        | at                   | nothing |",
            "+------------+----------------------+---------+",
            "| 2026-01-05 | 2026-01-05T00:00:00Z |         |",
            "|            |                      |         |",
            "+------------+----------------------+---------+",
        ],
        &rows(&ctx, numbers).await?
    );
    assert_eq!(column_type(&ctx, "SELECT ct_event_time('2026-01-05T10:00:00Z')").await?.0.to_string(), "Timestamp(s, \"+00:00\")");
    Ok(())
}

#[tokio::test]
async fn a_wrong_format_or_zone_is_refused_and_repeats_no_value() -> Result<()> {
    let ctx = session(vec![])?;
    for (query, expected) in [
        ("SELECT ct_date('dd/mm/yyyy', '31/12/1990')", "ct_date was given no format of yyyy, mm and dd"),
        ("SELECT ct_date(at, at) FROM (VALUES ('31/12/1990')) AS t (at)", "ct_date was given no format of yyyy, mm and dd"),
        ("SELECT ct_date('31/12/1990 10:00', 'dd/mm/yyyy hh:mi')", "ct_event_time reads what has a time too"),
        ("SELECT ct_date('31/12/1990')", "ct_date was given 1 arguments; expected ct_date(text, 'dd/mm/yyyy')"),
        ("SELECT ct_date(1.5, 'dd/mm/yyyy')", "ct_date was given Float64 and Utf8; expected text, and a format"),
        ("SELECT ct_event_time('dd/mm/yyyy', '31/12/1990')", "ct_event_time was given a format or a zone that is none"),
        ("SELECT ct_event_time('x', 'dd/mm/yyyy', 'IST')", "ct_event_time was given a format or a zone that is none"),
        ("SELECT ct_event_time(now())", "which is a time already"),
        ("SELECT ct_event_time('x', 'UTC', 'UTC', 'UTC')", "expected ct_event_time(text), ct_event_time(text, 'Asia/Kolkata') or"),
    ] {
        let told = error(&ctx, query).await;
        assert!(told.contains(expected) && !told.contains("1990"), "{query}\n{told}");
    }
    Ok(())
}
