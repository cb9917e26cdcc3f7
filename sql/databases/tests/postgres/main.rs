//! PostgreSQL as a user relies on it: SQL in, rows back, under faults. Against a real server, which a script of the workspace installs and starts.

#[path = "../certificates.rs"]
mod certificates;
mod faults;
mod filters;
#[path = "../proxy.rs"]
mod proxy;
mod reads;
mod server;
mod tls;
mod types;
mod writes;
