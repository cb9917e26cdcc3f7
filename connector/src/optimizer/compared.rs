//! Finds the scans that a column of a plan comes from.
//!
//! In: what a join compares. Out: the scans below whose rows may be restricted to the keys of the other side. A node is passed only if
//! leaving out rows below it leaves out those with the same key above it, and nothing else: not a LIMIT, a window or the optional side of
//! an outer join.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Column, JoinType};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, cast};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{self, CastExpr};
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{HashJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::union::{InterleaveExec, UnionExec};
use datafusion::physical_plan::{ExecutionPlan, replace_children_if_necessary};

use crate::read::collect_keys::{CollectKeysExec, Collection};
use crate::read::late_filter::LateFilter;
use crate::read::scan::ScanExec;

/// A column of a plan's output, and the casts around it, the outermost first.
#[derive(Debug, Clone)]
pub(super) struct Compared {
    index: usize,
    casts: Vec<DataType>,
}

/// A column of a scan that can take keys.
#[derive(Debug)]
pub(super) struct Taker {
    /// `clevertap.profiles.identity`.
    pub(super) column: String,
    /// Keys are taken by the column with the lowest.
    pub(super) rank: usize,
    /// The most keys that may be given.
    pub(super) keys_max: usize,
    /// Whether a row may have no value in it.
    pub(super) may_be_null: bool,
}

impl Compared {
    /// A side of an equality; `None` if it is no column.
    pub(super) fn of(expr: &Arc<dyn PhysicalExpr>) -> Option<Self> {
        match expr.downcast_ref::<CastExpr>() {
            Some(cast) => {
                let mut inner = Self::of(cast.expr())?;
                inner.casts.insert(0, cast.cast_type().clone());
                Some(inner)
            }
            None => Some(Self { index: expr.downcast_ref::<expressions::Column>()?.index(), casts: Vec::new() }),
        }
    }

    /// The columns of scans in `plan` that it comes from, and that lack a filter.
    pub(super) fn takers(&self, plan: &Arc<dyn ExecutionPlan>) -> Vec<Taker> {
        match plan.downcast_ref::<ScanExec>() {
            Some(scan) => self.taker(scan).into_iter().collect(),
            None => {
                let children = plan.children();
                self.below(plan).into_iter().flat_map(|(child, below)| below.takers(children[child])).collect()
            }
        }
    }

    /// `plan`, with the [`Self::takers`] restricted to key number `key` of `collection`.
    pub(super) fn bind(&self, plan: &Arc<dyn ExecutionPlan>, collection: &Arc<Collection>, key: usize) -> Result<Arc<dyn ExecutionPlan>> {
        if let Some(scan) = plan.downcast_ref::<ScanExec>() {
            return Ok(match self.taker(scan) {
                Some(_) => Arc::new(scan.with_late_filter(LateFilter::keys(self.column(scan), Arc::clone(collection), key))),
                None => Arc::clone(plan),
            });
        }
        let mut children: Vec<_> = plan.children().into_iter().cloned().collect();
        for (child, below) in self.below(plan) {
            children[child] = below.bind(&children[child], collection, key)?;
        }
        replace_children_if_necessary(Arc::clone(plan), children)
    }

    /// The column of the scan, in its casts.
    fn column(&self, scan: &ScanExec) -> Expr {
        let column = Expr::Column(Column::from_name(scan.schema().field(self.index).name()));
        self.casts.iter().rev().fold(column, |column, data_type| cast(column, data_type.clone()))
    }

    fn taker(&self, scan: &ScanExec) -> Option<Taker> {
        let schema = scan.schema();
        let field = schema.field(self.index);
        let (rank, may_be_null) = match scan.key_that_is_missing(field.name()) {
            // A cast between texts says nothing; any other is the author's, and may change what is compared.
            Some(key) if self.casts.iter().all(DataType::is_string) => (key, false),
            None if field.data_type().is_string()
                && self.casts.iter().all(DataType::is_string)
                && scan.lacks_request_filter(field.name()) =>
            {
                (usize::MAX, false)
            }
            None if !self.casts.iter().any(DataType::is_string) && scan.lacks_request_filter(field.name()) => (usize::MAX, true),
            _ => return None,
        };
        let column = format!("{}.{}", scan.qualified(), field.name());
        Some(Taker { column, rank, keys_max: scan.keys_max(), may_be_null })
    }

    /// The children of `plan` from which the column comes, by index.
    fn below(&self, plan: &Arc<dyn ExecutionPlan>) -> Vec<(usize, Self)> {
        let at = |index: usize| Self { index, casts: self.casts.clone() };
        let over = |expr: &Arc<dyn PhysicalExpr>| {
            let mut inner = Self::of(expr)?;
            inner.casts.splice(0..0, self.casts.iter().cloned());
            Some(inner)
        };
        let is_limited = plan.fetch().is_some();
        let found = if is_limited {
            None
        } else if let Some(node) = plan.downcast_ref::<ProjectionExec>() {
            node.expr().get(self.index).and_then(|projected| over(&projected.expr)).map(|inner| (0, inner))
        } else if let Some(node) = plan.downcast_ref::<FilterExec>() {
            node.projection().as_ref().map_or(Some(self.index), |columns| columns.get(self.index).copied()).map(|index| (0, at(index)))
        } else if let Some(node) = plan.downcast_ref::<AggregateExec>() {
            let groups = node.group_expr();
            let group = groups.expr().get(self.index).filter(|_| groups.is_single() && node.limit_options().is_none());
            group.and_then(|(expr, _)| over(expr)).map(|inner| (0, inner))
        } else if let Some(node) = plan.downcast_ref::<HashJoinExec>() {
            node.projection.as_ref().map_or(Some(self.index), |columns| columns.get(self.index).copied()).and_then(|index| {
                let side = below_join(*node.join_type(), node.left().schema().fields().len(), node.right().schema().fields().len(), index)?;
                Some((side.0, at(side.1)))
            })
        } else if let Some(node) = plan.downcast_ref::<SortMergeJoinExec>() {
            below_join(node.join_type(), node.left().schema().fields().len(), node.right().schema().fields().len(), self.index)
                .map(|(side, index)| (side, at(index)))
        } else if plan.is::<UnionExec>() || plan.is::<InterleaveExec>() {
            return (0..plan.children().len()).map(|child| (child, self.clone())).collect();
        } else if passes_rows(plan) {
            Some((0, self.clone()))
        } else {
            None
        };
        found.into_iter().collect()
    }
}

/// Whether `plan` hands on the rows of its input as they are.
fn passes_rows(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<CoalescePartitionsExec>()
        || plan.is::<RepartitionExec>()
        || plan.is::<SortExec>()
        || plan.is::<SortPreservingMergeExec>()
        || plan.is::<CooperativeExec>()
        || plan.is::<CollectKeysExec>()
}

/// The side of a join and the column of it that column `index` of the joined rows is, if the join keeps the rows of that side or drops them
/// one by one.
fn below_join(join_type: JoinType, left: usize, right: usize, index: usize) -> Option<(usize, usize)> {
    match join_type {
        JoinType::Inner if index < left => Some((0, index)),
        JoinType::Inner => Some((1, index - left)),
        JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => (index < left).then_some((0, index)),
        JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => (index < right).then_some((1, index)),
        JoinType::Right => (index >= left).then(|| (1, index - left)),
        JoinType::Full => None,
    }
}
