//! One table of many files.
//!
//! In: the columns of each file. Out: columns matched by name, each of a type that holds the values of all files; or two files that are not of
//! one table. A file without rows has no say in types: no value of it can change.

use std::{collections::HashMap, sync::Arc};

use arrow::datatypes::{DataType, FieldRef, Fields, Schema};
use datafusion::common::{Result, plan_datafusion_err, plan_err};

use super::widen::{Clash, ClashKind, common};
use crate::literals::literal;

/// The columns of a file, as they are read.
#[derive(Debug)]
pub(super) struct FileColumns<'f> {
    /// What errors call it.
    name: &'f str,
    /// What it is after FROM.
    path: &'f str,
    fields: &'f Fields,
    by_name: HashMap<&'f str, &'f FieldRef>,
    has_rows: bool,
}

impl<'f> FileColumns<'f> {
    pub(super) fn new(name: &'f str, path: &'f str, fields: &'f Fields, has_rows: bool) -> Self {
        Self { name, path, fields, by_name: fields.iter().map(|field| (field.name().as_str(), field)).collect(), has_rows }
    }

    pub(super) fn name(&self) -> &'f str {
        self.name
    }

    pub(super) fn path(&self) -> &'f str {
        self.path
    }

    /// Whether it has rows, and not this column.
    pub(super) fn lacks(&self, column: &str) -> bool {
        self.has_rows && !self.by_name.contains_key(column)
    }
}

/// The columns of a table.
#[derive(Debug)]
pub(super) struct Merged {
    /// In the order in which they are first seen.
    pub(super) fields: Vec<FieldRef>,
    /// What there is to be told.
    pub(super) notes: Vec<String>,
}

/// Makes one table of files.
///
/// # Errors
/// Two columns of a file have one name, or such that differ in case only; so do those of two files; types that no type holds together.
pub(super) fn merge(files: &[FileColumns<'_>]) -> Result<Merged> {
    for file in files {
        if let Some((within, name, other)) = doubled(file.fields, "") {
            let what = if name == other {
                format!("two columns{within} are called \"{name}\"")
            } else {
                format!("the columns{within} \"{name}\" and \"{other}\" differ only in case")
            };
            return plan_err!("{}: {what}; give them different names where the file is written", file.name);
        }
    }
    let mut names: Vec<&str> = Vec::new();
    // By the name in small letters: the column, and the first file that has it.
    let mut first: HashMap<String, (&str, &FileColumns<'_>)> = HashMap::new();
    for file in files {
        for field in file.fields {
            let (name, other) = *first.entry(field.name().to_lowercase()).or_insert_with(|| {
                names.push(field.name());
                (field.name(), file)
            });
            if name != field.name() {
                return plan_err!("{}", alike(&[name], other, &[field.name()], file));
            }
        }
    }
    let fields = names.iter().map(|name| column(name, files)).collect::<Result<_>>()?;
    Ok(Merged { fields, notes: missing(&names, files).into_iter().collect() })
}

/// A column whose name stands twice, with where; letters of another case are no other name.
fn doubled<'f>(fields: &'f Fields, within: &str) -> Option<(String, &'f str, &'f str)> {
    let mut seen: HashMap<String, &str> = HashMap::new();
    for field in fields {
        if let Some(other) = seen.insert(field.name().to_lowercase(), field.name()) {
            return Some((within.to_owned(), other, field.name()));
        }
    }
    fields.iter().find_map(|field| doubled(struct_fields(field.data_type())?, &format!(" of \"{}\"", field.name())))
}

/// The fields of a struct, or of the structs in a list.
fn struct_fields(data_type: &DataType) -> Option<&Fields> {
    match data_type {
        DataType::Struct(fields) => Some(fields),
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => struct_fields(field.data_type()),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(of_map) => of_map.get(1).and_then(|value| struct_fields(value.data_type())),
            _ => None,
        },
        _ => None,
    }
}

/// The column of this name, in files of which one at least has it.
fn column(name: &str, files: &[FileColumns<'_>]) -> Result<FieldRef> {
    let seen: Vec<_> = files.iter().filter_map(|file| Some((file, *file.by_name.get(name)?))).collect();
    let with_rows: Vec<_> = seen.iter().filter(|(file, _)| file.has_rows).collect();
    let Some((_, field)) = with_rows.first().copied().or(seen.first()) else {
        return plan_err!("no file has the column \"{name}\"");
    };
    let mut data_type = field.data_type().clone();
    for (file, field) in &with_rows {
        data_type = common(&data_type, field.data_type()).map_err(|clash| {
            // The first of the files before that by itself goes together with this one no better.
            let found =
                with_rows.iter().find_map(|(other, of_other)| Some((other, common(of_other.data_type(), field.data_type()).err()?)));
            let (other, clash) = found.map_or_else(|| (seen[0].0, clash), |(other, clash)| (*other, clash));
            plan_datafusion_err!("{}", clashing(name, &clash, other, file))
        })?;
    }
    let is_everywhere = with_rows.len() == files.iter().filter(|file| file.has_rows).count();
    let is_nullable = !is_everywhere || with_rows.is_empty() || with_rows.iter().any(|(_, field)| field.is_nullable());
    let field = field.as_ref().clone().with_data_type(data_type).with_nullable(is_nullable);
    Ok(field.into())
}

/// What is told of a column, or of a field of it, that two files do not have together.
fn clashing(name: &str, clash: &Clash, other: &FileColumns<'_>, file: &FileColumns<'_>) -> String {
    let path: Vec<&str> = [name].into_iter().chain(clash.fields.iter().map(String::as_str)).collect();
    match &clash.kind {
        ClashKind::Case(theirs, own) => {
            let with = |last| path.iter().copied().chain([last]).collect::<Vec<&str>>();
            alike(&with(theirs), other, &with(own), file)
        }
        ClashKind::Types(theirs, own) => {
            let is_text = |data_type: &DataType| {
                !data_type.is_nested() && !data_type.is_binary() && !matches!(data_type, DataType::FixedSizeBinary(_))
            };
            let how = match is_text(theirs) && is_text(own) && is_plain(&path, other) && is_plain(&path, file) {
                true => {
                    let last = identifier(path.last().unwrap_or(&name));
                    let select = |file: &FileColumns<'_>, data_type: &DataType| {
                        let text = format!("CAST({} AS VARCHAR)", expression(&path));
                        // 8003.0 is the number that another file has as 8003.
                        let text = if data_type.is_floating() { format!("regexp_replace({text}, '\\.0$', '')") } else { text };
                        format!("SELECT {text} AS {last} FROM {}", literal(file.path))
                    };
                    format!(", with a CAST: {} UNION ALL {}", select(other, theirs), select(file, own))
                }
                false => format!(": FROM {}", literal(file.path)),
            };
            format!(
                "{}, column \"{}\": {own} here and {theirs} in {}, and no type holds the values of both as they are; read each by itself{how}",
                file.name,
                path.join("."),
                other.name
            )
        }
    }
}

/// Whether a path leads through structs alone, so that SQL can name it.
fn is_plain(path: &[&str], file: &FileColumns<'_>) -> bool {
    let mut fields = Some(file.fields);
    path.iter().all(|step| {
        let found = fields.and_then(|fields| fields.iter().find(|field| field.name() == step));
        fields = found.and_then(|field| if let DataType::Struct(fields) = field.data_type() { Some(fields) } else { None });
        found.is_some()
    })
}

/// What is told of names that differ in case only.
fn alike(theirs: &[&str], other: &FileColumns<'_>, own: &[&str], file: &FileColumns<'_>) -> String {
    let alias = identifier(theirs.last().unwrap_or(&""));
    let select = |path: &[&str], file: &FileColumns<'_>| format!("SELECT {} AS {alias} FROM {}", expression(path), literal(file.path));
    let how = match theirs {
        [_] => format!(", as in {} UNION ALL {}", select(theirs, other), select(own, file)),
        _ => format!(": FROM {}", literal(file.path)),
    };
    format!(
        "{}: the column is called \"{}\" here and \"{}\" in {}; read each by itself{how}",
        file.name,
        own.join("."),
        theirs.join("."),
        other.name
    )
}

/// A column, or a field of it, in SQL.
fn expression(path: &[&str]) -> String {
    let (column, fields) = path.split_first().map_or(("", [].as_slice()), |(column, fields)| (*column, fields));
    fields.iter().fold(identifier(column), |of, field| format!("{of}[{}]", literal(field)))
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The first file that lacks a column, and how many columns are so.
fn missing(names: &[&str], files: &[FileColumns<'_>]) -> Option<String> {
    let lacks = |name: &&&str| files.iter().any(|file| file.lacks(name));
    let (name, others) = (names.iter().find(lacks)?, names.iter().filter(lacks).count() - 1);
    let lacking = files.iter().find(|file| file.lacks(name))?;
    let having = files.iter().find(|file| file.by_name.contains_key(name))?;
    let others = match others {
        0 => String::new(),
        1 => "; one more column is missing from some files".to_owned(),
        _ => format!("; {others} more columns are missing from some files"),
    };
    Some(format!("{}: the file has no column \"{name}\", which {} has: it is NULL there{others}", lacking.name, having.name))
}

/// The fields of a table that was planned, as files have them now.
///
/// # Errors
/// The files have it no longer, or with values that its type does not hold.
pub(super) fn still(planned: &Schema, now: &[FieldRef]) -> Result<Vec<FieldRef>> {
    let fields = planned.fields().iter().map(|field| {
        let Some(own) = now.iter().find(|own| own.name() == field.name()) else {
            return plan_err!("no file has the column \"{}\" any more", field.name());
        };
        match common(field.data_type(), own.data_type()) {
            Ok(wide) if wide == *field.data_type() && (field.is_nullable() || !own.is_nullable()) => Ok(Arc::clone(field)),
            Ok(wide) if wide == *field.data_type() => {
                plan_err!("column \"{}\" has NULL now, which it had not when the table was planned", field.name())
            }
            _ => {
                plan_err!("column \"{}\" was {} when the table was planned and is {} now", field.name(), field.data_type(), own.data_type())
            }
        }
    });
    fields.collect()
}
