//! The plugin in a `SessionContext` of your own, with read-only access: `SELECT` looks people up, nothing can be written.
//!
//! `CLEVERTAP_ACCOUNT_ID=… CLEVERTAP_PASSCODE=… cargo run --example embed`

use datafusion::prelude::SessionContext;
use datafusion_clevertap::{Access, Account, AccountSettings, ClevertapSql, Region, Secret, register};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (id, passcode) = (std::env::var("CLEVERTAP_ACCOUNT_ID")?, Secret::new(std::env::var("CLEVERTAP_PASSCODE")?));
    let settings = AccountSettings { access: Access::Read, ..AccountSettings::default() };
    let ctx = SessionContext::new();
    register(&ctx, "clevertap", Account::open(id, passcode, Region::In1, settings)?)?;
    let people = ctx.clevertap_sql("SELECT identity, name, properties FROM clevertap.profiles WHERE identity = 'cust-1001'").await?;
    people.show().await?;
    Ok(())
}
