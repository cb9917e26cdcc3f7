//! The operators `->` and `->>` in SQL, and the other ways to name a value of JSON text.

use arrow::datatypes::{DataType, Field};
use datafusion::common::{Column, DFSchema, Result, ScalarValue, TableReference, plan_err};
use datafusion::logical_expr::expr::{AggregateFunction, InList, InSubquery};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawAggregateExpr, RawBinaryExpr, RawFieldAccessExpr};
use datafusion::logical_expr::sqlparser::ast::BinaryOperator;
use datafusion::logical_expr::{
    Between, BinaryExpr, Cast, ColumnarValue, Expr, ExprSchemable, GetFieldAccess, Like, Operator, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility, lit,
};
use datafusion_functions_json::udfs::json_as_text_udf;

use super::typed::{compared, is_json, number};
use super::value::{JSON_VALUE, call, json_value};

/// Plans `->`, `->>`, and arithmetic, comparisons and aggregates of what they give.
#[derive(Debug)]
pub struct JsonOperators;

impl ExprPlanner for JsonOperators {
    fn plan_binary_op(&self, raw: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = raw;
        if matches!(op, BinaryOperator::Arrow | BinaryOperator::LongArrow) {
            return arrow(&op, left, right).map(PlannerResult::Planned);
        }
        let planned = if let Some(op) = comparison(&op) {
            compared(&left, op, &right, schema, None)
        } else if let Some(op) = arithmetic(&op).filter(|_| is_json(&left, schema) || is_json(&right, schema)) {
            let as_number = |side: &Expr| if is_json(side, schema) { number(side) } else { side.clone() };
            Some(Expr::BinaryExpr(BinaryExpr::new(as_number(&left).into(), op, as_number(&right).into())))
        } else {
            None
        };
        Ok(planned.map_or(PlannerResult::Original(RawBinaryExpr { op, left, right }), PlannerResult::Planned))
    }

    fn plan_field_access(&self, raw: RawFieldAccessExpr, schema: &DFSchema) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let GetFieldAccess::NamedStructField { name } = &raw.field_access else { return Ok(PlannerResult::Original(raw)) };
        if !raw.expr.get_type(schema).is_ok_and(|kind| kind.is_string()) {
            return Ok(PlannerResult::Original(raw));
        }
        Ok(PlannerResult::Planned(value_of(&json_value(), "->", raw.expr, lit(name.clone()))))
    }

    fn plan_compound_identifier(
        &self,
        field: &Field,
        qualifier: Option<&TableReference>,
        nested: &[String],
    ) -> Result<PlannerResult<Vec<Expr>>> {
        let ([name], true) = (nested, field.data_type().is_string()) else { return Ok(PlannerResult::Original(Vec::new())) };
        let column = Expr::Column(Column::from((qualifier, field)));
        // Without quotes, SQL has made small letters of it, and a property of that name may be another one.
        let is_quoted = name.chars().any(|letter| !letter.is_lowercase() && letter != '_' && !letter.is_ascii_digit());
        Ok(PlannerResult::Planned(if is_quoted {
            value_of(&json_value(), "->", column, lit(name.clone()))
        } else {
            let hint = format!(
                "\"{}\" is JSON text, and SQL does not say whether its \"{name}\" has capitals: write ({} -> '{name}')",
                field.name(),
                field.name()
            );
            ScalarUDF::new_from_impl(Unclear { hint, signature: Signature::any(1, Volatility::Immutable) }).call(vec![column])
        }))
    }

    fn plan_aggregate(&self, mut raw: RawAggregateExpr) -> Result<PlannerResult<RawAggregateExpr>> {
        let Some(json) = raw.args.first().filter(|arg| call(arg).is_some()) else { return Ok(PlannerResult::Original(raw)) };
        match raw.func.name() {
            "sum"
            | "avg"
            | "median"
            | "approx_median"
            | "approx_percentile_cont"
            | "percentile_cont"
            | "stddev"
            | "stddev_pop"
            | "var"
            | "var_pop" => {
                raw.args[0] = number(json);
                let RawAggregateExpr { func, args, distinct, filter, order_by, null_treatment } = raw;
                let aggregate = AggregateFunction::new_udf(func, args, distinct, filter, order_by, null_treatment);
                Ok(PlannerResult::Planned(Expr::AggregateFunction(aggregate)))
            }
            _ => Ok(PlannerResult::Original(raw)),
        }
    }
}

/// `left -> right`. The generic dialect lets a comparison bind tighter: `properties -> ('Amount' > 50)`, which is put right.
fn arrow(op: &BinaryOperator, left: Expr, right: Expr) -> Result<Expr> {
    let (function, sign) = match op {
        BinaryOperator::Arrow => (json_value(), "->"),
        _ => (json_as_text_udf(), "->>"),
    };
    if let Expr::BinaryExpr(BinaryExpr { left: first, op: comparison, right: json }) = left {
        if comparison.supports_propagation() && matches!(*json, Expr::Column(_)) {
            return Ok(Expr::BinaryExpr(BinaryExpr { left: first, op: comparison, right: arrow(op, *json, right)?.into() }));
        }
        return Ok(value_of(&function, sign, Expr::BinaryExpr(BinaryExpr { left: first, op: comparison, right: json }), right));
    }
    let inner = |key: Box<Expr>| arrow(op, left.clone(), *key).map(Box::new);
    Ok(match right {
        Expr::BinaryExpr(BinaryExpr { left: key, op, right })
            if (op.supports_propagation() || op == Operator::StringConcat) && is_key(&key) =>
        {
            Expr::BinaryExpr(BinaryExpr { left: inner(key)?, op, right })
        }
        // `-> 'Amount' * 2`: no name is multiplied.
        Expr::BinaryExpr(BinaryExpr { left: key, op, right }) if op.is_numerical_operators() && is_key(&key) => {
            Expr::BinaryExpr(BinaryExpr { left: number(inner(key)?.as_ref()).into(), op, right })
        }
        Expr::Like(like) if is_key(&like.expr) => Expr::Like(Like { expr: inner(like.expr)?, ..like }),
        Expr::SimilarTo(like) if is_key(&like.expr) => Expr::SimilarTo(Like { expr: inner(like.expr)?, ..like }),
        Expr::Between(between) if is_key(&between.expr) => Expr::Between(Between { expr: inner(between.expr)?, ..between }),
        Expr::InList(list) if is_key(&list.expr) => Expr::InList(InList { expr: inner(list.expr)?, ..list }),
        Expr::InSubquery(query) if is_key(&query.expr) => Expr::InSubquery(InSubquery { expr: inner(query.expr)?, ..query }),
        Expr::IsNull(key) if is_key(&key) => Expr::IsNull(inner(key)?),
        Expr::IsNotNull(key) if is_key(&key) => Expr::IsNotNull(inner(key)?),
        Expr::Cast(Cast { expr, field }) if is_key(&expr) => {
            let kind = field.data_type().to_string().to_lowercase();
            return plan_err!(
                "{sign} '…'::{kind} would make a {kind} of the name: write (properties {sign} '…')::{kind}, with the value in parentheses"
            );
        }
        key => value_of(&function, sign, left, key),
    })
}

/// Whether a literal is the name of a property.
fn is_key(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => value.data_type().is_string() && !value.is_null(),
        // `'Amount'::double > 50`.
        Expr::Cast(cast) => is_key(&cast.expr),
        // `'Amount' * 2 > 50`.
        Expr::BinaryExpr(BinaryExpr { left, op, .. }) if *op == Operator::StringConcat || op.is_numerical_operators() => is_key(left),
        _ => false,
    }
}

/// The call, under the name that it has in SQL. A path into nested values is one call.
fn value_of(function: &std::sync::Arc<ScalarUDF>, sign: &str, json: Expr, key: Expr) -> Expr {
    let name = format!("{} {sign} {}", shown(&json), shown(&key));
    let args = match call(&json).filter(|call| call.func.name() == JSON_VALUE) {
        Some(outer) => outer.args.iter().cloned().chain([key]).collect(),
        None => vec![json, key],
    };
    function.call(args).alias(name)
}

/// An operand as it is in SQL.
fn shown(expr: &Expr) -> String {
    match expr {
        Expr::Column(column) => column.name.clone(),
        Expr::Alias(alias) => alias.name.clone(),
        Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) | ScalarValue::LargeUtf8(Some(text)), _) => {
            format!("'{text}'")
        }
        Expr::Literal(value, _) => value.to_string(),
        expr => expr.to_string(),
    }
}

fn comparison(op: &BinaryOperator) -> Option<Operator> {
    Some(match op {
        BinaryOperator::Eq => Operator::Eq,
        BinaryOperator::NotEq => Operator::NotEq,
        BinaryOperator::Lt => Operator::Lt,
        BinaryOperator::LtEq => Operator::LtEq,
        BinaryOperator::Gt => Operator::Gt,
        BinaryOperator::GtEq => Operator::GtEq,
        _ => return None,
    })
}

fn arithmetic(op: &BinaryOperator) -> Option<Operator> {
    Some(match op {
        BinaryOperator::Plus => Operator::Plus,
        BinaryOperator::Minus => Operator::Minus,
        BinaryOperator::Multiply => Operator::Multiply,
        BinaryOperator::Divide => Operator::Divide,
        BinaryOperator::Modulo => Operator::Modulo,
        _ => return None,
    })
}

/// An expression that cannot be planned, with what to write instead: it fails when its type is asked for.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Unclear {
    hint: String,
    signature: Signature,
}

impl ScalarUDFImpl for Unclear {
    fn name(&self) -> &str {
        "unclear"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        plan_err!("{}", self.hint)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        plan_err!("{}", self.hint)
    }
}
