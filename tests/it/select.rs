//! SELECT from `clevertap.profiles`: look-ups by key (design.md 3.1 and 3.5).

use clevertap_emulator::{Settings, UnknownProfile};
use datafusion::assert_batches_eq;

use crate::world::{World, devices, text_of};

/// A world with three people in it and no call on record that wrote them.
async fn people(settings: Settings) -> World {
    let world = World::with(Settings { devices: devices(&["__g1"]), ..settings });
    world
        .rows(
            "INSERT INTO clevertap.profiles SELECT column1 AS identity, column2 AS name, column3 AS email, column4 AS \"Plan\"
             FROM (VALUES ('a', 'Ada', 'ada+news@example.org', 'gold'), ('b b', 'Bob', 'bob@example.org', 'silver'), ('ß/ü?&', 'Émile', NULL, NULL))",
        )
        .await;
    world.rows("INSERT INTO clevertap.profiles SELECT '__g1' AS object_id, 'Device' AS name").await;
    world
}

/// The query of each look-up so far.
fn asked(world: &World) -> Vec<String> {
    world.sent().into_iter().filter(|call| call.path == "/1/profile.json").filter_map(|call| call.query).collect()
}

#[tokio::test(start_paused = true)]
async fn a_person_is_looked_up_by_identity() {
    let world = people(Settings::default()).await;
    let rows = world.rows("SELECT identity, name, email FROM clevertap.profiles WHERE identity = 'a'").await;
    assert_batches_eq!(
        [
            "+----------+------+----------------------+",
            "| identity | name | email                |",
            "+----------+------+----------------------+",
            "| a        | Ada  | ada+news@example.org |",
            "+----------+------+----------------------+",
        ],
        &rows
    );
    assert_eq!(asked(&world), ["identity=a"]);
}

#[tokio::test(start_paused = true)]
async fn a_person_is_looked_up_by_email_with_its_plus() {
    let world = people(Settings::default()).await;
    let rows = world.rows("SELECT name, email FROM clevertap.profiles WHERE email = 'ada+news@example.org'").await;
    assert_batches_eq!(
        [
            "+------+----------------------+",
            "| name | email                |",
            "+------+----------------------+",
            "| Ada  | ada+news@example.org |",
            "+------+----------------------+"
        ],
        &rows
    );
    assert!(asked(&world)[0].starts_with("email=ada%2Bnews"), "{:?}", asked(&world));
}

#[tokio::test(start_paused = true)]
async fn blanks_and_signs_and_unicode_are_encoded() {
    let world = people(Settings::default()).await;
    let rows = world.rows("SELECT name FROM clevertap.profiles WHERE identity IN ('b b', 'ß/ü?&') ORDER BY name").await;
    assert_batches_eq!(["+-------+", "| name  |", "+-------+", "| Bob   |", "| Émile |", "+-------+"], &rows);
}

#[tokio::test(start_paused = true)]
async fn a_person_is_looked_up_by_object_id() {
    let world = people(Settings::default()).await;
    let rows = world.rows("SELECT name FROM clevertap.profiles WHERE object_id = '__g1'").await;
    assert_batches_eq!(["+--------+", "| name   |", "+--------+", "| Device |", "+--------+"], &rows);
    assert_eq!(asked(&world), ["objectId=__g1"]);
}

#[tokio::test(start_paused = true)]
async fn each_key_of_a_list_is_asked_once() {
    let world = people(Settings::default()).await;
    let rows = world.rows("SELECT count(*) AS people FROM clevertap.profiles WHERE identity IN ('a', 'b b', 'a', 'nobody', 'a')").await;
    assert_batches_eq!(["+--------+", "| people |", "+--------+", "| 2      |", "+--------+"], &rows);
    let mut asked = asked(&world);
    asked.sort();
    assert_eq!(asked.len(), 3, "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn an_or_of_one_key_is_a_list() {
    let world = people(Settings::default()).await;
    let rows = world.rows("SELECT name FROM clevertap.profiles WHERE identity = 'a' OR identity = 'b b' ORDER BY name").await;
    assert_batches_eq!(["+------+", "| name |", "+------+", "| Ada  |", "| Bob  |", "+------+"], &rows);
}

#[tokio::test(start_paused = true)]
async fn somebody_unknown_is_no_row_in_all_three_forms() {
    for unknown_profile in [UnknownProfile::NotFound, UnknownProfile::Fail, UnknownProfile::Null] {
        let world = people(Settings { unknown_profile, ..Settings::default() }).await;
        let rows = world.rows("SELECT count(*) AS people FROM clevertap.profiles WHERE identity = 'nobody'").await;
        assert_batches_eq!(["+--------+", "| people |", "+--------+", "| 0      |", "+--------+"], &rows);
    }
}

#[tokio::test(start_paused = true)]
async fn null_is_nobody_and_asks_nothing() {
    let world = people(Settings::default()).await;
    let rows = world.rows("SELECT count(*) AS people FROM clevertap.profiles WHERE identity = NULL").await;
    assert_batches_eq!(["+--------+", "| people |", "+--------+", "| 0      |", "+--------+"], &rows);
    assert_eq!(asked(&world), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_contradiction_asks_nothing() {
    let world = people(Settings::default()).await;
    for filter in ["identity = 'a' AND identity = 'b b'", "identity = 'a' AND 1 = 0"] {
        let rows = world.rows(&format!("SELECT count(*) AS people FROM clevertap.profiles WHERE {filter}")).await;
        assert_batches_eq!(["+--------+", "| people |", "+--------+", "| 0      |", "+--------+"], &rows);
    }
}

#[tokio::test(start_paused = true)]
async fn no_filter_is_an_error_that_names_one_and_shows_it() {
    let world = people(Settings::default()).await;
    for query in [
        "SELECT * FROM clevertap.profiles",
        "SELECT * FROM clevertap.profiles WHERE name = 'Ada'",
        "SELECT * FROM clevertap.profiles WHERE identity <> 'a'",
        "SELECT * FROM clevertap.profiles WHERE identity = 'a' OR name = 'Bob'",
        "SELECT * FROM clevertap.profiles LIMIT 1",
    ] {
        let error = world.refused(query).await;
        assert!(
            error.contains("clevertap.profiles") && error.contains("\"identity\"") && error.contains("WHERE identity"),
            "{query}\n{error}"
        );
        assert!(error.contains("[CT-201]"), "{query}\n{error}");
    }
    assert_eq!(asked(&world), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn other_filters_are_checked_again_here() {
    let world = people(Settings::default()).await;
    let rows = world.rows("SELECT identity FROM clevertap.profiles WHERE identity IN ('a', 'b b') AND name = 'Bob'").await;
    assert_batches_eq!(["+----------+", "| identity |", "+----------+", "| b b      |", "+----------+"], &rows);
}

#[tokio::test(start_paused = true)]
async fn the_identity_that_comes_back_is_the_one_that_was_asked_for() {
    // 'alias' is the same person as 'a': the filter must still hold of the row that comes back.
    let world = people(Settings::default()).await;
    world.rows("INSERT INTO clevertap.profiles SELECT 'a' AS identity, 'alias' AS link_identity").await;
    let rows = world.rows("SELECT identity, name FROM clevertap.profiles WHERE identity = 'alias'").await;
    assert_batches_eq!(
        ["+----------+------+", "| identity | name |", "+----------+------+", "| alias    | Ada  |", "+----------+------+"],
        &rows
    );
}

#[tokio::test(start_paused = true)]
async fn properties_are_json_and_missing_things_are_null() {
    let world = people(Settings::default()).await;
    let rows = world.rows("SELECT name, email IS NULL AS no_email, properties LIKE '%Plan%' AS has_plan FROM clevertap.profiles WHERE identity IN ('a', 'ß/ü?&') ORDER BY name").await;
    assert_batches_eq!(
        [
            "+-------+----------+----------+",
            "| name  | no_email | has_plan |",
            "+-------+----------+----------+",
            "| Ada   | false    | true     |",
            "| Émile | true     | false    |",
            "+-------+----------+----------+",
        ],
        &rows
    );
}

#[tokio::test(start_paused = true)]
async fn star_gives_the_columns_of_the_design() {
    let world = people(Settings::default()).await;
    let rows = world.rows("SELECT * FROM clevertap.profiles WHERE identity = 'a'").await;
    let names: Vec<_> = rows[0].schema().fields().iter().map(|field| field.name().clone()).collect();
    for column in ["identity", "object_id", "name", "email", "phone", "all_identities", "properties", "platforms", "events"] {
        assert!(names.iter().any(|name| name == column), "{column} is not in {names:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_join_with_literal_keys_is_a_look_up() {
    let world = people(Settings::default()).await;
    world.rows("CREATE TABLE orders AS VALUES ('a', 10), ('b b', 20), ('nobody', 30)").await;
    let rows = world
        .rows(
            "SELECT o.column2 AS amount, p.name FROM orders o JOIN clevertap.profiles p ON p.identity = o.column1
             WHERE p.identity IN ('a', 'b b') ORDER BY amount",
        )
        .await;
    assert_batches_eq!(
        ["+--------+------+", "| amount | name |", "+--------+------+", "| 10     | Ada  |", "| 20     | Bob  |", "+--------+------+"],
        &rows
    );
}

#[tokio::test(start_paused = true)]
async fn more_keys_than_lookups_max_is_an_error_with_the_count() {
    let world = people(Settings::default()).await;
    world.set("lookups_max", 3).await;
    let error = world.refused("SELECT * FROM clevertap.profiles WHERE identity IN ('1', '2', '3', '4')").await;
    assert!(error.contains('4') && error.contains("lookups_max"), "{error}");
    assert_eq!(asked(&world), [""; 0]);
    world.rows("SELECT * FROM clevertap.profiles WHERE identity IN ('1', '2', '3')").await;
}

#[tokio::test(start_paused = true)]
async fn explain_makes_no_request_and_shows_no_value() {
    let world = people(Settings::default()).await;
    for explain in ["EXPLAIN", "EXPLAIN VERBOSE", "EXPLAIN FORMAT TREE"] {
        world.rows(&format!("{explain} SELECT name FROM clevertap.profiles WHERE identity IN ('a', 'b b')")).await;
    }
    assert_eq!(asked(&world), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn at_most_three_look_ups_are_in_flight() {
    let world = World::with(Settings { latency_ms: 100, ..Settings::default() });
    let keys: Vec<_> = (0..50).map(|n| format!("'k{n}'")).collect();
    let rows = world.rows(&format!("SELECT count(*) AS people FROM clevertap.profiles WHERE identity IN ({})", keys.join(", "))).await;
    assert_batches_eq!(["+--------+", "| people |", "+--------+", "| 0      |", "+--------+"], &rows);
    let report = world.emulator.report();
    assert_eq!((report.peak_in_flight["/1/profile.json"], report.rules_broken.len(), report.requests), (3, 0, 50));
}

#[tokio::test(start_paused = true)]
async fn a_number_compared_with_an_identity_is_compared_as_text() {
    let world = World::new();
    world.rows("INSERT INTO clevertap.profiles SELECT 42 AS identity, 'Ada' AS name").await;
    let rows = world.rows("SELECT identity, name FROM clevertap.profiles WHERE identity = 42").await;
    assert_batches_eq!(
        ["+----------+------+", "| identity | name |", "+----------+------+", "| 42       | Ada  |", "+----------+------+"],
        &rows
    );
    let rows = world.rows("SELECT name FROM clevertap.profiles WHERE identity IN (41, 42)").await;
    assert_batches_eq!(["+------+", "| name |", "+------+", "| Ada  |", "+------+"], &rows);
    let error = world.refused("SELECT * FROM clevertap.profiles WHERE identity = 42.5").await;
    assert!(error.contains("identity"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_failing_look_up_is_an_error_of_the_query() {
    let world = people(Settings::default()).await;
    world.emulator.add_fault(clevertap_emulator::Fault::new(clevertap_emulator::What::Unauthorized).on("/1/profile.json"));
    let text = text_of(world.run("SELECT * FROM clevertap.profiles WHERE identity = 'a'").await);
    assert!(text.contains("[CT-301]") && text.contains("in1.api.clevertap.com"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_look_up_is_tried_again_after_what_passes() {
    use clevertap_emulator::{Fault, What};
    for what in
        [What::TooManyRequests, What::ServerErrorBefore, What::ResetBefore, What::GarbageBefore, What::EmptyBefore, What::Unavailable]
    {
        let world = people(Settings::default()).await;
        world.emulator.add_fault(Fault::new(what).on("/1/profile.json").times(1));
        let rows = world.rows("SELECT name FROM clevertap.profiles WHERE identity = 'a'").await;
        assert_batches_eq!(["+------+", "| name |", "+------+", "| Ada  |", "+------+"], &rows);
    }
}
