//! `ct_add(x)`, `ct_remove(x)`, `ct_set(x)`: change a list on a profile.
//!
//! In: a list of text, or one text, which is treated as a list of one. Numbers, booleans and dates are cast to text, because
//! a CleverTap list holds text. Out: `{$add: […]}`, `{$remove: […]}` or `{$set: […]}`, always with items of type `Utf8View`:
//! every list and string type casts to it without copying long texts, and the writer has only one type to read. NULL items
//! are kept; the writer decides what to do with them.
//!
//! ```
//! # use datafusion::error::Result;
//! # use datafusion::prelude::SessionContext;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! # let mut ctx = SessionContext::new();
//! # datafusion_clevertap_udfs::register(&mut ctx)?;
//! let rows = ctx.sql("SELECT ct_add(['gold', 'beta']) AS a, ct_remove('trial') AS r, ct_set([1, 2]) AS s").await?;
//! datafusion::assert_batches_eq!(
//!     [
//!         "+----------------------+--------------------+----------------+",
//!         "| a                    | r                  | s              |",
//!         "+----------------------+--------------------+----------------+",
//!         "| {$add: [gold, beta]} | {$remove: [trial]} | {$set: [1, 2]} |",
//!         "+----------------------+--------------------+----------------+",
//!     ],
//!     &rows.collect().await?
//! );
//! # Ok(())
//! # }
//! ```

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::can_cast_types;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use crate::{SECTION, operator};

/// `ct_add(list or text)`.
pub(crate) fn add() -> List {
    List::new("ct_add", "$add", ["ct_remove", "ct_set"], "Adds items to a list on a CleverTap profile")
}

/// `ct_remove(list or text)`.
pub(crate) fn remove() -> List {
    List::new("ct_remove", "$remove", ["ct_add", "ct_set"], "Removes items from a list on a CleverTap profile")
}

/// `ct_set(list or text)`.
pub(crate) fn set() -> List {
    List::new("ct_set", "$set", ["ct_add", "ct_remove"], "Replaces a list on a CleverTap profile")
}

/// An operator whose argument is a list of text.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct List {
    name: &'static str,
    operator: &'static str,
    signature: Signature,
    documentation: Documentation,
}

impl List {
    fn new(name: &'static str, operator: &'static str, related: [&str; 2], about: &str) -> Self {
        let [first, second] = related;
        Self {
            name,
            operator,
            signature: Signature::user_defined(Volatility::Immutable),
            documentation: Documentation::builder(
                SECTION,
                format!("{about}: the operator `{operator}`. NULL leaves the property out."),
                format!("{name}(items)"),
            )
            .with_argument("items", "A list of text, or one text. Numbers, booleans and dates are taken as text.")
            .with_sql_example(format!(
                "```sql\nINSERT INTO clevertap.profiles SELECT user_id AS identity, {name}(tags) AS \"Tags\" FROM customers;\n```"
            ))
            .with_related_udf(first)
            .with_related_udf(second)
            .build(),
        }
    }

    fn encode(&self, rows: &ArrayRef) -> Result<StructArray> {
        let nulls = rows.logical_nulls();
        let lists = if rows.data_type() == &list_type() {
            Arc::clone(rows)
        } else {
            let ends = OffsetBuffer::from_repeated_length(1, rows.len());
            Arc::new(ListArray::try_new(item(), ends, Arc::clone(rows), nulls.clone())?)
        };
        operator::wrap(self.operator, lists, nulls)
    }
}

impl ScalarUDFImpl for List {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [argument] = take_function_args(self.name, arg_types)?;
        match argument {
            DataType::List(items)
            | DataType::LargeList(items)
            | DataType::FixedSizeList(items, _)
            | DataType::ListView(items)
            | DataType::LargeListView(items)
                if has_text(items.data_type()) =>
            {
                Ok(vec![list_type()])
            }
            scalar if has_text(scalar) => Ok(vec![DataType::Utf8View]),
            other => plan_err!(
                "{} was given {other}; expected a list of text, or one text. array_agg(…) and string_to_array(…, ',') make lists",
                self.name
            ),
        }
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(operator::type_of(self.operator, list_type()))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(operator::return_field(self.name, self.return_type(&[])?, &args))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [argument] = take_function_args(self.name, args.args)?;
        operator::apply(argument, |rows| self.encode(&rows))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}

fn item() -> FieldRef {
    Arc::new(Field::new_list_field(DataType::Utf8View, true))
}

fn list_type() -> DataType {
    DataType::List(item())
}

/// Whether every value of this type can be cast to text. Bytes cannot: they may not be UTF-8.
fn has_text(value: &DataType) -> bool {
    match value {
        DataType::Dictionary(_, value) => has_text(value),
        bytes if bytes.is_binary() => false,
        nested if nested.is_nested() => false,
        other => can_cast_types(other, &DataType::Utf8View),
    }
}
