//! `database_query('shop', 'SELECT …')`: a query in the database's own SQL, as a table.
//!
//! In: the name of a database of the session and a text. Out: a table of what the database answers, in the types that it says. The text is
//! described when the statement is planned, and runs when the statement does; it can only read. What DataFusion does with the rows (WHERE,
//! LIMIT, columns left out) it does here: what the database is to do stands in the text.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::sql::sqlparser::dialect::{Dialect, GenericDialect, MySqlDialect, PostgreSqlDialect, SQLiteDialect};
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::driver::{Driver, Query};
use crate::error::{Error, shown};
use crate::registered::Registered;
use crate::scan::ScanExec;
use crate::settings::Kind;

/// The name of the function.
pub(crate) const DATABASE_QUERY: &str = "database_query";

/// The function, over the databases of one session.
#[derive(Debug)]
pub(crate) struct QueryFunction(pub(crate) Arc<Registered>);

impl TableFunctionImpl for QueryFunction {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let [name, sql] = args.exprs() else { return Err(no_arguments().into()) };
        let (Some(name), Some(sql)) = (text(name), text(sql)) else { return Err(no_arguments().into()) };
        let reached = self.0.get(name).ok_or_else(|| {
            let (name, known) = (shown(name), self.0.names().join(", "));
            Error::Statement(format!("{DATABASE_QUERY}: no database \"{name}\" is attached; these are: {known}"))
        })?;
        let qualified = format!("{name}.{DATABASE_QUERY}");
        let query = reached.ask(|driver| async move { driver.describe_query(&qualified, sql).await })?;
        let shown = without_literals(sql, reached.settings.kind());
        Ok(Arc::new(QueryTable { driver: Arc::clone(&reached.driver), query, shown }))
    }
}

fn no_arguments() -> Error {
    Error::Statement(format!("{DATABASE_QUERY} takes a database and a query, both in quotes: {DATABASE_QUERY}('shop', 'SELECT …')"))
}

fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(ScalarValue::Utf8(text) | ScalarValue::Utf8View(text) | ScalarValue::LargeUtf8(text), _) => text.as_deref(),
        _ => None,
    }
}

/// The answer of one query.
struct QueryTable {
    driver: Arc<dyn Driver>,
    query: Query,
    /// The text without its literals.
    shown: String,
}

impl fmt::Debug for QueryTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryTable").field("query", &self.shown).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for QueryTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.query.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(&self, _: &dyn Session, projection: Option<&Vec<usize>>, _: &[Expr], _: Option<usize>) -> Result<Arc<dyn ExecutionPlan>> {
        let scan = ScanExec::new(Arc::clone(&self.driver), self.query.clone(), self.shown.clone(), None);
        let Some(projection) = projection else { return Ok(Arc::new(scan)) };
        let column = |at: &usize| {
            let name = self.query.schema.field(*at).name();
            (Arc::new(Column::new(name, *at)) as Arc<dyn PhysicalExpr>, name.clone())
        };
        Ok(Arc::new(ProjectionExec::try_new(projection.iter().map(column), Arc::new(scan))?))
    }
}

/// A text of SQL for EXPLAIN: its words and signs, without values and comments. One that the tokenizer does not know is not shown.
fn without_literals(sql: &str, kind: Kind) -> String {
    let dialect: &dyn Dialect = match kind {
        Kind::Postgres => &PostgreSqlDialect {},
        Kind::Mysql => &MySqlDialect {},
        Kind::Sqlite => &SQLiteDialect {},
        _ => &GenericDialect {},
    };
    let Ok(tokens) = Tokenizer::new(dialect, sql).tokenize() else { return "…".to_owned() };
    let word = |token: &Token| match token {
        Token::Whitespace(_) => " ".to_owned(),
        Token::Word(_) => token.to_string(),
        // Signs; a number has digits, and a text its quotes.
        other => {
            let text = other.to_string();
            let is_sign = text.chars().all(|c| c.is_ascii_punctuation() && !matches!(c, '\'' | '"'));
            if is_sign { text } else { "…".to_owned() }
        }
    };
    let text: String = tokens.iter().map(word).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::without_literals;
    use crate::settings::Kind;

    #[test]
    fn a_query_is_shown_without_what_it_compares_with() {
        let sql = "SELECT \"Plan\", count(*)\n FROM t -- ann@x\n WHERE email = 'ann''s@x' AND n > 41.5 AND b = $$hush$$ /* ann */ LIMIT 10";
        let shown = without_literals(sql, Kind::Postgres);
        assert_eq!(shown, "SELECT \"Plan\", count(*) FROM t WHERE email = … AND n > … AND b = … LIMIT …");
        assert_eq!(without_literals("SELECT `a` FROM t WHERE b = \"hush\"", Kind::Mysql), "SELECT `a` FROM t WHERE b = …");
        assert_eq!(without_literals("SELECT 'hush", Kind::Sqlite), "…");
    }
}
