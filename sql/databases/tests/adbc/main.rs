//! ADBC drivers as a user relies on them: SQL in, rows back, under faults. The drivers of SQLite, PostgreSQL and Snowflake are real ones; a real
//! PostgreSQL answers the second, and fakesnow the third. Scripts of the workspace install and start them.

#[path = "../certificates.rs"]
mod certificates;
#[path = "../conditions.rs"]
mod conditions;
mod drivers;
mod faults;
mod postgres;
#[path = "../proxy.rs"]
mod proxy;
mod server;
mod snowflake;
mod sqlite;
#[path = "../started.rs"]
mod started;
#[path = "../statements.rs"]
mod statements;
mod types;
#[path = "../values.rs"]
mod values;
