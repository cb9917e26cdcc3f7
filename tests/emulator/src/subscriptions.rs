//! Subscriptions by channel and address, whoever holds it (reference 9.3).

use std::collections::HashMap;

/// What was last asked for an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subscription {
    /// `Resubscribe`.
    Resubscribed,
    /// `Unsubscribe`.
    Unsubscribed,
}

/// Where an address is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Channel {
    Phone,
    Email,
    Whatsapp,
}

impl Channel {
    /// The channel by its name, which is case-sensitive.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "phone" => Some(Self::Phone),
            "email" => Some(Self::Email),
            "whatsapp" => Some(Self::Whatsapp),
            _ => None,
        }
    }
}

/// The subscription of each address.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions(pub(crate) HashMap<(Channel, Box<str>), Subscription>);
