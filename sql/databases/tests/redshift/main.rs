//! Redshift as far as a PostgreSQL can stand in for it: its catalogue, rows of text, INSERTs of VALUES, DELETE USING and INSERT. COPY from a bucket
//! runs on a Redshift alone: of it, its SQL and what is left in the bucket are looked at.

#[path = "../certificates.rs"]
mod certificates;
#[path = "../conditions.rs"]
mod conditions;
mod faults;
#[path = "../proxy.rs"]
mod proxy;
mod reads;
#[expect(dead_code, reason = "what a PostgreSQL of its own is asked")]
#[path = "../postgres/server.rs"]
mod server;
mod staging;
#[expect(dead_code, reason = "what it says of TLS is for servers that speak it")]
#[path = "../started.rs"]
mod started;
#[path = "../statements.rs"]
mod statements;
#[path = "../values.rs"]
mod values;
mod writes;

use clevertap_databases::{Access, DatabaseSettings};

/// Settings of a PostgreSQL as if it were a Redshift, as `wh`, to read and to write.
fn settings(port: u16) -> DatabaseSettings {
    let url = format!("redshift://test@127.0.0.1:{port}/postgres?sslmode=disable&iam_role=arn:aws:iam::1:role/load");
    DatabaseSettings::new("wh", &url).expect("settings").with_access(Access::Write)
}
