//! A made-up shop, the same each time: for the binary, for benches, for a look by hand.

use chrono_tz::Tz;

use crate::emulator::Emulator;
use crate::query::days;
use crate::settings::Platform;
use crate::store::index::mixed;
use crate::store::seed::{SeedPerson, SeedPersonId};

/// The days over which the events are spread, the last one being the day before the account's clock starts.
const DAYS: i64 = 30;

const PHONES: [(Platform, &str, &str, &str); 3] =
    [(Platform::Android, "14", "Acme", "One"), (Platform::Ios, "18.1", "Apple", "iPhone15,2"), (Platform::Android, "13", "Globex", "G7")];

impl Emulator {
    /// Seeds a made-up shop: people `cust-1` and on, each fifth one anonymous, and their events of the thirty days before
    /// `Settings::started_at`: `App Launched` (half of them), `Viewed Item` (three tenths), `Added to Cart`, `Charged`.
    pub fn seed_sample(&self, people: usize, events: usize) {
        let zone = self.settings().time_zone;
        let end = midnight(self.settings().started_at, zone);
        self.seed(|seeder| {
            let mut dice = SplitMix64(self.settings().seed ^ 0x5A17_D0E5);
            let mut ids: Vec<SeedPersonId> = Vec::with_capacity(people);
            for number in 1..=people {
                let (platform, os_version, make, model) = PHONES[number % PHONES.len()];
                let is_anonymous = number.is_multiple_of(5);
                let identity = format!("cust-{number}");
                let object_id = format!("__g{number:032x}");
                let (name, email, phone) = (format!("Name {number}"), format!("c{number}@example.org"), format!("+1415555{number:07}"));
                let known = |text: &'_ str| if is_anonymous { None } else { Some(text.to_owned()) };
                let (identity, name, email, phone) = (known(&identity), known(&name), known(&email), known(&phone));
                let plan = ["free", "silver", "gold"][dice.below(3)];
                let properties = format!(
                    r#"{{"Plan":"{plan}","Score":{}.5,"Orders":{},"Since":"$D_{}","Newsletter":{}}}"#,
                    dice.below(100),
                    dice.below(40),
                    end - 86_400 * (400 + i64::try_from(dice.below(1000)).unwrap_or_default()),
                    dice.below(2) == 0,
                );
                ids.push(seeder.person(SeedPerson {
                    identity: identity.as_deref(),
                    object_id: Some(&object_id),
                    platform,
                    name: name.as_deref(),
                    email: email.as_deref(),
                    phone: phone.as_deref(),
                    properties: &properties,
                    os_version,
                    app_version: ["5.0", "5.1"][dice.below(2)],
                    make,
                    model,
                }));
            }
            if ids.is_empty() {
                return;
            }
            for number in 0..events {
                let person = ids[dice.below(ids.len())];
                let ts = end - 1 - i64::try_from(dice.below(usize::try_from(DAYS * 86_400).unwrap_or(usize::MAX))).unwrap_or_default();
                let session = Some(r#"{"session_source":"Direct"}"#).filter(|_| number.is_multiple_of(3));
                let item = dice.below(500);
                match dice.below(10) {
                    0..5 => seeder.event(person, "App Launched", ts, "{}", session),
                    5..8 => {
                        let properties = format!(r#"{{"Sku":"A-{item}","Price":{}.25,"In stock":{}}}"#, dice.below(200), !item.is_multiple_of(7));
                        seeder.event(person, "Viewed Item", ts, &properties, session);
                    }
                    8 => seeder.event(person, "Added to Cart", ts, &format!(r#"{{"Sku":"A-{item}","Quantity":{}}}"#, 1 + dice.below(4)), session),
                    _ => {
                        let (amount, currency) = (5 + dice.below(500), ["USD", "EUR", "INR"][dice.below(3)]);
                        let properties = format!(
                            r#"{{"Amount":{amount},"Currency":"{currency}","Payment mode":"card","Charged ID":"ord-{number}","Paid at":"$D_{ts}","Items":[{{"Sku":"A-{item}","Quantity":1}}]}}"#
                        );
                        seeder.event(person, "Charged", ts, &properties, session);
                    }
                }
            }
        });
    }
}

/// The start of the day in which the clock starts.
fn midnight(ts: i64, zone: Tz) -> i64 {
    days::start(days::local(ts, zone).date(), zone)
}

/// SplitMix64: the same numbers in each version of everything.
struct SplitMix64(u64);

impl SplitMix64 {
    fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        usize::try_from(mixed(self.0) % sides.max(1) as u64).unwrap_or_default()
    }
}
