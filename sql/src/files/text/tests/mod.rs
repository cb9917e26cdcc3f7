//! Files as people have them, through SQL.

mod own_text;
mod recipes;
mod times;
mod told;

use std::io::Write;

use super::super::test_files::Files;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    to.write_all(bytes).unwrap();
    to.finish().unwrap()
}

#[tokio::test]
async fn a_number_with_a_leading_zero_stays_text_wherever_it_stands() {
    let late = format!(
        "id,note\n{}00123,left us\n",
        "20000,xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n".repeat(900)
    );
    let files = Files::new(&[
        ("late.csv", late.as_bytes()),
        ("of/a.csv", b"id,visits\n1,1\n2,2\n"),
        ("of/b.csv", b"id,visits\n00123,3\n"),
        ("of/c.csv", b""),
    ]);
    assert_eq!(files.run("SELECT id FROM '@/late.csv' WHERE note = 'left us'").await, "id Utf8View; 00123");
    assert_eq!(files.notes(), ["late.csv, line 902, column \"id\": a number that begins with 0 makes \"id\" text"]);
    assert_eq!(files.read("of/").await, "id Utf8View, visits Int64; 00123 3; 1 1; 2 2");
}

#[tokio::test]
async fn a_quote_that_is_never_closed_is_told_with_its_line_and_nothing_is_read() {
    let files = Files::new(&[
        ("a.csv", b"user_id,name\nu-1,Al\nu-50,\"Bob\nu-51,Cy\n"),
        ("b.csv", b"id,name,city\nu-2,\"Bob,Delhi\nu-3,Cy,Goa\nu-4,\"Dee\",Agra\n"),
        ("c.tsv", b"id\tname\nu-1\t\"Bob\nu-2\tCy\n"),
        ("d.csv", b"a,b\n1,2\n3\n"),
    ]);
    for (name, expected) in
        [("a.csv", "line 3: the quote that opens here"), ("b.csv", "line 2"), ("c.tsv", "line 2: the quote"), ("d.csv", "line 3")]
    {
        let said = files.read(name).await;
        assert!(said.starts_with(&format!("'@/{name}' was not opened: {name}, {expected}")) && !said.contains("Bob"), "{said}");
    }
}

#[tokio::test]
async fn instants_keep_their_zone_and_mixed_ones_stay_text() {
    let files = Files::new(&[(
        "a.csv",
        b"id,at,local,mixed\n1,2026-11-01T10:00:00Z,2026-11-01T10:00:00,2026-11-01 10:00:00\n\
          2,2026-11-01T10:00:00+02:00,2026-11-01T11:00:00,2026-11-01T10:00:00Z\n",
    )]);
    assert_eq!(
        files.read("a.csv").await,
        "id Int64, at Timestamp(s, \"+00:00\"), local Timestamp(s), mixed Utf8View; \
         1 2026-11-01T10:00:00Z 2026-11-01T10:00:00 2026-11-01 10:00:00; 2 2026-11-01T08:00:00Z 2026-11-01T11:00:00 2026-11-01T10:00:00Z"
    );
    assert_eq!(files.notes().len(), 1);
}

#[tokio::test]
async fn files_of_a_folder_are_matched_by_name_and_others_are_refused() {
    let first: (&str, &[u8]) = ("a.csv", b"id,email\n1,a@example.org\n");
    let files = Files::new(&[first, ("b.csv", b"email,id\nb@example.org,2\n")]);
    assert_eq!(files.read("").await, "id Int64, email Utf8View; 1 a@example.org; 2 b@example.org");
    for (other, expected) in [
        (&b"id,mail\n2,b@example.org\n"[..], "a.csv: the file has no column \"mail\", which b.csv has"),
        (b"id,Email\n2,b@example.org\n", "a.csv: the column is called \"email\" here and \"Email\" in b.csv"),
        (b"id\n2\n", "the file has no column \"email\""),
    ] {
        let said = Files::new(&[first, ("b.csv", other)]).read("").await;
        assert!(said.contains(expected) && said.contains("a.csv") && said.contains("b.csv") && !said.contains("b@example"), "{said}");
    }
}

#[tokio::test]
async fn a_folder_holds_one_kind_of_file_and_other_files_that_are_never_read() {
    let first: (&str, &[u8]) = ("a.csv", b"id\n1\n");
    for other in ["b.ndjson", "b.CSV", "0.parquet", "b.csv.gz", "b.csv.zip"] {
        let said = Files::new(&[first, (other, b"{}")]).read("").await;
        assert!(said.contains("do not all end in"), "{other}: {said}");
    }
    let files = Files::new(&[first, ("readme.txt", b"x"), ("_SUCCESS", b""), (".a.csv.crc", b"x")]);
    assert_eq!(files.read("").await, "id Int64; 1");
    let files = Files::new(&[first, ("b.csv", b"")]);
    assert_eq!(files.read("").await, "id Int64; 1");
    assert_eq!(files.notes(), ["b.csv: the file is empty, and adds no row"]);
    let files = Files::new(&[first, ("x/b.csv", b"id\n2\n"), ("x/y/c.csv", b"id\n3\n"), ("x/d.txt", b"")]);
    for (pattern, ids) in [("@/**/*.csv", "1; 2; 3"), ("@/*.csv", "1"), ("@/x/**/*.csv", "2; 3"), ("@/x/*.csv", "2")] {
        assert_eq!(files.run(&format!("SELECT id FROM '{pattern}' ORDER BY id")).await, format!("id Int64; {ids}"), "{pattern}");
    }
}

#[tokio::test]
async fn each_kind_of_a_mixed_folder_is_read_as_the_error_says() {
    let files = Files::new(&[("a.csv", b"id\n1\n"), ("b.ndjson", b"{\"id\":2}\n{\"id\":3}\n")]);
    for mixed in ["@", "@/", "@/*"] {
        let error = files.run(&format!("SELECT * FROM '{mixed}'")).await;
        assert_eq!(error.split_once("as in FROM ").unwrap().1, "'@/*.csv'", "{mixed}");
    }
    assert_eq!(files.run("SELECT count(*) AS n FROM '@/*.csv'").await, "n Int64; 1");
    assert_eq!(files.run("SELECT count(*) AS n FROM '@/*.ndjson'").await, "n Int64; 2");
}

#[tokio::test]
async fn compressed_files_are_read_whole_or_not_at_all() {
    let text = b"id,n\na,1\nb,2\n";
    let mut twice = gzip(&text[..8]);
    twice.extend(gzip(&text[8..]));
    let cut = &twice[..twice.len() - 6];
    let bz2 = {
        let mut to = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        to.write_all(text).unwrap();
        to.finish().unwrap()
    };
    let zst = zstd::encode_all(&text[..], 1).unwrap();
    let files = Files::new(&[
        ("a.csv.gz", &twice),
        ("cut.csv.gz", cut),
        ("b.csv.bz2", &bz2),
        ("c.csv.zst", &zst),
        ("d.ndjson.gz", &gzip(b"{\"id\":\"x\"}")),
    ]);
    for name in ["a.csv.gz", "b.csv.bz2", "c.csv.zst"] {
        assert_eq!(files.read(name).await, "id Utf8View, n Int64; a 1; b 2", "{name}");
    }
    assert_eq!(files.read("d.ndjson.gz").await, "id Utf8View; x");
    assert!(files.read("cut.csv.gz").await.contains("ends too early"), "{}", files.read("cut.csv.gz").await);
    assert_eq!(files.run("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '@/a.csv.gz'").await, "");
    assert_eq!(files.run("SELECT sum(n) AS s FROM t").await, "s Int64; 3");
    assert!(files.run("INSERT INTO t VALUES ('c', 3)").await.contains("are read, and not added to"));
}

#[tokio::test]
async fn an_encoding_is_told_and_read_by_the_option_that_is_told() {
    let utf_16: Vec<u8> = "\u{feff}id,name\n1,Zoë\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let files = Files::new(&[("a.csv", b"id,name\n1,Zo\xeb\n"), ("b.csv", &utf_16)]);
    for (name, encoding) in [("a", "windows-1252"), ("b", "utf-16")] {
        let said = files.read(&format!("{name}.csv")).await;
        assert!(said.contains(&format!("OPTIONS (encoding '{encoding}')")), "{said}");
        files.run(&format!("CREATE EXTERNAL TABLE {name} STORED AS CSV LOCATION '@/{name}.csv' OPTIONS (encoding '{encoding}')")).await;
        assert_eq!(files.run(&format!("SELECT * FROM {name}")).await, "id Int64, name Utf8View; 1 Zoë");
    }
    let said = files.run("CREATE EXTERNAL TABLE c STORED AS CSV LOCATION '@/a.csv' OPTIONS (encoding 'utf-61')").await;
    assert!(said.contains("encoding 'utf-61' is not known"), "{said}");
}

#[tokio::test]
async fn a_null_mark_is_told_and_read_by_the_option_that_is_told() {
    let files = Files::new(&[("a.tsv", b"id\tcity\tn\tday\nu-1\tPune\t3\t2026-01-05\nu-2\t\\N\t\\N\t\\N\n")]);
    assert!(files.read("a.tsv").await.starts_with("id Utf8View, city Utf8View, n Utf8View"));
    assert!(files.notes().contains(
        &"a.tsv, line 3, column \"n\": \"\\N\" makes \"n\" text; OPTIONS (null '\\N') of CREATE EXTERNAL TABLE makes it NULL".to_owned()
    ));
    files.run("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '@/a.tsv' OPTIONS (null '\\N')").await;
    assert_eq!(files.run("SELECT * FROM t").await, "id Utf8View, city Utf8View, n Int64, day Date32; u-1 Pune 3 2026-01-05; u-2");
}

#[tokio::test]
async fn declared_columns_win_by_name_or_by_place() {
    let files = Files::new(&[("a.csv", b"id,n,score\n007,1,2.5\n8,2,\n"), ("a.json", b"[{\"id\":7,\"n\":1.5,\"o\":[1]}]")]);
    for (columns, expected) in [
        ("(id VARCHAR, n INT, score DOUBLE)", "id Utf8View, n Int32, score Float64; 007 1 2.5; 8 2"),
        ("(n BIGINT, id VARCHAR)", "n Int64, id Utf8View; 1 007; 2 8"),
        ("(a VARCHAR, b BIGINT, c DECIMAL(4,2))", "a Utf8View, b Int64, c Decimal128(4, 2); 007 1 2.50; 8 2"),
    ] {
        assert_eq!(files.run("DROP TABLE IF EXISTS t").await, "");
        assert_eq!(files.run(&format!("CREATE EXTERNAL TABLE t {columns} STORED AS CSV LOCATION '@/a.csv'")).await, "");
        assert_eq!(files.run("SELECT * FROM t").await, expected, "{columns}");
    }
    files.run("CREATE EXTERNAL TABLE j (n DOUBLE, id VARCHAR) STORED AS JSON LOCATION '@/a.json'").await;
    assert_eq!(files.run("SELECT * FROM j").await, "n Float64, id Utf8View; 1.5 7");
    let said = files.run("CREATE EXTERNAL TABLE u (id VARCHAR, x INT) STORED AS CSV LOCATION '@/a.csv'").await;
    assert!(said.contains("the columns id, x were declared, and the files have id, n, score"), "{said}");
    files.run("CREATE EXTERNAL TABLE v (id VARCHAR, score DATE) STORED AS CSV LOCATION '@/a.csv'").await;
    let said = files.run("SELECT * FROM v").await;
    assert!(said.contains("a.csv, line 2, column \"score\": a cell is no Date32") && !said.contains("2.5"), "{said}");
}

#[tokio::test]
async fn a_table_sees_the_files_that_are_there_and_cells_that_changed() {
    let files = Files::new(&[("of/a.csv", b"id,n\na,1\n")]);
    files.run("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '@/of/'").await;
    files.run("CREATE VIEW v AS SELECT * FROM '@/of/'").await;
    std::fs::write(files.path().join("of/b.csv"), "n,id\n2,b\n").unwrap();
    for from in ["t", "v"] {
        assert_eq!(files.run(&format!("SELECT * FROM {from} ORDER BY 1")).await, "id Utf8View, n Int64; a 1; b 2");
    }
    std::fs::write(files.path().join("of/b.csv"), "n,id\nx,b\n").unwrap();
    let said = files.run("SELECT * FROM t").await;
    assert!(said.contains("b.csv, line 2, column \"n\": a cell is no Int64"), "{said}");
}

#[tokio::test]
async fn columns_of_folders_are_typed_and_hives_mark_is_null() {
    let files = Files::new(&[
        ("p/country=DE/score=7/a.csv", b"id\n1\n"),
        ("p/country=__HIVE_DEFAULT_PARTITION__/score=10/b.csv", b"id\n2\n"),
        ("p/country=a%20b/score=-1/c.csv", b"id\n3\n"),
        ("q/id=9/a.csv", b"id,x\n1,y\n"),
    ]);
    assert_eq!(files.read("p/").await, "id Int64, country Utf8View, score Int64; 1 DE 7; 2  10; 3 a b -1");
    assert_eq!(files.run("SELECT score, id FROM '@/p/' WHERE country IS NULL").await, "score Int64, id Int64; 10 2");
    // A folder's name is no cell: numbers find it, however it is spelled.
    let months = Files::new(&[("m/month=01/a.csv", b"id\n1\n"), ("m/month=02/a.csv", b"id\n2\n")]);
    for filter in ["month = 1", "month IN (1, 7)", "month >= 1 AND month < 2"] {
        assert_eq!(months.run(&format!("SELECT id FROM '@/m/' WHERE {filter}")).await, "id Int64; 1", "{filter}");
    }
    assert_eq!(files.read("q/").await, "id Int64, x Utf8View; 1 y");
    assert_eq!(files.notes(), ["column \"id\" stands in the files and in the names of their folders: that of the files is read"]);
    let other = Files::new(&[("p/a=1/x.csv", b"id\n1\n"), ("p/b=1/x.csv", b"id\n1\n")]);
    assert!(other.read("p/").await.contains("name different columns: a and b"));
}

#[tokio::test]
async fn a_large_file_of_quoted_newlines_is_read_in_parts_and_no_row_is_cut() {
    let mut text = String::from("id,address\n");
    for row in 0..150_000 {
        text.push_str(&format!("u{row},\"Road {row}\nPune {row}, near \"\"the lake\"\" and the very long wall\"\n"));
    }
    let files = Files::new(&[("a.csv", text.as_bytes()), ("a.csv.gz", &gzip(text.as_bytes()))]);
    files.run("SET datafusion.execution.target_partitions = 4").await;
    let plan = files.run("EXPLAIN SELECT address, count(*) FROM '@/a.csv' GROUP BY address").await;
    assert!(plan.contains("TextScan: format=csv"), "{plan}");
    for name in ["a.csv", "a.csv.gz"] {
        let query = "SELECT count(*) AS n, count(DISTINCT id) AS ids, count(DISTINCT address) AS a, sum(CASE WHEN address = concat('Road ', \
                     substr(id, 2), chr(10), 'Pune ', substr(id, 2), ', near \"the lake\" and the very long wall') THEN 1 END) AS same";
        assert_eq!(
            files.run(&format!("{query} FROM '@/{name}'")).await,
            "n Int64, ids Int64, a Int64, same Int64; 150000 150000 150000 150000"
        );
    }
    files.run("SET datafusion.execution.target_partitions = 1").await;
    assert_eq!(files.run("SELECT id FROM '@/a.csv' LIMIT 2 OFFSET 149000").await, "id Utf8View; u149000; u149001");
}

#[tokio::test]
async fn a_folder_in_the_folder_is_told_and_what_is_named_is_read() {
    let files = Files::new(&[
        ("d/a.csv", b"id\n1\n"),
        ("d/old/b.csv", b"id\n2\n"),
        ("e/a.csv", b"id\n1\n"),
        ("e/_old/b.csv", b"x\n"),
        ("e/old/b.txt", b"x\n"),
    ]);
    let told =
        "in it there is the folder old/, and nobody says whether its files are meant: name what is, as in FROM '…/*.csv' or FROM '…/old/'";
    assert!(files.read("d/").await.contains(told), "{}", files.read("d/").await);
    assert!(files.run("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '@/d/'").await.contains(told));
    assert_eq!(files.read("d/*.csv").await, "id Int64; 1");
    assert_eq!(files.read("d/old/").await, "id Int64; 2");
    assert_eq!(files.read("e/").await, "id Int64; 1");
}

#[tokio::test]
async fn csv_types_text_reads_every_column_as_it_stands() {
    let files = Files::new(&[("a.csv", b"a,b\n1,1.10\n2,1.5\n")]);
    assert_eq!(files.read("a.csv").await, "a Int64, b Decimal128(3, 2); 1 1.10; 2 1.50");
    files.run("SET clevertap.csv_types = 'text'").await;
    assert_eq!(files.read("a.csv").await, "a Utf8View, b Utf8View; 1 1.10; 2 1.5");
}

#[tokio::test]
async fn an_unknown_option_is_told_with_the_one_that_was_meant() {
    let files = Files::new(&[("a.csv", b"a;b\n1;2\n")]);
    let said = files.run("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '@/a.csv' OPTIONS (delimitr ';')").await;
    assert_eq!(said, "there is no option 'delimitr' of text files; did you mean 'delimiter'?");
    for (option, expected) in [
        ("null_regex '\\d'", "is read where it names texts"),
        ("null_regex 'N.'", "is read where it names texts"),
        ("double_quote 'false'", "have another character before them: escape"),
        ("has_header 'perhaps'", "'true' or 'false'"),
    ] {
        let said = files.run(&format!("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '@/a.csv' OPTIONS ({option})")).await;
        assert!(said.contains(expected), "{option}: {said}");
    }
    files
        .run("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '@/a.csv' OPTIONS ('format.delimiter' ';', 'format.has_header' 'false')")
        .await;
    assert_eq!(files.run("SELECT * FROM t").await, "column_1 Utf8View, column_2 Utf8View; a b; 1 2");
}

#[tokio::test]
async fn rows_are_added_to_a_table_and_read_back() {
    let files = Files::new(&[]);
    std::fs::create_dir(files.path().join("out")).unwrap();
    files.run("CREATE EXTERNAL TABLE t (id VARCHAR, n BIGINT) STORED AS CSV LOCATION '@/out/'").await;
    files.run("INSERT INTO t VALUES ('007', 1)").await;
    files.run("CREATE EXTERNAL TABLE u (id VARCHAR, n BIGINT) STORED AS CSV LOCATION '@/out/'").await;
    files.run("INSERT INTO u VALUES ('008', 2)").await;
    assert_eq!(files.run("SELECT * FROM u ORDER BY n").await, "id Utf8View, n Int64; 007 1; 008 2");
}

#[tokio::test]
async fn kinds_that_differ_between_files_are_told_of_the_file_that_has_them() {
    let files = Files::new(&[("a.ndjson", b"{\"id\":\"1\"}\n"), ("b.ndjson", b"{\"id\":2}\n{\"id\":3}\n")]);
    assert_eq!(files.read("").await, "id Utf8View; 1; 2; 3");
    assert_eq!(files.notes(), ["b.ndjson, line 1, column \"id\": a number here, a text in a.ndjson: all its values are read as text"]);
}

#[tokio::test]
async fn hidden_files_of_a_folder_are_read_where_they_are_named() {
    let files = Files::new(&[("a.csv", b"id\n1\n"), (".a.csv", b"id\n2\n"), ("_b.csv", b"id\n3\n"), ("._a.csv", b"\0\x05")]);
    for (place, ids) in [("@/", "1"), ("@/*.csv", "1"), ("@/_b.csv", "3"), ("@/_*.csv", "3"), ("@/.a.csv", "2")] {
        assert_eq!(files.run(&format!("SELECT id FROM '{place}' ORDER BY id")).await, format!("id Int64; {ids}"), "{place}");
    }
}

#[tokio::test]
async fn a_file_whose_name_does_not_say_what_it_is_can_be_read_as_the_error_says() {
    let files = Files::new(&[("people.dat", b"id\n1\n"), ("no.csv.gz", b"id\n1\n2\n3\n4\n5\n6\n7\n")]);
    let told = files.run("SELECT * FROM '@/people.dat'").await;
    let (_, remedy) = told.split_once("says nothing of its kind: ").expect(&told);
    let (create, _) = remedy.split_once(" reads it as CSV").expect(&told);
    files.run(create).await;
    assert_eq!(files.run("SELECT * FROM t").await, "id Int64; 1");
    let told = files.run("SELECT * FROM '@/no.csv.gz'").await;
    assert!(told.contains("its ending says that it is compressed, and it is not so (invalid gzip header)"), "{told}");
}
