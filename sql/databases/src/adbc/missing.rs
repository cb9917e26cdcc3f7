//! A driver that is not there: where it was looked for, and how it is got.

use std::env;
use std::path::PathBuf;

use crate::error::{Error, shown};

/// Drivers that PyPI has as `adbc-driver-NAME`.
const WHEELS: [&str; 5] = ["bigquery", "flightsql", "postgresql", "snowflake", "sqlite"];

/// The error of a driver that was not found.
pub(super) fn missing(database: &str, driver: &str) -> Error {
    let database = shown(database);
    if driver.starts_with('/') {
        return Error::Setting(format!("database \"{database}\": there is no file {}; {}", shown(driver), install("NAME")));
    }
    let listed = env::var_os("ADBC_DRIVER_PATH").map(|paths| env::split_paths(&paths).map(|path| path.display().to_string()).collect());
    let listed: Vec<String> = listed.unwrap_or_else(|| vec!["ADBC_DRIVER_PATH (not set)".into()]);
    let user =
        env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".config")));
    let user = user.map(|folder| folder.join("adbc/drivers").display().to_string());
    let places: Vec<_> = listed.into_iter().chain(user).chain(["/etc/adbc/drivers".to_owned()]).collect();
    Error::Setting(format!(
        "database \"{database}\": there is no ADBC driver \"{}\" in {}; {}",
        shown(driver),
        places.join(", "),
        install(driver)
    ))
}

fn install(driver: &str) -> String {
    let dbc = format!("dbc install {} puts it where it is looked for", shown(driver).to_lowercase());
    if driver == "NAME" || WHEELS.contains(&driver) {
        format!(
            "pip install adbc-driver-{driver} brings …/site-packages/adbc_driver_{driver}/libadbc_driver_{driver}.so, whose absolute path is then \
             the driver, or {dbc}"
        )
    } else {
        dbc
    }
}
