//! BigQuery as a user relies on it: SQL in, rows back, under faults. Against a stand-in that a script of the workspace installs and starts, and
//! for what that does not have, tokens and odd answers, against one of the test's own. Never against Google.

#[path = "../certificates.rs"]
mod certificates;
#[path = "../conditions.rs"]
mod conditions;
mod credentials;
mod faults;
mod filters;
#[path = "../proxy.rs"]
mod proxy;
mod reads;
mod server;
#[expect(dead_code, reason = "what it says of TLS is for servers that speak it")]
#[path = "../started.rs"]
mod started;
#[path = "../statements.rs"]
mod statements;
mod stub;
mod types;
#[path = "../values.rs"]
mod values;
mod writes;
