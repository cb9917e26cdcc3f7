//! `ct_phone(text [, region])`: a phone number in E.164, as CleverTap accepts it, or NULL if the text is not a valid number.
//!
//! In: text, a dictionary of text, or an integer. Out: `Utf8View`. The region is an ISO 3166 code of two letters, such as
//! `'IN'`: a literal or a column.
//!
//! - Without a region only numbers with a leading `+` are read. A leading `00` is not: it is the international prefix of most
//!   countries, but not of the United States or Japan. With a region it is read if it is the prefix there.
//! - A literal that is not a region is an error. In a column, NULL or an invalid code counts as no region, so that a bad row
//!   does not fail the query: its number is read if it has a `+`.
//! - An extension is dropped: E.164 has none.
//! - A result is a fixed point: `ct_phone` of it gives the same number with any region. A number for which this does not hold
//!   is NULL.
//!
//! `WHERE phone IS NOT NULL AND ct_phone(phone, 'IN') IS NULL` finds the numbers that are lost.
//!
//! ```
//! # use datafusion::error::Result;
//! # use datafusion::prelude::SessionContext;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! # let mut ctx = SessionContext::new();
//! # datafusion_clevertap_udfs::register(&mut ctx)?;
//! let rows = ctx
//!     .sql(
//!         "SELECT ct_phone(phone) AS alone, ct_phone(phone, country) AS with_country
//!          FROM (VALUES ('+44 20 7946 0018', 'IN'), ('098123 45678', 'IN'), ('12', 'IN')) AS t (phone, country)",
//!     )
//!     .await?;
//! datafusion::assert_batches_eq!(
//!     [
//!         "+---------------+---------------+",
//!         "| alone         | with_country  |",
//!         "+---------------+---------------+",
//!         "| +442079460018 | +442079460018 |",
//!         "|               | +919812345678 |",
//!         "|               |               |",
//!         "+---------------+---------------+",
//!     ],
//!     &rows.collect().await?
//! );
//! # Ok(())
//! # }
//! ```

use std::sync::Arc;

use arrow::array::{Array, ArrayAccessor, ArrayIter, ArrayRef, AsArray, StringViewArray, StringViewBuilder, downcast_dictionary_array};
use arrow::compute::kernels::boolean::not;
use arrow::compute::kernels::cmp::eq;
use arrow::compute::{cast, nullif, take};
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err, internal_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use phonenumber::country;

use crate::SECTION;
use crate::e164::{self, Reader};

const NAME: &str = "ct_phone";

/// `ct_phone(text [, region])`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Phone {
    signature: Signature,
    documentation: Documentation,
}

impl Phone {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
            documentation: Documentation::builder(
                SECTION,
                "A phone number in E.164, as CleverTap takes it, or NULL where the text is no valid number. \
                 Without a region only numbers with a leading `+` are read.",
                "ct_phone(phone [, region])",
            )
            .with_argument("phone", "The number as text, or as a whole number, also of a type that has fractions.")
            .with_argument(
                "region",
                "Where it was written: an ISO 3166 code of two letters, such as 'IN'. In a column, NULL or another text counts as no region.",
            )
            .with_sql_example("```sql\nSELECT ct_phone('098123 45678', 'IN'); -- +919812345678\n```")
            .build(),
        }
    }
}

impl ScalarUDFImpl for Phone {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match arg_types {
            [phone] => Ok(vec![phone_type(phone)?]),
            [phone, region] => Ok(vec![phone_type(phone)?, region_type(region)?]),
            other => plan_err!("{NAME} was given {} arguments; expected {NAME}(phone) or {NAME}(phone, region)", other.len()),
        }
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        if let [_, Some(region)] = args.scalar_arguments {
            let Ok(_) = constant_region(region) else {
                return plan_err!("{}", wrong_region());
            };
        }
        Ok(Arc::new(Field::new(NAME, DataType::Utf8View, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.as_slice() {
            [phone] => read(phone, None),
            [phone, ColumnarValue::Scalar(region)] => match constant_region(region) {
                Ok(region) => read(phone, region),
                Err(WrongRegion) => exec_err!("{}", wrong_region()),
            },
            [phone, ColumnarValue::Array(regions)] => {
                let phones = phone.to_array(regions.len())?;
                let phones = if may_be_whole(phones.data_type()) { whole(&phones)? } else { cast(&phones, &DataType::Utf8View)? };
                let rows = with_regions(phones.as_string_view(), regions.as_string_view());
                Ok(ColumnarValue::Array(Arc::new(rows)))
            }
            other => internal_err!("{NAME} was called with {} arguments", other.len()),
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}

fn phone_type(given: &DataType) -> Result<DataType> {
    match given {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Ok(given.clone()),
        DataType::Dictionary(_, value) if value.is_string() => Ok(given.clone()),
        DataType::Dictionary(_, value) if value.is_integer() => Ok(DataType::Utf8View),
        DataType::Null | DataType::Decimal128(_, 0) => Ok(DataType::Utf8View),
        integer if integer.is_integer() => Ok(DataType::Utf8View),
        float if float.is_floating() => Ok(DataType::Float64),
        decimal @ DataType::Decimal128(..) => Ok(decimal.clone()),
        other => plan_err!("{NAME} was given {other} as the phone; expected text, or an integer. CAST(… AS VARCHAR) makes text"),
    }
}

fn region_type(given: &DataType) -> Result<DataType> {
    match given {
        DataType::Null => Ok(DataType::Utf8View),
        text if text.is_string() => Ok(DataType::Utf8View),
        DataType::Dictionary(_, value) if value.is_string() => Ok(DataType::Utf8View),
        other => plan_err!("{NAME} was given {other} as the region; expected an ISO 3166 code of two letters, such as 'IN'"),
    }
}

/// The error for a literal that is not a region.
struct WrongRegion;

/// The region of a literal; NULL means no region.
fn constant_region(value: &ScalarValue) -> Result<Option<country::Id>, WrongRegion> {
    match value.try_as_str() {
        Some(Some(code)) => e164::region(code).map(Some).ok_or(WrongRegion),
        Some(None) => Ok(None),
        None if value.is_null() => Ok(None),
        None => Err(WrongRegion),
    }
}

/// The message does not quote the literal: if the arguments were swapped, it is someone's phone number.
fn wrong_region() -> String {
    format!(
        "{NAME} was given a region that is no ISO 3166 code of two letters; expected one such as 'IN', 'US' or 'GB': {NAME}(phone, 'IN')"
    )
}

/// Reads a scalar or an array with one region.
fn read(phone: &ColumnarValue, region: Option<country::Id>) -> Result<ColumnarValue> {
    match phone {
        ColumnarValue::Array(phones) => Ok(ColumnarValue::Array(column(phones, region)?)),
        ColumnarValue::Scalar(phone) => {
            let phone = match may_be_whole(&phone.data_type()) {
                true => ScalarValue::try_from_array(&whole(&phone.to_array()?)?, 0)?,
                false => phone.clone(),
            };
            let number = match phone.try_as_str() {
                Some(text) => text.and_then(|text| Reader::default().read(text, region).map(str::to_owned)),
                None => return internal_err!("{NAME} was called with {}", phone.data_type()),
            };
            Ok(ColumnarValue::Scalar(ScalarValue::Utf8View(number)))
        }
    }
}

/// Whether it is a type of numbers with fractions, whose values may be whole.
fn may_be_whole(given: &DataType) -> bool {
    matches!(given, DataType::Float64 | DataType::Decimal128(..))
}

/// The digits of whole numbers. A fraction is NULL, as what is no phone number.
fn whole(numbers: &ArrayRef) -> Result<ArrayRef> {
    let whole = cast(numbers, &DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0))?;
    let is_same = eq(&cast(&whole, numbers.data_type())?, numbers)?;
    Ok(cast(&nullif(&whole, &not(&is_same)?)?, &DataType::Utf8View)?)
}

/// Reads an array with one region. Each value of a dictionary is read once, unless it has more values than rows.
fn column(phones: &ArrayRef, region: Option<country::Id>) -> Result<ArrayRef> {
    Ok(match phones.data_type() {
        number if may_be_whole(number) => Arc::new(rows(whole(phones)?.as_string_view(), region)),
        DataType::Utf8 => Arc::new(rows(phones.as_string::<i32>(), region)),
        DataType::LargeUtf8 => Arc::new(rows(phones.as_string::<i64>(), region)),
        DataType::Utf8View => Arc::new(rows(phones.as_string_view(), region)),
        DataType::Dictionary(_, _) => downcast_dictionary_array!(
            phones => {
                if phones.values().len() <= phones.len() {
                    take(&column(phones.values(), region)?, phones.keys(), None)?
                } else {
                    column(&take(phones.values(), phones.keys(), None)?, region)?
                }
            },
            other => return internal_err!("{NAME} was called with {other}"),
        ),
        other => return internal_err!("{NAME} was called with {other}"),
    })
}

fn rows<'a, Texts>(phones: Texts, region: Option<country::Id>) -> StringViewArray
where
    Texts: ArrayAccessor<Item = &'a str>,
{
    let mut reader = Reader::default();
    let mut numbers = StringViewBuilder::with_capacity(phones.len());
    for phone in ArrayIter::new(phones) {
        numbers.append_option(phone.and_then(|text| reader.read(text, region)));
    }
    numbers.finish()
}

/// Reads each row with its own region, which is looked up only when it changes from one row to the next.
fn with_regions(phones: &StringViewArray, regions: &StringViewArray) -> StringViewArray {
    let mut reader = Reader::default();
    let mut numbers = StringViewBuilder::with_capacity(phones.len());
    let mut last = (None, None);
    for (phone, code) in phones.iter().zip(regions) {
        if code != last.0 {
            last = (code, code.and_then(e164::region));
        }
        numbers.append_option(phone.and_then(|text| reader.read(text, last.1)));
    }
    numbers.finish()
}
