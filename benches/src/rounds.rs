//! Compares variants of one task: every round runs each variant once, in the same order. The result is the median over the rounds of
//! the ratio of its time to that of a reference *in the same round*. On a shared machine such a ratio is more reliable than any time.

use std::time::Duration;

use tokio::time::Instant;

/// The variants to compare.
#[expect(missing_debug_implementations, reason = "closures have none")]
pub struct Rounds<'a> {
    title: &'a str,
    /// Rows and bytes that each variant processes per round.
    rows: usize,
    bytes: usize,
    variants: Vec<Variant<'a>>,
}

struct Variant<'a> {
    name: &'static str,
    run: Box<dyn FnMut() + 'a>,
    times: Vec<Duration>,
}

/// How the binary runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `cargo bench`, and the group is selected.
    Measure,
    /// `cargo test`: once, to check that it still works.
    Test,
    /// Another group is selected.
    Skip,
}

impl Mode {
    /// The mode for a group.
    pub fn of(group: &str) -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let mut filters = arguments.iter().filter(|argument| !argument.starts_with('-')).peekable();
        if !arguments.iter().any(|argument| argument == "--bench") {
            Self::Test
        } else if filters.peek().is_none() || filters.any(|filter| group.contains(filter.as_str())) {
            Self::Measure
        } else {
            Self::Skip
        }
    }
}

impl<'a> Rounds<'a> {
    /// Starts a comparison of variants that process `rows` rows and `bytes` bytes.
    pub fn new(title: &'a str, rows: usize, bytes: usize) -> Self {
        Self { title, rows, bytes, variants: Vec::new() }
    }

    /// Adds a variant.
    #[must_use]
    pub fn variant(mut self, name: &'static str, run: impl FnMut() + 'a) -> Self {
        self.variants.push(Variant { name, run: Box::new(run), times: Vec::new() });
        self
    }

    /// Runs the rounds, after a warm-up round, and prints each variant relative to each of `references`. If `CLEVERTAP_WAY` is set in
    /// the environment, only that variant is run, for a profiler.
    ///
    /// # Panics
    /// If a reference is not one of the variants.
    #[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
    pub fn run(mut self, rounds: usize, references: &[&str]) {
        // To profile one variant; prints no ratios.
        let only = std::env::var("CLEVERTAP_WAY").ok();
        let (rounds, references) = if only.is_some() { (30 * rounds, &[][..]) } else { (rounds, references) };
        self.variants.retain(|variant| only.as_deref().is_none_or(|only| only == variant.name));
        for round in 0..=rounds {
            for variant in &mut self.variants {
                let start = Instant::now();
                (variant.run)();
                if round > 0 || rounds == 0 {
                    variant.times.push(start.elapsed());
                }
            }
        }
        let reference_indexes: Vec<usize> = references
            .iter()
            .map(|name| self.variants.iter().position(|variant| variant.name == *name).unwrap_or_else(|| panic!("no way is called {name}")))
            .collect();
        println!("\n{} ({} rows, {} bytes a row, {rounds} rounds)", self.title, self.rows, self.bytes / self.rows.max(1));
        print!("{:34} {:>10} {:>10} {:>8}", "", "min ns/row", "med ns/row", "GB/s");
        references.iter().for_each(|name| print!(" {:>22}", format!("x {name}")));
        println!();
        for variant in &self.variants {
            let nanoseconds = median(variant.times.iter().map(Duration::as_secs_f64).collect()) * 1e9;
            let least = variant.times.iter().min().map_or(0.0, Duration::as_secs_f64) * 1e9;
            let rows = self.rows as f64;
            print!("{:34} {:>10.1} {:>10.1} {:>8.2}", variant.name, least / rows, nanoseconds / rows, self.bytes as f64 / nanoseconds);
            for reference in &reference_indexes {
                let ratios = self.variants[*reference]
                    .times
                    .iter()
                    .zip(&variant.times)
                    .map(|(reference, time)| reference.as_secs_f64() / time.as_secs_f64());
                print!(" {:>22.2}", median(ratios.collect()));
            }
            println!();
        }
    }
}

/// The median.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
