//! Recipes for files as other systems leave them.

use crate::{files::test_files::Files, world::World};

/// Runs a recipe over files; what each statement shows.
async fn run(recipe: &str, files: &[(&str, &[u8])]) -> (World, Vec<String>) {
    let world = World::new();
    let files = Files::of(files, Some(world.account.clone()));
    let mut shown = Vec::new();
    // A path in single quotes that is one of the files is in their folder.
    for statement in recipe.split(";\n").filter(|statement| !statement.trim().is_empty()) {
        let place = |text: String, name: &str| text.replace(&format!("'{name}'"), &format!("'@/{name}'"));
        let names = [
            "semicolons.csv",
            "marks.tsv",
            "dump.tsv",
            "commented.csv",
            "windows.csv",
            "headless.csv",
            "escaped.csv",
            "visits.csv",
            "lines.csv",
        ];
        shown.push(files.run(&names.into_iter().fold(statement.to_owned(), place)).await);
    }
    (world, shown)
}

#[tokio::test]
async fn messy_files() {
    let (world, shown) = run(
        include_str!("../../../../recipes/messy_files.sql"),
        &[
            ("semicolons.csv", b"user_id;spent\n007;12,50\nu2;3\n"),
            ("marks.tsv", b"user_id\tvisits\nu3\t5\nu4\t\\N\n"),
            ("dump.tsv", b"user_id\tnote\tvisits\nd1\ttwo\\nlines\t3\nd2\t\\N\t\\N\nd3\ta\\\nb\t4\n"),
            ("commented.csv", b"# by somebody, once\nuser_id,city\n# more\nc1,'Pune, Goa'\n"),
            ("windows.csv", b"user_id,name\nu5,Zo\xeb\n"),
            ("headless.csv", b"0008,gold\n"),
            ("escaped.csv", b"user_id,note\nu9,\"a \\\"quoted\\\" word\"\n"),
        ],
    )
    .await;
    let sent = world.sent_to("/1/upload").join("\n");
    for record in [
        r#"{"type":"profile","identity":"007","profileData":{"Spent":12.50}}"#,
        r#"{"type":"profile","identity":"u3","profileData":{"Visits":5}}"#,
        r#"{"type":"profile","identity":"u4","profileData":{}}"#,
        r#"{"type":"profile","identity":"d1","profileData":{"Note":"two\nlines","Visits":3}}"#,
        r#"{"type":"profile","identity":"d2","profileData":{}}"#,
        r#"{"type":"profile","identity":"d3","profileData":{"Note":"a\nb","Visits":4}}"#,
        r#"{"type":"profile","identity":"c1","profileData":{"City":"Pune, Goa"}}"#,
        r#"{"type":"profile","identity":"u5","profileData":{"Name":"Zoë"}}"#,
        r#"{"type":"profile","identity":"0008","profileData":{"Plan":"gold"}}"#,
        r#"{"type":"profile","identity":"u9","profileData":{"Note":"a \"quoted\" word"}}"#,
    ] {
        assert!(sent.contains(record), "{record}\n{sent}\n{shown:?}");
    }
}

#[tokio::test]
async fn dates_as_written() {
    let visits = b"user_id,dob,visited\nu1,31/12/1990,05/01/2026 15:30\nu2,,31/02/2026 10:00\nu3,12/31/1990,5/1/2026 9:05\n";
    let (world, shown) = run(include_str!("../../../../recipes/dates_as_written.sql"), &[("visits.csv", visits)]).await;
    assert_eq!(shown[0], "rows Int64, births_lost Int64, visits_lost Int64; 3 1 1");
    let sent = world.sent_to("/1/upload").join("\n");
    for record in [
        r#"{"type":"profile","identity":"u1","profileData":{"DOB":"$D_662581800"}}"#,
        r#"{"type":"event","identity":"u1","ts":1767607200,"evtName":"Visited","evtData":{}}"#,
        r#"{"type":"event","identity":"u3","ts":1767584100,"evtName":"Visited","evtData":{}}"#,
    ] {
        assert!(sent.contains(record), "{record}\n{sent}\n{shown:?}");
    }
    assert_eq!(sent.matches("\"ts\"").count(), 2);
}

#[tokio::test]
async fn nested_items() {
    let lines = b"order_id,user_id,ordered_at,product,price,quantity\n\
                  9001,u1,2026-01-05T10:00:00Z,Tea,1.50,2\n9001,u1,2026-01-05T10:00:00Z,Cup,4.25,1\n9002,u2,2026-01-05T11:00:00Z,Tea,1.50,1\n";
    let (world, shown) = run(include_str!("../../../../recipes/nested_items.sql"), &[("lines.csv", lines)]).await;
    let sent = world.sent_to("/1/upload").join("\n");
    for record in [
        r#""identity":"u1","ts":1767607200,"evtName":"Charged""#,
        r#""Charged ID":9001,"Amount":7.25"#,
        r#""Items":[{"Product":"Cup","Price":4.25,"Quantity":1},{"Product":"Tea","Price":1.50,"Quantity":2}]"#,
    ] {
        assert!(sent.contains(record), "{record}\n{sent}\n{shown:?}");
    }
}
