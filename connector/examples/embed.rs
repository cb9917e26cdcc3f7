//! The plugin in a `SessionContext` of your own, with read-only access: `SELECT` looks people up and exports events, nothing can be written.
//!
//! `CLEVERTAP_ACCOUNT_ID=… CLEVERTAP_PASSCODE=… cargo run --example embed`

use datafusion::prelude::SessionContext;
use datafusion_clevertap::{Access, Account, AccountSettings, ClevertapSql, Region, Secret, register};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (id, passcode) = (std::env::var("CLEVERTAP_ACCOUNT_ID")?, Secret::new(std::env::var("CLEVERTAP_PASSCODE")?));
    let settings = AccountSettings::new().with_access(Access::Read);
    let ctx = SessionContext::new();
    register(&ctx, "clevertap", &Account::open(id, passcode, Region::In1, settings)?)?;
    let people = ctx.clevertap_sql("SELECT identity, name, properties FROM clevertap.profiles WHERE identity = 'cust-1001'").await?;
    people.show().await?;
    let amounts = ctx
        .clevertap_sql(
            "SELECT event_date, (properties -> 'Amount')::double AS amount FROM clevertap.events
             WHERE event_name = 'Charged' AND event_date BETWEEN '2026-01-01' AND '2026-01-07' LIMIT 10",
        )
        .await?;
    amounts.show().await?;
    Ok(())
}
