//! Statements that DataFusion plans otherwise than a user expects, put into other words first.
//!
//! In: the text of one statement. Out: the text to plan.
//!
//! - `FROM 'failed'`, where `failed` is a folder: `FROM 'failed/'`. Without the slash it would be the name of a table.
//! - `SHOW COLUMNS FROM clevertap_events."It's"`: `DESCRIBE …`. DataFusion puts the name between quotes without doubling those that it has.
//! - `SHOW FUNCTIONS LIKE 'ct_%'`: DataFusion leaves out functions without a fixed signature, and every `ct_*` is one of them.

use std::{borrow::Cow, collections::BTreeMap, ops::ControlFlow, path::Path};

use datafusion::{
    common::TableReference,
    sql::{
        parser::{CopyToSource, DFParser, Statement},
        sqlparser::{
            ast::{self, ObjectName, ObjectNamePart, ShowStatementFilter},
            dialect::GenericDialect,
            keywords::Keyword,
            tokenizer::{Location, Token, TokenWithSpan, Tokenizer},
        },
    },
};

use super::script::cut;
use crate::files::listing::is_path;
use crate::literals::literal;

/// The text to plan in place of `text`.
pub(super) fn rewrite(text: &str) -> Cow<'_, str> {
    // A statement that does not parse keeps its text, and gets its error when it is planned.
    let Some(statement) = DFParser::parse_sql(text).ok().and_then(|mut statements| statements.pop_front()) else {
        return Cow::Borrowed(text);
    };
    if let Some(query) = functions_query(&statement) {
        return Cow::Owned(query);
    }
    if let Some(description) = columns_of_quoted(&statement) {
        return Cow::Owned(description);
    }
    let folders = quoted_folders(&statement);
    if folders.is_empty() { Cow::Borrowed(text) } else { with_slashes(text, &folders).map_or(Cow::Borrowed(text), Cow::Owned) }
}

/// Whether the statement is SHOW TABLES.
pub(super) fn shows_tables(text: &str) -> bool {
    let parsed = DFParser::parse_sql(text).ok().and_then(|mut statements| statements.pop_front());
    matches!(parsed, Some(Statement::Statement(statement)) if matches!(*statement, ast::Statement::ShowTables { .. }))
}

/// `SHOW FUNCTIONS` as a query, one row a function.
fn functions_query(statement: &Statement) -> Option<String> {
    let Statement::Statement(statement) = statement else { return None };
    let ast::Statement::ShowFunctions { filter } = statement.as_ref() else { return None };
    let condition = match filter {
        None => String::new(),
        Some(ShowStatementFilter::Like(pattern)) => format!("WHERE routine_name LIKE {}", literal(pattern)),
        Some(ShowStatementFilter::ILike(pattern)) => format!("WHERE routine_name ILIKE {}", literal(pattern)),
        Some(_) => return None,
    };
    Some(format!(
        "SELECT DISTINCT routine_name AS function_name, function_type, syntax_example, description \
         FROM information_schema.routines {condition} ORDER BY function_name, function_type"
    ))
}

/// `SHOW COLUMNS` of a table whose name has a quote, as `DESCRIBE`.
fn columns_of_quoted(statement: &Statement) -> Option<String> {
    let Statement::Statement(statement) = statement else { return None };
    let ast::Statement::ShowColumns { show_options, .. } = statement.as_ref() else { return None };
    let name = show_options.show_in.as_ref().filter(|_| show_options.filter_position.is_none())?.parent_name.as_ref()?;
    name.to_string().contains('\'').then(|| format!("DESCRIBE {name}"))
}

/// The tables of the statement, in the order of its text; for errors.
pub(super) fn tables(text: &str) -> Vec<TableReference> {
    let mut tables = Vec::new();
    let parsed = DFParser::parse_sql(text).ok().and_then(|mut statements| statements.pop_front());
    if let Some(statement) = parsed {
        visit_tables(&statement, &mut |name| {
            let part = |part: &ObjectNamePart| match part.as_ident() {
                Some(ident) if ident.quote_style.is_none() => ident.value.to_lowercase(),
                Some(ident) => ident.value.clone(),
                None => part.to_string(),
            };
            tables.extend(match name.0.as_slice() {
                [table] => Some(TableReference::bare(part(table))),
                [schema, table] => Some(TableReference::partial(part(schema), part(table))),
                [catalog, schema, table] => Some(TableReference::full(part(catalog), part(schema), part(table))),
                _ => None,
            });
        });
    }
    tables
}

/// The tables of the statement that are written in single quotes and name a folder, with how often each occurs.
fn quoted_folders(statement: &Statement) -> BTreeMap<String, usize> {
    let mut folders = BTreeMap::new();
    visit_tables(statement, &mut |name| {
        if let [ObjectNamePart::Identifier(ident)] = name.0.as_slice()
            && ident.quote_style == Some('\'')
            && !is_path(&ident.value)
            && Path::new(&ident.value).is_dir()
        {
            *folders.entry(ident.value.clone()).or_default() += 1;
        }
    });
    folders
}

fn visit_tables(statement: &Statement, visit: &mut impl FnMut(&ObjectName)) {
    let mut each = |name: &ObjectName| {
        visit(name);
        ControlFlow::<()>::Continue(())
    };
    // No visit breaks off.
    let _continue = match statement {
        Statement::Statement(statement) => ast::visit_relations(statement.as_ref(), &mut each),
        Statement::CopyTo(copy) => match &copy.source {
            CopyToSource::Query(query) => ast::visit_relations(query.as_ref(), &mut each),
            CopyToSource::Relation(name) => each(name),
        },
        Statement::Explain(explain) => {
            visit_tables(&explain.statement, visit);
            ControlFlow::Continue(())
        }
        _ => ControlFlow::Continue(()),
    };
}

/// The text with a slash behind each of `folders` where it stands for a table; `None` where that is not certain, as in
/// `trim('x' FROM 'failed')`.
fn with_slashes(text: &str, folders: &BTreeMap<String, usize>) -> Option<String> {
    let tokens = Tokenizer::new(&GenericDialect {}, text).tokenize_with_location().ok()?;
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    let mut closing_quotes = Vec::new();
    let mut introduces_table = false;
    for TokenWithSpan { token, span } in &tokens {
        if let Token::SingleQuotedString(name) = token
            && introduces_table
            && folders.contains_key(name)
        {
            *found.entry(name).or_default() += 1;
            closing_quotes.push(Location { line: span.end.line, column: span.end.column - 1 });
        }
        introduces_table = match token {
            Token::Whitespace(_) => introduces_table,
            Token::Comma => true,
            Token::Word(word) => matches!(word.keyword, Keyword::FROM | Keyword::JOIN | Keyword::COPY),
            _ => false,
        };
    }
    let is_certain = folders.iter().all(|(name, count)| found.get(name.as_str()) == Some(count));
    is_certain.then(|| cut(text, &closing_quotes).join("/'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slashed(text: &str) -> String {
        // Tests run in the folder of the crate: `src` and `recipes` are folders, `nowhere` is none.
        rewrite(text).into_owned()
    }

    #[test]
    fn a_folder_in_single_quotes_gets_its_slash_wherever_it_stands_for_a_table() {
        assert_eq!(
            slashed("SELECT 'src', 'é' FROM 'src' a\nJOIN 'recipes' b ON true"),
            "SELECT 'src', 'é' FROM 'src/' a\nJOIN 'recipes/' b ON true"
        );
        assert_eq!(slashed("EXPLAIN INSERT INTO t SELECT * FROM 'src'"), "EXPLAIN INSERT INTO t SELECT * FROM 'src/'");
        assert_eq!(slashed("COPY 'src' TO 'x.csv'"), "COPY 'src/' TO 'x.csv'");
        assert_eq!(slashed("SELECT * FROM (SELECT * FROM 'src'), 'recipes'"), "SELECT * FROM (SELECT * FROM 'src/'), 'recipes/'");
    }

    #[test]
    fn columns_of_a_name_with_a_quote_are_described() {
        assert_eq!(slashed("SHOW COLUMNS FROM clevertap_events.\"It's\""), "DESCRIBE clevertap_events.\"It's\"");
        assert_eq!(slashed("SHOW COLUMNS FROM clevertap.events"), "SHOW COLUMNS FROM clevertap.events");
    }

    #[test]
    fn other_names_and_other_text_stay_as_they_are() {
        for text in [
            "SELECT * FROM 'nowhere'",
            "SELECT * FROM 'src/'",
            "SELECT * FROM src JOIN \"src\" ON true",
            "SELECT * FROM clevertap.'src'",
            "CREATE VIEW src AS SELECT 'src' AS name",
            "SELECT trim('x' FROM 'src') FROM 'src'",
            "SELEC",
        ] {
            assert_eq!(slashed(text), text);
        }
    }
}
