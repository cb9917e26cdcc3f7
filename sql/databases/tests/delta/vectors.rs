//! Deletion vectors: rows of a file that are removed without writing the file again. Other writers make them; they are made by hand here.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::{Folder, rows, shown};

/// A vector of these rows, as it stands in a commit: a 64-bit roaring bitmap of one container, in base 85 of ZeroMQ.
fn vector(removed: &[u16]) -> Value {
    let mut bytes = 1_681_511_377_u32.to_le_bytes().to_vec();
    bytes.extend(1_u64.to_le_bytes());
    bytes.extend(0_u32.to_le_bytes());
    bytes.extend([12_346_u32, 1].iter().flat_map(|word| word.to_le_bytes()));
    bytes.extend(0_u16.to_le_bytes());
    bytes.extend(u16::try_from(removed.len() - 1).expect("few rows").to_le_bytes());
    bytes.extend(16_u32.to_le_bytes());
    bytes.extend(removed.iter().flat_map(|row| row.to_le_bytes()));
    let size = bytes.len();
    bytes.resize(size.div_ceil(4) * 4, 0);
    const DIGITS: &[u8; 85] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
    let mut text = String::new();
    for word in bytes.chunks(4) {
        let word = u32::from_be_bytes(word.try_into().expect("four bytes"));
        let digit = |place: u32| char::from(DIGITS[usize::try_from(word / 85_u32.pow(place) % 85).expect("four bytes")]);
        text.extend((0..5).rev().map(digit));
    }
    json!({"storageType": "i", "pathOrInlineDv": text, "sizeInBytes": size, "cardinality": removed.len()})
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_deletion_vector_are_neither_counted_nor_read_nor_brought_back() {
    for write in [
        "INSERT INTO t VALUES (100, 'new')",
        "REPLACE INTO t VALUES (0, 'new'), (100, 'new')",
        "INSERT OVERWRITE t SELECT id, 'new' FROM t",
    ] {
        let folder = Folder::new();
        let ctx = folder.table("(id BIGINT, name VARCHAR)").await;
        rows(&ctx, "INSERT INTO t SELECT value, concat('n', value) FROM range(0, 10)").await.unwrap();
        let log = Path::new(&folder.place()).join("_delta_log");
        let commit = fs::read_to_string(log.join(format!("{:020}.json", 1))).unwrap();
        let adds: Vec<Value> =
            commit.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).filter(|action| action.get("add").is_some()).collect();
        let [add] = adds.as_slice() else { panic!("{commit}") };
        let mut add = add["add"].clone();
        let path = add["path"].clone();
        add["deletionVector"] = vector(&[2, 5, 9]);
        let lines = [
            json!({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}}),
            json!({"remove": {"path": path, "deletionTimestamp": 1, "dataChange": true}}),
            json!({"add": add}),
        ];
        fs::write(log.join(format!("{:020}.json", 2)), lines.map(|line| line.to_string()).join("\n")).unwrap();
        let counts = "SELECT count(*) AS n, count(name) AS names, max(id) AS last FROM t";
        assert!(shown(&ctx, counts).await.contains("| 7 | 7     | 8    |"), "{}", shown(&ctx, counts).await);
        assert!(shown(&ctx, "SELECT count(*) AS n FROM t").await.contains("| 7 |"));
        assert_eq!(ctx.sql("SELECT id FROM t WHERE id IN (2, 5, 9)").await.unwrap().count().await.unwrap(), 0);
        assert_eq!(ctx.sql("SELECT id FROM t LIMIT 20").await.unwrap().count().await.unwrap(), 7);
        rows(&ctx, "SET database.upsert_key = 'id'").await.unwrap();
        rows(&ctx, write).await.unwrap_or_else(|error| panic!("{write}: {error}"));
        let found =
            shown(&ctx, "SELECT count(*) AS n, count(DISTINCT id) AS ids, count(*) FILTER (WHERE id IN (2, 5, 9)) AS gone FROM t").await;
        let expected = if write.contains("OVERWRITE") { "| 7 | 7   | 0    |" } else { "| 8 | 8   | 0    |" };
        assert!(found.contains(expected), "{write}: {found}");
    }
}
