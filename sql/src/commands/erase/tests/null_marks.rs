//! Files that say of a person that there is none.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_mark_for_no_value_names_nobody_and_the_file_is_refused_before_anybody_is_looked_up() {
    let (world, log) = (world(), tempfile::tempdir().unwrap());
    let file = log.path().join("leavers.csv");
    let of_file = ["--file", file.to_str().unwrap()];
    let folder = log.path().join("log");
    for (text, place) in [
        ("identity\nada\n\\N\n", "row 2: column \"identity\""),
        ("identity,email\n,both@example.org\nNULL,bob@example.org\n", "row 2: column \"identity\""),
        ("identity,email\n,None\n", "row 1: column \"email\""),
        ("identity\n\"nan\"\n", "row 1: column \"identity\""),
    ] {
        std::fs::write(&file, text).unwrap();
        let finished = once(&world, &folder, &of_file).await;
        let told = finished.ended.unwrap_err().to_string();
        assert!(told.contains(place) && told.contains("names nobody. Empty such cells, or leave the rows out"), "{text}: {told}");
    }
    assert!(world.sent_to(LOOK_UP).is_empty() && world.sent_to(DELETE).is_empty());
    // As the message says.
    std::fs::write(&file, "identity,email\nada,\n,\n").unwrap();
    assert_eq!(once(&world, &folder, &of_file).await.rows, ["identity ada requested"]);
    let named = once(&world, &folder, &["--identity", "NULL"]).await;
    assert_eq!(named.rows, ["identity NULL not found"], "{}", named.stderr);
}
