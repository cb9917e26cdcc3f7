//! No answer is read beyond what its call can need: one of a small call becomes a tree of many times its size.

use std::sync::{Arc, Mutex};

use datafusion::prelude::SessionContext;
use datafusion_clevertap::transport::{Answer, Call, Failure, Transport};
use datafusion_clevertap::{Account, AccountSettings, ClevertapSql, Region, Secret, register};

use crate::world::World;

/// Notes how much of an answer is read.
#[derive(Debug)]
struct Sizes(Arc<dyn Transport>, Mutex<Vec<(String, usize)>>);

#[async_trait::async_trait]
impl Transport for Sizes {
    async fn send(&self, call: Call) -> Result<Answer, Failure> {
        self.1.lock().expect("sizes").push((call.url.path().to_owned(), call.answer_bytes_max >> 20));
        self.0.send(call).await
    }
}

#[tokio::test(start_paused = true)]
async fn the_size_of_an_answer_is_bounded_by_its_call() {
    let world = World::new();
    let sizes = Arc::new(Sizes(Arc::clone(&world.transport) as Arc<dyn Transport>, Mutex::default()));
    let settings = AccountSettings::new().with_transport(Arc::clone(&sizes) as Arc<dyn Transport>).with_own_limits(true);
    let account = Account::open("TEST-123-456Z", Secret::new("emulator-passcode"), Region::In1, settings).expect("an account");
    let ctx = SessionContext::new();
    register(&ctx, "clevertap", &account).expect("registered");
    for (sql, path, mebibytes) in [
        ("SELECT name FROM clevertap.profiles WHERE identity = 'a'", "/1/profile.json", 8),
        ("SELECT name FROM clevertap.profiles WHERE event_name = 'App Launched' AND event_date = '2026-01-01'", "/1/profiles.json", 64),
        ("SELECT identity FROM clevertap.events WHERE event_name = 'App Launched' AND event_date = '2026-01-01'", "/1/events.json", 64),
        ("SELECT event_name FROM clevertap.event_schema", "/getSchema", 16),
        ("INSERT INTO clevertap.profiles (identity) VALUES ('a')", "/1/upload", 32),
    ] {
        sizes.1.lock().expect("sizes").clear();
        // Whether there is somebody is not the question.
        ctx.clevertap_sql(sql).await.expect(sql).collect().await.ok();
        let seen = sizes.1.lock().expect("sizes").clone();
        assert!(seen.contains(&(path.to_owned(), mebibytes)), "{sql}: {seen:?}");
    }
}
