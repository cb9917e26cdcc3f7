//! Long chains of AND, OR and UNION as trees that are not deep.
//!
//! In: a parsed statement, in which `a OR b OR c OR …` nests as deep as it has terms. Out: the same, as `((a OR b) OR (c OR d)) OR …`.
//! DataFusion asks each level for the type of all below it, so a deep chain takes time by the square of its terms, and stack. What means the
//! same however it is put in brackets is put so that it takes neither; short chains stay, so that plans look as they were written.

use std::ops::ControlFlow;

use datafusion::sql::parser::{CopyToSource, Statement};
use datafusion::sql::sqlparser::ast::{self, BinaryOperator, Expr, Query, SetExpr, SetOperator, SetQuantifier, VisitMut, VisitorMut};

/// Chains up to this depth stay as they are.
const DEPTH_MAX: usize = 32;

/// The statement with its chains as trees.
pub(crate) fn balanced(mut statement: Statement) -> Statement {
    balance(&mut statement);
    statement
}

fn balance(statement: &mut Statement) {
    // No visit breaks off.
    let _continue = match statement {
        Statement::Statement(statement) => statement.visit(&mut Balance),
        Statement::Explain(explain) => return balance(&mut explain.statement),
        Statement::CopyTo(copy) => match &mut copy.source {
            CopyToSource::Query(query) => query.visit(&mut Balance),
            CopyToSource::Relation(_) => return,
        },
        _ => return,
    };
}

/// Visits from the top, so that it goes down into trees that are no longer deep.
struct Balance;

impl VisitorMut for Balance {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        regroup(expr);
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        regroup(query.body.as_mut());
        ControlFlow::Continue(())
    }
}

/// What may be a chain of operands with one operator between them.
trait Chain: Sized {
    type Operator: PartialEq + Clone;

    /// The left operand and the operator, if it is one that may be regrouped.
    fn left(&self) -> Option<(&Self, Self::Operator)>;

    /// Both operands of this operator, or itself if it is something else.
    fn split(self, operator: &Self::Operator) -> Result<(Self, Self), Self>;

    fn join(left: Self, operator: Self::Operator, right: Self) -> Self;

    /// Stands where an operand was taken.
    fn nothing() -> Self;
}

fn regroup<T: Chain>(top: &mut T) {
    let Some((_, operator)) = top.left() else { return };
    let same = |chain: &&T| chain.left().is_some_and(|(_, other)| other == operator);
    let depth = std::iter::successors(Some(&*top), |chain| chain.left().map(|(left, _)| left)).take_while(same).take(DEPTH_MAX + 1).count();
    if depth <= DEPTH_MAX {
        return;
    }
    let mut operands = Vec::new();
    let mut rest = vec![std::mem::replace(top, T::nothing())];
    while let Some(next) = rest.pop() {
        match next.split(&operator) {
            Ok((left, right)) => rest.extend([right, left]),
            Err(operand) => operands.push(operand),
        }
    }
    while operands.len() > 1 {
        let mut pairs = Vec::with_capacity(operands.len().div_ceil(2));
        let mut each = operands.into_iter();
        while let Some(left) = each.next() {
            pairs.push(match each.next() {
                Some(right) => T::join(left, operator.clone(), right),
                None => left,
            });
        }
        operands = pairs;
    }
    if let Some(balanced) = operands.pop() {
        *top = balanced;
    }
}

impl Chain for Expr {
    type Operator = BinaryOperator;

    fn left(&self) -> Option<(&Self, BinaryOperator)> {
        match self {
            Self::BinaryOp { left, op: op @ (BinaryOperator::And | BinaryOperator::Or), .. } => Some((left, op.clone())),
            _ => None,
        }
    }

    fn split(self, operator: &BinaryOperator) -> Result<(Self, Self), Self> {
        match self {
            Self::BinaryOp { left, op, right } if op == *operator => Ok((*left, *right)),
            other => Err(other),
        }
    }

    fn join(left: Self, op: BinaryOperator, right: Self) -> Self {
        Self::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
    }

    fn nothing() -> Self {
        Self::value(ast::Value::Null)
    }
}

impl Chain for SetExpr {
    type Operator = SetQuantifier;

    fn left(&self) -> Option<(&Self, SetQuantifier)> {
        match self {
            Self::SetOperation {
                left,
                op: SetOperator::Union,
                set_quantifier: quantifier @ (SetQuantifier::All | SetQuantifier::Distinct | SetQuantifier::None),
                ..
            } => Some((left, *quantifier)),
            _ => None,
        }
    }

    fn split(self, quantifier: &SetQuantifier) -> Result<(Self, Self), Self> {
        match self {
            Self::SetOperation { left, op: SetOperator::Union, set_quantifier, right } if set_quantifier == *quantifier => {
                Ok((*left, *right))
            }
            other => Err(other),
        }
    }

    fn join(left: Self, set_quantifier: SetQuantifier, right: Self) -> Self {
        Self::SetOperation { left: Box::new(left), op: SetOperator::Union, set_quantifier, right: Box::new(right) }
    }

    fn nothing() -> Self {
        Self::Table(Box::new(ast::Table { table_name: None, schema_name: None }))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::parser::DFParser;

    use super::*;

    fn text(sql: &str) -> String {
        balanced(DFParser::parse_sql(sql).expect("parsed").pop_front().expect("a statement")).to_string()
    }

    /// The conditions of a chain, and how deep it is.
    fn depth(statement: Statement) -> usize {
        let Statement::Statement(statement) = statement else { panic!("SQL") };
        let ast::Statement::Query(query) = *statement else { panic!("a query") };
        let SetExpr::Select(select) = *query.body else { panic!("a SELECT") };
        fn below(expr: &Expr) -> usize {
            match expr {
                Expr::BinaryOp { left, right, op: BinaryOperator::And | BinaryOperator::Or } => 1 + below(left).max(below(right)),
                _ => 0,
            }
        }
        below(&select.selection.expect("a condition"))
    }

    #[test]
    fn a_long_chain_keeps_its_order_and_is_no_longer_deep() {
        for operator in [" AND ", " OR "] {
            let terms: Vec<_> = (0..1_000).map(|number| format!("x = {number}")).collect();
            let sql = format!("SELECT 1 FROM t WHERE {}", terms.join(operator));
            assert_eq!(text(&sql), sql);
            let parsed = DFParser::parse_sql(&sql).expect("parsed").pop_front().expect("a statement");
            assert_eq!(depth(balanced(parsed)), 10);
        }
    }

    #[test]
    fn chains_inside_of_each_other_and_of_subqueries_are_regrouped_too() {
        let row = |number| format!("{} AND y = {number}", vec!["x > 1"; 100].join(" AND "));
        let rows: Vec<_> = (0..100).map(row).collect();
        let sql = format!("SELECT 1 FROM t WHERE {} AND z IN (SELECT a FROM b WHERE {})", rows.join(" OR "), rows.join(" OR "));
        assert_eq!(text(&sql), sql);
        let parsed = DFParser::parse_sql(&sql).expect("parsed").pop_front().expect("a statement");
        assert!(depth(balanced(parsed)) <= 16);
    }

    #[test]
    fn unions_of_one_kind_are_regrouped_and_other_operators_stay() {
        for operator in [" UNION ALL ", " UNION "] {
            let selects: Vec<_> = (0..500).map(|number| format!("SELECT {number} AS a")).collect();
            let sql = selects.join(operator);
            assert_eq!(text(&sql), sql);
            let Statement::Statement(statement) = balanced(DFParser::parse_sql(&sql).expect("parsed").pop_front().expect("a statement"))
            else {
                panic!("SQL")
            };
            let ast::Statement::Query(query) = *statement else { panic!("a query") };
            assert_eq!(std::iter::successors(Some(&*query.body), |set| set.left().map(|(left, _)| left)).count(), 10);
        }
        // `(1 - 1) - 1` is not `1 - (1 - 1)`; a chain of two kinds of UNION is not one of them.
        for sql in [
            vec!["1"; 100].join(" - "),
            vec!["1"; 100].join(" EXCEPT SELECT "),
            vec!["1"; 60].join(" UNION SELECT ") + " UNION ALL SELECT 2",
        ] {
            let sql = format!("SELECT {sql}");
            assert_eq!(text(&sql), sql);
        }
    }
}
