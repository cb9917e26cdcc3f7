//! `ct_incr(number)`, `ct_decr(number)`: add to or subtract from a number on a profile.
//!
//! In: any integer, float or decimal. Out: `{$incr: n}` or `{$decr: n}` with the same type and digits. CleverTap requires a
//! number above zero. The function does not check that: the write rejects such a row, and there it has a number and is
//! counted.
//!
//! ```
//! # use datafusion::error::Result;
//! # use datafusion::prelude::SessionContext;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! # let mut ctx = SessionContext::new();
//! # datafusion_clevertap_udfs::register(&mut ctx)?;
//! let rows = ctx.sql("SELECT ct_incr(n) AS points, ct_decr(0.50) AS credit FROM (VALUES (5), (NULL)) AS t (n)").await?;
//! datafusion::assert_batches_eq!(
//!     [
//!         "+------------+--------------+",
//!         "| points     | credit       |",
//!         "+------------+--------------+",
//!         "| {$incr: 5} | {$decr: 0.5} |",
//!         "|            | {$decr: 0.5} |",
//!         "+------------+--------------+",
//!     ],
//!     &rows.collect().await?
//! );
//! # Ok(())
//! # }
//! ```

use arrow::array::Array;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use crate::{SECTION, operator};

/// `ct_incr(number)`.
pub(crate) fn incr() -> Number {
    Number::new("ct_incr", "$incr", "ct_decr", "Adds to a number on a CleverTap profile")
}

/// `ct_decr(number)`.
pub(crate) fn decr() -> Number {
    Number::new("ct_decr", "$decr", "ct_incr", "Subtracts from a number on a CleverTap profile")
}

/// An operator whose argument is a number.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Number {
    name: &'static str,
    operator: &'static str,
    signature: Signature,
    documentation: Documentation,
}

impl Number {
    fn new(name: &'static str, operator: &'static str, related: &str, about: &str) -> Self {
        Self {
            name,
            operator,
            signature: Signature::user_defined(Volatility::Immutable),
            documentation: Documentation::builder(
                SECTION,
                format!("{about}: the operator `{operator}`. NULL leaves the property out."),
                format!("{name}(number)"),
            )
            .with_argument("number", "An integer, a float or a decimal. CleverTap wants it above zero.")
            .with_sql_example(format!(
                "```sql\nINSERT INTO clevertap.profiles SELECT user_id AS identity, {name}(points) AS \"Points\" FROM orders;\n```"
            ))
            .with_related_udf(related)
            .build(),
        }
    }
}

impl ScalarUDFImpl for Number {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [argument] = take_function_args(self.name, arg_types)?;
        let plain = match argument {
            DataType::Dictionary(_, value) => value.as_ref(),
            other => other,
        };
        match plain {
            DataType::Null => Ok(vec![DataType::Int64]),
            number if number.is_numeric() => Ok(vec![number.clone()]),
            other => plan_err!(
                "{} was given {other}; expected an integer, a float or a decimal. CAST(… AS BIGINT) or CAST(… AS DOUBLE) makes one",
                self.name
            ),
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        let [argument] = take_function_args(self.name, arg_types)?;
        Ok(operator::type_of(self.operator, argument.clone()))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [argument] = take_function_args(self.name, args.arg_fields)?;
        let returned = self.return_type(&[argument.data_type().clone()])?;
        Ok(operator::return_field(self.name, returned, &args))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [argument] = take_function_args(self.name, args.args)?;
        operator::apply(argument, |numbers| {
            let nulls = numbers.logical_nulls();
            operator::wrap(self.operator, numbers, nulls)
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}
