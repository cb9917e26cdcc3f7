//! ATTACH and DETACH, which DataFusion does not know, in DuckDB's spelling.
//!
//! In: the text of a statement. Out: what it says, or what is wrong with it; `None` for every other statement. No message repeats a value: somebody
//! may have written a password where none belongs.

use std::fmt;

use datafusion::sql::sqlparser::{
    dialect::GenericDialect,
    tokenizer::{Token, Tokenizer, Word},
};

use crate::{
    config::{PasscodePlace, parse_variable},
    nearest::nearest,
};
use clevertap_databases::Access;

const EXAMPLE: &str = "ATTACH 'postgres://reader@db.acme.example/shop' AS shop (TYPE postgres, READ_ONLY, PASSWORD_ENV 'SHOP_PASSWORD')";
const OPTIONS: [&str; 7] = ["TYPE", "READ_ONLY", "READ_WRITE", "ACCESS", "CREATE", "PASSWORD_ENV", "PASSWORD_FILE"];

/// What changes the databases of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DatabaseStatement {
    Attach(Attach),
    Detach { name: String, if_exists: bool },
}

/// `ATTACH [DATABASE] [IF NOT EXISTS] 'url' AS name [(option, …)]`.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Attach {
    pub(super) url: String,
    pub(super) name: String,
    pub(super) if_not_exists: bool,
    pub(super) access: Access,
    pub(super) create: bool,
    pub(super) password: Option<PasscodePlace>,
}

impl fmt::Debug for Attach {
    /// Not the URL: somebody may have written a password into it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attach").field("name", &self.name).field("access", &self.access).finish_non_exhaustive()
    }
}

/// The statement, if it is one of these.
///
/// # Errors
/// What was expected, as a sentence.
pub(super) fn parse(text: &str) -> Option<Result<DatabaseStatement, String>> {
    let tokens = Tokenizer::new(&GenericDialect {}, text).tokenize().ok()?;
    let tokens: Vec<Token> =
        tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_) | Token::SemiColon | Token::EOF)).collect();
    let mut words = Words { tokens: &tokens };
    if words.word("ATTACH") {
        Some(words.attach().map(DatabaseStatement::Attach))
    } else if words.word("DETACH") {
        Some(words.detach())
    } else {
        None
    }
}

/// What is left of a statement.
struct Words<'t> {
    tokens: &'t [Token],
}

impl Words<'_> {
    fn next(&mut self) -> Option<&Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    /// Takes a word without quotes, if it is next.
    fn word(&mut self, word: &str) -> bool {
        let is_next =
            matches!(self.tokens.first(), Some(Token::Word(next)) if next.quote_style.is_none() && next.value.eq_ignore_ascii_case(word));
        if is_next {
            self.tokens = &self.tokens[1..];
        }
        is_next
    }

    fn words(&mut self, words: &[&str]) -> bool {
        let before = self.tokens;
        let are_next = words.iter().all(|word| self.word(word));
        if !are_next {
            self.tokens = before;
        }
        are_next
    }

    fn sign(&mut self, sign: &Token) -> bool {
        let is_next = self.tokens.first() == Some(sign);
        if is_next {
            self.tokens = &self.tokens[1..];
        }
        is_next
    }

    /// A name, as SQL reads it.
    fn name(&mut self) -> Option<String> {
        match self.next()? {
            Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_lowercase()),
            Token::Word(word) => Some(word.value.clone()),
            _ => None,
        }
    }

    fn text(&mut self) -> Option<String> {
        match self.next()? {
            Token::SingleQuotedString(text) => Some(text.clone()),
            _ => None,
        }
    }

    fn end(&self, of: &str) -> Result<(), String> {
        if self.tokens.is_empty() { Ok(()) } else { Err(format!("{of} is not understood behind its name")) }
    }

    fn attach(&mut self) -> Result<Attach, String> {
        let expected = |what: &str| format!("ATTACH is not understood: expected {what}; for example {EXAMPLE}");
        self.word("DATABASE");
        let if_not_exists = self.words(&["IF", "NOT", "EXISTS"]);
        let url = self.text().ok_or_else(|| expected("a URL in single quotes"))?;
        if !self.word("AS") {
            return Err(expected("AS and a name behind the URL"));
        }
        let name = self.name().ok_or_else(|| expected("a name behind AS"))?;
        let mut attach = Attach { url, name, if_not_exists, access: Access::Read, create: false, password: None };
        if self.sign(&Token::LParen) {
            let (mut kind, mut has_access) = (None, false);
            loop {
                self.option(&mut attach, &mut kind, &mut has_access)?;
                if self.sign(&Token::RParen) {
                    break;
                }
                if !self.sign(&Token::Comma) {
                    return Err(expected("a comma or a bracket behind an option"));
                }
            }
            if let Some(kind) = kind {
                attach.url = of_kind(&attach.url, &kind)?;
            }
        }
        self.end("ATTACH")?;
        if attach.create && attach.access != Access::Write {
            return Err("ATTACH: CREATE makes tables that are missing, which takes READ_WRITE beside it".to_owned());
        }
        Ok(attach)
    }

    fn option(&mut self, attach: &mut Attach, kind: &mut Option<String>, has_access: &mut bool) -> Result<(), String> {
        let option = self.name().unwrap_or_default().to_uppercase();
        let in_quotes = |text: Option<String>| text.ok_or_else(|| format!("ATTACH: {option} takes a text in single quotes"));
        match option.as_str() {
            "TYPE" => {
                *kind = match self.next() {
                    Some(Token::Word(Word { value, .. }) | Token::SingleQuotedString(value)) => Some(value.to_lowercase()),
                    _ => return Err("ATTACH: TYPE takes postgres, mysql, mariadb, sqlite, redshift or bigquery".to_owned()),
                };
            }
            "READ_ONLY" | "READ_WRITE" | "ACCESS" if std::mem::replace(has_access, true) => {
                return Err("ATTACH: READ_ONLY, READ_WRITE and ACCESS say the same; name one of them".to_owned());
            }
            "READ_ONLY" => attach.access = if self.flag() { Access::Read } else { Access::Write },
            "READ_WRITE" => attach.access = if self.flag() { Access::Write } else { Access::Read },
            "ACCESS" => {
                attach.access = match in_quotes(self.text())?.to_lowercase().as_str() {
                    "read" => Access::Read,
                    "write" => Access::Write,
                    _ => return Err("ATTACH: ACCESS takes 'read' or 'write'".to_owned()),
                }
            }
            "CREATE" => attach.create = self.flag(),
            "PASSWORD_ENV" | "PASSWORD_FILE" if attach.password.is_some() => {
                return Err("ATTACH: PASSWORD_ENV and PASSWORD_FILE are two places of one password; name one".to_owned());
            }
            "PASSWORD_ENV" => {
                let variable = parse_variable(&in_quotes(self.text())?);
                let refused = "ATTACH: PASSWORD_ENV takes the name of a variable, as 'SHOP_PASSWORD', and the variable the password";
                attach.password = Some(PasscodePlace::Variable(variable.map_err(|_| refused.to_owned())?));
            }
            "PASSWORD_FILE" => attach.password = Some(PasscodePlace::File(in_quotes(self.text())?.into())),
            other => {
                let is_known = other.chars().all(|letter| letter.is_ascii_alphabetic() || letter == '_') && !other.is_empty();
                let hint = match nearest(other, OPTIONS).filter(|_| is_known) {
                    Some(option) => format!("did you mean {option}?"),
                    None => format!("expected {}", OPTIONS.join(", ")),
                };
                return Err(format!("ATTACH: this is no option of it; {hint}"));
            }
        }
        Ok(())
    }

    /// `true` or `false`; without either, `true`.
    fn flag(&mut self) -> bool {
        self.word("TRUE") || !self.word("FALSE")
    }

    fn detach(&mut self) -> Result<DatabaseStatement, String> {
        self.word("DATABASE");
        let if_exists = self.words(&["IF", "EXISTS"]);
        let name = self.name().ok_or("DETACH is not understood: expected the name of a database; for example DETACH shop")?;
        self.end("DETACH")?;
        Ok(DatabaseStatement::Detach { name, if_exists })
    }
}

/// The URL of a database of this kind: of SQLite it may be a path alone.
fn of_kind(url: &str, kind: &str) -> Result<String, String> {
    let scheme = url.split_once(':').map(|(scheme, _)| scheme);
    let schemes: &[&str] = match kind {
        "sqlite" if scheme.is_none() => return Ok(format!("sqlite:{url}")),
        "sqlite" => &["sqlite"],
        "postgres" | "postgresql" => &["postgres", "postgresql"],
        "mysql" | "mariadb" => &["mysql", "mariadb"],
        "redshift" => &["redshift"],
        "bigquery" => &["bigquery"],
        _ => return Err("ATTACH: TYPE is none of postgres, mysql, mariadb, sqlite, redshift and bigquery".to_owned()),
    };
    if scheme.is_some_and(|scheme| schemes.contains(&scheme)) {
        return Ok(url.to_owned());
    }
    Err(format!("ATTACH: TYPE is {kind}, and the URL begins otherwise; expected {}:…", schemes[0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attach(text: &str) -> Result<Attach, String> {
        match parse(text) {
            Some(Ok(DatabaseStatement::Attach(attach))) => Ok(attach),
            Some(Err(why)) => Err(why),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn databases_are_attached_in_duckdbs_spelling() {
        let plain = attach("attach 'postgres://r@db/shop' AS Shop;").unwrap();
        assert_eq!((plain.name.as_str(), plain.access, plain.create, plain.if_not_exists), ("shop", Access::Read, false, false));
        let whole = attach(
            "ATTACH DATABASE IF NOT EXISTS 'postgresql://r@db/shop' AS \"shop\" (TYPE POSTGRES, READ_WRITE, CREATE true, PASSWORD_ENV 'SHOP')",
        );
        let whole = whole.unwrap();
        assert_eq!((whole.access, whole.create, whole.if_not_exists), (Access::Write, true, true));
        assert_eq!(whole.password, Some(PasscodePlace::Variable("SHOP".into())));
        assert_eq!(attach("ATTACH 'a b.db' AS x (TYPE sqlite, ACCESS 'write')").unwrap().url, "sqlite:a b.db");
        assert_eq!(attach("ATTACH 'sqlite:a.db' AS x (READ_ONLY false)").unwrap().access, Access::Write);
        let detach = |text: &str| parse(text).unwrap().unwrap();
        assert_eq!(detach("DETACH shop"), DatabaseStatement::Detach { name: "shop".into(), if_exists: false });
        assert_eq!(detach("detach database if exists shop"), DatabaseStatement::Detach { name: "shop".into(), if_exists: true });
        for other in ["SELECT 'ATTACH'", "SELECT attach FROM t", "\"ATTACH\" 'x' AS y", "", "SELEC 'x"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_not_understood_says_what_was_expected_and_repeats_no_value() {
        for (text, why) in [
            ("ATTACH", "expected a URL in single quotes"),
            ("ATTACH 'hush'", "expected AS and a name"),
            ("ATTACH 'hush' AS 'x'", "expected a name behind AS"),
            ("ATTACH 'hush' AS x READ_ONLY", "ATTACH is not understood behind its name"),
            ("ATTACH 'hush' AS x (PASWORD_ENV 'hush')", "did you mean PASSWORD_ENV?"),
            ("ATTACH 'hush' AS x (PASSWORD_ENV 'hush-1 ')", "PASSWORD_ENV takes the name of a variable"),
            ("ATTACH 'hush' AS x (ACCESS 'hush')", "ACCESS takes 'read' or 'write'"),
            ("ATTACH 'hush' AS x (TYPE oracle)", "TYPE is none of postgres, mysql, mariadb, sqlite, redshift and bigquery"),
            ("ATTACH 'mysql://hush/x' AS x (TYPE postgres)", "TYPE is postgres, and the URL begins otherwise"),
            ("ATTACH 'hush' AS x (PASSWORD_ENV 'A', PASSWORD_FILE 'b')", "two places of one password"),
            ("ATTACH 'hush' AS x (READ_ONLY", "expected a comma or a bracket"),
            ("ATTACH 'hush' AS x (READ_ONLY, READ_WRITE)", "READ_ONLY, READ_WRITE and ACCESS say the same"),
            ("ATTACH 'hush' AS x (READ_ONLY TRUE FALSE)", "expected a comma or a bracket"),
            ("ATTACH 'hush' AS x (CREATE)", "which takes READ_WRITE beside it"),
            ("DETACH", "expected the name of a database"),
            ("DETACH a b", "DETACH is not understood behind its name"),
        ] {
            let said = parse(text).unwrap().unwrap_err();
            assert!(said.contains(why) && !said.contains("hush"), "{text}: {said}");
        }
    }

    #[test]
    fn the_example_is_understood() {
        attach(EXAMPLE).unwrap();
    }
}
