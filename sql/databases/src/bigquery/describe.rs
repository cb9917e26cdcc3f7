//! What BigQuery says of a table, and which Arrow type each of its types is.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field as ArrowField, Fields, TimeUnit};
use futures::{StreamExt, TryStreamExt};

use super::client::Client;
use super::dialect::name;
use super::fault::{Failure, of_failure};
use super::wire::{Dataset, Datasets, Field, Table, Tables};
use crate::error::{Doing, Error, Result, shown};
use crate::relation::{Column, Comparison, Listed, Relation, Unnamed};
use crate::write::path::STAGE_PREFIX;

/// How many datasets are listed at once.
const AT_ONCE: usize = 8;

/// All tables of all datasets, but for those of ours that wait to be merged.
pub(super) async fn list(client: &Client) -> Result<Vec<Listed>> {
    let datasets = schemas(client).await?;
    let tables = futures::stream::iter(datasets).map(|dataset| async move { list_dataset(client, &dataset).await }).buffered(AT_ONCE);
    Ok(tables.try_collect::<Vec<_>>().await?.into_iter().flatten().collect())
}

/// The names of all datasets.
pub(super) async fn schemas(client: &Client) -> Result<Vec<String>> {
    let mut datasets = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let page: Datasets = client.get(page_url(client, &["datasets"], token.as_deref())).await.map_err(unlisted)?;
        datasets.extend(page.datasets.into_iter().map(|dataset| dataset.dataset_reference.dataset_id));
        token = page.next_page_token;
        if token.is_none() {
            return Ok(datasets);
        }
    }
}

fn unlisted(failure: Failure) -> Error {
    of_failure(failure, "the list of tables", Doing::Reading)
}

/// All tables of a dataset, but for those of ours that wait to be merged.
pub(super) async fn list_dataset(client: &Client, dataset: &str) -> Result<Vec<Listed>> {
    let mut listed = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let page: Tables = client.get(page_url(client, &["datasets", dataset, "tables"], token.as_deref())).await.map_err(unlisted)?;
        let own = page.tables.into_iter().filter(|table| !table.table_reference.table_id.starts_with(STAGE_PREFIX));
        listed.extend(own.map(|table| Listed {
            schema: dataset.to_owned(),
            is_view: is_view(&table.kind),
            table: table.table_reference.table_id,
        }));
        token = page.next_page_token;
        if token.is_none() {
            return Ok(listed);
        }
    }
}

fn page_url(client: &Client, steps: &[&str], token: Option<&str>) -> url::Url {
    let mut query = vec![("maxResults", "1000")];
    query.extend(token.iter().map(|token| ("pageToken", *token)));
    client.url(&client.project, steps, &query)
}

fn is_view(kind: &str) -> bool {
    matches!(kind, "VIEW" | "MATERIALIZED_VIEW")
}

/// Where the jobs of a dataset run.
pub(super) async fn location(client: &Client, dataset: &str, qualified: &str) -> Result<Option<String>> {
    if client.location.is_some() {
        return Ok(client.location.clone());
    }
    let found = client.get::<Dataset>(client.url(&client.project, &["datasets", dataset], &[])).await;
    Ok(found.map_err(|failure| of_failure(failure, qualified, Doing::Writing))?.location)
}

pub(super) async fn relation(client: &Client, schema: &str, table: &str) -> Result<Option<Relation>> {
    // No table has such a name, and a path with it would lead elsewhere.
    if [schema, table].iter().any(|name| matches!(*name, "" | "." | "..")) {
        return Ok(None);
    }
    let qualified = format!("{}.{}", shown(schema), shown(table));
    let found = match client.get::<Table>(client.url(&client.project, &["datasets", schema, "tables", table], &[])).await {
        Ok(found) => found,
        Err(Failure::Refused(refusal)) if refusal.is_not_found() => return Ok(None),
        Err(failure) => return Err(of_failure(failure, &qualified, Doing::Reading)),
    };
    let is_view = is_view(&found.kind);
    Ok(Some(Relation {
        database: String::new(),
        schema: schema.to_owned(),
        name: table.to_owned(),
        columns: found.schema.fields.iter().map(|field| column(field, &qualified)).collect::<Result<_>>()?,
        key: found.table_constraints.and_then(|constraints| constraints.primary_key).map_or_else(Vec::new, |key| key.columns),
        // Of a view it is not known.
        rows: found.num_rows.and_then(|rows| rows.parse().ok()).filter(|_| !is_view),
        is_view,
        exists: true,
        is_transactional: true,
    }))
}

fn column(field: &Field, qualified: &str) -> Result<Column> {
    let unread = || {
        Error::Statement(format!(
            "{qualified}: column \"{}\" is {}, which this version does not read; a view without it, or with CAST(… AS STRING), can be read",
            shown(&field.name),
            shown(&field.kind)
        ))
    };
    let known = known(field).ok_or_else(unread)?;
    Ok(Column {
        name: field.name.clone(),
        stored: None,
        data_type: known.data_type,
        nullable: field.mode != "REQUIRED",
        sql_type: known.sql_type,
        is_cast: known.is_cast,
        chars_max: field.max_length.as_ref().and_then(|chars| chars.parse().ok()).filter(|_| field.kind == "STRING"),
        unnamed: if field.generated_column.is_some() {
            Unnamed::Generated
        } else if field.default_value_expression.is_some() || field.mode == "REPEATED" {
            // An array that is not named is empty.
            Unnamed::Default
        } else {
            Unnamed::Null
        },
        comparison: known.comparison,
        is_loosely_equal: known.is_loosely_equal || !field.collation.is_empty(),
    })
}

/// What is known of a type.
struct Known {
    data_type: DataType,
    sql_type: String,
    comparison: Comparison,
    is_cast: bool,
    is_loosely_equal: bool,
}

fn known(field: &Field) -> Option<Known> {
    let simple = simple(field)?;
    if field.mode != "REPEATED" {
        return Some(simple);
    }
    Some(Known {
        data_type: DataType::List(Arc::new(ArrowField::new_list_field(simple.data_type, true))),
        sql_type: format!("ARRAY<{}>", simple.sql_type),
        comparison: Comparison::Never,
        is_cast: false,
        is_loosely_equal: true,
    })
}

fn simple(field: &Field) -> Option<Known> {
    let plain = |data_type: DataType, sql_type: &str, comparison| Known {
        data_type,
        sql_type: sql_type.to_owned(),
        comparison,
        is_cast: false,
        is_loosely_equal: false,
    };
    let text = |sql_type: &str| Known { is_cast: true, is_loosely_equal: true, ..plain(DataType::Utf8, sql_type, Comparison::Never) };
    Some(match field.kind.as_str() {
        "INTEGER" | "INT64" => plain(DataType::Int64, "INT64", Comparison::Exact),
        "FLOAT" | "FLOAT64" => {
            // Of NaN each comparison is false there, and here it is the greatest.
            Known { is_loosely_equal: true, ..plain(DataType::Float64, "FLOAT64", Comparison::Never) }
        }
        "NUMERIC" => decimal(field, "NUMERIC", 38, 9),
        "BIGNUMERIC" => decimal(field, "BIGNUMERIC", 76, 38),
        "BOOLEAN" | "BOOL" => plain(DataType::Boolean, "BOOL", Comparison::Exact),
        "STRING" => plain(DataType::Utf8, "STRING", Comparison::Text),
        "BYTES" => plain(DataType::Binary, "BYTES", Comparison::Never),
        "DATE" => plain(DataType::Date32, "DATE", Comparison::Exact),
        "DATETIME" => plain(DataType::Timestamp(TimeUnit::Microsecond, None), "DATETIME", Comparison::Exact),
        "TIMESTAMP" => plain(utc(), "TIMESTAMP", Comparison::Exact),
        "TIME" => plain(DataType::Time64(TimeUnit::Microsecond), "TIME", Comparison::Never),
        "JSON" => text("JSON"),
        "GEOGRAPHY" => text("GEOGRAPHY"),
        "INTERVAL" => text("INTERVAL"),
        "RANGE" => text(&format!("RANGE<{}>", field.range_element_type.as_ref()?.kind)),
        "RECORD" | "STRUCT" => {
            let known: Vec<_> = field.fields.iter().map(known).collect::<Option<_>>()?;
            let fields = field.fields.iter().zip(&known);
            let arrow: Fields = fields.clone().map(|(field, known)| ArrowField::new(&field.name, known.data_type.clone(), true)).collect();
            let sql: Vec<_> = fields.map(|(field, known)| format!("{} {}", name(&field.name), known.sql_type)).collect();
            let sql_type = format!("STRUCT<{}>", sql.join(", "));
            Known { is_loosely_equal: true, ..plain(DataType::Struct(arrow), &sql_type, Comparison::Never) }
        }
        _ => return None,
    })
}

/// A decimal, of fewer digits if its column says so.
fn decimal(field: &Field, keyword: &str, digits_max: u8, scale_max: i8) -> Known {
    let number = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<u8>().ok());
    let stated = number(&field.precision).filter(|digits| (1..=digits_max).contains(digits));
    let (precision, scale) = match (stated, number(&field.scale).and_then(|scale| i8::try_from(scale).ok())) {
        (Some(precision), scale) => (precision, scale.unwrap_or(0).min(scale_max)),
        // As many as there are, but for a part of a digit that BIGNUMERIC has more.
        (None, _) => (digits_max, scale_max),
    };
    Known {
        data_type: if digits_max <= 38 { DataType::Decimal128(precision, scale) } else { DataType::Decimal256(precision, scale) },
        sql_type: format!("{keyword}({precision}, {scale})"),
        comparison: Comparison::Exact,
        is_cast: false,
        is_loosely_equal: false,
    }
}

fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The column that a write makes for values of a type: what it takes, and its definition.
pub(super) fn made(data_type: &DataType) -> Result<(DataType, String)> {
    let plain = |data_type: DataType, sql: &str| Ok((data_type, sql.to_owned()));
    match data_type {
        DataType::Boolean => plain(DataType::Boolean, "BOOL"),
        DataType::UInt64 => plain(DataType::Decimal128(20, 0), "NUMERIC(20, 0)"),
        data_type if data_type.is_integer() => plain(DataType::Int64, "INT64"),
        data_type if data_type.is_floating() => plain(DataType::Float64, "FLOAT64"),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => {
            let (precision, scale) = if *scale < 0 { (precision + scale.unsigned_abs(), 0) } else { (*precision, *scale) };
            let whole = precision.saturating_sub(scale.unsigned_abs());
            match (whole, scale) {
                (..=29, ..=9) => Ok((DataType::Decimal128(precision, scale), format!("NUMERIC({precision}, {scale})"))),
                (..=38, ..=38) => Ok((DataType::Decimal256(precision, scale), format!("BIGNUMERIC({precision}, {scale})"))),
                _ => no_column(data_type),
            }
        }
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => plain(DataType::Utf8, "STRING"),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => plain(DataType::Binary, "BYTES"),
        DataType::Date32 | DataType::Date64 => plain(DataType::Date32, "DATE"),
        DataType::Timestamp(_, None) => plain(DataType::Timestamp(TimeUnit::Microsecond, None), "DATETIME"),
        DataType::Timestamp(_, Some(_)) => plain(utc(), "TIMESTAMP"),
        DataType::Time32(_) | DataType::Time64(_) => plain(DataType::Time64(TimeUnit::Microsecond), "TIME"),
        DataType::Dictionary(_, value) => made(value),
        DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => match element.data_type() {
            // An array holds no arrays.
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => no_column(data_type),
            element => {
                let (element, sql) = made(element)?;
                Ok((DataType::List(Arc::new(ArrowField::new_list_field(element, true))), format!("ARRAY<{sql}>")))
            }
        },
        DataType::Struct(fields) => {
            let made: Vec<_> = fields.iter().map(|field| made(field.data_type())).collect::<Result<_>>()?;
            let named = fields.iter().zip(&made);
            let sql: Vec<_> = named.clone().map(|(field, (_, sql))| format!("{} {sql}", name(field.name()))).collect();
            let fields: Fields = named.map(|(field, (data_type, _))| ArrowField::new(field.name(), data_type.clone(), true)).collect();
            Ok((DataType::Struct(fields), format!("STRUCT<{}>", sql.join(", "))))
        }
        data_type => no_column(data_type),
    }
}

fn no_column(data_type: &DataType) -> Result<(DataType, String)> {
    Err(Error::Statement(format!("no column of BigQuery is made for {data_type}; convert it in the SELECT, or make the table first")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_as_bigquery_describes_it() {
        let field: Field = serde_json::from_str(
            r#"{"name": "r", "type": "RECORD", "mode": "REPEATED", "fields": [{"name": "n", "type": "NUMERIC", "precision": "10", "scale": "2"},
                {"name": "b", "type": "BIGNUMERIC"}, {"name": "s", "type": "STRING", "mode": "REQUIRED"}]}"#,
        )
        .expect("a field");
        let column = column(&field, "d.t").expect("a column");
        assert_eq!(column.sql_type, "ARRAY<STRUCT<`n` NUMERIC(10, 2), `b` BIGNUMERIC(76, 38), `s` STRING>>");
        let list = column.data_type.to_string();
        assert!(list.contains("Decimal128(10, 2)") && list.contains("Decimal256(76, 38)"), "{list}");
        let json = r#"{"name": "s", "type": "STRING", "maxLength": "5", "collation": "und:ci", "defaultValueExpression": "'x'"}"#;
        let column = super::column(&serde_json::from_str(json).expect("a field"), "d.t").expect("a column");
        assert_eq!((column.chars_max, column.unnamed, column.is_loosely_equal, column.nullable), (Some(5), Unnamed::Default, true, true));
        let range: Field =
            serde_json::from_str(r#"{"name": "p", "type": "RANGE", "rangeElementType": {"type": "DATE"}}"#).expect("a field");
        assert_eq!(super::column(&range, "d.t").expect("a column").sql_type, "RANGE<DATE>");
        let error = super::column(&Field { name: "m".into(), kind: "MYSTERY".into(), ..Field::default() }, "d.t").expect_err("an error");
        assert!(error.to_string().contains("\"m\" is MYSTERY, which this version does not read"), "{error}");
    }
}
