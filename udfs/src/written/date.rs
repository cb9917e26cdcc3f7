//! `ct_date(text, format)`: a date that was written in a known order, or NULL where the text is no such date.
//!
//! In: text, and a format such as `'dd/mm/yyyy'`: a literal. Out: `Date32`.
//!
//! - `yyyy` is four digits, `mm` and `dd` are two, or one where no other digit can follow. All other characters stand for themselves; blanks
//!   around the text are left out.
//! - A day that its month does not have, another separator and any rest are NULL: a wrong birthday is worse than none. A format with two
//!   digits of the year is refused, since nobody can be sure of the century.
//!
//! `WHERE dob IS NOT NULL AND ct_date(dob, 'dd/mm/yyyy') IS NULL` finds the dates that are lost.
//!
//! ```
//! # use datafusion::error::Result;
//! # use datafusion::prelude::SessionContext;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! # let mut ctx = SessionContext::new();
//! # datafusion_clevertap_udfs::register(&mut ctx)?;
//! let rows = ctx
//!     .sql("SELECT ct_date(dob, 'dd/mm/yyyy') AS date FROM (VALUES ('31/12/1990'), ('1/2/2026'), ('12/31/1990'), ('')) AS t (dob)")
//!     .await?;
//! datafusion::assert_batches_eq!(
//!     ["+------------+", "| date       |", "+------------+", "| 1990-12-31 |", "| 2026-02-01 |", "|            |", "|            |", "+------------+"],
//!     &rows.collect().await?
//! );
//! # Ok(())
//! # }
//! ```

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Date32Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::format::Format;
use crate::SECTION;

const NAME: &str = "ct_date";

/// `ct_date(text, format)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Date {
    signature: Signature,
    documentation: Documentation,
}

impl Date {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
            documentation: Documentation::builder(
                SECTION,
                "A date that was written in a known order, or NULL where the text is no such date.",
                "ct_date(text, format)",
            )
            .with_argument("text", "The date as text, or as a whole number such as 19901231.")
            .with_argument("format", "A literal of yyyy, mm, dd and what stands between them, such as 'dd/mm/yyyy'.")
            .with_sql_example("```sql\nSELECT ct_date('31/12/1990', 'dd/mm/yyyy'); -- 1990-12-31\n```")
            .build(),
        }
    }
}

impl ScalarUDFImpl for Date {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match arg_types {
            [text, format] if is_written(text) && is_written(format) => Ok(vec![DataType::Utf8View; 2]),
            [text, format] => plan_err!("{NAME} was given {text} and {format}; expected text, and a format such as 'dd/mm/yyyy'"),
            other => plan_err!("{NAME} was given {} arguments; expected {NAME}(text, 'dd/mm/yyyy')", other.len()),
        }
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Date32)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        // What is not a literal yet is looked at when it is called.
        if let Some(Some(literal)) = args.scalar_arguments.get(1)
            && format(literal).is_none()
        {
            return plan_err!("{}", wrong_format());
        }
        Ok(Arc::new(Field::new(NAME, DataType::Date32, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [text, ColumnarValue::Scalar(literal)] = args.args.as_slice() else { return exec_err!("{}", wrong_format()) };
        let Some(format) = format(literal) else { return exec_err!("{}", wrong_format()) };
        read(text, |texts| {
            let dates: Date32Array = texts.as_string_view().iter().map(|text| date(text?, &format)).collect();
            Arc::new(dates)
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}

/// Whether values of the type are texts, or whole numbers, which are read by their digits.
pub(super) fn is_written(given: &DataType) -> bool {
    match given {
        DataType::Dictionary(_, value) => is_written(value),
        given => given.is_string() || given.is_integer() || given.is_null(),
    }
}

/// Reads texts in a column or in a literal.
pub(super) fn read(text: &ColumnarValue, column: impl FnOnce(&ArrayRef) -> ArrayRef) -> Result<ColumnarValue> {
    match text {
        ColumnarValue::Array(texts) => Ok(ColumnarValue::Array(column(&cast(texts, &DataType::Utf8View)?))),
        ColumnarValue::Scalar(text) => {
            let read = column(&cast(&text.to_array()?, &DataType::Utf8View)?);
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&read, 0)?))
        }
    }
}

/// The format of a literal.
fn format(literal: &ScalarValue) -> Option<Format> {
    literal.try_as_str().flatten().and_then(Format::new).filter(|format| !format.has_time())
}

fn date(text: &str, format: &Format) -> Option<i32> {
    let (local, rest) = format.read(text)?;
    rest.is_empty().then(|| Date32Type::from_naive_date(local.date()))
}

/// The message does not quote the literal: if the arguments were swapped, it is someone's birthday.
fn wrong_format() -> String {
    format!(
        "{NAME} was given no format of yyyy, mm and dd, each once and nothing else; expected a literal such as 'dd/mm/yyyy': \
         {NAME}(dob, 'dd/mm/yyyy'); ct_event_time reads what has a time too"
    )
}
