//! `ct_delete()`: removes a property from a profile.
//!
//! In: nothing. Out: the scalar `{$delete: 1}`, which is not expanded to one value per row.
//!
//! ```
//! # use datafusion::error::Result;
//! # use datafusion::prelude::SessionContext;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! # let mut ctx = SessionContext::new();
//! # datafusion_clevertap_udfs::register(&mut ctx)?;
//! let rows = ctx.sql("SELECT identity, ct_delete() AS plan FROM (VALUES ('a'), ('b')) AS t (identity)").await?;
//! datafusion::assert_batches_eq!(
//!     [
//!         "+----------+--------------+",
//!         "| identity | plan         |",
//!         "+----------+--------------+",
//!         "| a        | {$delete: 1} |",
//!         "| b        | {$delete: 1} |",
//!         "+----------+--------------+",
//!     ],
//!     &rows.collect().await?
//! );
//! # Ok(())
//! # }
//! ```

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use crate::{SECTION, operator};

const NAME: &str = "ct_delete";
const OPERATOR: &str = "$delete";

/// `ct_delete()`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Delete {
    signature: Signature,
    documentation: Documentation,
}

impl Delete {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::nullary(Volatility::Immutable),
            documentation: Documentation::builder(
                SECTION,
                "Removes a property from a CleverTap profile: the operator `$delete`.",
                "ct_delete()",
            )
            .with_sql_example(
                "```sql\nINSERT INTO clevertap.profiles SELECT user_id AS identity, ct_delete() AS \"Plan\" FROM former_customers;\n```",
            )
            .build(),
        }
    }
}

impl ScalarUDFImpl for Delete {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(operator::type_of(OPERATOR, DataType::Int64))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(operator::return_field(NAME, self.return_type(&[])?, &args))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [] = take_function_args(NAME, args.args)?;
        let one: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let row = operator::wrap(OPERATOR, one, None)?;
        Ok(ColumnarValue::Scalar(ScalarValue::Struct(Arc::new(row))))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}
