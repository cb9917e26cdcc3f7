//! `clevertap.subscriptions`: whether an address accepts messages.
//!
//! ```sql
//! INSERT INTO clevertap.subscriptions SELECT 'email' AS type, mail AS value, 'Unsubscribe' AS status FROM 'bounced.csv';
//! ```
//!
//! A status applies to the address in every profile that has it. For a single profile, write `msg_email` and the like to
//! `clevertap.profiles`. Wire format: <https://developer.clevertap.com/docs/subscribe-api>, read 2026-11-24.

use crate::table::Kind::Text;
use crate::table::Shape::{Identifier, Value};
use crate::table::Target::Required;
use crate::table::{BodyForm, Order, Resend, Source, Table, Write, column};

pub(crate) static TABLE: Table = Table {
    name: "subscriptions",
    about: "Whether an address may be written to, one row an address.",
    columns: &[
        column("type", Text, Source::Nowhere, Required("/type", Value)),
        column("value", Text, Source::Nowhere, Required("/value", Identifier)),
        column("status", Text, Source::Nowhere, Required("/status", Value)),
    ],
    read: None,
    write: Some(Write::Batch {
        path: "/1/subscribe",
        form: BodyForm::Records,
        rows_max: 1_000,
        fixed: &[],
        open: None,
        resend: Resend::Idempotent,
        order: Order::ByIdentity,
    }),
}
.checked();
