//! `clevertap.demerges`: splits people who were merged by mistake.
//!
//! ```sql
//! SET clevertap.delete_rows_max = 100;
//! INSERT INTO clevertap.demerges SELECT user_id AS identity FROM 'merged_by_mistake.csv';
//! ```
//!
//! The identity is reset and each device gets its own profile. Event history may be lost and cannot be restored. So the statement needs
//! an account that may erase, its rows are bounded, and it is never resent after a lost answer, whatever the value of
//! `clevertap.in_doubt`. Wire format: <https://developer.clevertap.com/docs/demerge-user-profile-api>, read 2026-11-24.

use crate::table::Kind::Text;
use crate::table::Shape::Identifier;
use crate::table::Target::Required;
use crate::table::{BodyForm, Order, Resend, Source, Table, Write, column};

pub(crate) static TABLE: Table = Table {
    name: "demerges",
    about: "People who were merged by mistake, split again, one row a person.",
    columns: &[column("identity", Text, Source::Nowhere, Required("/identities", Identifier))],
    read: None,
    write: Some(Write::Batch {
        path: "/1/demerge/profiles.json",
        form: BodyForm::Keys,
        rows_max: 100,
        fixed: &[],
        open: None,
        resend: Resend::Appends,
        order: Order::Any,
    }),
}
.checked();
