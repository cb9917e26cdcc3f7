//! Files that are damaged at random: no panic, no content in a message, and no table that the `csv` crate does not see.
//!
//! `CLEVERTAP_MUTATIONS=10000000` damages so many.

use clevertap_files::csv::Layout;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::generated::{by_csv_crate, number, without_blank_lines, written};
use crate::tables::pick;
use crate::{all, as_text, cells, load, scan};

/// What stands in every cell, and in no name of a column.
const MARK: &str = "zq";

/// Damages the file behind its first line, up to four times.
fn damage(rng: &mut StdRng, data: &mut Vec<u8>, from: usize) {
    for _ in 0..rng.random_range(1..5) {
        if data.len() <= from {
            return;
        }
        let at = rng.random_range(from..data.len());
        let special = pick(rng, b"\",;\t|\n\r\\\0\xff\xe2#- 0.");
        match rng.random_range(0..6) {
            0 => data[at] = special,
            1 => data.insert(at, special),
            2 => drop(data.remove(at)),
            3 => data.truncate(at),
            4 => data[at] ^= 1 << rng.random_range(0..8),
            _ => {
                let end = data.len().min(at + rng.random_range(1..40));
                let copy = data[at..end].to_vec();
                data.splice(at..at, copy);
            }
        }
    }
}

#[test]
fn a_damaged_file_is_read_as_the_csv_crate_does_or_refused_without_a_word_of_its_content() {
    let (first, rounds) = (number("CLEVERTAP_SEED", 1), number("CLEVERTAP_MUTATIONS", 3_000));
    let (mut read, mut refused) = (0, 0);
    for seed in first..first + rounds {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut written = written(&mut rng, true);
        let header = written.data.windows(2).position(|two| two == MARK.as_bytes()).unwrap_or(written.data.len());
        damage(&mut rng, &mut written.data, header);
        let sizes: Vec<_> = (0..5).map(|_| rng.random_range(1..200)).collect();
        let (data, options) = (&written.data, &written.options);
        let silent = |message: String| assert!(!message.contains(MARK), "CLEVERTAP_SEED={seed}: {message}");
        let layout = match scan("f.csv", data, options, &sizes) {
            Ok(layout) => layout,
            Err(error) => {
                silent(error.to_string());
                refused += 1;
                continue;
            }
        };
        read += 1;
        // All that is told of a file and of its types.
        if let Ok(merged) = Layout::merge(std::slice::from_ref(&layout)) {
            merged.warnings.iter().for_each(|warning| silent(warning.to_string()));
        }
        if layout.columns.is_empty() {
            continue;
        }
        let rows = cells(&load(&layout, data, &as_text(&layout), &all(&layout), &sizes).unwrap_or_else(|error| panic!("{seed}: {error}")));
        if options.escape.is_none() {
            let theirs = by_csv_crate(data, layout.delimiter(), options, layout.columns.len());
            let theirs = theirs.unwrap_or_else(|error| panic!("CLEVERTAP_SEED={seed}: {error}"));
            assert_eq!(without_blank_lines(&rows), without_blank_lines(&theirs), "CLEVERTAP_SEED={seed}");
        }
    }
    assert!(read * 20 > rounds && refused * 20 > rounds, "{read} read, {refused} refused");
}
