//! What a message says to write: each is found in the code, and has a statement here that failed with it, and works when it is applied.

use std::collections::BTreeSet;
use std::path::Path;

use clevertap_emulator::Settings;
use datafusion_clevertap::Access;

use crate::world::World;

/// A remedy as the code has it, a statement that is told it, the statement after it, and what arrives.
struct Remedy {
    says: &'static str,
    fails: &'static str,
    works: &'static str,
    /// Part of a body that is sent; empty where rows come back.
    arrives: &'static str,
}

const fn remedy(says: &'static str, fails: &'static str, works: &'static str, arrives: &'static str) -> Remedy {
    Remedy { says, fails, works, arrives }
}

const REMEDIES: [Remedy; 41] = [
    remedy(
        "Leave the list out, and each column goes by its name",
        "INSERT INTO clevertap.profiles (identity, email) SELECT 'a@example.org' AS email, 'a' AS identity",
        "INSERT INTO clevertap.profiles SELECT 'a@example.org' AS email, 'a' AS identity",
        "\"identity\":\"a\"",
    ),
    remedy(
        "give both in one order",
        "INSERT INTO clevertap.profiles (identity, \"Home\", \"Work\") SELECT 'a' AS id, 'Goa' AS work, 'Pune' AS home",
        "INSERT INTO clevertap.profiles (identity, \"Home\", \"Work\") SELECT 'a' AS id, 'Pune' AS home, 'Goa' AS work",
        "\"identity\":\"a\"",
    ),
    remedy(
        "write CAST({x} AS text)",
        "INSERT INTO clevertap.profiles SELECT true AS identity",
        "INSERT INTO clevertap.profiles SELECT CAST(true AS text) AS identity",
        "\"identity\":\"true\"",
    ),
    remedy(
        "the name of an event is text; write CAST({x} AS text)",
        "INSERT INTO clevertap.events SELECT 'a' AS identity, 7 AS event_name, now() AS event_time",
        "INSERT INTO clevertap.events SELECT 'a' AS identity, CAST(7 AS text) AS event_name, now() AS event_time",
        "\"evtName\":\"7\"",
    ),
    remedy(
        "write named_struct('key', {x})",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, 5 AS category_unsubscribe",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, named_struct('email', make_array('news')) AS category_unsubscribe",
        "\"category-unsubscribe\":{\"email\"",
    ),
    remedy(
        "write make_array({x})",
        "INSERT INTO clevertap_events.\"Charged\" SELECT 'a' AS identity, now() AS event_time, named_struct('sku', 'x') AS items",
        "INSERT INTO clevertap_events.\"Charged\" SELECT 'a' AS identity, now() AS event_time, make_array(named_struct('sku', 'x')) AS items",
        "\"Items\":[{\"sku\":\"x\"}]",
    ),
    remedy(
        "write {x} AT TIME ZONE 'UTC'",
        "INSERT INTO clevertap_events.\"E\" SELECT 'a' AS identity, timestamp '2026-01-02 00:00:00' AS event_time",
        "INSERT INTO clevertap_events.\"E\" SELECT 'a' AS identity, timestamp '2026-01-02 00:00:00' AT TIME ZONE 'UTC' AS event_time",
        "\"ts\":1767312000",
    ),
    remedy(
        "SET clevertap.naive_time = 'utc'",
        "INSERT INTO clevertap_events.\"E\" SELECT 'a' AS identity, timestamp '2026-01-02 00:00:00' AS event_time",
        "SET clevertap.naive_time = 'utc'; INSERT INTO clevertap_events.\"E\" SELECT 'a' AS identity, timestamp '2026-01-02 00:00:00' AS event_time",
        "\"ts\":1767312000",
    ),
    remedy(
        "write CAST({x} AS timestamp) AT TIME ZONE 'UTC'",
        "INSERT INTO clevertap_events.\"E\" SELECT 'a' AS identity, DATE '2026-01-02' AS event_time",
        "INSERT INTO clevertap_events.\"E\" SELECT 'a' AS identity, CAST(DATE '2026-01-02' AS timestamp) AT TIME ZONE 'UTC' AS event_time",
        "\"ts\":1767312000",
    ),
    remedy(
        "write ct_event_time({x}, 'yyyy-mm-dd hh:mi:ss', 'UTC') with its own format and zone, or CAST({x} AS bigint)",
        "INSERT INTO clevertap_events.\"E\" SELECT 'a' AS identity, '1767312000' AS event_time",
        "INSERT INTO clevertap_events.\"E\" SELECT 'a' AS identity, CAST('1767312000' AS bigint) AS event_time",
        "\"ts\":1767312000",
    ),
    remedy(
        "write ct_event_time({x}, 'yyyy-mm-dd hh:mi:ss', 'UTC') with its own format and zone, or CAST({x} AS bigint)",
        "INSERT INTO clevertap_events.\"E\" SELECT 'a' AS identity, '02/01/2026 05:30' AS event_time",
        "INSERT INTO clevertap_events.\"E\" SELECT 'a' AS identity, ct_event_time('02/01/2026 05:30', 'dd/mm/yyyy hh:mi', 'Asia/Kolkata') AS event_time",
        "\"ts\":1767312000",
    ),
    remedy(
        "if these are epoch seconds, write CAST({x} AS bigint)",
        "INSERT INTO clevertap_events.\"E\" SELECT 'a' AS identity, 1767312000.5 AS event_time",
        "INSERT INTO clevertap_events.\"E\" SELECT 'a' AS identity, CAST(1767312000.5 AS bigint) AS event_time",
        "\"ts\":1767312000",
    ),
    remedy(
        "which CleverTap has no value for; write CAST({x} AS text)",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, interval '2 days' AS \"Wait\"",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, CAST(interval '2 days' AS text) AS \"Wait\"",
        "\"Wait\":\"",
    ),
    remedy(
        "consent is a boolean; write {x} = 'yes'",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, DATE '2026-01-01' AS \"MSG-email\"",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, (CAST(DATE '2026-01-01' AS text) = '2026-01-01') AS \"MSG-email\"",
        "\"MSG-email\":true",
    ),
    remedy(
        "a date of birth is a date; write to_date(CAST({x} AS text), '%Y%m%d')",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, 19901231 AS dob",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, to_date(CAST(19901231 AS text), '%Y%m%d') AS dob",
        "\"DOB\":\"$D_662581800\"",
    ),
    remedy(
        "an age is a whole number; write CAST({x} AS bigint)",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, true AS age",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, CAST(true AS bigint) AS age",
        "\"Age\":1",
    ),
    remedy(
        "CAST(CAST(years AS double) AS bigint) cuts a fraction, nullif(years, '')",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, '41.5' AS age",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, CAST(CAST('41.5' AS double) AS bigint) AS age",
        "\"Age\":41",
    ),
    remedy(
        "CAST(CAST(years AS double) AS bigint) cuts a fraction, nullif(years, '')",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, '' AS age, 'x' AS \"Plan\"",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, nullif('', '') AS age, 'x' AS \"Plan\"",
        "{\"Plan\":\"x\"}",
    ),
    remedy(
        "write CASE {x} WHEN … THEN '…' END",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, 1 AS gender",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, CASE 1 WHEN 1 THEN 'M' ELSE 'F' END AS gender",
        "\"Gender\":\"M\"",
    ),
    remedy(
        "or named_struct('{name}', …) AS properties",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, true AS msgsms",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, named_struct('msgsms', true) AS properties",
        "\"msgsms\":true",
    ),
    remedy(
        "write AS \"{key}\" if it is that",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, true AS msgsms",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, true AS \"MSG-sms\"",
        "\"MSG-sms\":true",
    ),
    remedy(
        "write AS \"{name}\", or AS {lower}",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, 'x' AS Plan",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, 'x' AS \"Plan\"",
        "\"Plan\":\"x\"",
    ),
    remedy(
        "give it one with AS",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, 1 + 1",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, 1 + 1 AS \"Sum\"",
        "\"Sum\":2",
    ),
    remedy(
        "What ct_event_time or TRY_CAST does not read is NULL, too; WHERE leaves such rows out",
        "INSERT INTO clevertap_events.\"E\" SELECT 'a' AS identity, ct_event_time('soon') AS event_time",
        "INSERT INTO clevertap_events.\"E\" SELECT 'a' AS identity, ct_event_time(at) AS event_time FROM (VALUES ('2026-01-02T00:00:00Z'), ('soon')) AS t (at) \
         WHERE ct_event_time(at) IS NOT NULL",
        "\"ts\":1767312000",
    ),
    remedy(
        "SET clevertap.long_values = 'cut'",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, repeat('x', 600) AS \"Note\"",
        "SET clevertap.long_values = 'cut'; INSERT INTO clevertap.profiles SELECT 'a' AS identity, repeat('x', 600) AS \"Note\"",
        "\"Note\":\"xxxx",
    ),
    remedy(
        "SET clevertap.null_marks = 'send'",
        "INSERT INTO clevertap.profiles SELECT 'None' AS identity, 'x' AS \"Plan\"",
        "SET clevertap.null_marks = 'send'; INSERT INTO clevertap.profiles SELECT 'None' AS identity, 'x' AS \"Plan\"",
        "\"identity\":\"None\"",
    ),
    remedy(
        "nullif(value, '…') makes it NULL, WHERE leaves such rows out",
        "INSERT INTO clevertap.profiles SELECT * FROM (VALUES ('N/A', 'x'), ('a', 'y')) t(identity, plan)",
        "INSERT INTO clevertap.profiles SELECT * FROM (VALUES ('N/A', 'x'), ('a', 'y')) t(identity, plan) WHERE nullif(identity, 'N/A') IS NOT NULL",
        "\"plan\":\"y\"",
    ),
    remedy(
        "SET clevertap.on_reject = 'skip'",
        "INSERT INTO clevertap.profiles SELECT * FROM (VALUES ('a', 'x'), ('', 'y')) t(identity, plan)",
        "SET clevertap.on_reject = 'skip'; INSERT INTO clevertap.profiles SELECT * FROM (VALUES ('a', 'x'), ('', 'y')) t(identity, plan)",
        "\"plan\":\"x\"",
    ),
    remedy(
        "SET clevertap.delete_rows_max = {rows}",
        "SET clevertap.delete_rows_max = 1; DELETE FROM clevertap.profiles WHERE identity IN ('a', 'b')",
        "SET clevertap.delete_rows_max = 2; DELETE FROM clevertap.profiles WHERE identity IN ('a', 'b')",
        "\"a\",\"b\"",
    ),
    remedy(
        "CAST(… AS VARCHAR)",
        "SELECT email FROM clevertap.profiles WHERE identity = 1.5",
        "SELECT email FROM clevertap.profiles WHERE identity = CAST(1.5 AS VARCHAR)",
        "",
    ),
    remedy(
        "SET clevertap.lookups_max = {count}",
        "SET clevertap.lookups_max = 1; SELECT email FROM clevertap.profiles WHERE identity IN ('a', 'b')",
        "SET clevertap.lookups_max = 2; SELECT email FROM clevertap.profiles WHERE identity IN ('a', 'b')",
        "",
    ),
    remedy(
        "SET clevertap.full_scan = true",
        "SELECT email FROM clevertap.profiles",
        "SET clevertap.full_scan = true; SELECT email FROM clevertap.profiles",
        "",
    ),
    remedy(
        "SET clevertap.dry_run = 'local'",
        "SET clevertap.dry_run = 'server'; DELETE FROM clevertap.profiles WHERE identity = 'a'",
        "SET clevertap.dry_run = 'local'; DELETE FROM clevertap.profiles WHERE identity = 'a'",
        "",
    ),
    remedy(
        "CAST(… AS BIGINT) or CAST(… AS DOUBLE)",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, ct_incr('2') AS \"Visits\"",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, ct_incr(CAST('2' AS BIGINT)) AS \"Visits\"",
        "{\"$incr\":2}",
    ),
    remedy("CAST(… AS VARCHAR) makes text", "SELECT ct_phone(true)", "SELECT ct_phone(CAST(919812345678 AS VARCHAR), 'IN')", ""),
    remedy(
        "write ORDER BY (properties -> 'Amount')::double",
        "SELECT properties -> 'A' FROM clevertap.profiles WHERE identity = 'a' ORDER BY properties -> 'A'",
        "SELECT properties -> 'A' FROM clevertap.profiles WHERE identity = 'a' ORDER BY (properties -> 'A')::double",
        "",
    ),
    remedy(
        "write {name}((properties -> 'Amount')::double)",
        "SELECT max(properties -> 'A') FROM clevertap.profiles WHERE identity = 'a'",
        "SELECT max((properties -> 'A')::double) FROM clevertap.profiles WHERE identity = 'a'",
        "",
    ),
    remedy(
        "the names of properties are text. Write them with CAST(… AS text)",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, MAP {1: 'x'} AS properties",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, MAP {CAST(1 AS text): 'x'} AS properties",
        "\"1\":\"x\"",
    ),
    remedy(
        "keys of an object are text. Write them with CAST(… AS text)",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, MAP {make_array(1): 'x'} AS \"Prefs\"",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, MAP {CAST(make_array(1) AS text): 'x'} AS \"Prefs\"",
        "\"Prefs\":\"{",
    ),
    remedy(
        "to_date(born, '%d/%m/%Y') reads another form, nullif(born, '')",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, '31/12/1990' AS dob",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, to_date('31/12/1990', '%d/%m/%Y') AS dob",
        "\"DOB\":\"$D_662581800\"",
    ),
    remedy(
        "to_date(born, '%d/%m/%Y') reads another form, nullif(born, '')",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, '' AS dob, 'x' AS \"Plan\"",
        "INSERT INTO clevertap.profiles SELECT 'a' AS identity, nullif('', '') AS dob, 'x' AS \"Plan\"",
        "{\"Plan\":\"x\"}",
    ),
];

/// Remedies of which other tests have the failure, which no statement alone brings about; each with the file.
const ELSEWHERE: [(&str, &str); 21] = [
    ("CAST((SELECT …) AS date)", "it/join_keys.rs"),
    ("SET clevertap.in_doubt = 'resend'", "it/insert/faults.rs"),
    ("SET clevertap.list_assume_exists = true", "it/lists.rs"),
    ("SET clevertap.list_email = '…'", "it/lists.rs"),
    ("SET clevertap.list_mode = 'create'", "it/lists.rs"),
    ("SET clevertap.list_mode = 'replace'", "it/lists.rs"),
    ("SET clevertap.retry_for_ms", "it/export/faults.rs"),
    ("SET clevertap.schema_check = '{allowed}'", "it/schema_check.rs"),
    ("SET clevertap.type_mismatch = 'null'", "it/export.rs"),
    ("SET clevertap.naive_time = 'utc' or 'project'", "slt/insert_events.slt"),
    ("SET clevertap.naive_time = 'project'", "slt/insert_values.slt"),
    ("OPTIONS (overwrite true)", "it/copy.rs"),
    ("OPTIONS (append true)", "it/copy.rs"),
    ("OPTIONS ({name} true)", "it/copy.rs"),
    ("OPTIONS ('format.has_header' 'true')", "it/joins.rs"),
    ("with UNION between them", "it/refusals.rs"),
    ("DATE '{day}'", "it/refusals.rs"),
    ("write AS \"{other}\"", "it/schema_check.rs"),
    ("write SET \"{other}\" = …", "it/schema_check.rs"),
    ("round((properties -> 'Amount')::double)::bigint", "it/json.rs"),
    ("(properties {sign} '…')::{kind}", "it/json.rs"),
];

async fn world() -> World {
    let world = World::open(Settings::default(), |account| account.access = Access::Erase);
    world.rows("INSERT INTO clevertap.profiles SELECT * FROM (VALUES ('a', 1), ('b', 2), ('1.5', 3)) t(identity, \"A\")").await;
    world.forget_sent();
    world
}

/// Runs statements one after the other; the last one's error.
async fn run(world: &World, statements: &str) -> Result<(), String> {
    let mut last = Ok(());
    for statement in statements.split("; ") {
        last = world.run(statement).await.map(drop).map_err(|error| error.to_string());
    }
    last
}

/// The text of a remedy in a message: what stands in braces is filled in there.
fn is_in(message: &str, says: &str) -> bool {
    let mut rest = message;
    says.split(['{', '}']).step_by(2).all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

#[tokio::test(start_paused = true)]
async fn a_remedy_that_is_told_works() {
    let mut wrong = Vec::new();
    for Remedy { says, fails, works, arrives } in REMEDIES {
        let told = world().await;
        let mut message = run(&told, fails).await.err().unwrap_or_else(|| "nothing: it ended well".into());
        // Of a rejected row the reason is a column.
        for batch in told.rows("SELECT reason FROM clevertap.failed_rows").await {
            message.push_str(&arrow::util::pretty::pretty_format_batches(&[batch]).expect("text").to_string());
        }
        if !is_in(&message, says) {
            wrong.push(format!("{fails}\nsays {message}\nnot {says}"));
        }
        let world = world().await;
        wrong.extend(run(&world, works).await.err().map(|error| format!("{works}\n{error}")));
        let sent: Vec<String> = world.sent().into_iter().map(|call| call.body).collect();
        if !arrives.is_empty() && !sent.iter().any(|body| body.contains(arrives)) {
            wrong.push(format!("{works}\nsent {sent:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Every text of the code that says what to write is one of those above.
#[test]
fn every_remedy_in_the_code_is_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
    let mut untold: BTreeSet<String> = BTreeSet::new();
    let known: Vec<&str> = REMEDIES.iter().map(|remedy| remedy.says).chain(ELSEWHERE.iter().map(|(says, _)| *says)).collect();
    for folder in ["connector/src", "udfs/src"] {
        for text in texts(&root.join(folder)) {
            for literal in literals(&text) {
                for sign in [
                    "SET clevertap.",
                    "OPTIONS (",
                    "CAST(",
                    " AT TIME ZONE",
                    "to_timestamp(",
                    "to_date(",
                    "named_struct(",
                    "nullif(",
                    "UNION",
                    "write AS ",
                ] {
                    let is_told =
                        literal.contains(sign) && literal.contains(' ') && !literal.contains("```") && !literal.contains("<name>");
                    if is_told && !known.iter().any(|says| literal.contains(says) || is_in(&literal, says)) {
                        untold.insert(format!("{sign}: {literal}"));
                    }
                }
            }
        }
    }
    assert!(untold.is_empty(), "no statement is run for:\n{}", untold.into_iter().collect::<Vec<_>>().join("\n"));
    for (says, file) in ELSEWHERE {
        let text = std::fs::read_to_string(root.join("tests").join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        // A test of an option sets it, by its name.
        let option = says.strip_prefix("SET clevertap.").and_then(|rest| rest.split(' ').next());
        let sign = option.unwrap_or_else(|| says.split(['{', '}']).max_by_key(|part| part.len()).unwrap_or(says));
        assert!(text.replace('\\', "").contains(sign), "{file} has no {sign}");
    }
}

/// The code of each file below a folder, without its tests.
fn texts(folder: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            if !path.ends_with("tests") {
                texts.extend(self::texts(&path));
            }
        } else {
            let text = std::fs::read_to_string(&path).expect("text");
            texts.push(text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned());
        }
    }
    texts
}

/// The string literals of Rust code, their continued lines joined.
fn literals(code: &str) -> Vec<String> {
    let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut found = Vec::new();
    let mut rest = code.as_str();
    while let Some((before, after)) = rest.split_once('"') {
        rest = after;
        // `'"'`.
        if before.ends_with('\'') {
            continue;
        }
        let mut literal = String::new();
        let mut letters = rest.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '"' => break,
                '\\' => match letters.next() {
                    Some('\n') => literal.push('\n'),
                    Some(escaped) => literal.push(escaped),
                    None => break,
                },
                other => literal.push(other),
            }
        }
        rest = letters.as_str();
        found.push(literal.split('\n').map(str::trim_start).collect::<Vec<_>>().concat());
    }
    found
}
