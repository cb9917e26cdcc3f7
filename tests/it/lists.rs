//! `INSERT INTO clevertap.custom_lists`: a file a list, put where CleverTap says, and one word that is never said twice.

use std::sync::Arc;

use arrow::array::RecordBatch;
use clevertap_emulator::{Fault, ListOutcome, Settings, What};
use clevertap_tests::Scripted;
use datafusion::error::Result;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_clevertap::{ClevertapSql, Tally, register, transport::FailureKind};
use futures::StreamExt;

use crate::brittle_store::BrittleStore;
use crate::world::{World, count};

const URL: &str = "/get_custom_list_segment_url";
const DONE: &str = "/upload_custom_list_segment_completed";
const LISTING: &str = "/1/segments/list.json";

const INSERT: &str = "INSERT INTO clevertap.custom_lists SELECT 'VIP' AS list_name, concat('p', n) AS identity FROM source";

/// People `p1` and on, and an admin who gets the e-mail.
async fn world(people: i64) -> World {
    let world = World::with(Settings::default());
    world.source(people);
    world.rows("INSERT INTO clevertap.profiles SELECT concat('p', n) AS identity FROM source").await;
    world.set("list_email", "admin@example.org").await;
    world.forget_sent();
    world
}

/// The files that were put, in their order.
fn files(world: &World) -> Vec<String> {
    world.sent().into_iter().filter(|call| call.method == "PUT").map(|call| call.body).collect()
}

/// How the last statement ended, in one line. That the four counts add up, and every row that was not accepted is kept, is
/// checked on the way.
fn ending(world: &World, result: &Result<Vec<RecordBatch>>) -> String {
    let run = world.last_run();
    let Tally { read, accepted, rejected, in_doubt, unsent } = run.tally;
    assert_eq!(accepted + rejected + in_doubt + unsent, read, "{:?}", run.tally);
    assert_eq!(world.account.failed_rows().iter().filter(|row| row.run_id == run.run_id).count() as u64, read - accepted);
    if let Ok(rows) = result {
        assert_eq!(count(rows), accepted);
    }
    let how = run.error_code.unwrap_or_else(|| "ok".to_owned());
    let completions = world.sent_to(DONE).len();
    format!(
        "{how} {}: {accepted} accepted, {rejected} rejected, {in_doubt} in doubt, {unsent} unsent, {completions} completions",
        run.status
    )
}

#[tokio::test(start_paused = true)]
async fn a_list_is_a_url_a_file_and_a_word() {
    let world = world(3).await;
    let result = world.run(INSERT).await;
    assert_eq!(ending(&world, &result), "ok submitted: 3 accepted, 0 rejected, 0 in doubt, 0 unsent, 1 completions");
    assert_eq!(files(&world), ["Type,Identity\ni,p1\ni,p2\ni,p3\n"]);
    let calls: Vec<_> = world
        .sent()
        .iter()
        .map(|call| format!("{} {}", call.method, call.path.split_inclusive("presigned").next().unwrap_or_default()))
        .collect();
    assert_eq!(calls, [format!("POST {URL}"), "PUT /_presigned".to_owned(), format!("POST {DONE}")]);
    let completion: serde_json::Value = serde_json::from_str(&world.sent_to(DONE)[0].body).expect("JSON");
    let sent = ["name", "email", "filename", "creator", "replace"].map(|key| completion[key].to_string());
    assert_eq!(sent, ["\"VIP\"", "\"admin@example.org\"", "\"VIP.csv\"", "\"admin@example.org\"", "false"]);
    world.emulator.run_lists();
    assert_eq!(world.emulator.list_members("VIP"), ["p1", "p2", "p3"]);
    assert!(matches!(world.emulator.outbox()[0].outcome, ListOutcome::Done { members: 3, ignored: 0 }));
    assert!(world.emulator.report().rules_broken.is_empty());
}

#[tokio::test(start_paused = true)]
async fn no_header_of_the_account_goes_to_the_other_host() {
    let world = world(3).await;
    world.rows(INSERT).await;
    let put = world.sent().into_iter().find(|call| call.method == "PUT").expect("a file");
    assert_eq!(put.headers, Vec::<&str>::new());
    assert!(!put.body.contains(crate::world::PASSCODE));
}

#[tokio::test(start_paused = true)]
async fn a_list_is_reported_as_submitted_not_as_done() {
    let world = world(3).await;
    world.rows(INSERT).await;
    let rows = world.rows("SELECT code, column_name, rows, message FROM clevertap.warnings").await;
    datafusion::assert_batches_eq!(
        [
            "+--------+-------------+------+--------------------------------------------------------------------------------------------------------------------------+",
            "| code   | column_name | rows | message                                                                                                                  |",
            "+--------+-------------+------+--------------------------------------------------------------------------------------------------------------------------+",
            "| CT-603 | VIP         | 3    | list \"VIP\" was submitted with 3 members (segment 1700000001); CleverTap mails what becomes of it to clevertap.list_email |",
            "+--------+-------------+------+--------------------------------------------------------------------------------------------------------------------------+",
        ],
        &rows
    );
}

#[tokio::test(start_paused = true)]
async fn several_lists_of_one_statement_are_sorted_and_nobody_is_on_one_twice() {
    let world = world(4).await;
    let sql = "INSERT INTO clevertap.custom_lists SELECT * FROM (VALUES ('B', 'p2'), ('A', 'p3'), ('B', 'p1'), ('A', 'p3'), ('B', 'p2'), ('A', 'p4'))
               AS t(list_name, identity)";
    let result = world.run(sql).await;
    assert_eq!(ending(&world, &result), "ok submitted: 6 accepted, 0 rejected, 0 in doubt, 0 unsent, 2 completions");
    assert_eq!(files(&world), ["Type,Identity\ni,p3\ni,p4\n", "Type,Identity\ni,p1\ni,p2\n"]);
    assert_eq!(world.last_run().settled_through, 6);
}

#[tokio::test(start_paused = true)]
async fn object_ids_are_of_another_kind_and_odd_texts_are_quoted() {
    let world = world(1).await;
    world
        .rows("INSERT INTO clevertap.custom_lists SELECT 'G' AS list_name, column1 AS object_id FROM (VALUES ('__g1'), ('a,b'), ('say \"x\"'), (42::text))")
        .await;
    assert_eq!(files(&world), ["Type,Identity\ng,42\ng,__g1\ng,\"a,b\"\ng,\"say \"\"x\"\"\"\n"]);
    world.emulator.run_lists();
    assert!(matches!(world.emulator.outbox()[0].outcome, ListOutcome::Done { .. }));
}

#[tokio::test(start_paused = true)]
async fn without_somebody_to_tell_nothing_is_planned() {
    let world = World::new();
    world.source(3);
    let error = world.refused(INSERT).await;
    assert!(error.contains("list_email\" is not set") && error.contains("CT-101"), "{error}");
    world.set("list_email", "admin@example.org").await;
    world.set("dry_run", "server").await;
    let error = world.refused(INSERT).await;
    assert!(error.contains("CleverTap checks uploads alone"), "{error}");
    world.set("dry_run", "local").await;
    world.rows(INSERT).await;
    assert_eq!((world.last_run().checked, world.last_run().status.to_string(), world.sent().len()), (3, "dry_run".to_owned(), 0));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_taken_is_refused_and_replace_gives_the_list_new_members() {
    let world = world(3).await;
    world.rows(INSERT).await;
    world.forget_sent();
    let result = world.run("INSERT INTO clevertap.custom_lists SELECT 'VIP' AS list_name, 'p1' AS identity").await;
    assert_eq!(ending(&world, &result), "CT-401 error: 0 accepted, 1 rejected, 0 in doubt, 0 unsent, 1 completions");
    let error = result.expect_err("taken").to_string();
    assert!(
        error.contains("CLEVERTAP-duplicate_name: list \"VIP\" is there already") && error.contains("list_mode = 'replace'"),
        "{error}"
    );

    world.set("list_mode", "replace").await;
    world.forget_sent();
    world.script([Scripted::Answer(200, r#"{"segments":[{"name":"VIP"}],"total_pages":1,"total_count":1}"#)]);
    world.rows("INSERT INTO clevertap.custom_lists SELECT 'VIP' AS list_name, 'p1' AS identity").await;
    assert_eq!(world.sent()[0].body, r#"{"limit":500,"page":1}"#);
    assert!(world.sent_to(DONE)[0].body.contains("\"replace\":true"));
    world.emulator.run_lists();
    assert_eq!(world.emulator.list_members("VIP"), ["p1"]);
}

#[tokio::test(start_paused = true)]
async fn a_taken_name_takes_no_other_list_with_it_where_rejects_are_skipped() {
    let world = world(3).await;
    world.rows(INSERT).await;
    world.forget_sent();
    world.set("on_reject", "skip").await;
    let result = world
        .run("INSERT INTO clevertap.custom_lists SELECT * FROM (VALUES ('VIP', 'p1'), ('New', 'p2'), ('Zoo', 'p3')) AS t(list_name, identity)")
        .await;
    assert_eq!(ending(&world, &result), "ok partial: 2 accepted, 1 rejected, 0 in doubt, 0 unsent, 3 completions");
}

#[tokio::test(start_paused = true)]
async fn replace_asks_first_whether_the_list_is_there() {
    let sql = "INSERT INTO clevertap.custom_lists SELECT 'VIP' AS list_name, 'p1' AS identity";
    let world = world(3).await;
    world.set("list_mode", "replace").await;
    // The second page has it.
    world.script([
        Scripted::Answer(200, r#"{"segments":[{"name":"A"}],"total_pages":2,"total_count":2}"#),
        Scripted::Answer(200, r#"{"segments":[{"name":"VIP"}],"total_pages":2,"total_count":2}"#),
    ]);
    world.rows(sql).await;
    assert_eq!(world.sent_to(LISTING).len(), 2);

    world.script([Scripted::Answer(200, r#"{"segments":[{"name":"A"}],"total_pages":1,"total_count":1}"#)]);
    let error = world.refused(sql).await;
    assert!(error.contains("there is no list \"VIP\"; SET clevertap.list_mode = 'create'"), "{error}");
    assert!(error.contains("0 in doubt, 1 unsent of 1 rows read"), "{error}");

    world.script(vec![Scripted::Answer(200, ""); 50]);
    let error = world.refused(sql).await;
    assert!(error.contains("could not be asked") && error.contains("SET clevertap.list_assume_exists = true"), "{error}");

    let blind = self::world(3).await;
    blind.set("list_mode", "replace").await;
    blind.set("list_assume_exists", "true").await;
    blind.rows(sql).await;
    assert_eq!(blind.sent_to(LISTING).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn every_row_has_a_fate_where_a_reject_stops_the_lists() {
    let world = world(3).await;
    let rows = "(VALUES ('L1', 'z'), ('L1', 'b'), ('L1', ''), ('L2', 'c'), ('L0', 'a'), ('L3', ''))";
    let result =
        world.run(&format!("INSERT INTO clevertap.custom_lists SELECT column1 AS list_name, column2 AS identity FROM {rows}")).await;
    assert_eq!(ending(&world, &result), "CT-401 error: 1 accepted, 2 rejected, 0 in doubt, 3 unsent, 1 completions");
    let failed = crate::seed::lines(&world.rows("SELECT row_number, fate, identifier FROM clevertap.failed_rows").await);
    assert_eq!(failed, ["| 1 | unsent | z |", "| 2 | unsent | b |", "| 3 | rejected | |", "| 4 | unsent | c |", "| 6 | rejected | |"]);
}

#[tokio::test(start_paused = true)]
async fn every_row_has_a_fate_where_the_place_of_failed_rows_gives_way() {
    let world = world(3).await;
    let bucket = BrittleStore::of(&world, 0);
    world.set("on_reject", "skip").await;
    world.set("failed_rows_to", "s3://acme/failed").await;
    for (list, expected) in [
        ("A", "CT-102 error: 0 accepted, 10500 rejected, 0 in doubt, 3 unsent, 0 completions"),
        ("C", "CT-102 error: 3 accepted, 10500 rejected, 0 in doubt, 0 unsent, 1 completions"),
    ] {
        // The proof that it takes files, and no more.
        bucket.take(1);
        let result = world
            .run(&format!(
                "INSERT INTO clevertap.custom_lists SELECT '{list}' AS list_name, CAST(NULL AS VARCHAR) AS identity FROM generate_series(1, 10500)
                 UNION ALL SELECT 'B', concat('p', n) FROM source"
            ))
            .await;
        assert_eq!(ending(&world, &result), expected, "{list}");
        let error = result.expect_err("an error of the disk").to_string();
        assert!(error.contains("failed rows were not written") && error.contains("failed: 0 of 105"), "{list}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rejected_row_keeps_its_list_back_unless_rejects_are_skipped() {
    let sql = "INSERT INTO clevertap.custom_lists SELECT * FROM (VALUES ('A', 'p1'), ('B', 'p2'), ('B', NULL), ('B', 'p3'), (NULL, 'p1'))
               AS t(list_name, identity)";
    let only_b = "INSERT INTO clevertap.custom_lists SELECT * FROM (VALUES ('A', 'p1'), ('B', 'p2'), ('B', NULL), ('B', 'p3'))
                  AS t(list_name, identity)";
    let world = world(3).await;
    let result = world.run(sql).await;
    assert_eq!(ending(&world, &result), "CT-401 error: 0 accepted, 2 rejected, 0 in doubt, 3 unsent, 0 completions");
    let result = world.run(only_b).await;
    assert_eq!(ending(&world, &result), "CT-401 error: 1 accepted, 1 rejected, 0 in doubt, 2 unsent, 1 completions");
    assert_eq!(files(&world), ["Type,Identity\ni,p1\n"]);
    let failed = world.account.failed_rows().into_iter().rfind(|row| row.code == "CT-501").expect("a row");
    assert_eq!((failed.row_number, failed.code.as_str(), failed.column_name.as_deref()), (3, "CT-501", Some("identity")));

    let skips = self::world(3).await;
    skips.set("on_reject", "skip").await;
    let result = skips.run(sql).await;
    assert_eq!(ending(&skips, &result), "ok partial: 3 accepted, 2 rejected, 0 in doubt, 0 unsent, 2 completions");
    assert_eq!(files(&skips)[1], "Type,Identity\ni,p2\ni,p3\n");
}

#[tokio::test(start_paused = true)]
async fn a_completion_whose_answer_is_lost_is_in_doubt_and_never_sent_again() {
    let faults = [
        What::ResetBefore,
        What::ResetAfter,
        What::ServerErrorBefore,
        What::ServerErrorAfter,
        What::HangAfter,
        What::GarbageAfter,
        What::EmptyAfter,
        What::Unavailable,
    ];
    for what in faults {
        for in_doubt in ["hold", "resend"] {
            let world = world(3).await;
            world.set("in_doubt", in_doubt).await;
            world.emulator.add_fault(Fault::new(what.clone()).on(DONE).times(1));
            let result = world
                .run("INSERT INTO clevertap.custom_lists SELECT concat('L', n) AS list_name, concat('p', n) AS identity FROM source")
                .await;
            let line = ending(&world, &result);
            assert_eq!(line, "CT-303 error: 0 accepted, 0 rejected, 1 in doubt, 2 unsent, 1 completions", "{what:?}, {in_doubt}");
            assert!(world.emulator.lists().len() <= 1, "{what:?}");
            let error = result.expect_err("in doubt").to_string();
            assert!(error.contains("list \"L1\" may have been made"), "{what:?}: {error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_before_the_completion_is_repeated() {
    for what in [What::TooManyRequests, What::ResetBefore, What::ResetAfter, What::ServerErrorAfter, What::HangAfter, What::GarbageAfter] {
        let world = world(3).await;
        world.emulator.add_fault(Fault::new(what.clone()).on(URL).times(1));
        let result = world.run(INSERT).await;
        assert_eq!(ending(&world, &result), "ok submitted: 3 accepted, 0 rejected, 0 in doubt, 0 unsent, 1 completions", "{what:?}");
    }
    let put_fails: [(Scripted, bool); 5] = [
        (Scripted::Fail(FailureKind::Lost, "was reset"), true),
        (Scripted::Answer(503, "<Error><Code>SlowDown</Code></Error>"), true),
        (Scripted::Answer(500, ""), true),
        (Scripted::Answer(403, "<Error><Code>AccessDenied</Code></Error>"), false),
        (Scripted::Answer(400, "<Error><Code>EntityTooLarge</Code></Error>"), false),
    ];
    for (answer, passes) in put_fails {
        let world = world(3).await;
        world.script([Scripted::PassOn, answer.clone()]);
        let result = world.run(INSERT).await;
        let line = ending(&world, &result);
        let expected = if passes {
            "ok submitted: 3 accepted, 0 rejected, 0 in doubt, 0 unsent, 1 completions"
        } else {
            "CT-302 error: 0 accepted, 0 rejected, 0 in doubt, 3 unsent, 0 completions"
        };
        assert_eq!(line, expected, "{answer:?}");
        if let Err(error) = result {
            assert!(
                !error.to_string().contains("Signature") && error.to_string().contains("PUT of a list's file to in1.api.clevertap.com"),
                "{error}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_completion_leaves_the_rows_unsent() {
    let world = world(3).await;
    world.rows(INSERT).await;
    world.emulator.use_list("VIP", true);
    world.set("list_mode", "replace").await;
    world.set("list_assume_exists", "true").await;
    world.forget_sent();
    let result = world.run(INSERT).await;
    assert_eq!(ending(&world, &result), "CT-302 error: 0 accepted, 0 rejected, 0 in doubt, 3 unsent, 1 completions");
    assert!(result.expect_err("in use").to_string().contains("used by a running campaign"));
}

#[tokio::test(start_paused = true)]
async fn a_url_that_is_not_https_gets_no_file() {
    for url in ["http://s3.example.org/x", "ftp://s3.example.org/x", "http://127.0.0.1/x", "nonsense"] {
        let world = world(3).await;
        let answer: &'static str = Box::leak(format!(r#"{{"status":"success","presignedS3URL":"{url}"}}"#).into_boxed_str());
        world.script([Scripted::Answer(200, answer)]);
        let result = world.run(INSERT).await;
        assert_eq!(ending(&world, &result), "CT-304 error: 0 accepted, 0 rejected, 0 in doubt, 3 unsent, 0 completions", "{url}");
        assert!(files(&world).is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_statement_is_unsent_before_the_completion_and_in_doubt_behind_it() {
    for (path, expected) in [(URL, (0, 3)), (DONE, (3, 0))] {
        let world = world(3).await;
        world.emulator.add_fault(Fault::new(What::HangAfter).on(path));
        let mut stream = world.ctx.clevertap_sql(INSERT).await.expect("planned").execute_stream().await.expect("started");
        let ended = tokio::time::timeout(std::time::Duration::from_secs(5), stream.next()).await;
        assert!(ended.is_err(), "it still runs");
        drop(stream);
        let run = world.last_run();
        assert_eq!(
            (run.status.to_string().as_str(), run.tally.in_doubt, run.tally.unsent),
            ("cancelled", expected.0, expected.1),
            "{path}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_aborted_statement_is_unsent_before_the_completion_and_in_doubt_behind_it() {
    for (path, expected) in [(URL, "0 in doubt, 3 unsent, 0 completions"), (DONE, "3 in doubt, 0 unsent, 1 completions")] {
        let world = world(3).await;
        world.emulator.add_fault(Fault::new(What::HangAfter).on(path));
        let abort = async {
            tokio::time::sleep(std::time::Duration::from_secs(5)).await;
            (world.account.abort(world.last_run().run_id), tokio::time::Instant::now())
        };
        let (result, (aborted, at)) = tokio::join!(world.run(INSERT), abort);
        assert!(aborted && at.elapsed() < std::time::Duration::from_secs(1), "{:?}", at.elapsed());
        assert_eq!(ending(&world, &result), format!("CT-404 stopped: 0 accepted, 0 rejected, {expected}"), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_statement_that_is_stopped_before_the_completion_waits_for_no_answer() {
    for (path, took, expected) in [(URL, 0, "0 in doubt, 3 unsent, 0 completions"), (DONE, 60, "3 in doubt, 0 unsent, 1 completions")] {
        let world = world(3).await;
        world.emulator.add_fault(Fault::new(What::HangAfter).on(path));
        let stop = async {
            tokio::time::sleep(std::time::Duration::from_secs(5)).await;
            assert!(world.account.stop(world.last_run().run_id));
            tokio::time::Instant::now()
        };
        let (result, stopped_at) = tokio::join!(world.run(INSERT), stop);
        assert!(stopped_at.elapsed().as_secs() <= took, "{path}: {:?}", stopped_at.elapsed());
        assert!(ending(&world, &result).ends_with(&format!("0 accepted, 0 rejected, {expected}")), "{path}: {}", ending(&world, &result));
    }
}

#[tokio::test(start_paused = true)]
async fn a_million_members_in_twenty_lists_are_sorted_on_disk() {
    let world = World::with(Settings::default());
    // Too little for the rows, enough for the sort to spill and merge.
    let runtime = RuntimeEnvBuilder::new().with_memory_limit(16 << 20, 1.0).build_arc().expect("a runtime");
    let mut config = SessionConfig::new().with_sort_spill_reservation_bytes(1 << 20).with_batch_size(1024).with_target_partitions(1);
    config.options_mut().execution.sort_in_place_threshold_bytes = 0;
    let ctx = SessionContext::new_with_config_rt(config, runtime);
    register(&ctx, "clevertap", &world.account).expect("registered");
    ctx.clevertap_sql("SET clevertap.list_email = 'admin@example.org'").await.expect("set").collect().await.expect("set");
    let sql = "INSERT INTO clevertap.custom_lists
               SELECT concat('list-', value % 20) AS list_name, concat('person-', (value * 7919) % 500000) AS identity
               FROM generate_series(1, 1000000)";
    let rows = ctx.clevertap_sql(sql).await.expect("planned").collect().await.expect("sent");
    assert_eq!(count(&rows), 1_000_000);
    let files = files(&world);
    assert_eq!(files.len(), 20);
    for file in files {
        let members: Vec<&str> = file.lines().skip(1).collect();
        assert!(members.is_sorted());
        // Each is on its list twice.
        assert_eq!(members.len(), 25_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_the_file_has_its_length_and_no_passcode() {
    let emulator = clevertap_emulator::Emulator::new(Settings::default());
    let server = emulator.serve("127.0.0.1:0").await.expect("a server");
    let settings = datafusion_clevertap::AccountSettings::new().with_endpoint(server.url()).with_own_limits(true);
    let account =
        datafusion_clevertap::Account::open("TEST-123-456Z", datafusion_clevertap::Secret::new("emulator-passcode"), None, settings);
    let ctx = Arc::new(SessionContext::new());
    register(&ctx, "clevertap", &account.expect("an account")).expect("registered");
    for sql in [
        "INSERT INTO clevertap.profiles SELECT concat('p', value) AS identity FROM generate_series(1, 1000)",
        "SET clevertap.list_email = 'admin@example.org'",
        "INSERT INTO clevertap.custom_lists SELECT 'VIP' AS list_name, concat('p', value) AS identity FROM generate_series(1, 1000)",
    ] {
        ctx.clevertap_sql(sql).await.expect("planned").collect().await.expect("done");
    }
    emulator.run_lists();
    assert_eq!(emulator.list_members("VIP").len(), 1_000);
    assert!(emulator.report().rules_broken.is_empty(), "{:?}", emulator.report().rules_broken);
}
