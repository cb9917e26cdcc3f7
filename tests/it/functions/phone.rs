//! `ct_phone`.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, DictionaryArray, Int64Array, LargeStringArray, StringArray, StringViewArray,
};
use arrow::datatypes::{DataType, Int8Type, Int32Type};
use datafusion::assert_batches_eq;
use datafusion::error::Result;

use super::{column_type, error, rows, session};

/// What people type, all from India or marked otherwise, and what is no number at all.
const TYPED: [Option<&str>; 6] = [Some("098123 45678"), Some("+91 98123-45678"), None, Some("+1 (650) 253-0000"), Some("12"), Some("")];

#[tokio::test]
async fn every_kind_of_text_gives_the_same_numbers() -> Result<()> {
    let dictionary: DictionaryArray<Int32Type> = TYPED.into_iter().collect();
    let kinds: [ArrayRef; 4] = [
        Arc::new(StringArray::from_iter(TYPED)),
        Arc::new(LargeStringArray::from_iter(TYPED)),
        Arc::new(StringViewArray::from_iter(TYPED)),
        Arc::new(dictionary),
    ];
    for kind in kinds {
        let ctx = session(vec![("phone", kind)])?;
        assert_eq!(column_type(&ctx, "SELECT ct_phone(phone, 'IN') FROM t").await?, (DataType::Utf8View, true));
        assert_batches_eq!(
            [
                "+---------------+---------------+",
                "| in_india      | anywhere      |",
                "+---------------+---------------+",
                "| +919812345678 |               |",
                "| +919812345678 | +919812345678 |",
                "|               |               |",
                "| +16502530000  | +16502530000  |",
                "|               |               |",
                "|               |               |",
                "+---------------+---------------+",
            ],
            &rows(&ctx, "SELECT ct_phone(phone, 'IN') AS in_india, ct_phone(phone) AS anywhere FROM t").await?
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_region_may_differ_from_row_to_row() -> Result<()> {
    let phones: DictionaryArray<Int8Type> =
        ["098123 45678", "020 7946 0018", "650 253 0000", "650 253 0000", "+16502530000", "+16502530000"].into_iter().collect();
    let regions = StringArray::from(vec![Some("IN"), Some("gb"), Some("US"), None, None, Some("Nowhere")]);
    let ctx = session(vec![("phone", Arc::new(phones) as ArrayRef), ("region", Arc::new(regions))])?;
    let expected = [
        "+---------------+",
        "| number        |",
        "+---------------+",
        "| +919812345678 |",
        "| +442079460018 |",
        "| +16502530000  |",
        "|               |",
        "| +16502530000  |",
        "| +16502530000  |",
        "+---------------+",
    ];
    assert_batches_eq!(expected, &rows(&ctx, "SELECT ct_phone(phone, region) AS number FROM t").await?);
    let dictionaries = "SELECT ct_phone(phone, arrow_cast(region, 'Dictionary(Int32, Utf8)')) AS number FROM t";
    assert_batches_eq!(expected, &rows(&ctx, dictionaries).await?);
    Ok(())
}

#[tokio::test]
async fn one_phone_may_be_read_in_many_regions() -> Result<()> {
    let regions = StringArray::from(vec![Some("GB"), Some("US"), None]);
    let ctx = session(vec![("region", Arc::new(regions) as ArrayRef)])?;
    assert_batches_eq!(
        [
            "+---------------+",
            "| number        |",
            "+---------------+",
            "| +442079460018 |",
            "|               |",
            "|               |",
            "+---------------+",
        ],
        &rows(&ctx, "SELECT ct_phone('020 7946 0018', region) AS number FROM t").await?
    );
    Ok(())
}

#[tokio::test]
async fn whole_numbers_are_read_as_their_digits() -> Result<()> {
    let integers = Int64Array::from(vec![Some(9_812_345_678), None, Some(919_812_345_678), Some(12)]);
    let decimals =
        Decimal128Array::from(vec![Some(9_812_345_678), None, Some(919_812_345_678), Some(12)]).with_data_type(DataType::Decimal128(20, 0));
    let ctx = session(vec![("i", Arc::new(integers) as ArrayRef), ("d", Arc::new(decimals))])?;
    assert_batches_eq!(
        [
            "+---------------+---------------+----------+",
            "| i             | d             | anywhere |",
            "+---------------+---------------+----------+",
            "| +919812345678 | +919812345678 |          |",
            "|               |               |          |",
            "| +919812345678 | +919812345678 |          |",
            "|               |               |          |",
            "+---------------+---------------+----------+",
        ],
        &rows(&ctx, "SELECT ct_phone(i, 'IN') AS i, ct_phone(d, 'IN') AS d, ct_phone(i) AS anywhere FROM t").await?
    );
    Ok(())
}

#[tokio::test]
async fn constants_are_read_as_columns_are() -> Result<()> {
    let ctx = session(vec![])?;
    assert_batches_eq!(
        [
            "+---------------+---------------+---+---+---------------+",
            "| a             | b             | c | d | e             |",
            "+---------------+---------------+---+---+---------------+",
            "| +919812345678 | +919812345678 |   |   | +442079460018 |",
            "+---------------+---------------+---+---+---------------+",
        ],
        &rows(
            &ctx,
            "SELECT ct_phone('0091 98123 45678', 'IN') AS a, ct_phone(9812345678, lower('IN')) AS b,
                    ct_phone(NULL, 'IN') AS c, ct_phone('00919812345678') AS d, ct_phone('+44 20 7946 0018', NULL) AS e"
        )
        .await?
    );
    Ok(())
}

#[tokio::test]
async fn what_is_only_there_for_the_eye_changes_nothing() -> Result<()> {
    let typed = [
        "+919812345678",
        "+919812-345678",
        "+91.98123.45678",
        "+91 (0) 98123 45678",
        "tel:+91-98123-45678",
        "＋９１９８１２３４５６７８",
        " +91 98123 45678 ext. 12",
    ];
    let ctx = session(vec![("phone", Arc::new(StringArray::from_iter_values(typed)) as ArrayRef)])?;
    assert_batches_eq!(
        [
            "+---------------+-------+",
            "| number        | times |",
            "+---------------+-------+",
            "| +919812345678 | 7     |",
            "+---------------+-------+",
        ],
        &rows(&ctx, "SELECT ct_phone(phone) AS number, count(*) AS times FROM t GROUP BY 1").await?
    );
    Ok(())
}

#[tokio::test]
async fn a_dictionary_that_is_longer_than_the_column_gives_the_same_numbers() -> Result<()> {
    let phones = StringArray::from(vec![Some("+16502530000"), None, Some("none"), Some("098123 45678")]);
    let dictionary = DictionaryArray::<Int8Type>::new(vec![Some(3), Some(1), None].into(), Arc::new(phones));
    let ctx = session(vec![("phone", Arc::new(dictionary) as ArrayRef)])?;
    assert_batches_eq!(
        [
            "+---------------+---------+",
            "| number        | missing |",
            "+---------------+---------+",
            "| +919812345678 | false   |",
            "|               | true    |",
            "|               | true    |",
            "+---------------+---------+",
        ],
        &rows(&ctx, "SELECT ct_phone(phone, 'IN') AS number, ct_phone(phone, 'IN') IS NULL AS missing FROM t").await?
    );
    Ok(())
}

#[tokio::test]
async fn a_constant_that_is_no_region_is_an_error_that_repeats_no_value() -> Result<()> {
    let ctx = session(vec![("phone", Arc::new(StringArray::from(vec!["098123 45678"])) as ArrayRef)])?;
    for sql in [
        "SELECT ct_phone(phone, 'India') FROM t",
        "SELECT ct_phone(phone, '') FROM t",
        "SELECT ct_phone(phone, concat('U', 'K')) FROM t",
        "SELECT ct_phone('IN', '098123 45678')",
    ] {
        assert_eq!(
            error(&ctx, sql).await,
            "ct_phone was given a region that is no ISO 3166 code of two letters; expected one such as 'IN', 'US' or 'GB': ct_phone(phone, 'IN')",
            "{sql}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_whole_number_is_read_by_its_digits_whatever_its_type() -> Result<()> {
    let ctx = session(vec![])?;
    let query = "SELECT ct_phone(n, 'ID') AS of_double, ct_phone(n::decimal(15, 2), 'ID') AS of_decimal, ct_phone(n, region) AS by_region, \
                 ct_phone(81234567890.0, 'ID') AS of_constant FROM (VALUES (81234567890.0::double, 'ID'), (81234567890.5, 'ID'), (NULL, 'ID')) AS t (n, region)";
    assert_batches_eq!(
        [
            "+----------------+----------------+----------------+----------------+",
            "| of_double      | of_decimal     | by_region      | of_constant    |",
            "+----------------+----------------+----------------+----------------+",
            "| +6281234567890 | +6281234567890 | +6281234567890 | +6281234567890 |",
            "|                |                |                | +6281234567890 |",
            "|                |                |                | +6281234567890 |",
            "+----------------+----------------+----------------+----------------+",
        ],
        &rows(&ctx, query).await?
    );
    Ok(())
}

#[tokio::test]
async fn what_is_neither_text_nor_a_whole_number_is_refused() -> Result<()> {
    let ctx = session(vec![])?;
    let found = [
        error(&ctx, "SELECT ct_phone(true, 'IN')").await,
        error(&ctx, "SELECT ct_phone(['+16502530000'])").await,
        error(&ctx, "SELECT ct_phone('+16502530000', 91)").await,
        error(&ctx, "SELECT ct_phone()").await,
        error(&ctx, "SELECT ct_phone('a', 'IN', 'b')").await,
    ];
    assert_eq!(
        found,
        [
            "ct_phone was given Boolean as the phone; expected text, or an integer. CAST(… AS VARCHAR) makes text",
            "ct_phone was given List(Utf8) as the phone; expected text, or an integer. CAST(… AS VARCHAR) makes text",
            "ct_phone was given Int64 as the region; expected an ISO 3166 code of two letters, such as 'IN'",
            "ct_phone was given 0 arguments; expected ct_phone(phone) or ct_phone(phone, region)",
            "ct_phone was given 3 arguments; expected ct_phone(phone) or ct_phone(phone, region)",
        ]
    );
    Ok(())
}

#[tokio::test]
async fn its_own_output_goes_through_unchanged() -> Result<()> {
    let ctx = session(vec![])?;
    let found = rows(
        &ctx,
        "SELECT once, ct_phone(once) AS twice, ct_phone(once, 'US') AS elsewhere
         FROM (SELECT ct_phone((value * 7919 % 10000000000)::text, region) AS once
               FROM generate_series(1, 400) AS n (value)
               CROSS JOIN (VALUES ('IN'), ('US'), ('GB'), ('DE'), ('BR'), ('IT'), ('MX'), ('RU')) AS r (region))
         WHERE once IS NOT NULL",
    )
    .await?;
    let mut numbers = 0;
    for batch in found {
        let [once, twice, elsewhere] = [0, 1, 2].map(|column| batch.column(column).as_string_view());
        assert_eq!(once, twice);
        assert_eq!(once, elsewhere);
        numbers += once.len();
    }
    assert!(numbers > 100, "only {numbers} numbers were valid: the property was not tried");
    Ok(())
}
