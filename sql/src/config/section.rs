//! A section of a TOML file while it is read: typed values, each with its line and column, and every fault of the file at once.
//!
//! In: the text of a file. Out: values for whoever asks by key. A key that nobody has asked for is a fault that names the nearest of those
//! that were asked for: so a section is one struct that takes its keys, and its list of keys stands nowhere else.

use std::{cell::RefCell, collections::BTreeMap, fmt, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    failure::{Failure, Result},
    nearest::nearest,
};

/// A value, and where it stands: bytes of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// A file that is read, and what is wrong with it.
pub(super) struct Faults<'f> {
    file: &'f str,
    text: &'f str,
    found: RefCell<Vec<(usize, String)>>,
}

impl fmt::Debug for Faults<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").field("file", &self.file).finish_non_exhaustive()
    }
}

impl<'f> Faults<'f> {
    /// None so far; `file` is what errors call it.
    pub(super) fn new(file: &'f str, text: &'f str) -> Self {
        Self { file, text, found: RefCell::default() }
    }

    /// Something is wrong with what stands at `span`. The sentence is shown behind the place.
    pub(super) fn add(&self, span: &Range<usize>, sentence: impl Into<String>) {
        self.found.borrow_mut().push((span.start, sentence.into()));
    }

    /// The line of what stands at `span`, from 1.
    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        self.place(span.start).0
    }

    /// Line and column, both from 1; columns are characters.
    fn place(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        (before.matches('\n').count() + 1, line.chars().count() + 1)
    }

    /// Whether nothing is wrong.
    ///
    /// # Errors
    /// [`Failure::Usage`] with a line for each fault, as they follow each other in the file.
    pub(super) fn none_or_all(&self) -> Result<()> {
        let mut found = self.found.take();
        found.sort();
        found.dedup();
        if found.is_empty() {
            return Ok(());
        }
        let line = |(at, sentence): &(usize, String)| {
            let (line, column) = self.place(*at);
            format!("{}:{line}:{column}: {sentence}", self.file)
        };
        Err(Failure::Usage(found.iter().map(line).collect::<Vec<_>>().join("\n")))
    }
}

/// The whole text, as TOML.
///
/// # Errors
/// [`Failure::Usage`] with a line for each place that is none. What follows from such a place is not told.
pub(super) fn parse<'f>(text: &'f str, faults: &Faults<'_>) -> Result<DeTable<'f>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        // The message says what was expected, and holds nothing of the file.
        faults.add(&error.span().unwrap_or_default(), format!("this is not TOML: {}", error.message().replace('\n', "; ")));
    }
    faults.none_or_all()?;
    Ok(table.into_inner())
}

/// A table of the file: what is left of it to be asked for.
#[derive(Debug)]
pub(super) struct Section<'f, 'i> {
    /// `[accounts.shop]`; empty for the file itself.
    path: String,
    faults: &'f Faults<'f>,
    entries: BTreeMap<&'f str, (Range<usize>, &'f Spanned<DeValue<'i>>)>,
    asked: Vec<&'static str>,
    /// Names that a key may be meant for, and that are too many to be listed.
    others: Vec<String>,
}

impl<'f, 'i> Section<'f, 'i> {
    pub(super) fn new(path: String, table: &'f DeTable<'i>, faults: &'f Faults<'f>) -> Self {
        let entries = table.iter().map(|(key, value)| (key.get_ref().as_ref(), (key.span(), value))).collect();
        Self { path, faults, entries, asked: Vec::new(), others: Vec::new() }
    }

    fn take(&mut self, key: &'static str) -> Option<(Range<usize>, &'f Spanned<DeValue<'i>>)> {
        self.asked.push(key);
        self.entries.remove(key)
    }

    /// The place of a key that is there.
    pub(super) fn key(&self, key: &str) -> Option<Range<usize>> {
        self.entries.get(key).map(|(span, _)| span.clone())
    }

    /// A text that is not empty. Blanks around it are no part of it.
    pub(super) fn text(&mut self, key: &'static str) -> Option<Located<String>> {
        let (_, value) = self.take(key)?;
        let Some(text) = value.get_ref().as_str() else {
            self.faults.add(&value.span(), format!("\"{key}\" is {}; expected a text in quotes", kind(value.get_ref())));
            return None;
        };
        if text.trim().is_empty() {
            self.faults.add(&value.span(), format!("\"{key}\" is empty; leave the key out, or give it a value"));
            return None;
        }
        Some(Located { value: text.trim().to_owned(), span: value.span() })
    }

    /// A text that `parse` reads; its sentence is the fault.
    pub(super) fn parsed<T>(&mut self, key: &'static str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<Located<T>> {
        let Located { value, span } = self.text(key)?;
        match parse(&value) {
            Ok(value) => Some(Located { value, span }),
            Err(sentence) => {
                self.faults.add(&span, sentence);
                None
            }
        }
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str) -> Option<Located<bool>> {
        let (_, value) = self.take(key)?;
        match value.get_ref() {
            DeValue::Boolean(flag) => Some(Located { value: *flag, span: value.span() }),
            other => {
                self.faults.add(&value.span(), format!("\"{key}\" is {}; expected true or false, without quotes", kind(other)));
                None
            }
        }
    }

    /// A text, a number, true or false, as text.
    #[cfg(feature = "syncs")]
    pub(super) fn value(&mut self, key: &'static str) -> Option<Located<String>> {
        let (_, value) = self.take(key)?;
        one_value(self.faults, key, value)
    }

    /// A whole number of at least 0.
    #[cfg(feature = "syncs")]
    pub(super) fn number(&mut self, key: &'static str) -> Option<Located<u32>> {
        let (_, value) = self.take(key)?;
        let number = match value.get_ref() {
            DeValue::Integer(_) => text_of(value.get_ref()).and_then(|text| text.parse().ok()),
            _ => None,
        };
        if number.is_none() {
            self.faults.add(&value.span(), format!("\"{key}\" is no whole number of 0 or more; expected one, without quotes"));
        }
        Some(Located { value: number?, span: value.span() })
    }

    /// A text, or a list of texts. None of them is empty.
    #[cfg(feature = "syncs")]
    pub(super) fn texts(&mut self, key: &'static str) -> Option<Vec<Located<String>>> {
        let (_, value) = self.take(key)?;
        let items = match value.get_ref() {
            DeValue::Array(items) => items.iter().collect(),
            _ => vec![value],
        };
        let mut texts = Vec::new();
        for item in items {
            match item.get_ref().as_str().map(str::trim) {
                Some("") => self.faults.add(&item.span(), format!("a text of \"{key}\" is empty; leave it out, or give it a value")),
                Some(text) => texts.push(Located { value: text.to_owned(), span: item.span() }),
                None => {
                    let found = kind(item.get_ref());
                    self.faults.add(&item.span(), format!("\"{key}\" has {found}; expected a text in quotes, or a list of them"));
                }
            }
        }
        Some(texts)
    }

    /// Whether the key is there, and is a table.
    #[cfg(feature = "syncs")]
    pub(super) fn is_section(&self, key: &str) -> bool {
        self.entries.get(key).is_some_and(|(_, value)| value.get_ref().as_table().is_some())
    }

    /// The values of those of these keys that are there, as text.
    #[cfg(feature = "syncs")]
    pub(super) fn values_of(&mut self, names: Vec<String>) -> Vec<(Located<String>, Located<String>)> {
        let mut values = Vec::new();
        for name in &names {
            if let Some((span, value)) = self.entries.remove(name.as_str())
                && let Some(text) = one_value(self.faults, name, value)
            {
                values.push((Located { value: name.clone(), span }, text));
            }
        }
        self.others.extend(names);
        values.sort_by_key(|(name, _)| name.span.start);
        values
    }

    /// Every entry that nobody has asked for, with its value as it may be shown, in the order of the file.
    #[cfg(feature = "syncs")]
    pub(super) fn shown(&self) -> Vec<(Located<String>, String)> {
        let mut shown: Vec<_> = self
            .entries
            .iter()
            .map(|(key, (span, value))| (Located { value: (*key).to_owned(), span: span.clone() }, shown(value.get_ref())))
            .collect();
        shown.sort_by_key(|(key, _)| key.span.start);
        shown
    }

    /// The table `[key]`, if it is there.
    pub(super) fn section(&mut self, key: &'static str) -> Option<Self> {
        let (span, value) = self.take(key)?;
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        let Some(table) = value.get_ref().as_table() else {
            self.faults.add(&span, format!("\"{key}\" is {}; expected a section [{path}]", kind(value.get_ref())));
            return None;
        };
        Some(Self::new(path, table, self.faults))
    }

    /// The tables below this one, each with the name that the author chose, in the order of the file.
    pub(super) fn into_sections(self) -> Vec<(Located<String>, Self)> {
        let mut sections = Vec::new();
        for (name, (span, value)) in self.entries {
            let path = format!("{}.{name}", self.path);
            match value.get_ref().as_table() {
                Some(table) => sections.push((Located { value: name.to_owned(), span }, Self::new(path, table, self.faults))),
                None => self.faults.add(&span, format!("\"{name}\" is {}; expected a section [{path}]", kind(value.get_ref()))),
            }
        }
        sections.sort_by_key(|(name, _)| name.span.start);
        sections
    }

    /// Every entry, with the name that the author chose and the value as text, in the order of the file; tables and lists are faults.
    pub(super) fn into_texts(self) -> Vec<(Located<String>, Located<String>)> {
        let mut texts = Vec::new();
        for (name, (span, value)) in self.entries {
            let Some(text) = one_value(self.faults, name, value) else { continue };
            texts.push((Located { value: name.to_owned(), span }, text));
        }
        texts.sort_by_key(|(name, _)| name.span.start);
        texts
    }

    /// Every entry, with the name that the author chose and a text, a number, true or false, in the order of the file; other values are faults.
    #[cfg(feature = "syncs")]
    pub(super) fn into_json(self) -> Vec<(Located<String>, serde_json::Value)> {
        use serde_json::Value;
        let mut values = Vec::new();
        for (name, (span, value)) in self.entries {
            let Some(text) = one_value(self.faults, name, value) else { continue };
            let json = match value.get_ref() {
                DeValue::Boolean(value) => Value::Bool(*value),
                DeValue::Integer(_) | DeValue::Float(_) => serde_json::from_str(&text.value).unwrap_or(Value::String(text.value)),
                // Blanks belong to a value of a property.
                other => Value::String(other.as_str().unwrap_or_default().to_owned()),
            };
            values.push((Located { value: name.to_owned(), span }, json));
        }
        values.sort_by_key(|(name, _)| name.span.start);
        values
    }

    /// Refuses a key that is known elsewhere.
    pub(super) fn refuse(&mut self, key: &str, sentence: &str) {
        if let Some((span, _)) = self.entries.remove(key) {
            self.faults.add(&span, sentence);
        }
    }

    /// Ends the reading: what nobody has asked for is not known.
    pub(super) fn finish(self) {
        let there = if self.path.is_empty() { "of this file".to_owned() } else { format!("of [{}]", self.path) };
        for (key, (span, _)) in &self.entries {
            let hint = match nearest(key, self.asked.iter().copied().chain(self.others.iter().map(String::as_str))) {
                Some(name) => format!("did you mean {name}?"),
                None => format!("expected {}", self.asked.join(", ")),
            };
            self.faults.add(span, format!("\"{key}\" is no key {there}; {hint}"));
        }
    }
}

/// A value as text; a fault for tables and lists.
fn one_value(faults: &Faults<'_>, key: &str, value: &Spanned<DeValue<'_>>) -> Option<Located<String>> {
    let text = text_of(value.get_ref());
    if text.is_none() {
        faults.add(&value.span(), format!("\"{key}\" is {}; expected one value", kind(value.get_ref())));
    }
    Some(Located { value: text?, span: value.span() })
}

/// One value as text. Blanks around a text are no part of it.
fn text_of(value: &DeValue<'_>) -> Option<String> {
    Some(match value {
        DeValue::String(text) => text.trim().to_owned(),
        DeValue::Boolean(value) => value.to_string(),
        // Digits may be grouped by `_`.
        DeValue::Integer(value) => i64::from_str_radix(value.as_str(), value.radix()).map_or_else(|_| value.to_string(), |n| n.to_string()),
        DeValue::Float(value) => value.to_string(),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => return None,
    })
}

/// A value as a line for people.
#[cfg(feature = "syncs")]
fn shown(value: &DeValue<'_>) -> String {
    let joined = |values: Vec<String>| values.join(", ");
    match value {
        DeValue::Array(items) => joined(items.iter().map(|item| shown(item.get_ref())).collect()),
        DeValue::Table(table) => {
            joined(table.iter().map(|(key, value)| format!("{} = {}", key.get_ref(), shown(value.get_ref()))).collect())
        }
        one => text_of(one).unwrap_or_else(|| kind(one).to_owned()),
    }
}

/// What a value is, in words.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date without quotes",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> String {
        let faults = Faults::new("x.toml", text);
        let table = match parse(text, &faults) {
            Ok(table) => table,
            Err(failure) => return failure.to_string(),
        };
        let mut file = Section::new(String::new(), &table, &faults);
        file.text("state");
        if let Some(mut shop) = file.section("shop") {
            shop.text("region");
            shop.parsed("time_zone", |text| if text == "UTC" { Ok(()) } else { Err("no zone".into()) });
            shop.finish();
        }
        file.finish();
        faults.none_or_all().map_or_else(|failure| failure.to_string(), |()| String::new())
    }

    #[test]
    fn every_fault_is_told_with_its_line_and_column_and_the_nearest_key() {
        assert_eq!(faults("state = \"a\"\n[shop]\nregion = \"in1\"\ntime_zone = 'UTC'\n"), "");
        assert_eq!(
            faults("stat = 'a'\n[shop]\n  regoin = \"in1\" # é\nx = 1\n\"é\" = 2\ntime_zone = 'IST'\n"),
            "x.toml:1:1: \"stat\" is no key of this file; did you mean state?\n\
             x.toml:3:3: \"regoin\" is no key of [shop]; did you mean region?\n\
             x.toml:4:1: \"x\" is no key of [shop]; expected region, time_zone\n\
             x.toml:5:1: \"é\" is no key of [shop]; expected region, time_zone\n\
             x.toml:6:13: no zone"
        );
        assert_eq!(
            faults("state = 7\nshop = 3"),
            "x.toml:1:9: \"state\" is a number; expected a text in quotes\nx.toml:2:1: \"shop\" is a number; expected a section [shop]"
        );
        assert_eq!(faults("state = ' '"), "x.toml:1:9: \"state\" is empty; leave the key out, or give it a value");
    }

    #[cfg(feature = "syncs")]
    #[test]
    fn values_of_each_kind_are_read_and_refused_where_they_stand() {
        let text = "number = 1_0\ntexts = ['a', ' b ']\ntext = 'a'\nvalue = true\non_reject = 'skip'\n[table]\nPlan = ' x'\nScore = 2\nGone = true\n";
        let faults = Faults::new("x.toml", text);
        let table = parse(text, &faults).unwrap();
        let mut file = Section::new(String::new(), &table, &faults);
        assert_eq!(
            file.shown().iter().map(|(key, value)| format!("{}: {value}", key.value)).collect::<Vec<_>>().join("; "),
            "number: 10; texts: a, b; text: a; value: true; on_reject: skip; table: Gone = true, Plan = x, Score = 2"
        );
        assert_eq!(file.number("number").unwrap().value, 10);
        let texts = |file: &mut Section<'_, '_>, key| file.texts(key).unwrap().into_iter().map(|text| text.value).collect::<Vec<_>>();
        assert_eq!((texts(&mut file, "texts"), texts(&mut file, "text")), (vec!["a".to_owned(), "b".to_owned()], vec!["a".to_owned()]));
        assert_eq!(file.value("value").unwrap().value, "true");
        let options = file.values_of(vec!["on_reject".to_owned(), "nulls".to_owned()]);
        assert_eq!(
            options.iter().map(|(name, value)| (name.value.as_str(), value.value.as_str())).collect::<Vec<_>>(),
            [("on_reject", "skip")]
        );
        assert!(file.is_section("table") && !file.is_section("text"));
        let json = file.section("table").unwrap().into_json();
        assert_eq!(
            json.iter().map(|(name, value)| format!("{} {value}", name.value)).collect::<Vec<_>>(),
            ["Plan \" x\"", "Score 2", "Gone true"]
        );
        file.finish();
        faults.none_or_all().unwrap();

        let text = "number = -1\nother = '1'\ntexts = ['', 1]\nvalue = []\nnull = 1\n";
        let faults = Faults::new("x.toml", text);
        let table = parse(text, &faults).unwrap();
        let mut file = Section::new(String::new(), &table, &faults);
        assert!(file.number("number").is_none() && file.number("other").is_none() && file.value("value").is_none());
        assert_eq!(file.texts("texts").unwrap(), []);
        file.values_of(vec!["nulls".to_owned()]);
        file.finish();
        assert_eq!(
            faults.none_or_all().unwrap_err().to_string(),
            "x.toml:1:10: \"number\" is no whole number of 0 or more; expected one, without quotes\n\
             x.toml:2:9: \"other\" is no whole number of 0 or more; expected one, without quotes\n\
             x.toml:3:10: a text of \"texts\" is empty; leave it out, or give it a value\n\
             x.toml:3:14: \"texts\" has a number; expected a text in quotes, or a list of them\n\
             x.toml:4:9: \"value\" is a list; expected one value\n\
             x.toml:5:1: \"null\" is no key of this file; did you mean nulls?"
        );
    }

    #[test]
    fn what_is_not_toml_is_told_with_its_place_and_nothing_of_its_text() {
        let text = faults("state = hush-1\n[shop\nregion = 'in1'\nregion = 'in1'\n");
        assert!(text.starts_with("x.toml:1:9: this is not TOML: "), "{text}");
        assert!(text.contains("\nx.toml:2:6: this is not TOML: ") && !text.contains("hush") && !text.contains("no key"), "{text}");
        let twice = faults("[shop]\nregion = 'in1'\nregion = 'sg1'\n");
        assert!(twice.starts_with("x.toml:3:1: this is not TOML: duplicate key"), "{twice}");
    }
}
