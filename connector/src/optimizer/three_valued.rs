//! WHERE clauses with NULL in a list or in a subquery, as SQL means them: somebody whose `NOT IN` is unknown is not taken.
//!
//! In: a plan whose types are coerced. Out: the same plan, where each condition of a filter takes the same rows, written so that
//! DataFusion's optimizer evaluates it by three-valued logic. Of lists that hold NULL, and of NOT IN over a subquery under OR, with a
//! literal, or correlated, it takes rows that SQL does not (apache/datafusion#25336, #25340, #25347, #25473).
//!
//! A filter takes a row where its condition is true; false and unknown are one. So, with every NOT pushed down to its leaf,
//!
//! | leaf | is true where |
//! |---|---|
//! | `x IN (a, NULL)` | `x IN (a)` is |
//! | `x NOT IN (a, NULL)` | never |
//! | `x IN (a, y)` with a column `y` | `x IN (a) OR x = y` is |
//! | `x NOT IN (a, y)` | `x NOT IN (a) AND x <> y` is |
//! | `x NOT IN (SELECT c …)` | no `c` equals `x`, no `c` is NULL, and `x` is not NULL or there is no `c` |
//! | `x op ANY (SELECT c …)` | there is a `c` with `x op c` |
//! | `x op ALL (SELECT c …)` | there is no `c` but those with `x op c` |
//!
//! Inside of a CASE or a function false and unknown are two; there such a leaf is left to DataFusion, and refused where people are
//! erased or changed by it.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ExprSchema};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Exists, InList, InSubquery, SetComparison, SetQuantifier};
use datafusion::logical_expr::utils::{conjunction, disjunction};
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, LogicalPlanBuilder, Operator, Subquery, WriteOp, binary_expr, lit};
use datafusion::optimizer::AnalyzerRule;

use crate::dml::rewrite::target_of;
use crate::error::Error;
use crate::write::job::Operation;

#[derive(Debug)]
pub(crate) struct ThreeValuedFilters;

impl AnalyzerRule for ThreeValuedFilters {
    fn name(&self) -> &'static str {
        "clevertap_three_valued_filters"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let names_people = is_of_people(&plan)?;
        plan.transform_up_with_subqueries(|plan| {
            let LogicalPlan::Filter(mut filter) = plan else { return Ok(Transformed::no(plan)) };
            if !is_at_risk(&filter.predicate)? {
                return Ok(Transformed::no(LogicalPlan::Filter(filter)));
            }
            let leaves = Leaves { schema: Arc::clone(filter.input.schema()), names_people };
            filter.predicate = leaves.taken(filter.predicate, false, true)?;
            Ok(Transformed::yes(LogicalPlan::Filter(filter)))
        })
        .map(|transformed| transformed.data)
    }
}

/// Whether the rows of a plan are people that a statement erases or changes.
fn is_of_people(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| {
        let LogicalPlan::Dml(dml) = node else { return Ok(false) };
        let changes = matches!(dml.op, WriteOp::Delete | WriteOp::Update);
        Ok(target_of(dml).is_some_and(|table| changes || table.statement.operation == Operation::Update))
    })
}

/// Whether there is a leaf for which false and unknown differ by NULL in a list or in a subquery.
fn is_at_risk(expr: &Expr) -> Result<bool> {
    let mut found = false;
    expr.apply(|expr| {
        found |= match expr {
            Expr::InList(list) => list.list.iter().any(|item| is_null(item) || !matches!(item, Expr::Literal(..))),
            Expr::InSubquery(_) | Expr::SetComparison(_) => true,
            _ => false,
        };
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

fn is_null(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => value.is_null(),
        Expr::Cast(cast) => is_null(&cast.expr),
        Expr::Alias(alias) => is_null(&alias.expr),
        _ => false,
    }
}

/// Whether `expr` is a column, perhaps below casts.
fn is_column(expr: &Expr) -> bool {
    match expr {
        Expr::Cast(cast) => is_column(&cast.expr),
        expr => matches!(expr, Expr::Column(_)),
    }
}

fn never() -> Expr {
    lit(ScalarValue::Boolean(Some(false)))
}

/// Conditions over the rows of one filter.
struct Leaves {
    schema: Arc<DFSchema>,
    /// Whether people are erased or changed by it.
    names_people: bool,
}

impl Leaves {
    /// A condition that is true for the same rows as `expr`, or as its negation. `alone` says that no OR is around it.
    fn taken(&self, expr: Expr, negated: bool, alone: bool) -> Result<Expr> {
        Ok(match expr {
            Expr::Not(inner) => self.taken(*inner, !negated, alone)?,
            Expr::Alias(alias) => self.taken(*alias.expr, negated, alone)?,
            Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
                let op = match (op, negated) {
                    (Operator::And, false) | (Operator::Or, true) => Operator::And,
                    _ => Operator::Or,
                };
                let alone = alone && op == Operator::And;
                binary_expr(self.taken(*left, negated, alone)?, op, self.taken(*right, negated, alone)?)
            }
            Expr::InList(list) => self.in_list(list, negated)?,
            Expr::InSubquery(InSubquery { expr, subquery, negated: not }) if negated == not => {
                if subquery.outer_ref_columns.is_empty() {
                    Expr::InSubquery(InSubquery { expr, subquery, negated: false })
                } else {
                    // Under OR, DataFusion cannot plan it where the column is cast.
                    let c = output(&subquery)?;
                    self.exists(&subquery, &expr, |x| binary_expr(c, Operator::Eq, x), false)?
                }
            }
            // Its anti join knows NULL, and reads the subquery once.
            Expr::InSubquery(InSubquery { expr, subquery, .. })
                if alone && !self.names_people && is_column(&expr) && subquery.outer_ref_columns.is_empty() =>
            {
                Expr::InSubquery(InSubquery { expr, subquery, negated: true })
            }
            Expr::InSubquery(InSubquery { expr, subquery, .. }) => self.not_in(&expr, &subquery)?,
            Expr::SetComparison(comparison) => self.quantified(comparison, negated)?,
            Expr::Exists(Exists { subquery, negated: not }) => Expr::Exists(Exists { subquery, negated: not != negated }),
            leaf => {
                if self.names_people && is_at_risk(&leaf)? {
                    return Err(Error::Filter(
                        "IN over a list with NULL, or over a subquery, stands inside of an expression that tells false from unknown, and whom \
                         it means could not be proved; nothing was sent. Write it as a condition of its own, by AND, OR and NOT, or as \
                         EXISTS (SELECT …)"
                            .into(),
                    )
                    .into());
                }
                if negated { Expr::Not(Box::new(leaf)) } else { leaf }
            }
        })
    }

    fn in_list(&self, InList { expr, list, negated: not }: InList, negated: bool) -> Result<Expr> {
        let has_null = list.iter().any(is_null);
        let items: Vec<Expr> = list.into_iter().filter(|item| !is_null(item)).collect();
        let negated = negated != not;
        if negated && has_null {
            return Ok(never());
        }
        let (listed, others): (Vec<Expr>, Vec<Expr>) = items.into_iter().partition(|item| matches!(item, Expr::Literal(..)));
        let op = if negated { Operator::NotEq } else { Operator::Eq };
        let compared = others.into_iter().map(|item| binary_expr(expr.as_ref().clone(), op, item));
        let listed = (!listed.is_empty()).then(|| Expr::InList(InList { expr: expr.clone(), list: listed, negated }));
        let all = listed.into_iter().chain(compared);
        Ok(if negated { conjunction(all) } else { disjunction(all) }.unwrap_or_else(never))
    }

    /// `x NOT IN (SELECT c …)`.
    fn not_in(&self, x: &Expr, subquery: &Subquery) -> Result<Expr> {
        let c = output(subquery)?;
        let equal = self.exists(subquery, x, |x| binary_expr(c.clone(), Operator::Eq, x), true)?;
        let unknown = exists(subquery, Some(c.clone().is_null()), Vec::new(), true)?;
        let nobody = exists(subquery, None, Vec::new(), true)?;
        let known = match x {
            Expr::Literal(value, _) if !value.is_null() => None,
            x => disjunction([x.clone().is_not_null(), nobody]),
        };
        Ok(conjunction([equal, unknown].into_iter().chain(known)).unwrap_or_else(never))
    }

    fn quantified(&self, SetComparison { expr, subquery, op, quantifier }: SetComparison, negated: bool) -> Result<Expr> {
        let (op, all) = match (negated, op.negate()) {
            (false, _) => (op, quantifier == SetQuantifier::All),
            (true, Some(opposite)) => (opposite, quantifier == SetQuantifier::Any),
            // No comparison that ANY and ALL take.
            (true, None) => return Ok(Expr::Not(Box::new(Expr::SetComparison(SetComparison { expr, subquery, op, quantifier })))),
        };
        let c = output(&subquery)?;
        match (op, all) {
            (Operator::NotEq, true) => self.not_in(&expr, &subquery),
            (op, true) => self.exists(&subquery, &expr, |x| binary_expr(x, op, c.clone()).is_not_true(), true),
            (op, false) => self.exists(&subquery, &expr, |x| binary_expr(x, op, c.clone()), false),
        }
    }

    /// Whether the subquery has a row for which `condition` of `x` holds, where `x` is of the row outside.
    fn exists(&self, subquery: &Subquery, x: &Expr, condition: impl FnOnce(Expr) -> Expr, negated: bool) -> Result<Expr> {
        let mut outer = Vec::new();
        let x = x.clone().transform(|expr| {
            let Expr::Column(column) = &expr else { return Ok(Transformed::no(expr)) };
            let field = Arc::clone(self.schema.field_from_column(column)?);
            let reference = Expr::OuterReferenceColumn(field, column.clone());
            outer.push(reference.clone());
            Ok(Transformed::yes(reference))
        })?;
        exists(subquery, Some(condition(x.data)), outer, negated)
    }
}

/// The one column of a subquery, over [`rows`].
fn output(subquery: &Subquery) -> Result<Expr> {
    if let Some((_, column)) = projected(&subquery.subquery) {
        return Ok(column);
    }
    Ok(Expr::Column(Column::from(subquery.subquery.schema().qualified_field(0))))
}

/// The rows of a subquery, before they are reduced to its column: where that is a cast column, it has the name of the column itself, and
/// DataFusion cannot plan a correlated condition over both.
fn rows(subquery: &Subquery) -> &Arc<LogicalPlan> {
    projected(&subquery.subquery).map_or(&subquery.subquery, |(rows, _)| rows)
}

fn projected(plan: &LogicalPlan) -> Option<(&Arc<LogicalPlan>, Expr)> {
    let LogicalPlan::Projection(projection) = plan else { return None };
    let [column] = projection.expr.as_slice() else { return None };
    // `SELECT 'x'` has no columns below it, and DataFusion cannot plan EXISTS over none.
    (!projection.input.schema().fields().is_empty()).then_some(())?;
    Some((&projection.input, column.clone().unalias()))
}

/// Whether the subquery has a row for which `condition` holds.
fn exists(subquery: &Subquery, condition: Option<Expr>, outer: Vec<Expr>, negated: bool) -> Result<Expr> {
    let plan = match condition {
        Some(condition) => Arc::new(LogicalPlanBuilder::from(rows(subquery).as_ref().clone()).filter(condition)?.build()?),
        None => Arc::clone(rows(subquery)),
    };
    let outer_ref_columns = subquery.outer_ref_columns.iter().cloned().chain(outer).collect();
    Ok(Expr::Exists(Exists { subquery: Subquery { subquery: plan, outer_ref_columns, spans: subquery.spans.clone() }, negated }))
}
