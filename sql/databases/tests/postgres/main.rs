//! PostgreSQL as a user relies on it: SQL in, rows back, under faults. Against a real server, which a script of the workspace installs and starts.

#[path = "../certificates.rs"]
mod certificates;
#[path = "../conditions.rs"]
mod conditions;
mod faults;
mod filters;
#[path = "../proxy.rs"]
mod proxy;
mod queries;
mod reads;
mod server;
#[path = "../started.rs"]
mod started;
#[path = "../statements.rs"]
mod statements;
mod tls;
mod types;
#[path = "../values.rs"]
mod values;
mod writes;
