//! A log that takes nothing, or no more, or is not what it seems.

use super::{DELETE, once, world};

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_for_or_looked_up_where_the_log_takes_nothing() {
    let (world, folder) = (world(), tempfile::tempdir().unwrap());
    let log = folder.path().join("log");
    std::fs::write(&log, "no folder").unwrap();
    let finished = once(&world, &log, &["--identity", "ada"]).await;
    assert_eq!((finished.code(), world.sent()), (1, 0), "{}", finished.stderr);
    let error = finished.ended.unwrap_err().to_string();
    assert!(error.contains("could not be kept in") && error.contains("it is there and is no folder"), "{error}");
    // The remedy.
    assert_eq!(once(&world, &folder.path().join("other"), &["--identity", "ada"]).await.code(), 0);
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_not_logged_are_told_and_shown_in_doubt() {
    let (world, log) = (world(), tempfile::tempdir().unwrap());
    let path = log.path().join("log");
    let gone = path.clone();
    world.intercept(move |call| {
        if call.url.path() == DELETE {
            std::fs::rename(&gone, gone.with_extension("away")).unwrap();
            std::fs::write(&gone, "a file").unwrap();
        }
        None
    });
    let finished = once(&world, &path, &["--identity", "ada"]).await;
    assert_eq!((finished.code(), finished.rows), (1, vec!["identity ada in doubt".to_owned()]), "{}", finished.stderr);
    let error = finished.ended.unwrap_err().to_string();
    assert!(error.contains("what CleverTap answered for 1 people is not logged, and the log has them as in doubt"), "{error}");
    assert!(!finished.stderr.contains("their log is"), "{}", finished.stderr);
    // The remedy.
    world.stop_intercepting();
    std::fs::remove_file(&path).unwrap();
    std::fs::rename(path.with_extension("away"), &path).unwrap();
    assert_eq!(once(&world, &path, &["--identity", "ada"]).await.rows, ["identity ada requested"]);
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_log_is_not_read_through_links_and_fifos() {
    let (world, log) = (world(), tempfile::tempdir().unwrap());
    let path = log.path().join("log");
    once(&world, &path, &["--identity", "ada"]).await;
    let by_account = path.join(world.account.host()).join(world.account.id());
    let link = by_account.join("0.ndjson");
    std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
    let refused = once(&world, &path, &["status", "--offline"]).await.ended.unwrap_err().to_string();
    assert!(refused.contains("0.ndjson is no file, or a link that leads out of its folder"), "{refused}");
    std::fs::remove_file(&link).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&link).status().unwrap().success());
    let refused = once(&world, &path, &["status", "--offline"]).await.ended.unwrap_err().to_string();
    assert!(refused.contains("0.ndjson is no file"), "{refused}");
    std::fs::remove_file(&link).unwrap();
    // Below the log's folder another's folder is a link, too.
    let elsewhere = log.path().join("elsewhere");
    std::fs::rename(&by_account, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &by_account).unwrap();
    let refused = once(&world, &path, &["--identity", "ada"]).await.ended.unwrap_err().to_string();
    assert!(refused.contains("it is a link that leads out of its folder"), "{refused}");
}
