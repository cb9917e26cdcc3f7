//! How deep a statement nests, before it is parsed: a parser, a planner and everything that is dropped takes stack for each level.
//!
//! In: the tokens of a statement. Out: nothing, or a refusal that says what to write. Brackets are bounded by the parser. A chain of
//! operators (`a + b + c`) nests as deep as it is long, and DataFusion takes time by the square of that. Chains of AND, OR and UNION are
//! planned as trees that are not deep (the connector's `balance`), so that many more terms are taken.

use datafusion::sql::sqlparser::{
    keywords::Keyword,
    tokenizer::{Token, TokenWithSpan},
};

/// Operators, joins and set operations inside of each other.
const DEPTH_MAX: usize = 1_000;
/// Terms of a chain of AND, OR or UNION.
const TERMS_MAX: usize = 100_000;

/// What is open inside of a bracket.
#[derive(Default)]
struct Level {
    /// Operators of the expression.
    operators: usize,
    /// Joins and set operations of the query.
    joins: usize,
    /// AND, OR and UNION.
    terms: usize,
}

/// Whether the statement is bounded in depth.
///
/// # Errors
/// The sentence for one that is not.
pub(super) fn check(tokens: &[TokenWithSpan]) -> Result<(), String> {
    let mut levels = vec![Level::default()];
    // The depth of all levels but the last.
    let mut below = 0;
    for token in tokens {
        let Some(level) = levels.last_mut() else { break };
        match &token.token {
            Token::LParen | Token::LBracket | Token::LBrace => {
                level.operators += 1;
                below += level.operators + level.joins;
                levels.push(Level::default());
            }
            Token::RParen | Token::RBracket | Token::RBrace => {
                // One too many is the parser's to tell.
                if levels.len() > 1 {
                    levels.pop();
                    below -= levels.last().map_or(0, |level| level.operators + level.joins);
                }
            }
            Token::Comma => level.operators = 0,
            Token::Word(word) if word.quote_style.is_none() => match word.keyword {
                Keyword::AND | Keyword::OR => (level.operators, level.terms) = (0, level.terms + 1),
                Keyword::UNION => *level = Level { terms: level.terms + 1, ..Level::default() },
                Keyword::SELECT | Keyword::WHEN | Keyword::THEN | Keyword::ELSE => level.operators = 0,
                Keyword::FROM | Keyword::WHERE | Keyword::ON | Keyword::HAVING | Keyword::VALUES => (level.operators, level.terms) = (0, 0),
                Keyword::JOIN | Keyword::EXCEPT | Keyword::INTERSECT | Keyword::MINUS => level.joins += 1,
                Keyword::IS
                | Keyword::IN
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::BETWEEN
                | Keyword::NOT
                | Keyword::AT
                | Keyword::COLLATE => {
                    level.operators += 1;
                }
                _ => {}
            },
            Token::Word(_)
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::Whitespace(_)
            | Token::Period
            | Token::SemiColon
            | Token::EOF => {}
            _ => level.operators += 1,
        }
        let Some(level) = levels.last() else { break };
        let depth = below + level.operators + level.joins;
        if depth > DEPTH_MAX {
            return Err(format!(
                "has more than {DEPTH_MAX} operators or joins inside of each other, and so many are not planned: put the values into a file or \
                 into VALUES, one a row, and join them or take an aggregate of them"
            ));
        }
        if level.terms > TERMS_MAX {
            return Err(format!(
                "has more than {TERMS_MAX} terms of AND, OR or UNION in a row, and so many are not planned: put the values into a file, and \
                 use IN (SELECT …)"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::{dialect::GenericDialect, tokenizer::Tokenizer};

    use super::*;

    fn is_taken(sql: &str) -> bool {
        check(&Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location().unwrap()).is_ok()
    }

    #[test]
    fn a_chain_of_operators_is_bounded_and_what_lies_side_by_side_is_not() {
        let chain = |operator: &str, terms: usize| format!("SELECT {}", vec!["x"; terms].join(operator));
        for operator in [" + ", " || ", " -> ", " = ", "::", " EXCEPT SELECT ", " JOIN ", " IS NULL IS "] {
            assert!(is_taken(&chain(operator, 900 / operator.matches(' ').count().max(1))), "{operator}");
            assert!(!is_taken(&chain(operator, 2_000)), "{operator}");
        }
        for operator in [" AND ", " OR ", " UNION ALL SELECT ", ", ", " + 1 = y AND ", " + 1, ", "), ("] {
            assert!(is_taken(&chain(operator, 20_000)), "{operator}");
        }
        for operator in [" AND ", " OR ", " UNION SELECT "] {
            assert!(!is_taken(&chain(operator, 101_000)), "{operator}");
        }
    }

    #[test]
    fn brackets_add_up_and_are_closed_again() {
        let inside = |times: usize| format!("{}1{}", format!("({} + ", vec!["1"; 100].join(" + ")).repeat(times), ")".repeat(times));
        assert!(is_taken(&format!("SELECT {}", inside(8))));
        assert!(!is_taken(&format!("SELECT {}", inside(12))));
        assert!(is_taken(&format!("SELECT {}", vec![inside(8); 50].join(", "))));
        assert!(is_taken(&format!("VALUES {}", vec!["(1 + 1, abs(-1))"; 20_000].join(", "))));
    }
}
