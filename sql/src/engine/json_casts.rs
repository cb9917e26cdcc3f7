//! `(properties -> 'When')::date`: casts of what `->` finds to types that datafusion-functions-json does not rewrite.
//!
//! In: an expression, after datafusion-functions-json has rewritten the casts that it knows (double, integer, text, boolean). Out: the
//! other casts read the value's text, and are NULL where the text is not of the type, like the ones it knows. Unchanged, they would be
//! NULL for every value, and a decimal would go through a double, which does not hold its digits.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::{
    common::{DFSchema, Result, config::ConfigOptions, tree_node::Transformed},
    logical_expr::{Cast, Expr, ScalarUDF, TryCast, expr::ScalarFunction, expr_rewriter::FunctionRewrite},
};

/// The function rewrite: register it after those of datafusion-functions-json.
#[derive(Debug)]
pub(crate) struct RewriteJsonCasts {
    /// `json_as_text`.
    pub(crate) as_text: Arc<ScalarUDF>,
}

impl FunctionRewrite for RewriteJsonCasts {
    fn name(&self) -> &'static str {
        "rewrite_json_casts"
    }

    fn rewrite(&self, expr: Expr, _: &DFSchema, _: &ConfigOptions) -> Result<Transformed<Expr>> {
        let (Expr::Cast(Cast { expr: inner, field }) | Expr::TryCast(TryCast { expr: inner, field })) = &expr else {
            return Ok(Transformed::no(expr));
        };
        let Some(call) = call(inner) else { return Ok(Transformed::no(expr)) };
        let is_decimal = matches!(field.data_type(), DataType::Decimal128(..) | DataType::Decimal256(..));
        let is_lost = call.func.name() == "json_get" || (call.func.name() == "json_get_float" && is_decimal);
        if !is_lost {
            return Ok(Transformed::no(expr));
        }
        let text = Expr::ScalarFunction(ScalarFunction { func: Arc::clone(&self.as_text), args: call.args.clone() });
        Ok(Transformed::yes(Expr::TryCast(TryCast { expr: Box::new(text), field: Arc::clone(field) })))
    }
}

/// The call that an expression is, under its name.
fn call(expr: &Expr) -> Option<&ScalarFunction> {
    match expr {
        Expr::ScalarFunction(call) => Some(call),
        Expr::Alias(alias) => call(&alias.expr),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::session::Session;

    #[tokio::test]
    async fn every_cast_of_json_is_the_value_or_null() {
        let session = Session::open(None, None).unwrap();
        let json = r#"{"d":"2026-11-01","t":"2026-11-01T10:00:00","n":12345678901234567.89,"i":7,"x":"gold","f":2.5}"#;
        for (cast, expected) in [
            ("(j -> 'd')::date", "2026-11-01"),
            ("(j -> 't')::timestamp", "2026-11-01T10:00:00"),
            ("(j -> 'n')::decimal(30,2)", "12345678901234567.89"),
            ("(j -> 'i')::int unsigned", "7"),
            ("(j -> 'i')::smallint", "7"),
            ("(j -> 'x')::date", ""),
            ("(j -> 'x')::decimal(10,2)", ""),
            ("(j -> 'i')::double", "7.0"),
            ("(j -> 'f')::double", "2.5"),
            ("(j -> 'i')::bigint", "7"),
            ("(j -> 'x')::text", "gold"),
        ] {
            let rows = session.rows(&format!("SELECT {cast} AS v FROM (VALUES ('{json}')) t(j)")).await.unwrap();
            let text = arrow::util::display::array_value_to_string(rows[0].column(0), 0).unwrap();
            assert_eq!(text, expected, "{cast}");
        }
    }
}
