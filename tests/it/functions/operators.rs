//! `ct_add`, `ct_remove`, `ct_set`, `ct_incr`, `ct_decr`, `ct_delete`.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Array, DictionaryArray, FixedSizeListArray, Float64Array, Int64Array, LargeListArray, ListArray, ListViewArray,
    RecordBatch, StringArray, StructArray, UInt8Array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type};
use datafusion::assert_batches_eq;
use datafusion::error::Result;

use super::{column_type, error, rows, session};

/// `{operator: type}`, as every function here returns it.
fn operator(name: &str, argument: DataType) -> DataType {
    DataType::Struct(vec![Field::new(name, argument, true)].into())
}

fn text_list() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Utf8View, true)))
}

/// Three rows of whole numbers: two items, NULL, none.
fn lists() -> ListArray {
    ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), Some(2)]), None, Some(vec![])])
}

fn tags() -> Result<ArrayRef> {
    let texts = DataType::List(Arc::new(Field::new("element", DataType::Utf8, true)));
    Ok(cast(&lists(), &texts)?)
}

#[tokio::test]
async fn a_list_column_becomes_one_operator_a_row() -> Result<()> {
    let ctx = session(vec![("tags", tags()?)])?;
    assert_batches_eq!(
        [
            "+----------------+-------------------+----------------+",
            "| a              | r                 | s              |",
            "+----------------+-------------------+----------------+",
            "| {$add: [1, 2]} | {$remove: [1, 2]} | {$set: [1, 2]} |",
            "|                |                   |                |",
            "| {$add: []}     | {$remove: []}     | {$set: []}     |",
            "+----------------+-------------------+----------------+",
        ],
        &rows(&ctx, "SELECT ct_add(tags) AS a, ct_remove(tags) AS r, ct_set(tags) AS s FROM t").await?
    );
    Ok(())
}

#[tokio::test]
async fn a_null_row_is_a_null_struct_and_not_a_struct_around_a_null() -> Result<()> {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
    let ctx = session(vec![("tags", tags()?), ("n", numbers)])?;
    assert_batches_eq!(
        [
            "+-------+-------+-------+-------+",
            "| lists | texts | up    | down  |",
            "+-------+-------+-------+-------+",
            "| false | false | false | false |",
            "| true  | true  | true  | true  |",
            "| false | false | false | false |",
            "+-------+-------+-------+-------+",
        ],
        &rows(
            &ctx,
            "SELECT ct_add(tags) IS NULL AS lists, ct_set(n::text) IS NULL AS texts, ct_incr(n) IS NULL AS up,
                    ct_decr(n) IS NULL AS down
             FROM t"
        )
        .await?
    );
    Ok(())
}

#[tokio::test]
async fn every_kind_of_list_gives_the_same_type() -> Result<()> {
    let list = lists();
    let pairs = FixedSizeListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), Some(2)]), None], 2);
    let kinds: Vec<ArrayRef> = vec![
        Arc::new(list.clone()),
        Arc::new(LargeListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1)]), None])),
        Arc::new(pairs),
        Arc::new(ListViewArray::from(list)),
        tags()?,
    ];
    for kind in kinds {
        let ctx = session(vec![("x", kind)])?;
        let found = column_type(&ctx, "SELECT ct_add(x) FROM t").await?;
        assert_eq!(found, (operator("$add", text_list()), true));
    }
    Ok(())
}

#[tokio::test]
async fn a_fixed_size_list_and_a_list_view_keep_their_items() -> Result<()> {
    let pairs =
        FixedSizeListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), Some(2)]), None, Some(vec![Some(3), None])], 2);
    let ctx = session(vec![("pair", Arc::new(pairs) as ArrayRef), ("view", Arc::new(ListViewArray::from(lists())))])?;
    assert_batches_eq!(
        [
            "+----------------+-------------------+",
            "| a              | r                 |",
            "+----------------+-------------------+",
            "| {$add: [1, 2]} | {$remove: [1, 2]} |",
            "|                |                   |",
            "| {$add: [3, ]}  | {$remove: []}     |",
            "+----------------+-------------------+",
        ],
        &rows(&ctx, "SELECT ct_add(pair) AS a, ct_remove(view) AS r FROM t").await?
    );
    Ok(())
}

#[tokio::test]
async fn one_value_is_a_list_of_one() -> Result<()> {
    let words: DictionaryArray<Int32Type> = [Some("gold"), None, Some("gold")].into_iter().collect();
    let numbers = Int64Array::from(vec![Some(7), None, Some(9)]);
    let ctx = session(vec![("word", Arc::new(words) as ArrayRef), ("n", Arc::new(numbers))])?;
    assert_batches_eq!(
        [
            "+----------------+----------------+----------------+----------------------+",
            "| word           | n              | flag           | day                  |",
            "+----------------+----------------+----------------+----------------------+",
            "| {$add: [gold]} | {$remove: [7]} | {$set: [true]} | {$add: [2026-01-31]} |",
            "|                |                | {$set: [true]} | {$add: [2026-01-31]} |",
            "| {$add: [gold]} | {$remove: [9]} | {$set: [true]} | {$add: [2026-01-31]} |",
            "+----------------+----------------+----------------+----------------------+",
        ],
        &rows(
            &ctx,
            "SELECT ct_add(word) AS word, ct_remove(n) AS n, ct_set(true) AS flag, ct_add(DATE '2026-01-31') AS day
             FROM t"
        )
        .await?
    );
    Ok(())
}

#[tokio::test]
async fn lists_that_queries_make_are_taken() -> Result<()> {
    let words = StringArray::from(vec!["a", "b"]);
    let ctx = session(vec![("word", Arc::new(words) as ArrayRef)])?;
    assert_batches_eq!(
        [
            "+----------------+----------------+",
            "| agg            | split          |",
            "+----------------+----------------+",
            "| {$set: [a, b]} | {$add: [x, y]} |",
            "+----------------+----------------+",
        ],
        &rows(&ctx, "SELECT ct_set(array_agg(word ORDER BY word)) AS agg, ct_add(string_to_array('x,y', ',')) AS split FROM t").await?
    );
    Ok(())
}

#[tokio::test]
async fn numbers_keep_their_type_and_digits() -> Result<()> {
    let decimal = DataType::Decimal128(20, 4);
    let decimals = Decimal128Array::from(vec![Some(12_345), None]).with_data_type(decimal.clone());
    let dictionary: DictionaryArray<Int32Type> = DictionaryArray::new(vec![Some(0), None].into(), Arc::new(UInt8Array::from(vec![200])));
    let ctx = session(vec![
        ("d", Arc::new(decimals) as ArrayRef),
        ("f", Arc::new(Float64Array::from(vec![Some(0.1), None]))),
        ("k", Arc::new(dictionary)),
    ])?;
    for (column, argument) in [("d", decimal), ("f", DataType::Float64), ("k", DataType::UInt8)] {
        let found = column_type(&ctx, &format!("SELECT ct_decr({column}) FROM t")).await?;
        assert_eq!(found, (operator("$decr", argument), true));
    }
    assert_batches_eq!(
        [
            "+-----------------+--------------+--------------+",
            "| d               | f            | k            |",
            "+-----------------+--------------+--------------+",
            "| {$incr: 1.2345} | {$incr: 0.1} | {$decr: 200} |",
            "|                 |              |              |",
            "+-----------------+--------------+--------------+",
        ],
        &rows(&ctx, "SELECT ct_incr(d) AS d, ct_incr(f) AS f, ct_decr(k) AS k FROM t").await?
    );
    Ok(())
}

#[tokio::test]
async fn a_number_that_clevertap_will_not_take_is_left_to_the_write() -> Result<()> {
    let ctx = session(vec![])?;
    assert_batches_eq!(
        [
            "+------------+-------------+",
            "| a          | b           |",
            "+------------+-------------+",
            "| {$incr: 0} | {$decr: -1} |",
            "+------------+-------------+",
        ],
        &rows(&ctx, "SELECT ct_incr(0) AS a, ct_decr(-1) AS b").await?
    );
    Ok(())
}

#[tokio::test]
async fn a_constant_is_nullable_only_where_its_argument_is() -> Result<()> {
    let ctx = session(vec![])?;
    let cases = [
        ("SELECT ct_delete()", operator("$delete", DataType::Int64), false),
        ("SELECT ct_incr(5)", operator("$incr", DataType::Int64), false),
        ("SELECT ct_incr(NULL)", operator("$incr", DataType::Int64), true),
        ("SELECT ct_add('x')", operator("$add", text_list()), false),
        ("SELECT ct_set(NULL)", operator("$set", text_list()), true),
        ("SELECT ct_remove(['x', NULL])", operator("$remove", text_list()), true),
    ];
    for (sql, expected, nullable) in cases {
        assert_eq!(column_type(&ctx, sql).await?, (expected, nullable), "{sql}");
    }
    Ok(())
}

#[tokio::test]
async fn a_deletion_is_a_constant_beside_many_rows_and_may_depend_on_the_row() -> Result<()> {
    let ctx = session(vec![])?;
    assert_batches_eq!(
        [
            "+---+--------------+--------------+",
            "| n | every        | some         |",
            "+---+--------------+--------------+",
            "| 1 | {$delete: 1} |              |",
            "| 2 | {$delete: 1} | {$delete: 1} |",
            "| 3 | {$delete: 1} |              |",
            "+---+--------------+--------------+",
        ],
        &rows(
            &ctx,
            "SELECT n, ct_delete() AS every, CASE WHEN n = 2 THEN ct_delete() END AS some
             FROM (VALUES (1), (2), (3)) AS t (n) ORDER BY n"
        )
        .await?
    );
    Ok(())
}

#[tokio::test]
async fn a_slice_of_a_column_keeps_its_rows_together() -> Result<()> {
    let ctx = session(vec![])?;
    let batch = RecordBatch::try_from_iter([("tags", tags()?), ("n", Arc::new(Int64Array::from(vec![1, 2, 3])) as _)])?;
    ctx.register_batch("t", batch.slice(1, 2))?;
    let found = rows(&ctx, "SELECT ct_add(tags) AS a, ct_incr(n) AS n FROM t").await?;
    assert_batches_eq!(
        [
            "+------------+------------+",
            "| a          | n          |",
            "+------------+------------+",
            "|            | {$incr: 2} |",
            "| {$add: []} | {$incr: 3} |",
            "+------------+------------+",
        ],
        &found
    );
    Ok(())
}

#[tokio::test]
async fn what_is_no_list_of_text_is_refused_with_what_is() -> Result<()> {
    let people =
        StructArray::from(vec![(Arc::new(Field::new("a", DataType::Int64, true)), Arc::new(Int64Array::from(vec![1])) as ArrayRef)]);
    let ctx = session(vec![("person", Arc::new(people) as ArrayRef)])?;
    let found = [
        error(&ctx, "SELECT ct_add(person) FROM t").await,
        error(&ctx, "SELECT ct_set(x'00ff')").await,
        error(&ctx, "SELECT ct_remove([[1], [2]])").await,
        error(&ctx, "SELECT ct_add()").await,
        error(&ctx, "SELECT ct_add('a', 'b')").await,
    ];
    let hint = "expected a list of text, or one text. array_agg(…) and string_to_array(…, ',') make lists";
    assert_eq!(
        found,
        [
            format!("ct_add was given Struct(\"a\": Int64); {hint}"),
            format!("ct_set was given Binary; {hint}"),
            format!("ct_remove was given List(List(Int64)); {hint}"),
            "ct_add function requires 1 argument, got 0".to_owned(),
            "ct_add function requires 1 argument, got 2".to_owned(),
        ]
    );
    Ok(())
}

#[tokio::test]
async fn what_is_no_number_is_refused_with_what_is() -> Result<()> {
    let ctx = session(vec![])?;
    let found = [
        error(&ctx, "SELECT ct_incr('5')").await,
        error(&ctx, "SELECT ct_decr(true)").await,
        error(&ctx, "SELECT ct_decr(1, 2)").await,
        error(&ctx, "SELECT ct_delete(1)").await,
    ];
    let hint = "expected an integer, a float or a decimal. CAST(… AS BIGINT) or CAST(… AS DOUBLE) makes one";
    assert_eq!(
        found,
        [
            format!("ct_incr was given Utf8; {hint}"),
            format!("ct_decr was given Boolean; {hint}"),
            "ct_decr function requires 1 argument, got 2".to_owned(),
            "The function 'ct_delete' expected zero argument but received 1".to_owned(),
        ]
    );
    Ok(())
}

#[test]
fn every_function_has_words_for_the_manual() {
    for function in datafusion_clevertap_udfs::all() {
        let documentation = function.documentation().unwrap();
        assert!(documentation.syntax_example.starts_with(function.name()), "{}", function.name());
        assert!(documentation.sql_example.is_some(), "{}", function.name());
        assert_eq!(documentation.doc_section.label, "CleverTap Functions");
        assert!(function.aliases().is_empty(), "{}", function.name());
    }
}

#[tokio::test]
async fn two_operators_in_one_column_are_an_error_and_never_one_of_them() -> Result<()> {
    let ctx = session(vec![])?;
    for sql in [
        "SELECT CASE WHEN n = 1 THEN ct_add('a') ELSE ct_remove('b') END FROM (VALUES (1), (2)) AS t (n)",
        "SELECT ct_add('a') UNION ALL SELECT ct_remove('b')",
        "SELECT coalesce(ct_incr(n), ct_decr(n)) FROM (VALUES (1), (2)) AS t (n)",
    ] {
        assert!(rows(&ctx, sql).await.is_err(), "{sql}");
    }
    Ok(())
}
