//! What SQLite says of a query: its columns and their types.
//!
//! A temporary view of the query has columns with the types that are declared for what stands in them: a table's column has its own, CAST says one, and
//! any other expression has none, and is text. That it can be a view proves that it is one query and writes nothing.

use rusqlite::Connection;

use super::describe::data_type;
use super::fault::of_query;
use crate::answer::{no_query, schema_of};
use crate::driver::Query;
use crate::error::{Error, Result};

pub(super) fn describe(connection: &Connection, qualified: &str, sql: &str) -> Result<Query> {
    let failed = |error| of_query(&error, qualified);
    let sql = sql.trim_end().trim_end_matches(';');
    if sql.trim().is_empty() {
        return Err(no_query(qualified));
    }
    let statement = connection.prepare(sql).map_err(failed)?;
    if statement.parameter_count() > 0 {
        return Err(Error::Statement(format!("{qualified}: the query has parameters (?); write their values into it")));
    }
    // It ends with the connection. What stands behind a semicolon is refused.
    let is_query = statement.readonly() && statement.column_count() > 0;
    if !is_query || connection.execute(&format!("CREATE TEMP VIEW clevertap_query AS\n{sql}"), []).is_err() {
        return Err(no_query(qualified));
    }
    let mut columns = connection.prepare("SELECT type FROM pragma_table_xinfo('clevertap_query', 'temp') ORDER BY cid").map_err(failed)?;
    let types = columns.query_map([], |row| row.get::<_, String>(0)).and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>);
    let types = types.map_err(failed)?;
    // The names are those of the query: a view would give one of two columns of one name another.
    let names = statement.column_names().map(str::to_owned);
    let schema = schema_of(qualified, names.zip(types.iter().map(|declared| data_type(declared))))?;
    Ok(Query { sql: sql.to_owned(), schema, qualified: qualified.to_owned() })
}
