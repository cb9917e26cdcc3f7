//! Statements that change something, before they are planned to run: INSERT, UPDATE and DELETE.
//!
//! ```text
//! clevertap_sql ─▶ insert   columns by name ──────────────┐
//!                  (names)  "names must be meant"          ├─▶ rewrite  RewriteDml: what the planner did to the names is undone,
//!                  update   UPDATE as a query of people ───┤            UPDATE and DELETE become writes of the people in WHERE
//!                  alias    DELETE FROM t AS p without p ──┤
//! ctx.sql ────────────────────────────────────────────────┘             └─▶ keys   whom a WHERE clause names
//! ```

pub(crate) mod alias;
pub(crate) mod insert;
mod keys;
mod names;
pub(crate) mod rewrite;
mod update;
