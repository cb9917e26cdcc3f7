//! `to_timestamp(text)` in a session with a time zone: the type that it promises.
//!
//! In: one of DataFusion's functions that read texts as instants. Out: its instants, of the type that it was planned with. That of 55.2 leaves
//! the zone out of a column, and then ends every statement as an internal error.

use datafusion::arrow::array::{Array, make_array};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// The functions that read texts as instants.
const FUNCTIONS: [&str; 5] = ["to_timestamp", "to_timestamp_seconds", "to_timestamp_millis", "to_timestamp_micros", "to_timestamp_nanos"];

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ZonedTexts {
    function: ScalarUDF,
    signature: Signature,
}

impl ZonedTexts {
    /// `None` of other functions, and of this one.
    pub(super) fn of(function: &ScalarUDF) -> Option<Self> {
        let is_one = FUNCTIONS.contains(&function.name()) && !function.inner().is::<Self>();
        is_one.then(|| Self { function: function.clone(), signature: Signature::variadic_any(Volatility::Immutable) })
    }
}

impl ScalarUDFImpl for ZonedTexts {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.function.return_type(types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let planned = args.return_field.data_type().clone();
        match self.function.inner().invoke_with_args(args)? {
            ColumnarValue::Array(instants) if *instants.data_type() != planned => {
                let instants = instants.to_data().into_builder().data_type(planned).build()?;
                Ok(ColumnarValue::Array(make_array(instants)))
            }
            value => Ok(value),
        }
    }
}
