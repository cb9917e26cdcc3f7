//! `CREATE EXTERNAL TABLE … STORED AS DELTA LOCATION '…'`.
//!
//! In: the statement. Out: the table that is there; or, where it names columns and nothing is there, a table that is made. `OPTIONS (version '3')`
//! and `OPTIONS (timestamp '2026-11-01T00:00:00Z')` are VERSION AS OF and TIMESTAMP AS OF.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use datafusion::catalog::{Session, TableProvider, TableProviderFactory};
use datafusion::logical_expr::CreateExternalTable;
use datafusion::prelude::SessionContext;
use deltalake_core::StructField;
use deltalake_core::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake_core::kernel::transaction::CommitProperties;
use deltalake_core::operations::create::CreateBuilder;

use super::fault::fault;
use super::place::{LOG_FOLDER, Place};
use super::snapshot::AsOf;
use super::table::DeltaTableProvider;
use crate::dml::install;
use crate::error::{Doing, Error, Result, shown};
use crate::settings::Access;

/// Lets a session make tables by `STORED AS DELTA` and write them: the factory, the options of writes (`SET database.…`), the rule that gives a
/// write the source's own types. With [`Access::Read`] they are read alone, and none is made.
///
/// ```
/// # use clevertap_databases::Access;
/// # use datafusion::prelude::SessionContext;
/// # #[tokio::main(flavor = "multi_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let place = folder.path().join("users").display().to_string();
/// let ctx = SessionContext::new();
/// clevertap_databases::delta::register(&ctx, Access::Write);
/// ctx.sql(&format!("CREATE EXTERNAL TABLE users (id BIGINT NOT NULL, plan VARCHAR) STORED AS DELTA LOCATION '{place}'")).await?;
/// ctx.sql("INSERT INTO users VALUES (1, 'gold'), (2, NULL)").await?.collect().await?;
/// assert_eq!(ctx.sql("SELECT * FROM users WHERE plan = 'gold'").await?.count().await?, 1);
/// # Ok(())
/// # }
/// ```
pub fn register(ctx: &SessionContext, access: Access) {
    install(ctx);
    let state = ctx.state_ref();
    state.write().table_factories_mut().insert("DELTA".to_owned(), Arc::new(DeltaTableFactory { access }));
}

/// Makes tables of `STORED AS DELTA`.
#[derive(Debug, Clone, Copy)]
pub struct DeltaTableFactory {
    access: Access,
}

impl DeltaTableFactory {
    /// Of tables with this access. With [`Access::Read`] none is made either.
    #[must_use]
    pub fn new(access: Access) -> Self {
        Self { access }
    }
}

#[async_trait]
impl TableProviderFactory for DeltaTableFactory {
    async fn create(&self, state: &dyn Session, statement: &CreateExternalTable) -> datafusion::error::Result<Arc<dyn TableProvider>> {
        let [location] = statement.locations.as_slice() else {
            return Err(Error::Statement("STORED AS DELTA takes one LOCATION, a folder".into()).into());
        };
        let as_of = as_of(statement)?;
        if statement.unbounded || !statement.order_exprs.is_empty() {
            return Err(Error::Statement("STORED AS DELTA takes neither UNBOUNDED nor WITH ORDER".into()).into());
        }
        if !statement.constraints.is_empty() {
            let problem =
                "a Delta table has no keys: leave PRIMARY KEY and UNIQUE out; SET database.upsert_key = 'id' names the key of REPLACE INTO";
            return Err(Error::Statement(problem.into()).into());
        }
        let place = Place::new(location, state)?;
        let is_there = is_table(&place).await?;
        let declared = statement.schema.as_arrow().fields();
        if !is_there && !declared.is_empty() && as_of == AsOf::Latest {
            if self.access != Access::Write {
                return Err(Error::Statement(format!("{}: there is no table, and this session makes none", place.shown())).into());
            }
            make(&place, statement).await?;
        }
        if is_there && !declared.is_empty() {
            return Err(Error::Statement(format!(
                "{}: a Delta table is there, and has its own columns; leave the columns and PARTITIONED BY out",
                place.shown()
            ))
            .into());
        }
        Ok(Arc::new(DeltaTableProvider::open(location, as_of, self.access, state).await?))
    }
}

async fn is_table(place: &Place) -> Result<bool> {
    let log = place.log(Arc::clone(place.store()));
    log.is_delta_table_location().await.map_err(|error| fault(&place.shown(), Doing::Reading, &error))
}

/// The version that the options name.
fn as_of(statement: &CreateExternalTable) -> Result<AsOf> {
    let mut as_of = AsOf::Latest;
    for (key, value) in &statement.options {
        let named =
            match key.strip_prefix("format.").unwrap_or(key).to_lowercase().as_str() {
                "version" => AsOf::Version(value.parse().map_err(|_| {
                    Error::Statement("the option version of STORED AS DELTA is a whole number: OPTIONS (version '3')".into())
                })?),
                "timestamp" => AsOf::Timestamp(instant(value).ok_or_else(|| {
                    let form = "OPTIONS (timestamp '2026-11-01T00:00:00Z')";
                    Error::Statement(format!("the option timestamp of STORED AS DELTA is a day or an instant with its zone: {form}"))
                })?),
                other => {
                    let problem = format!("option \"{}\" of STORED AS DELTA is not known; there are version and timestamp", shown(other));
                    return Err(Error::Statement(problem));
                }
            };
        if as_of != AsOf::Latest {
            return Err(Error::Statement("STORED AS DELTA takes one of version and timestamp".into()));
        }
        as_of = named;
    }
    Ok(as_of)
}

/// An instant with its zone, or the beginning of a day of UTC.
fn instant(text: &str) -> Option<DateTime<Utc>> {
    let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(|day| NaiveDateTime::new(day, NaiveTime::MIN).and_utc());
    DateTime::parse_from_rfc3339(text).ok().map(|instant| instant.with_timezone(&Utc)).or_else(day)
}

/// Makes the table: its first commit.
async fn make(place: &Place, statement: &CreateExternalTable) -> Result<()> {
    let table = place.shown();
    let any_file = place.any_file().await.map_err(|error| fault(&table, Doing::Reading, &error.into()))?;
    if any_file.is_some() {
        return Err(Error::Statement(format!(
            "{table}: files are there, and no {LOG_FOLDER}/: a Delta table is not made around files; name an empty folder"
        )));
    }
    if !statement.column_defaults.is_empty() {
        return Err(Error::Statement(format!("{table}: a Delta table here has no DEFAULT; leave it out")));
    }
    let partitions = &statement.table_partition_cols;
    let fields = statement.schema.as_arrow().fields().iter().map(|field| made(&table, field)).collect::<Result<Vec<_>>>()?;
    let is_no_name = |data_type: &DataType| data_type.is_nested() || data_type == &DataType::Binary;
    if let Some(field) = fields.iter().find(|field| partitions.contains(field.name()) && is_no_name(field.data_type())) {
        return Err(Error::Statement(format!("{table}: \"{}\" is nested or binary, and no column of partitions", shown(field.name()))));
    }
    if partitions.len() == fields.len() {
        return Err(Error::Statement(format!("{table}: every column is in PARTITIONED BY; one at least is in the files")));
    }
    let columns: Vec<StructField> = fields
        .iter()
        .map(TryIntoKernel::<StructField>::try_into_kernel)
        .collect::<Result<_, _>>()
        .map_err(|error| Error::Statement(format!("{table}: Delta Lake has no such type: {error}")))?;
    CreateBuilder::new()
        .with_log_store(place.log(Arc::clone(place.store())))
        .with_columns(columns)
        .with_partition_columns(partitions.clone())
        // The library would make the table of another that made it meanwhile into this one.
        .with_commit_properties(CommitProperties::default().with_max_retries(0))
        .await
        .map(drop)
        .map_err(|error| fault(&table, Doing::Writing, &error))
}

/// A column as Delta has it.
fn made(table: &str, field: &FieldRef) -> Result<Field> {
    let none = |data_type: &DataType, remedy: &str| {
        Error::Statement(format!("{table}: column \"{}\" is {data_type}, which Delta Lake has not; {remedy}", shown(field.name())))
    };
    fn of(data_type: &DataType, none: &dyn Fn(&DataType, &str) -> Error) -> Result<DataType> {
        let inner = |field: &FieldRef| Ok::<_, Error>(Arc::new(field.as_ref().clone().with_data_type(of(field.data_type(), none)?)));
        Ok(match data_type {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
            DataType::Timestamp(_, None) => DataType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Timestamp(_, Some(_)) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            DataType::List(element) | DataType::LargeList(element) => DataType::List(inner(element)?),
            DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect::<Result<_>>()?),
            DataType::Boolean
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Float32
            | DataType::Float64
            | DataType::Date32
            | DataType::Decimal128(..) => data_type.clone(),
            unsigned if unsigned.is_unsigned_integer() => {
                return Err(none(unsigned, "declare BIGINT, or DECIMAL(20, 0) for BIGINT UNSIGNED"));
            }
            other => return Err(none(other, "declare VARCHAR, and cast to it")),
        })
    }
    let data_type = of(field.data_type(), &none)?;
    Ok(Field::new(field.name(), data_type, field.is_nullable()))
}
