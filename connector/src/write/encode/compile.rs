//! Compiles the schema of a source under a mapping: what each record holds, and in which order.
//!
//! In: a [`Mapping`], the schema, the rules. Out: a [`Plan`], or the error that names column, type and remedy. All that depends only
//! on the types is decided here, so that a row only looks at its values.

use arrow::datatypes::{DataType, FieldRef, Schema};

use super::cell;
use super::context::{Context, Rules};
use super::names::{Names, key_of};
use super::passes::passes;
use super::record_plan::{Field, Plan, Step};
use super::reject::{TWICE, problem};
use super::role::plain;
use super::types;
use super::value::{LongText, Style};
use crate::error::{Error, Result};
use crate::options::NaiveTime;
use crate::table::{Order, RecordSpec, Shape, Write};
use crate::write::mapping::{MappedField, Mapping};

impl Plan {
    pub(super) fn new(mapping: &Mapping, schema: &Schema, rules: &Rules) -> Result<Self> {
        let Some(RecordSpec { fixed, open, resend, order }) = mapping.table.write.as_ref().map(Write::record_spec) else {
            return Err(Error::Unwritable(format!("{} is only read: CleverTap has no call that writes it", mapping.qualified())));
        };
        let names = Names::new(mapping, open);
        let mut compiler = Compiler { mapping, names, context: Context::new(rules, open), fields: Vec::new(), types: Vec::new() };
        for field in &mapping.fields {
            compiler.column(field, schema.field(field.source).data_type())?;
        }
        let event = compiler.event()?;
        let naive = compiler.naive(schema);
        let Compiler { names, context, fields, types, .. } = compiler;
        let identifier = fields.iter().position(|field| field.shape == Shape::Identifier);
        let identifier = identifier.ok_or_else(|| Error::Unwritable(format!("{} needs an identifier", mapping.qualified())))?;
        let open_parent = open.map(|open| key_of(open.pointer));
        let steps = steps(mapping, &fields, fixed, event, open_parent);
        // With several identifier columns, each row chooses: then rows are written one by one.
        let passes = if mapping.identifiers().count() == 1 { passes(&steps, &fields, &types, open) } else { None };
        let (identifier_choice, ordered) = (mapping.identifier_choice, order == Order::ByIdentity);
        Ok(Self { steps, passes, fields, identifier, identifier_choice, names, open: open.copied(), resend, ordered, context, naive })
    }
}

struct Compiler<'a> {
    mapping: &'a Mapping,
    names: Names,
    context: Context,
    fields: Vec<Field>,
    /// Type of the column of each field.
    types: Vec<DataType>,
}

impl Compiler<'_> {
    fn column(&mut self, mapped: &MappedField, data_type: &DataType) -> Result<()> {
        if mapped.shape == Shape::Properties
            && let DataType::Struct(members) = plain(data_type)
        {
            return members.iter().enumerate().try_for_each(|(at, member)| self.member(mapped, at, member));
        }
        let context = &self.context;
        let role = types::role(mapped.shape, data_type, context).map_err(|reason| self.unwritable(mapped, &reason))?;
        let counted = mapped.parent.is_some() && mapped.parent == self.names.parent();
        let key = if mapped.shape == Shape::Properties { mapped.name.clone() } else { mapped.key.clone() };
        let style = context.style(mapped.shape);
        let field = Field {
            source: mapped.source,
            member: None,
            column: mapped.name.clone(),
            key: cell::key(&key),
            name: key,
            shape: mapped.shape,
            role,
            // The limit on texts is for properties only: a token may be longer.
            style: if counted { style } else { Style { long: LongText::Keep, ..style } },
            required: mapped.required,
            deletes: counted && !mapped.required && context.deletes(mapped.shape),
            counted: counted && mapped.shape != Shape::Properties,
            may_repeat: false,
            refused: None,
        };
        self.fields.push(field);
        self.types.push(data_type.clone());
        Ok(())
    }

    /// A field of a struct that is unfolded into properties.
    fn member(&mut self, mapped: &MappedField, at: usize, member: &FieldRef) -> Result<()> {
        let resolved = self.names.resolve(member.name());
        let (name, shape, mut refused) = match resolved {
            Ok((name, shape)) => (name, shape, None),
            Err(problem) => (member.name().clone(), Shape::Value, Some(problem)),
        };
        if refused.is_none()
            && self.fields.iter().any(|field| field.source == mapped.source && field.member.is_some() && field.name == name)
        {
            refused = Some(problem(TWICE, format!("has the key \"{name}\" twice; leave one of them out")));
        }
        let role = types::role(shape, member.data_type(), &self.context).map_err(|reason| {
            let reason = reason.replace("{x}", &format!("\"{}\"['{}']", mapped.written_as, member.name()));
            self.unwritable(mapped, &format!("at the key \"{}\" {reason}", member.name()))
        })?;
        self.fields.push(Field {
            source: mapped.source,
            member: Some(at),
            column: mapped.name.clone(),
            key: cell::key(&name),
            name,
            shape,
            role,
            style: self.context.style(shape),
            required: false,
            deletes: self.context.deletes(shape) && refused.is_none(),
            counted: true,
            may_repeat: self.names.may_repeat(),
            refused,
        });
        self.types.push(member.data_type().clone());
        Ok(())
    }

    /// The columns whose times have no zone, where nothing says which one is meant.
    fn naive(&self, schema: &Schema) -> Vec<(String, Option<String>)> {
        let is_asked = self.context.naive == NaiveTime::Refuse;
        let columns = self.mapping.fields.iter().filter(|mapped| {
            is_asked && mapped.shape != Shape::EpochSeconds && types::has_naive_times(schema.field(mapped.source).data_type())
        });
        let is_plain = |mapped: &MappedField| !plain(schema.field(mapped.source).data_type()).is_nested();
        columns.map(|mapped| (mapped.name.clone(), is_plain(mapped).then(|| mapped.written_as.clone()))).collect()
    }

    /// Key and value of the event name, if the table is of one event.
    fn event(&self) -> Result<Option<Vec<u8>>> {
        let Some(event) = &self.mapping.event else { return Ok(None) };
        types::event_name(event, self.names.forbidden())
            .map_err(|problem| Error::Unwritable(format!("{}: the name of the event {}", self.mapping.qualified(), problem.reason)))?;
        let column = self.mapping.table.columns.iter().find(|column| column.target.shape() == Some(Shape::EventName));
        let mut bytes = cell::key(key_of(column.and_then(|column| column.target.pointer()).unwrap_or_default()));
        cell::text(&mut bytes, event.as_bytes());
        Ok(Some(bytes))
    }

    fn unwritable(&self, mapped: &MappedField, reason: &str) -> Error {
        let reason = reason.replace("{x}", &format!("\"{}\"", mapped.written_as));
        Error::Unwritable(format!("{}: column \"{}\" {reason}", self.mapping.qualified(), mapped.name))
    }
}

/// The parts of a record in order: the fixed bytes, the fields of the record itself, then each object with its fields.
fn steps(
    mapping: &Mapping,
    fields: &[Field],
    fixed: &[(&str, &str)],
    event: Option<Vec<u8>>,
    open_parent: Option<&'static str>,
) -> Vec<Step> {
    let parent = |field: &Field| mapping.fields.iter().find(|mapped| mapped.source == field.source).and_then(|mapped| mapped.parent);
    let mut steps = Vec::new();
    let mut head = vec![b'{'];
    for (key, value) in fixed {
        cell::comma(&mut head);
        head.extend_from_slice(&cell::key(key));
        head.extend_from_slice(value.as_bytes());
    }
    steps.push(Step::Bytes(head));
    let mut roots: Vec<usize> = (0..fields.len()).filter(|at| parent(&fields[*at]).is_none()).collect();
    roots.sort_by_key(|at| match fields[*at].shape {
        Shape::Identifier => 0,
        Shape::EpochSeconds => 1,
        Shape::EventName => 2,
        _ => 3,
    });
    steps.extend(roots.into_iter().map(Step::Field));
    steps.extend(event.map(Step::Next));
    let mut parents: Vec<&str> = open_parent.into_iter().collect();
    for name in fields.iter().filter_map(parent) {
        if !parents.contains(&name) {
            parents.push(name);
        }
    }
    for name in parents {
        steps.push(Step::Open(cell::key(name)));
        steps.extend((0..fields.len()).filter(|at| parent(&fields[*at]) == Some(name)).map(Step::Field));
        steps.push(Step::Close);
    }
    steps.push(Step::Bytes(vec![b'}']));
    steps
}
