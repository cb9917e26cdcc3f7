//! A script, split into statements.
//!
//! In: text with `;`. Out: the text of each statement as it was typed (the connector takes text, not a syntax tree), and whether it
//! reads or writes. The whole script is parsed before its first statement runs, so that a typing mistake in the last one is found
//! before the first one has sent anything.

use datafusion::sql::{
    parser::{DFParser, Statement as Parsed},
    sqlparser::{
        ast,
        dialect::GenericDialect,
        tokenizer::{Location, Token, TokenWithSpan, Tokenizer},
    },
};

use super::{attach, depth};
use crate::failure::{Failure, Result};

/// One statement of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    /// As it was typed, without the `;`.
    pub(crate) text: String,
    pub(crate) kind: StatementKind,
}

/// Whether a statement reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StatementKind {
    /// SELECT, EXPLAIN, SHOW, SET, ATTACH and so on.
    Read,
    /// INSERT, UPDATE, DELETE, COPY: echoed, because an unattended load is read afterwards.
    Write,
}

/// Splits `script` at its semicolons; comments, quoted text and empty statements are as SQL has them.
///
/// # Errors
/// A statement that does not parse, with the line in the script where it begins.
pub(crate) fn split(script: &str) -> Result<Vec<Statement>> {
    let script = script.strip_prefix('\u{feff}').unwrap_or(script);
    let tokens = Tokenizer::new(&GenericDialect {}, script).tokenize_with_location().map_err(|error| refused(&error.to_string()))?;
    let ends: Vec<Location> = tokens.iter().filter(|token| token.token == Token::SemiColon).map(|token| token.span.start).collect();
    let tokens = tokens.split(|token| token.token == Token::SemiColon);

    let mut statements = Vec::new();
    for (text, tokens) in cut(script, &ends).into_iter().zip(tokens) {
        let Some(start) = first_token(tokens) else { continue };
        depth::check(tokens).map_err(|why| refused(&format!("the statement that begins in line {} {why}", start.line)))?;
        let text = text.trim();
        if let Some(parsed) = attach::parse(text) {
            parsed.map_err(|why| refused(&format!("line {}: {why}", start.line)))?;
            statements.push(Statement { text: text.to_owned(), kind: StatementKind::Read });
            continue;
        }
        let parsed = DFParser::parse_sql(text).map_err(|error| {
            let error = error.strip_backtrace();
            refused(&format!("the statement that begins in line {} was not understood: {error}", start.line))
        })?;
        if let Some(statement) = parsed.front() {
            statements.push(Statement { text: text.to_owned(), kind: kind(statement) });
        }
    }
    Ok(statements)
}

fn refused(why: &str) -> Failure {
    Failure::Failed(format!("{why}. Nothing was run."))
}

/// Where the first token that is neither blank nor comment begins.
fn first_token(tokens: &[TokenWithSpan]) -> Option<Location> {
    tokens.iter().find(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF)).map(|token| token.span.start)
}

/// The pieces of `text` between the characters at `ends`. The tokenizer counts lines and characters, not bytes.
pub(super) fn cut<'a>(text: &'a str, ends: &[Location]) -> Vec<&'a str> {
    let mut pieces = Vec::with_capacity(ends.len() + 1);
    let (mut line, mut column, mut from) = (1, 1, 0);
    let mut ends = ends.iter().peekable();
    for (at, character) in text.char_indices() {
        if ends.next_if(|end| (end.line, end.column) == (line, column)).is_some() {
            pieces.push(text.get(from..at).unwrap_or_default());
            from = at + character.len_utf8();
        }
        if character == '\n' {
            (line, column) = (line + 1, 1);
        } else {
            column += 1;
        }
    }
    pieces.push(text.get(from..).unwrap_or_default());
    pieces
}

fn kind(statement: &Parsed) -> StatementKind {
    match statement {
        Parsed::CopyTo(_) => StatementKind::Write,
        Parsed::Statement(statement) => match statement.as_ref() {
            ast::Statement::Insert(_) | ast::Statement::Update(_) | ast::Statement::Delete(_) => StatementKind::Write,
            _ => StatementKind::Read,
        },
        _ => StatementKind::Read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(script: &str) -> Vec<String> {
        split(script).unwrap().into_iter().map(|statement| statement.text).collect()
    }

    #[test]
    fn a_semicolon_inside_quotes_or_a_comment_splits_nothing() {
        let script = "SELECT ';', \"a;b\" FROM t; -- first; done\nSELECT 2 /* ; */;";
        assert_eq!(texts(script), ["SELECT ';', \"a;b\" FROM t", "-- first; done\nSELECT 2 /* ; */"]);
    }

    #[test]
    fn empty_statements_and_lone_comments_are_left_out() {
        assert!(texts(";;\n -- nothing\n;/* nothing */").is_empty());
        assert_eq!(texts("\u{feff}SELECT 1"), ["SELECT 1"]);
    }

    #[test]
    fn each_statement_keeps_its_own_text_after_characters_of_many_bytes() {
        assert_eq!(texts("SELECT 'é, 日本';\r\nSELECT  1 ;SELECT '😀'"), ["SELECT 'é, 日本'", "SELECT  1", "SELECT '😀'"]);
    }

    #[test]
    fn a_mistake_in_the_last_statement_is_found_before_the_first_has_run() {
        let error = split("SELECT 1;\n\nSELEC 2").unwrap_err().to_string();
        assert!(error.contains("begins in line 3") && error.contains("Nothing was run"), "{error}");
    }

    #[test]
    fn statements_that_write_are_distinguished_from_those_that_read() {
        let script = "INSERT INTO t SELECT 1; UPDATE t SET a = 1; DELETE FROM t; COPY t TO 'x.csv'; SELECT 1; EXPLAIN INSERT INTO t SELECT 1; SET a.b = 1";
        let writes: Vec<bool> = split(script).unwrap().iter().map(|statement| statement.kind == StatementKind::Write).collect();
        assert_eq!(writes, [true, true, true, true, false, false, false]);
    }
}
