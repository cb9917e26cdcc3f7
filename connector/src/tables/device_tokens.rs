//! `clevertap.device_tokens`: push tokens of devices that have a profile.
//!
//! ```sql
//! INSERT INTO clevertap.device_tokens SELECT ct_id AS object_id, fcm AS token, 'fcm' AS token_type FROM 'tokens.parquet';
//! ```
//!
//! Wire format: the device token upload of <https://developer.clevertap.com/docs/upload-device-tokens-api>, read 2026-11-21.

use crate::table::Kind::{Json, Text};
use crate::table::Shape::{Identifier, Object, Value};
use crate::table::Target::{Optional, Required};
use crate::table::{BodyForm, Order, Resend, Source, Table, Write, column};

pub(crate) static TABLE: Table = Table {
    name: "device_tokens",
    about: "Push tokens, one row a device.",
    columns: &[
        column("object_id", Text, Source::Nowhere, Required("/objectId", Identifier)),
        column("token", Text, Source::Nowhere, Required("/tokenData/id", Value)),
        column("token_type", Text, Source::Nowhere, Required("/tokenData/type", Value)),
        column("keys", Json, Source::Nowhere, Optional("/tokenData/keys", Object)),
    ],
    read: None,
    write: Some(Write::Batch {
        path: "/1/upload",
        form: BodyForm::Records,
        rows_max: 100,
        fixed: &[("type", "\"token\"")],
        open: None,
        resend: Resend::Idempotent,
        order: Order::ByIdentity,
    }),
}
.checked();
