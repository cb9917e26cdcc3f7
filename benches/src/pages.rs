//! Answers of the event export in the format of CleverTap: `status`, `next_cursor`, and records of about 315 bytes.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const PLATFORMS: [&str; 3] = ["Android", "iOS", "Web"];
const FIRST_NAMES: [&str; 8] = ["Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Frances", "Niklaus"];
const LAST_NAMES: [&str; 8] = ["Lovelace", "Hopper", "Turing", "Dijkstra", "Liskov", "Knuth", "Allen", "Wirth"];
const CATEGORIES: [&str; 6] = ["Shoes", "Bags", "Books", "Toys", "Garden", "Music"];
const PRODUCTS: [&str; 6] = ["Running shoe Mk 2", "Leather tote", "Slim volume", "Wooden train set", "Rose, climbing", "Long player"];

/// A page of `records` events. Each field but identity and time is missing in 10 % of the records; 3 % of the names are not ASCII and
/// 0.5 % have an escape.
#[must_use]
pub fn events(seed: u64, records: usize) -> Vec<u8> {
    let mut rng = StdRng::seed_from_u64(seed);
    let cursor: String = (0..1_800).map(|_| char::from(rng.random_range(b'A'..=b'Z'))).collect();
    let mut page = format!("{{\"status\":\"success\",\"next_cursor\":\"{cursor}%3D\",\"records\":[");
    for record in 0..records {
        page.push_str(if record > 0 { ",{\"profile\":{" } else { "{\"profile\":{" });
        let person = rng.random_range(0..2_000_000u32);
        let first = FIRST_NAMES[rng.random_range(0..FIRST_NAMES.len())];
        let last = LAST_NAMES[rng.random_range(0..LAST_NAMES.len())];
        let name = match rng.random_range(0..200) {
            0 => format!("{first} \\\"{last}\\\""),
            1..7 => format!("{first} Müller-{last}"),
            _ => format!("{first} {last}"),
        };
        let profile = [
            ("objectId", format!("\"__g{:032x}\"", rng.random::<u128>())),
            ("platform", quoted(PLATFORMS[rng.random_range(0..PLATFORMS.len())])),
            ("identity", quoted(&format!("cust-{person}"))),
            ("name", quoted(&name)),
            ("email", quoted(&format!("{}.{person}@example.org", first.to_lowercase()))),
            ("phone", quoted(&format!("1415{:07}", rng.random_range(0..10_000_000)))),
        ];
        members(&mut page, &mut rng, &profile);
        let day = rng.random_range(1..=28);
        let clock = rng.random_range(0..24) * 10_000 + rng.random_range(0..60) * 100 + rng.random_range(0..60);
        page.push_str(&format!("}},\"ts\":202608{day:02}{clock:06},\"event_props\":{{"));
        let properties = [
            ("Product", quoted(PRODUCTS[rng.random_range(0..PRODUCTS.len())])),
            ("Category", quoted(CATEGORIES[rng.random_range(0..CATEGORIES.len())])),
            ("Price", format!("{:.2}", f64::from(rng.random_range(100..500_000)) / 100.0)),
            ("Quantity", rng.random_range(1..200).to_string()),
            ("InStock", rng.random::<bool>().to_string()),
            ("DeliveredAt", format!("\"$D_{}\"", 1_767_225_600 + rng.random_range(0..20_000_000))),
        ];
        members(&mut page, &mut rng, &properties);
        page.push_str("}}");
    }
    page.push_str("]}");
    page.into_bytes()
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

fn members(page: &mut String, rng: &mut StdRng, members: &[(&str, String)]) {
    let mut separator = "";
    for (key, value) in members {
        if *key == "identity" || rng.random_range(0..10) > 0 {
            page.push_str(&format!("{separator}\"{key}\":{value}"));
            separator = ",";
        }
    }
}
