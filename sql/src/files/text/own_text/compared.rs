//! What is compared with text is compared as it is written, and so are the decimals of two files.
//!
//! In: the expressions of a node, before type coercion, which would make numbers of texts: `01` would be `1`, and `u-1` an error. Out: casts to
//! text of the numbers of text files there, and of whole numbers of others that are compared with a text of a file; and of those that are put
//! together with text.

use arrow::datatypes::DataType;
use datafusion::{
    common::{
        DFSchema, Result,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{
        BinaryExpr, Case, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, Subquery, cast,
        expr::{InList, InSubquery, ScalarFunction},
    },
};
use datafusion_clevertap::own_text::{Written, written};
use datafusion_clevertap_udfs::json::is_json_value;

/// Functions that make one text of all they are given.
const JOIN: [&str; 2] = ["concat", "concat_ws"];

/// What the expressions of a node refer to.
pub(super) struct Scope<'s> {
    pub(super) schema: &'s DFSchema,
    pub(super) inputs: &'s [&'s LogicalPlan],
}

/// One side of a comparison.
struct Side {
    data_type: DataType,
    /// Whether it is text, and not a value out of JSON, which is compared as what it is compared with.
    is_text: bool,
    written: Option<Written>,
}

impl Side {
    fn of(expr: &Expr, scope: &Scope<'_>) -> Option<Self> {
        let field = expr.to_field(scope.schema).ok()?.1;
        let is_text = match field.data_type() {
            DataType::Dictionary(_, value) => value.is_string(),
            given => given.is_string(),
        };
        let is_text = is_text && !is_json_value(expr, scope.schema);
        Some(Self { data_type: field.data_type().clone(), is_text, written: written(expr, scope.inputs) })
    }

    /// Whether it is a number of a text file.
    fn is_number(&self) -> bool {
        self.written.is_some() && (self.data_type.is_integer() || self.data_type.is_decimal() || self.data_type.is_floating())
    }

    /// Whether it is a text of a text file.
    fn is_text_of_file(&self) -> bool {
        self.written.is_some() && self.is_text
    }

    fn differs(&self) -> bool {
        self.written.as_ref().is_some_and(|written| written.differs) && !self.data_type.is_string()
    }
}

/// Both sides as they are compared; `None` if nothing changes.
pub(super) fn pair(left: &Expr, right: &Expr, scope: &Scope<'_>, of_right: &Scope<'_>) -> Option<(Expr, Expr)> {
    let (one, other) = (Side::of(left, scope)?, Side::of(right, of_right)?);
    let text = |expr: &Expr| cast(expr.clone(), DataType::Utf8View);
    if one.is_number() && other.is_text {
        return Some((text(left), right.clone()));
    }
    if other.is_number() && one.is_text {
        return Some((left.clone(), text(right)));
    }
    // The text of a whole number is one, so that this is exact.
    if one.is_text_of_file() && other.data_type.is_integer() {
        return Some((left.clone(), text(right)));
    }
    if other.is_text_of_file() && one.data_type.is_integer() {
        return Some((text(left), right.clone()));
    }
    let are_decimals = one.is_number() && other.is_number() && (one.data_type.is_decimal() || other.data_type.is_decimal());
    are_decimals.then(|| (text(left), text(right)))
}

/// An expression with such casts.
pub(super) fn compared(expr: Expr, scope: &Scope<'_>) -> Result<Transformed<Expr>> {
    expr.transform_up(|expr| match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_equality(op) => Ok(match pair(&left, &right, scope, scope) {
            Some((left, right)) => Transformed::yes(Expr::BinaryExpr(BinaryExpr { left: left.into(), op, right: right.into() })),
            None => Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })),
        }),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) => {
            let (left, is_left) = as_text(*left, scope);
            let (right, is_right) = as_text(*right, scope);
            let joined = Expr::BinaryExpr(BinaryExpr { left: left.into(), op: Operator::StringConcat, right: right.into() });
            Ok(if is_left || is_right { Transformed::yes(joined) } else { Transformed::no(joined) })
        }
        Expr::ScalarFunction(ScalarFunction { func, args }) if JOIN.contains(&func.name()) => {
            let args: Vec<(Expr, bool)> = args.into_iter().map(|arg| as_text(arg, scope)).collect();
            let is_changed = args.iter().any(|(_, is_text)| *is_text);
            let joined = Expr::ScalarFunction(ScalarFunction { func, args: args.into_iter().map(|(arg, _)| arg).collect() });
            Ok(if is_changed { Transformed::yes(joined) } else { Transformed::no(joined) })
        }
        Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == "arrow_cast" => Ok(match args.as_slice() {
            [value, Expr::Literal(named, _)]
                if Side::of(value, scope).is_some_and(|side| side.differs())
                    && named
                        .try_as_str()
                        .flatten()
                        .and_then(|named| named.parse::<DataType>().ok())
                        .is_some_and(|named| named.is_string()) =>
            {
                Transformed::yes(cast(value.clone(), DataType::Utf8View))
            }
            _ => Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args })),
        }),
        Expr::InList(InList { expr, list, negated }) => {
            let pairs: Vec<_> = list.iter().map(|item| pair(&expr, item, scope, scope)).collect();
            let Some(of_list) = pairs.iter().flatten().map(|(expr, _)| expr.clone()).find(|cast| *cast != *expr) else {
                let changed = pairs.iter().any(Option::is_some);
                let list = list.into_iter().zip(pairs).map(|(item, pair)| pair.map_or(item, |(_, item)| item)).collect();
                let list = Expr::InList(InList { expr, list, negated });
                return Ok(if changed { Transformed::yes(list) } else { Transformed::no(list) });
            };
            // One is text, so that all are.
            let list = list.into_iter().map(|item| cast(item, DataType::Utf8View)).collect();
            Ok(Transformed::yes(Expr::InList(InList { expr: of_list.into(), list, negated })))
        }
        Expr::Case(Case { expr: Some(expr), when_then_expr, else_expr })
            if when_then_expr.iter().any(|(when, _)| pair(&expr, when, scope, scope).is_some()) =>
        {
            let when_then_expr = when_then_expr.into_iter().map(|(when, then)| (cast(*when, DataType::Utf8View).into(), then)).collect();
            Ok(Transformed::yes(Expr::Case(Case { expr: Some(cast(*expr, DataType::Utf8View).into()), when_then_expr, else_expr })))
        }
        Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
            let inner = std::sync::Arc::clone(&subquery.subquery);
            let output = inner.schema().columns().into_iter().next().map(Expr::Column);
            let of_inner = Scope { schema: inner.schema(), inputs: &[&inner] };
            let Some((expr, output)) = output.and_then(|output| pair(&expr, &output, scope, &of_inner)) else {
                return Ok(Transformed::no(Expr::InSubquery(InSubquery { expr, subquery, negated })));
            };
            let plan = LogicalPlanBuilder::from(inner.as_ref().clone()).project([output])?.build()?;
            let subquery = Subquery { subquery: std::sync::Arc::new(plan), ..subquery };
            Ok(Transformed::yes(Expr::InSubquery(InSubquery { expr: expr.into(), subquery, negated })))
        }
        expr => Ok(Transformed::no(expr)),
    })
}

fn is_equality(op: Operator) -> bool {
    matches!(op, Operator::Eq | Operator::NotEq | Operator::IsDistinctFrom | Operator::IsNotDistinctFrom)
}

/// A value that is put together with text.
fn as_text(expr: Expr, scope: &Scope<'_>) -> (Expr, bool) {
    match Side::of(&expr, scope) {
        Some(side) if side.differs() => (cast(expr, DataType::Utf8View), true),
        _ => (expr, false),
    }
}
