//! Columns of a file as columns of the table.
//!
//! In: what a scan reads, in the table's types. Out: the same in the file's types, with casts. Casts of numbers and texts are
//! DataFusion's, which it takes to the other side of a comparison, so that row groups are still left out; units of time, lists, structs and
//! UUIDs are ours.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow::{
    array::RecordBatch,
    datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef},
};
use datafusion::{
    common::{
        Result, ScalarValue,
        tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion},
    },
    functions::core::getfield::GetFieldFunc,
    logical_expr::{ColumnarValue, Operator},
    physical_expr::{
        PhysicalExpr, ScalarFunctionExpr,
        expressions::{BinaryExpr, Column, Literal},
    },
    physical_expr_adapter::{DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory},
};

use super::convert::{convert, is_converted};

const COMPARISONS: [Operator; 8] = [
    Operator::Eq,
    Operator::NotEq,
    Operator::Lt,
    Operator::LtEq,
    Operator::Gt,
    Operator::GtEq,
    Operator::IsDistinctFrom,
    Operator::IsNotDistinctFrom,
];

/// Makes [`Adapter`]s.
#[derive(Debug)]
pub(super) struct AdapterFactory;

impl PhysicalExprAdapterFactory for AdapterFactory {
    fn create(&self, table: SchemaRef, file: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        // To DataFusion, columns that are converted here are of the file's type.
        let left_alone = table.fields().iter().map(|field| match file.field_with_name(field.name()) {
            Ok(own) if is_converted(own.data_type(), field.data_type()) => Arc::new(own.clone()),
            _ => Arc::clone(field),
        });
        let left_alone = Arc::new(Schema::new(left_alone.collect::<Fields>()));
        let casts = DefaultPhysicalExprAdapterFactory.create(left_alone, Arc::clone(&file))?;
        Ok(Arc::new(Adapter { table, file, casts }))
    }
}

/// For one file.
#[derive(Debug)]
struct Adapter {
    table: SchemaRef,
    file: SchemaRef,
    casts: Arc<dyn PhysicalExprAdapter>,
}

impl PhysicalExprAdapter for Adapter {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        let converted = |expr: Arc<dyn PhysicalExpr>| {
            let own = match (self.comparison(&expr), self.column(&expr)) {
                (Some(comparison), _) => Some(comparison),
                (None, Some((_, wanted))) => Some(Arc::new(Converted { expr: Arc::clone(&expr), wanted }) as _),
                (None, None) => self.field_of_struct(&expr)?,
            };
            Ok(own.map_or_else(|| Transformed::no(expr), |own| Transformed::new(own, true, TreeNodeRecursion::Jump)))
        };
        self.casts.rewrite(expr)?.transform_down(converted).data()
    }
}

impl Adapter {
    /// What a column that is converted is in the file, and in the table.
    fn column(&self, expr: &Arc<dyn PhysicalExpr>) -> Option<(DataType, FieldRef)> {
        let column = expr.downcast_ref::<Column>()?;
        let own = self.file.field_with_name(column.name()).ok()?;
        let wanted = self.table.field_with_name(column.name()).ok()?;
        is_converted(own.data_type(), wanted.data_type()).then(|| (own.data_type().clone(), Arc::new(wanted.clone())))
    }

    /// A comparison with a literal that the file's type has too, in that type: row groups are left out by it.
    fn comparison(&self, expr: &Arc<dyn PhysicalExpr>) -> Option<Arc<dyn PhysicalExpr>> {
        let comparison = expr.downcast_ref::<BinaryExpr>().filter(|comparison| COMPARISONS.contains(comparison.op()))?;
        let as_own = |column: &Arc<dyn PhysicalExpr>, literal: &Arc<dyn PhysicalExpr>| {
            let (own, _) = self.column(column).filter(|(own, _)| own.is_temporal())?;
            let value = literal.downcast_ref::<Literal>()?.value();
            let narrow = value.cast_to(&own).ok()?;
            (narrow.cast_to(&value.data_type()).ok()? == *value).then(|| Arc::new(Literal::new(narrow)) as Arc<dyn PhysicalExpr>)
        };
        let (left, right) = (comparison.left(), comparison.right());
        let (left, right) = match (as_own(left, right), as_own(right, left)) {
            (Some(literal), _) => (Arc::clone(left), literal),
            (None, Some(literal)) => (literal, Arc::clone(right)),
            (None, None) => return None,
        };
        Some(Arc::new(BinaryExpr::new(left, *comparison.op(), right)))
    }

    /// A field of a struct, of which no other field is read: DataFusion filters by it while it reads.
    fn field_of_struct(&self, expr: &Arc<dyn PhysicalExpr>) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        let Some(get) = ScalarFunctionExpr::try_downcast_func::<GetFieldFunc>(expr.as_ref()) else { return Ok(None) };
        let Some((column, path)) = get.args().split_first() else { return Ok(None) };
        let Some((own, wanted)) = self.column(column) else { return Ok(None) };
        let name = |step: &Arc<dyn PhysicalExpr>| step.downcast_ref::<Literal>()?.value().try_as_str()?.map(str::to_owned);
        let Some(path) = path.iter().map(name).collect::<Option<Vec<_>>>() else { return Ok(None) };
        let Some(wanted) = within(wanted.data_type(), &path) else { return Ok(None) };
        if within(&own, &path).is_none() {
            return Ok(Some(Arc::new(Literal::new(ScalarValue::try_new_null(wanted.data_type())?))));
        }
        let (function, options) = (Arc::new(get.fun().clone()), Arc::new(get.config_options().clone()));
        let field = ScalarFunctionExpr::try_new(function, get.args().to_vec(), &self.file, options)?;
        Ok(Some(Arc::new(Converted { expr: Arc::new(field), wanted: super::widen::nullable(&wanted) })))
    }
}

/// The field at the end of a path through structs.
fn within(data_type: &DataType, path: &[String]) -> Option<FieldRef> {
    let (first, rest) = path.split_first()?;
    let DataType::Struct(fields) = data_type else { return None };
    let field = fields.iter().find(|field| field.name() == first)?;
    if rest.is_empty() { Some(Arc::clone(field)) } else { within(field.data_type(), rest) }
}

/// Values of a file as the table's.
#[derive(Debug, Clone, Eq)]
struct Converted {
    expr: Arc<dyn PhysicalExpr>,
    wanted: FieldRef,
}

// Not derived, since that would take the expression out of its pointer.
impl PartialEq for Converted {
    fn eq(&self, other: &Self) -> bool {
        self.expr.eq(&other.expr) && self.wanted == other.wanted
    }
}

impl Hash for Converted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.expr.hash(state);
        self.wanted.hash(state);
    }
}

impl fmt::Display for Converted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "READ {} AS {}", self.expr, self.wanted.data_type())
    }
}

impl PhysicalExpr for Converted {
    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        let own: FieldRef = self.expr.return_field(schema)?;
        let is_nullable = own.is_nullable() || self.wanted.is_nullable();
        Ok(Arc::new(Field::new(self.wanted.name(), self.wanted.data_type().clone(), is_nullable)))
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let values = self.expr.evaluate(batch)?.into_array(batch.num_rows())?;
        Ok(ColumnarValue::Array(convert(&values, self.wanted.data_type())?))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.expr]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Self { expr: children.swap_remove(0), wanted: Arc::clone(&self.wanted) }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
