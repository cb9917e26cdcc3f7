//! Broken files, files without rows, columns of folders, UUIDs.

use std::{collections::HashMap, sync::Arc};

use arrow::{
    array::{ArrayRef, FixedSizeBinaryArray, Float64Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray},
    buffer::OffsetBuffer,
    datatypes::{DataType, Field, FieldRef, Fields, Schema},
};
use parquet::{
    data_type::{FixedLenByteArray, FixedLenByteArrayType},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};

use super::{super::super::test_files::Files, ints, of_batch, parquet, small, texts};

pub(super) const UUID: &[u8; 16] = b"aaaabbJ\xc3\xa9abcdefg";
const UUID_TEXT: &str = "61616161-6262-4ac3-a961-626364656667";

#[tokio::test]
async fn a_broken_file_of_a_folder_is_told_with_its_name() {
    let whole = parquet(vec![("id", ints(&[1, 2, 3]))]);
    for (name, broken, expected) in [
        ("empty", &b""[..], "the file is empty: it has not even a footer"),
        ("cut", &whole[..whole.len() / 2], "this is no Parquet file, or not a whole one: "),
        ("text", b"id\n1\n2\n3\n", "this is no Parquet file, or not a whole one: "),
        ("tiny", b"PAR1", "this is no Parquet file, or not a whole one: "),
    ] {
        let files = Files::new(&[("a.parquet", &whole), (&format!("{name}.parquet"), broken)]);
        for from in ["", &format!("{name}.parquet")] {
            let said = files.read(from).await;
            assert!(said.contains(&format!("{name}.parquet: {expected}")) && !said.contains("Parquet error"), "{said}");
        }
    }
}

#[tokio::test]
async fn a_file_without_rows_has_no_say_in_types_and_a_column_that_is_missing_is_null() {
    let none: ArrayRef = Arc::new(Float64Array::from(Vec::<f64>::new()));
    let files = Files::new(&[
        ("all/0.parquet", &parquet(vec![("n", Arc::clone(&none)), ("only", Arc::clone(&none))])),
        ("all/a.parquet", &parquet(vec![("id", texts(&["a"])), ("n", ints(&[9_007_199_254_740_993]))])),
        ("all/b.parquet", &parquet(vec![("n", small(&[2])), ("x", ints(&[3])), ("id", texts(&["b"])), ("y", ints(&[4]))])),
        ("none/n.parquet", &parquet(vec![("n", none)])),
    ]);
    assert_eq!(files.read("all/").await, "n Int64, only Float64, id Utf8View, x Int64, y Int64; 2  b 3 4; 9007199254740993  a");
    assert_eq!(
        files.notes(),
        ["a.parquet: the file has no column \"only\", which 0.parquet has: it is NULL there; 2 more columns are missing from some files"]
    );
    assert_eq!(files.run("SELECT count(*) AS n, count(x) AS x, count(only) AS o FROM '@/all/'").await, "n Int64, x Int64, o Int64; 2 1 0");
    assert_eq!(files.run("SELECT id FROM '@/all/' WHERE x IS NULL").await, "id Utf8View; a");
    assert_eq!(files.run("SELECT count(*) AS n, max(n) AS m FROM '@/none/'").await, "n Int64, m Float64; 0");
    assert!(files.notes().is_empty());
}

#[tokio::test]
async fn columns_of_folders_are_typed_null_or_those_of_the_files() {
    let row = |id: i64| parquet(vec![("id", ints(&[id]))]);
    let own = |id: i64, country: &str| parquet(vec![("id", ints(&[id])), ("country", texts(&[country]))]);
    let files = Files::new(&[
        ("p/country=DE/score=7/a.parquet", &row(1)),
        ("p/country=__HIVE_DEFAULT_PARTITION__/score=10/b.parquet", &row(2)),
        ("p/country=a%20b/score=-1/c.parquet", &row(3)),
        ("q/code=007/a.parquet", &row(1)),
        ("q/code=8/a.parquet", &row(2)),
        ("both/country=DE/a.parquet", &own(1, "DE")),
        ("both/country=FR/a.parquet", &own(2, "IT")),
        ("case/Country=DE/a.parquet", &own(1, "DE")),
        ("some/country=DE/a.parquet", &own(1, "DE")),
        ("some/country=FR/a.parquet", &row(2)),
        ("other/a=1/a.parquet", &row(1)),
        ("other/b=1/a.parquet", &row(1)),
    ]);
    assert_eq!(files.read("p/").await, "id Int64, country Utf8View, score Int64; 1 DE 7; 2  10; 3 a b -1");
    for (condition, expected) in [
        ("country IS NULL", "; 2"),
        ("country <> 'DE'", "; 3"),
        ("NOT (country = 'DE')", "; 3"),
        ("(country IS DISTINCT FROM 'DE') AND score > 0", "; 2"),
        ("score = 7 AND id = 1", "; 1"),
        ("score > 100", ""),
        ("score = 7 OR id = 3", "; 1; 3"),
    ] {
        let said = files.run(&format!("SELECT id FROM '@/p/' WHERE {condition} ORDER BY id")).await;
        assert_eq!(said.trim_start_matches("id Int64"), expected, "{condition}");
    }
    assert_eq!(
        files.run("SELECT count(country) AS n, min(score) AS low, max(score) AS high FROM '@/p/'").await,
        "n Int64, low Int64, high Int64; 2 -1 10"
    );
    assert_eq!(files.run("SELECT id, code FROM '@/q/' ORDER BY 1").await, "id Int64, code Utf8View; 1 007; 2 8");
    assert!(files.notes().is_empty());
    assert_eq!(files.read("both/").await, "id Int64, country Utf8View; 1 DE; 2 IT");
    assert_eq!(files.notes(), ["column \"country\" stands in the files and in the names of their folders: that of the files is read"]);
    assert!(files.read("case/").await.ends_with("a column \"Country\" and its files a column \"country\", which differ only in case"));
    let said = files.read("some/").await;
    assert!(
        said.contains("country=FR/a.parquet: the file has no column \"country\", which its folder names and other files have"),
        "{said}"
    );
    assert_eq!(files.run(&format!("SELECT id FROM {}", said.rsplit_once("FROM ").unwrap().1)).await, "id Int64; 2");
    assert!(files.read("other/").await.contains("name different columns: a and b"));
}

/// A file whose column `id` is a UUID to Parquet.
pub(super) fn uuids(ids: &[&[u8]]) -> Vec<u8> {
    let schema = Arc::new(parse_message_type("message m { required fixed_len_byte_array(16) id (UUID); }").unwrap());
    let mut bytes = Vec::new();
    let mut file = SerializedFileWriter::new(&mut bytes, schema, Arc::new(WriterProperties::default())).unwrap();
    let mut rows = file.next_row_group().unwrap();
    let mut column = rows.next_column().unwrap().unwrap();
    let ids: Vec<FixedLenByteArray> = ids.iter().map(|id| id.to_vec().into()).collect();
    column.typed::<FixedLenByteArrayType>().write_batch(&ids, None, None).unwrap();
    column.close().unwrap();
    rows.close().unwrap();
    file.close().unwrap();
    bytes
}

/// Bytes, which are a UUID to Arrow if the field says so.
fn bytes_field(name: &str, is_uuid: bool) -> FieldRef {
    let metadata = HashMap::from([("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())]);
    let field = Field::new(name, DataType::FixedSizeBinary(16), true);
    Arc::new(if is_uuid { field.with_metadata(metadata) } else { field })
}

/// A row of a UUID, a list and a struct of it, and the same bytes that are none.
fn nested() -> Vec<u8> {
    let id: ArrayRef = Arc::new(FixedSizeBinaryArray::try_from_iter([UUID].into_iter()).unwrap());
    let list = ListArray::new(bytes_field("element", true), OffsetBuffer::from_lengths([1]), Arc::clone(&id), None);
    let of: Fields = vec![bytes_field("id", true), Arc::new(Field::new("n", DataType::Int64, true))].into();
    let of_struct = StructArray::new(of, vec![Arc::clone(&id), ints(&[5])], None);
    let fields: Vec<FieldRef> = vec![
        bytes_field("id", true),
        Arc::new(Field::new("list", list.data_type_of(), true)),
        Arc::new(Field::new("s", of_struct.data_type_of(), true)),
        bytes_field("raw", false),
    ];
    let columns = vec![Arc::clone(&id), Arc::new(list) as ArrayRef, Arc::new(of_struct), id];
    of_batch(&RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap())
}

trait TypeOf {
    fn data_type_of(&self) -> DataType;
}

impl<A: arrow::array::Array> TypeOf for A {
    fn data_type_of(&self) -> DataType {
        self.data_type().clone()
    }
}

#[tokio::test]
async fn a_uuid_is_read_as_its_text_wherever_it_stands() {
    let files = Files::new(&[
        ("a.parquet", &uuids(&[UUID, &[0xff; 16]])),
        ("of/a.parquet", &uuids(&[UUID])),
        ("of/b.parquet", &parquet(vec![("id", texts(&["b"]))])),
        ("nested/a.parquet", &nested()),
        ("bytes/a.parquet", &uuids(&[UUID])),
        ("bytes/b.parquet", &parquet(vec![("id", Arc::new(FixedSizeBinaryArray::try_from_iter([UUID].into_iter()).unwrap()) as ArrayRef)])),
    ]);
    let all_f = "ffffffff-ffff-ffff-ffff-ffffffffffff";
    assert_eq!(files.read("a.parquet").await, format!("id Utf8View; {UUID_TEXT}; {all_f}"));
    assert_eq!(files.read("of/").await, format!("id Utf8View; {UUID_TEXT}; b"));
    for (condition, expected) in [("= 'b'", "b"), (&format!("= '{UUID_TEXT}'"), UUID_TEXT), ("LIKE '6161%'", UUID_TEXT)] {
        assert_eq!(files.run(&format!("SELECT id FROM '@/of/' WHERE id {condition}")).await, format!("id Utf8View; {expected}"));
    }
    assert_eq!(
        files.run("SELECT min(id) AS low, max(id) AS high, count(id) AS n FROM '@/a.parquet'").await,
        format!("low Utf8View, high Utf8View, n Int64; {UUID_TEXT} {all_f} 2")
    );
    for pushdown in ["false", "true"] {
        files.run(&format!("SET datafusion.execution.parquet.pushdown_filters = {pushdown}")).await;
        let said = files.run("SELECT id, list[1] AS l, s['id'] AS s, s['n'] AS n, encode(raw, 'hex') AS raw FROM '@/nested/'").await;
        assert!(said.ends_with(&format!("; {UUID_TEXT} {UUID_TEXT} {UUID_TEXT} 5 {}", UUID_TEXT.replace('-', ""))), "{said}");
        for (condition, expected) in [(format!("s['id'] = '{UUID_TEXT}'"), "; 5"), ("s['id'] = 'x'".into(), ""), ("s['n'] = 4".into(), "")]
        {
            let said = files.run(&format!("SELECT s['n'] AS n FROM '@/nested/' WHERE {condition}")).await;
            assert_eq!(said.trim_start_matches("n Int64"), expected, "{condition}");
        }
    }
    assert!(files.read("bytes/").await.contains("b.parquet, column \"id\": FixedSizeBinary(16) here and Utf8View in a.parquet"));
}

#[tokio::test]
async fn structs_and_lists_of_them_are_merged_by_the_names_of_their_fields() {
    let of = |fields: Vec<(&str, ArrayRef)>| -> StructArray {
        StructArray::from(
            fields
                .into_iter()
                .map(|(name, array)| (Arc::new(Field::new(name, array.data_type().clone(), true)), array))
                .collect::<Vec<_>>(),
        )
    };
    let list = |of: StructArray| -> ArrayRef {
        Arc::new(ListArray::new(
            Arc::new(Field::new("element", of.data_type_of(), true)),
            OffsetBuffer::from_lengths([1]),
            Arc::new(of),
            None,
        ))
    };
    let row = |id: i64, fields: fn() -> Vec<(&'static str, ArrayRef)>| {
        parquet(vec![("id", ints(&[id])), ("s", Arc::new(of(fields())) as ArrayRef), ("l", list(of(fields())))])
    };
    let a = row(1, || vec![("n", small(&[5])), ("t", texts(&["x"]))]);
    let b = row(2, || vec![("new", ints(&[7])), ("n", ints(&[i64::MAX]))]);
    let files = Files::new(&[("a.parquet", &a), ("b.parquet", &b)]);
    for pushdown in ["false", "true"] {
        files.run(&format!("SET datafusion.execution.parquet.pushdown_filters = {pushdown}")).await;
        let said =
            files.run("SELECT id, s['n'] AS n, s['t'] AS t, s['new'] AS new, l[1]['n'] AS ln, l[1]['t'] AS lt FROM '@/' ORDER BY id").await;
        assert!(said.ends_with("; 1 5 x  5 x; 2 9223372036854775807  7 9223372036854775807"), "{said}");
        assert_eq!(files.run("SELECT id FROM '@/' WHERE s['n'] = 5").await, "id Int64; 1");
        assert_eq!(files.run("SELECT id FROM '@/' WHERE s['t'] IS NULL").await, "id Int64; 2");
        assert_eq!(files.run("SELECT id FROM '@/' WHERE s['new'] = 7").await, "id Int64; 2");
    }
    for (other, expected) in [
        (row(2, || vec![("n", texts(&["x"]))]), "column \"s.n\": Utf8 here and Int32 in a.parquet"),
        (row(2, || vec![("N", small(&[1]))]), "the column is called \"s.N\" here and \"s.n\" in a.parquet"),
    ] {
        let files = Files::new(&[("a.parquet", &a), ("b.parquet", &other)]);
        let said = files.read("").await;
        assert!(said.contains(&format!("b.parquet{} {expected}", if expected.starts_with("column") { "," } else { ":" })), "{said}");
        if expected.starts_with("column") {
            assert_eq!(super::remedied(&files, &said).await, "n Utf8View; 5; x");
        }
    }
}

#[tokio::test]
async fn a_view_sees_new_files_and_refuses_those_that_its_types_do_not_hold() {
    let files =
        Files::new(&[("of/a.parquet", &parquet(vec![("id", ints(&[1])), ("t", Arc::new(StringArray::from(vec!["x"])) as ArrayRef)]))]);
    files.run("CREATE VIEW v AS SELECT * FROM '@/of/'").await;
    let to = |name: &str, bytes: Vec<u8>| std::fs::write(files.path().join(name), bytes).unwrap();
    to("of/b.parquet", parquet(vec![("z", ints(&[0])), ("id", small(&[2]))]));
    assert_eq!(files.run("SELECT * FROM v ORDER BY id").await, "id Int64, t Utf8View; 1 x; 2");
    to("of/b.parquet", parquet(vec![("id", Arc::new(arrow::array::UInt64Array::from(vec![2])) as ArrayRef)]));
    let said = files.run("SELECT * FROM v").await;
    assert!(said.contains("column \"id\" was Int64 when the table was planned and is Decimal128(20, 0) now"), "{said}");
    std::fs::remove_file(files.path().join("of/b.parquet")).unwrap();
    to("of/a.parquet", parquet(vec![("id", Arc::new(Int64Array::from(vec![3])) as ArrayRef)]));
    assert!(files.run("SELECT * FROM v").await.contains("no file has the column \"t\" any more"));
}

#[tokio::test]
async fn an_external_table_has_the_same_rules_where_it_declares_nothing() {
    let files = Files::new(&[
        ("of/a.parquet", &parquet(vec![("id", small(&[1]))])),
        ("of/b.pq", &parquet(vec![("id", ints(&[2]))])),
        ("of/_SUCCESS", b""),
        ("bad/a.parquet", &parquet(vec![("id", ints(&[1])), ("id", ints(&[2]))])),
        ("none/readme/x", b""),
    ]);
    let create = |columns: &str, place: &str| format!("CREATE EXTERNAL TABLE t {columns} STORED AS PARQUET LOCATION '@/{place}'");
    assert_eq!(files.run(&create("", "of/")).await, "");
    assert_eq!(files.run("SELECT * FROM t ORDER BY id").await, "id Int64; 1; 2");
    files.run("INSERT INTO t VALUES (3)").await;
    assert_eq!(files.run("SELECT * FROM t ORDER BY id").await, "id Int64; 1; 2; 3");
    files.run("DROP TABLE t").await;
    assert!(files.run(&create("", "bad/")).await.contains("a.parquet: two columns are called \"id\""));
    assert_eq!(files.run(&create("(id BIGINT)", "of/a.parquet")).await, "");
    assert_eq!(files.run("SELECT * FROM t").await, "id Int64; 1");
    files.run("DROP TABLE t").await;
    assert_eq!(files.run(&create("(id BIGINT)", "none/")).await, "");
    files.run("INSERT INTO t VALUES (4)").await;
    assert_eq!(files.run("SELECT * FROM t").await, "id Int64; 4");
}
