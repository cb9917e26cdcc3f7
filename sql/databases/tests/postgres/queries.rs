//! `database_query`, tables that an INSERT makes, what EXPLAIN asks, and what `check` finds.

use clevertap_databases::{Access, Database, DatabaseSettings, DatabasesSql, Finding, Verdict};

use crate::server::{refusal, rows, server, session, session_of, shown};

#[tokio::test(flavor = "multi_thread")]
async fn a_query_in_the_databases_own_sql_is_a_table_with_the_types_that_it_says() {
    let Some(server) = server() else { return };
    let peer = server.schema("asked").await;
    peer.run(
        "CREATE TYPE asked.plan AS ENUM ('free', 'gold'); CREATE DOMAIN asked.mail AS varchar(20);
         CREATE TABLE asked.t (id bigint PRIMARY KEY, plan asked.plan, mail asked.mail, paid numeric(10, 2), doc jsonb, tags text[], at timestamptz, c char(5));
         INSERT INTO asked.t SELECT n, 'gold', 'a@x', n / 3.0, '{\"a\": 1}', '{x,y}', '2026-01-31 10:00+01', 'ab' FROM generate_series(1, 3000) n",
    )
    .await;
    let ctx = session(&server.url(), Access::Read);
    let query = "database_query('shop', 'SELECT id, plan, mail, paid, doc, tags, at, c, sum(paid) OVER (), NULL AS nothing FROM asked.t ORDER BY id -- all')";
    let types = shown(
        &ctx,
        &format!(
            "SELECT arrow_typeof(id) a, arrow_typeof(plan) b, arrow_typeof(paid) c, arrow_typeof(doc) d, arrow_typeof(at) e, arrow_typeof(sum) f
             FROM {query} LIMIT 1"
        ),
    )
    .await;
    assert!(types.contains("| Int64 | Utf8 | Decimal128(10, 2) | Utf8 | Timestamp(µs, \"UTC\") | Utf8 |"), "{types}");
    let first = shown(&ctx, &format!("SELECT * FROM {query} LIMIT 1")).await;
    assert!(first.contains("| 1  | gold | a@x  | 0.33 | {\"a\": 1} | [x, y] | 2026-01-31T09:00:00Z | ab |"), "{first}");
    assert!(shown(&ctx, &format!("SELECT count(*) AS n, count(DISTINCT id) AS d FROM {query}")).await.contains("| 3000 | 3000 |"));
    // One statement sees one snapshot, through both doors.
    let both = format!("SELECT (SELECT count(*) FROM {query}) = (SELECT count(*) FROM shop.asked.t) AS same");
    assert!(shown(&ctx, &both).await.contains("true"));
    let plan =
        shown(&ctx, "EXPLAIN SELECT id FROM database_query('shop', 'SELECT id FROM asked.t WHERE mail = ''hush'' AND id > 41')").await;
    assert!(plan.contains("sql=SELECT id FROM asked.t WHERE mail = … AND id > …") && !plan.contains("hush"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_query_is_refused_and_changes_nothing() {
    let Some(server) = server() else { return };
    let peer = server.schema("noquery").await;
    peer.run("CREATE TABLE noquery.t (id int); INSERT INTO noquery.t VALUES (1); CREATE SEQUENCE noquery.s").await;
    let ctx = server.session();
    for text in [
        "DELETE FROM noquery.t",
        "DELETE FROM noquery.t RETURNING id",
        "WITH gone AS (DELETE FROM noquery.t RETURNING id) SELECT * FROM gone",
        "SELECT 1; DELETE FROM noquery.t",
        "SELECT 1) AS q (c0) ; DELETE FROM noquery.t; SELECT (1",
        "DROP TABLE noquery.t",
        "COPY noquery.t TO STDOUT",
        "SELECT id INTO noquery.other FROM noquery.t",
        "SHOW work_mem",
        "SELEC 'hush'",
        "",
    ] {
        let error = refusal(&ctx, &format!("SELECT * FROM database_query('shop', '{}')", text.replace('\'', "''"))).await;
        assert!(error.contains("shop.database_query") && error.contains("[DB-201]") && !error.contains("hush"), "{text}: {error}");
    }
    // What only shows when it runs.
    let error = refusal(&ctx, "SELECT * FROM database_query('shop', 'SELECT nextval(''noquery.s'')')").await;
    assert!(error.contains("read only"), "{error}");
    assert_eq!(peer.text("SELECT count(*) FROM noquery.t").await, "1");
    for (text, why) in [
        ("SELECT nothing FROM noquery.t", "a column of the query is not there; a text stands in single quotes (SQLSTATE 42703)"),
        ("SELECT * FROM noquery.moon", "relation \"noquery.moon\" does not exist"),
        ("SELECT $1::int", "has parameters"),
        ("SELECT 1, 2", "two columns \"?column?\""),
    ] {
        let error = refusal(&ctx, &format!("SELECT * FROM database_query('shop', '{text}')")).await;
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_makes_a_table_that_is_not_there() {
    let Some(server) = server() else { return };
    let peer = server.schema("made").await;
    let settings = || DatabaseSettings::new("shop", &server.url()).unwrap().with_access(Access::Write);
    let ctx = session_of(settings().with_create(true));
    let run = async |sql: &str| ctx.databases_sql(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}")).collect().await;
    run("INSERT INTO shop.made.\"T x\" SELECT 1 AS id, 1.50::decimal(10, 2) AS paid, 'ann' AS \"Name\", TIMESTAMP '2026-01-31T10:00:00Z' AS at").await.unwrap();
    let columns = "SELECT string_agg(column_name || ' ' || data_type, ', ' ORDER BY ordinal_position) FROM information_schema.columns WHERE table_schema = 'made' AND table_name = ";
    assert_eq!(peer.text(&format!("{columns}'T x'")).await, "id bigint, paid numeric, Name text, at timestamp without time zone");
    rows(&ctx, "SET database.upsert_key = 'id'").await.unwrap();
    run("REPLACE INTO shop.made.u SELECT 'a' AS id, 1 AS n").await.unwrap();
    run("REPLACE INTO shop.made.u SELECT 'a' AS id, 2 AS n").await.unwrap();
    assert_eq!(peer.rows("made.u").await, "(a,2)");
    assert_eq!(peer.text("SELECT count(*) FROM pg_index WHERE indrelid = 'made.u'::regclass AND indisprimary").await, "1");
    // A source that fails leaves no table.
    run("INSERT INTO shop.made.half SELECT 10 / (3000 - value) AS id FROM range(1, 4000)").await.unwrap_err();
    assert_eq!(peer.text("SELECT to_regclass('made.half')").await, "NULL");
    let error = run("INSERT INTO shop.nowhere.t SELECT 1 AS id").await.unwrap_err().to_string();
    assert!(error.contains("schema \"nowhere\" does not exist; CREATE SCHEMA in the database makes it"), "{error}");
    let without = session_of(settings());
    let error = without.databases_sql("INSERT INTO shop.made.typo SELECT 1 AS id").await.unwrap_err().to_string();
    assert!(error.contains("shop.made.typo is not there; create = true lets an INSERT make it"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_asks_for_the_schema_alone_and_shows_no_value() {
    let Some(server) = server() else { return };
    let peer = server.schema("explained").await;
    peer.run(
        "CREATE TABLE explained.t (id int PRIMARY KEY, name text); INSERT INTO explained.t VALUES (1, 'ann');
         CREATE FUNCTION explained.seen() RETURNS int LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'it ran'; END$$;
         CREATE VIEW explained.v AS SELECT explained.seen() AS id",
    )
    .await;
    let ctx = server.session();
    for statement in [
        "SELECT * FROM shop.explained.t WHERE name = 'hush' AND id IN (41, 42, 43, 44)",
        "SELECT * FROM shop.explained.v WHERE id = 41",
        "SELECT * FROM database_query('shop', 'SELECT explained.seen() AS id, ''hush'' AS name, 41 AS n')",
        "INSERT INTO shop.explained.t SELECT id, 'kept here' AS name FROM shop.explained.t WHERE name = 'hush'",
        "REPLACE INTO shop.explained.t SELECT id, 'kept here' AS name FROM shop.explained.t WHERE name = 'hush'",
        "INSERT OVERWRITE shop.explained.t SELECT id, 'kept here' AS name FROM shop.explained.t WHERE name = 'hush'",
    ] {
        let plan = shown(&ctx, &format!("EXPLAIN {statement}")).await;
        let remote: Vec<_> = plan.lines().filter(|line| line.contains("Database")).collect();
        assert!(remote.iter().any(|line| line.contains("DatabaseScanExec: table=shop.")), "{plan}");
        assert!(remote.iter().all(|line| !line.contains("hush") && !line.contains("41") && !line.contains("kept here")), "{remote:?}");
        if statement.starts_with("REPLACE") {
            assert!(plan.contains("clevertap_stage_rows") && plan.contains("ON CONFLICT"), "{plan}");
        }
    }
    assert_eq!(peer.rows("explained.t").await, "(1,ann)");
}

fn said(found: &[Finding], what: &str) -> String {
    let line = |finding: &Finding| format!("{:?}: {}", finding.verdict, finding.says);
    found.iter().find(|finding| finding.what == what).map(line).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_says_what_is_there_and_what_may_be_done() {
    let Some(server) = server() else { return };
    let peer = server.schema("tried").await;
    peer.run(
        "CREATE TABLE tried.t (id int PRIMARY KEY, name text); CREATE TABLE tried.u (a text); CREATE TABLE tried.clevertap_stage_old (a text);
         DROP ROLE IF EXISTS tried_reader; CREATE ROLE tried_reader LOGIN; GRANT USAGE ON SCHEMA tried TO tried_reader; GRANT SELECT ON tried.t TO tried_reader;
         GRANT SELECT, INSERT ON tried.u TO tried_reader",
    )
    .await;
    let check = async |user: &str, access, table| {
        let url = server.url().replace("test@", &format!("{user}@"));
        let settings = DatabaseSettings::new("shop", &url).unwrap().with_access(access);
        Database::open(settings).unwrap().check(table).await.unwrap()
    };
    let found = check("test", Access::Write, Some("tried.t")).await;
    // Other tests of this server look for such tables.
    peer.run("DROP TABLE tried.clevertap_stage_old").await;
    assert!(said(&found, "reached").starts_with(&format!("Good: 127.0.0.1:{} in ", server.port)), "{found:?}");
    assert_eq!(said(&found, "login"), "Good: as test");
    assert_eq!(said(&found, "TLS"), "Good: off, on this machine");
    assert!(said(&found, "server").starts_with("Good: PostgreSQL "), "{found:?}");
    assert!(said(&found, "rights").contains("temporary tables may be made"), "{found:?}");
    assert!(said(&found, "clock").starts_with("Good: "), "{found:?}");
    assert!(said(&found, "staging").contains("tried.clevertap_stage_old; DROP TABLE"), "{found:?}");
    assert_eq!(said(&found, "key"), "Good: id");
    assert_eq!(found.last().map(|finding| finding.says.as_str()), Some("SELECT, INSERT, UPDATE, DELETE"));

    let rights = async |access, table| check("tried_reader", access, Some(table)).await.pop().unwrap();
    assert_eq!(rights(Access::Read, "tried.t").await.verdict, Verdict::Good);
    let refused = rights(Access::Write, "tried.t").await;
    assert_eq!(
        (refused.verdict, refused.says.as_str()),
        (Verdict::Refused, "SELECT; INSERT, UPDATE, DELETE is missing: GRANT it in the database")
    );
    assert_eq!(rights(Access::Write, "tried.u").await.verdict, Verdict::Open);
    peer.run("ALTER ROLE tried_reader SET default_transaction_read_only = on").await;
    assert!(
        said(&check("tried_reader", Access::Write, None).await, "rights").starts_with("Refused: transactions of this user are read only")
    );
    let found = check("nobody_of_this_name", Access::Read, None).await;
    assert_eq!(
        found.iter().map(|finding| (finding.what, finding.verdict)).collect::<Vec<_>>(),
        [("reached", Verdict::Good), ("login", Verdict::Refused)]
    );
    if server.has_tls {
        let secret = server.url().replace("sslmode=disable", "sslmode=require");
        let found = Database::open(DatabaseSettings::new("shop", &secret).unwrap()).unwrap().check(None).await.unwrap();
        assert_eq!(said(&found, "TLS"), "Good: TLSv1.3");
    }
}
