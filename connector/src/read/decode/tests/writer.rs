//! Writes random pages for the oracle: every kind of value, missing, unexpected and repeated keys, escapes, blanks, any order.

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

struct Writer {
    rng: StdRng,
    out: String,
}

impl Writer {
    fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_ratio(percent, 100)
    }

    fn pick(&mut self, words: &[&str]) -> String {
        (*words.choose(&mut self.rng).expect("words")).to_owned()
    }

    fn blank(&mut self) {
        if self.chance(4) {
            let blank = self.pick(&[" ", "\n", "\t", "\r", "  \n   "]);
            self.out.push_str(&blank);
        }
    }

    fn text(&mut self) {
        let parts = [
            "a",
            "Ada Q",
            "cust-1001",
            "é",
            "漢字",
            "😀",
            "\\n",
            "\\\"",
            "\\\\",
            "\\/",
            "\\b\\f\\r\\t",
            "\\u00e9",
            "\\u0000",
            "\\uD83D\\uDe00",
            "{}",
            "[1,2]",
            ",",
            ":",
            " ",
            "$D_",
            "1",
            "a text that is longer than thirty-two bytes are",
            "",
            "true",
        ];
        self.out.push('"');
        for _ in 0..self.rng.random_range(0..4) {
            let part = self.pick(&parts);
            self.out.push_str(&part);
        }
        self.out.push('"');
    }

    fn scalar(&mut self) {
        let digits =
            |rng: &mut StdRng| (0..rng.random_range(1..=22)).map(|_| char::from(rng.random_range(b'0'..=b'9'))).collect::<String>();
        let number = match self.rng.random_range(0..11) {
            0 => self.rng.random_range(-100..100).to_string(),
            1 => self.rng.random::<i64>().to_string(),
            2 => self.rng.random::<f64>().to_string(),
            3 => format!("{:.2}", self.rng.random_range(-1e5..1e5)),
            4 => f64::from_bits(self.rng.random()).to_string().replace("NaN", "0").replace("inf", "1e308"),
            5 => format!("{:e}", self.rng.random_range(-1e300..1e300)),
            6 => format!("1{}", digits(&mut self.rng)),
            7 => format!("{}.{}", self.rng.random_range(-9..9), digits(&mut self.rng)),
            8 => format!("{}{}", 1u64 << self.rng.random_range(40..63), self.pick(&["", "0", "1", "000"])),
            9 => self.pick(&["0", "-0", "-0.0", "9007199254740992", "9007199254740993", "-9223372036854775808", "9223372036854775808"]),
            _ => self.pick(&["1E5", "1e-7", "123e+2", "0e999", "1e-999", "1.5e1", "1767225600", "20260101", "253402300800"]),
        };
        match self.rng.random_range(0..10) {
            0 | 1 => self.text(),
            2..=5 => self.out.push_str(&number),
            6 => self.out.push_str(&format!("\"{number}\"")),
            7 => {
                let word = self.pick(&["true", "false", "null", "\"TRUE\"", "\"False\"", "\"null\"", "\"t\\u0072ue\"", "\"\\u0031\""]);
                self.out.push_str(&word);
            }
            _ => {
                let mut date = self.pick(&[
                    "1767225600",
                    "20260101",
                    "20260330",
                    "20261301",
                    "-5",
                    "01234567",
                    "00010101",
                    "",
                    "+1",
                    "123456789012345",
                ]);
                if self.chance(30) {
                    date = digits(&mut self.rng);
                }
                self.out.push_str(&format!("\"$D_{date}\""));
            }
        }
    }

    fn value(&mut self, levels: u32) {
        match self.rng.random_range(0..10) {
            0 if levels > 0 => self.object(levels - 1, &["a", "b", "0"], 3),
            1 | 2 if levels > 0 => self.list(levels - 1),
            _ => self.scalar(),
        }
    }

    fn list(&mut self, levels: u32) {
        self.out.push('[');
        self.blank();
        for item in 0..self.rng.random_range(0..4) {
            if item > 0 {
                self.out.push(',');
                self.blank();
            }
            self.value(levels);
            self.blank();
        }
        self.out.push(']');
    }

    /// Some of the keys in some order. Now and then a key is repeated, has an escape, or is one that no slot needs.
    fn object(&mut self, levels: u32, keys: &[&str], most: usize) {
        let mut keys: Vec<&str> = keys.choose_multiple(&mut self.rng, most).copied().collect();
        if self.chance(30) {
            keys.shuffle(&mut self.rng);
        }
        if self.chance(10)
            && let Some(repeated) = keys.choose(&mut self.rng).copied()
        {
            keys.push(repeated);
        }
        self.out.push('{');
        self.blank();
        for (at, key) in keys.iter().enumerate() {
            if at > 0 {
                self.out.push(',');
                self.blank();
            }
            let mut written = serde_json::to_string(key).expect("a key");
            if self.chance(3) {
                written = written.replace('a', "\\u0061");
            }
            self.out.push_str(&written);
            self.blank();
            self.out.push(':');
            self.blank();
            self.member(levels, key);
            self.blank();
        }
        self.out.push('}');
    }

    fn member(&mut self, levels: u32, key: &str) {
        let is_random = self.chance(3);
        match key {
            _ if is_random => self.value(levels),
            "ts" => {
                let hour = self.rng.random_range(0..24);
                let day = self.pick(&["20260801", "20260329", "20261025", "19700101", "99991231", "20280229"]);
                let time = format!("{day}{hour:02}{:02}59", self.rng.random_range(0..60));
                let time = if self.chance(10) { format!("\"{time}\"") } else { time };
                self.out.push_str(&time);
            }
            "profile" => self.object(2, &["name", "identity", "email", "platform", "unwanted"], 4),
            "event_props" => {
                let long = "a property whose name is longer than two words";
                self.object(2, &["Amount", "Qty", "Ok", "When", "Tags", "CT Source", long], 6);
            }
            "platformInfo" if self.chance(80) => {
                self.out.push('[');
                for item in 0..self.rng.random_range(0..3) {
                    self.out.push_str(if item > 0 { "," } else { "" });
                    self.object(1, &["platform", "objectId"], 2);
                }
                self.out.push(']');
            }
            "records" => {
                self.out.push('[');
                self.blank();
                for record in 0..self.rng.random_range(0..5) {
                    self.out.push_str(if record > 0 { "," } else { "" });
                    let keys = ["ts", "profile", "event_props", "identity", "objectId", "platformInfo", "df"];
                    let most = self.rng.random_range(1..=keys.len());
                    // A record without a time makes the whole page unreadable, so most have one.
                    if self.chance(97) {
                        self.out.push_str("{\"ts\":20260801103045,");
                        let before = self.out.len();
                        self.object(2, &keys[1..], most);
                        self.out.remove(before);
                        let empty = self.out.get(before..).is_some_and(|rest| rest.trim_start().starts_with('}'));
                        if empty {
                            self.out.insert_str(before, "\"df\":{}");
                        }
                    } else {
                        self.object(2, &keys, most);
                    }
                }
                self.out.push(']');
            }
            "status" | "cursor" | "next_cursor" => self.text(),
            _ => self.value(levels),
        }
    }
}

/// A random page.
pub(super) fn page(rng: &mut StdRng) -> Vec<u8> {
    let mut writer = Writer { rng: StdRng::seed_from_u64(rng.random()), out: String::new() };
    writer.object(2, &["status", "records", "next_cursor", "cursor", "extra"], 5);
    writer.out.into_bytes()
}

/// Changes, adds or removes one to three bytes.
pub(super) fn mutate(page: &mut Vec<u8>, rng: &mut StdRng) {
    for _ in 0..rng.random_range(1..=3) {
        let at = rng.random_range(0..page.len());
        let byte = if rng.random() { *br#"{}[]",:\0123456789.eE+-truefalsn "#.choose(rng).expect("bytes") } else { rng.random() };
        match rng.random_range(0..4) {
            0 => page.insert(at, byte),
            1 if page.len() > 1 => drop(page.remove(at)),
            _ => page[at] = byte,
        }
    }
}
