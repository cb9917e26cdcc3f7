//! Columns that were read from text of files, as other types, and the values that are theirs.
//!
//! In: an expression, and the plans that its columns are of. Out: the column of a file whose value it is, through aliases, CASE, `coalesce`, `max` and
//! others that choose among values, up to the scan. What reckons, and what its author has cast, is another value.
//!
//! Who reads text files marks the fields with [`OWN_TEXT`], and has a rule by which a cast to text of such a column is what stands in the file. The
//! connector casts what becomes an identifier, or is compared with one.

use datafusion::common::Column;
use datafusion::logical_expr::expr::{Alias, ScalarFunction};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Window};

/// The key of the metadata that marks a field.
pub const OWN_TEXT: &str = "clevertap.own_text";
/// The mark of a column whose cells may be written in another way than its type writes them.
pub const DIFFERS: &str = "differs";
/// The mark of a column whose cells come back as the same text; and of one that is text.
pub const SAME: &str = "same";

/// Functions whose value is one of their arguments, or holds them.
const CHOOSE: [&str; 19] = [
    "coalesce",
    "nvl",
    "ifnull",
    "nullif",
    "greatest",
    "least",
    "make_array",
    "array_element",
    "named_struct",
    "struct",
    "get_field",
    "min",
    "max",
    "first_value",
    "last_value",
    "nth_value",
    "any_value",
    "array_agg",
    "lag",
];

/// A column of a text file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// Its name in the file.
    pub column: String,
    /// Whether its cells may be written in another way than its type writes them.
    pub differs: bool,
}

/// The column whose value `expr` is; of several, one that differs.
#[must_use]
pub fn written(expr: &Expr, inputs: &[&LogicalPlan]) -> Option<Written> {
    match expr {
        Expr::Column(column) => inputs.iter().find_map(|input| {
            let at = input.schema().maybe_index_of_column(column)?;
            written_at(input, at)
        }),
        Expr::OuterReferenceColumn(field, column) => of_field(field.metadata().get(OWN_TEXT)?, column),
        Expr::Alias(Alias { expr, .. }) => written(expr, inputs),
        Expr::Case(case) => {
            let branches = case.when_then_expr.iter().map(|(_, then)| then).chain(&case.else_expr);
            any(branches.map(AsRef::as_ref), inputs)
        }
        Expr::ScalarFunction(ScalarFunction { func, args }) if CHOOSE.contains(&func.name()) => any(args, inputs),
        Expr::AggregateFunction(function) if CHOOSE.contains(&function.func.name()) => any(&function.params.args, inputs),
        Expr::WindowFunction(function) if CHOOSE.contains(&function.fun.name()) || function.fun.name() == "lead" => {
            any(&function.params.args, inputs)
        }
        Expr::ScalarSubquery(subquery) => written_at(&subquery.subquery, 0),
        Expr::Unnest(unnest) => written(&unnest.expr, inputs),
        _ => None,
    }
}

fn any<'e>(exprs: impl IntoIterator<Item = &'e Expr>, inputs: &[&LogicalPlan]) -> Option<Written> {
    exprs.into_iter().filter_map(|expr| written(expr, inputs)).max_by_key(|written| written.differs)
}

fn of_field(mark: &str, column: &Column) -> Option<Written> {
    Some(Written { column: column.name.clone(), differs: mark == DIFFERS })
}

/// The column whose value the one at `at` of a plan is.
fn written_at(plan: &LogicalPlan, at: usize) -> Option<Written> {
    let column = || (at < plan.schema().fields().len()).then(|| Column::from(plan.schema().qualified_field(at)));
    match plan {
        LogicalPlan::TableScan(_) => of_field(plan.schema().fields().get(at)?.metadata().get(OWN_TEXT)?, &column()?),
        LogicalPlan::Projection(projection) => written(projection.expr.get(at)?, &[&projection.input]),
        LogicalPlan::SubqueryAlias(alias) => written_at(&alias.input, at),
        LogicalPlan::Union(union) => union.inputs.iter().filter_map(|input| written_at(input, at)).max_by_key(|written| written.differs),
        LogicalPlan::Aggregate(Aggregate { input, group_expr, aggr_expr, .. }) => match group_expr.as_slice() {
            [Expr::GroupingSet(set)] => any(set.distinct_expr(), &[input]),
            _ => written(group_expr.iter().chain(aggr_expr).nth(at)?, &[input]),
        },
        LogicalPlan::Window(Window { input, window_expr, .. }) => match at.checked_sub(input.schema().fields().len()) {
            Some(at) => written(window_expr.get(at)?, &[input]),
            None => written_at(input, at),
        },
        LogicalPlan::Unnest(unnest) => {
            let input = unnest.input.as_ref();
            (0..input.schema().fields().len()).filter_map(|at| written_at(input, at)).max_by_key(|written| written.differs)
        }
        _ => written(&Expr::Column(column()?), &plan.inputs()),
    }
}
