//! Ways of doing one thing, beside each other: every round runs each once, in the same order, and what is told is the median over
//! the rounds of a way's time to that of a reference *in the same round*. On a shared machine a ratio within a round says more
//! than any time does.

use std::time::Duration;

use tokio::time::Instant;

/// Ways to be compared.
#[expect(missing_debug_implementations, reason = "closures have none")]
pub struct Rounds<'a> {
    title: &'a str,
    /// Rows and bytes that each way makes a round.
    rows: usize,
    bytes: usize,
    ways: Vec<Way<'a>>,
}

struct Way<'a> {
    name: &'static str,
    run: Box<dyn FnMut() + 'a>,
    times: Vec<Duration>,
}

/// How the binary was asked to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `cargo bench`, and the group is among those asked for.
    Measure,
    /// `cargo test`: once, so that nothing rots.
    Test,
    /// Another group was asked for.
    Skip,
}

impl Mode {
    /// For the group of this name.
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
    /// Of ways that make so many rows of so many bytes together.
    pub fn new(title: &'a str, rows: usize, bytes: usize) -> Self {
        Self { title, rows, bytes, ways: Vec::new() }
    }

    /// Adds a way.
    #[must_use]
    pub fn way(mut self, name: &'static str, run: impl FnMut() + 'a) -> Self {
        self.ways.push(Way { name, run: Box::new(run), times: Vec::new() });
        self
    }

    /// Runs the rounds, after one that counts for nothing, and prints each way against each of `references`. With `CLEVERTAP_WAY`
    /// in the environment that way alone is run, for a profiler.
    ///
    /// # Panics
    /// If a reference is not one of the ways.
    #[expect(clippy::print_stdout, reason = "what a bench is for")]
    pub fn run(mut self, rounds: usize, references: &[&str]) {
        // For a profile of one way: no ratios then.
        let only = std::env::var("CLEVERTAP_WAY").ok();
        let (rounds, references) = if only.is_some() { (30 * rounds, &[][..]) } else { (rounds, references) };
        self.ways.retain(|way| only.as_deref().is_none_or(|only| only == way.name));
        for round in 0..=rounds {
            for way in &mut self.ways {
                let begun = Instant::now();
                (way.run)();
                if round > 0 || rounds == 0 {
                    way.times.push(begun.elapsed());
                }
            }
        }
        let places: Vec<usize> = references
            .iter()
            .map(|name| self.ways.iter().position(|way| way.name == *name).unwrap_or_else(|| panic!("no way is called {name}")))
            .collect();
        println!("\n{} ({} rows, {} bytes a row, {rounds} rounds)", self.title, self.rows, self.bytes / self.rows.max(1));
        print!("{:34} {:>10} {:>10} {:>8}", "", "min ns/row", "med ns/row", "GB/s");
        references.iter().for_each(|name| print!(" {:>22}", format!("x {name}")));
        println!();
        for way in &self.ways {
            let nanoseconds = median(way.times.iter().map(Duration::as_secs_f64).collect()) * 1e9;
            let least = way.times.iter().min().map_or(0.0, Duration::as_secs_f64) * 1e9;
            let rows = self.rows as f64;
            print!("{:34} {:>10.1} {:>10.1} {:>8.2}", way.name, least / rows, nanoseconds / rows, self.bytes as f64 / nanoseconds);
            for reference in &places {
                let ratios = self.ways[*reference]
                    .times
                    .iter()
                    .zip(&way.times)
                    .map(|(reference, time)| reference.as_secs_f64() / time.as_secs_f64());
                print!(" {:>22.2}", median(ratios.collect()));
            }
            println!();
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
