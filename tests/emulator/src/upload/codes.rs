//! Why a record is refused: code and text of each (reference 5.5 and 5.7).
//!
//! Texts that nobody recorded are our own, in the same pattern: those of profiles end without a blank, all others with one.

/// One way for a record to be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Neither profile, event nor token.
    Type,
    /// No profileData; the documentation has no code of its own for this.
    NoProfileData,
    /// No identifier.
    Identity,
    /// A device that is not known.
    ObjectId,
    /// `ts` is not epoch seconds.
    Timestamp,
    /// No event name.
    EventName,
    /// A system event.
    Restricted,
    /// The project marked this event as discarded.
    Discarded,
    /// evtData is no flat object.
    EventData,
    /// Too many properties.
    EventProperties,
    /// Not one of the known genders.
    Gender,
    /// No e-mail address.
    Email,
    /// No phone number with its country code.
    Phone,
    /// Neither Y nor N.
    Employed,
    /// None of the three schools.
    Education,
    /// Neither Y nor N.
    Married,
    /// No number.
    Age,
    /// A token's device is missing or not known.
    TokenObjectId,
    /// No tokenData.
    TokenData,
    /// No token id.
    TokenId,
    /// No token type.
    TokenType,
    /// A type that the device's platform does not take.
    TokenPlatform,
    /// A `chrome` token without its keys.
    TokenKeys,
    /// CleverTap's own mistake; by a fault only.
    Internal,
    /// An address that is neither phone nor e-mail.
    AddressType,
    /// Neither to unsubscribe nor to resubscribe.
    AddressStatus,
    /// No e-mail address.
    AddressEmail,
    /// No phone number with its country code.
    AddressPhone,
}

impl Reason {
    /// The code.
    pub(crate) const fn code(self) -> u16 {
        match self {
            Self::EventName => 509,
            Self::EventData | Self::AddressStatus => 512,
            Self::Restricted => 513,
            Self::Gender => 514,
            Self::Email | Self::AddressEmail => 515,
            Self::Phone | Self::AddressPhone => 516,
            Self::Employed => 517,
            Self::Education => 518,
            Self::Married => 519,
            Self::Age => 520,
            Self::EventProperties => 522,
            Self::Identity => 523,
            Self::Type | Self::NoProfileData | Self::AddressType => 524,
            Self::Timestamp => 525,
            Self::ObjectId => 526,
            Self::Discarded => 528,
            Self::TokenObjectId => 530,
            Self::TokenData => 531,
            Self::TokenId => 532,
            Self::TokenType => 533,
            Self::TokenPlatform => 534,
            Self::TokenKeys => 535,
            Self::Internal => 555,
        }
    }

    /// The text before `Skipped record number : N`, its last blank included.
    const fn text(self) -> &'static str {
        match self {
            Self::EventName => "Event Name is incorrect. ErrorCode: 509 - Event name is mandatory. ",
            Self::EventData => "Event Data is incorrect. ErrorCode: 512 - Event structure is not valid. ",
            Self::Restricted => "Event Name is incorrect. ErrorCode: 513 - Trying to raise a restricted system event. ",
            Self::Gender => "Profile data is incorrect. Gender needs to be M/F.",
            Self::Email => "Profile data is incorrect. Email is not valid.",
            Self::Phone => "Profile data is incorrect. Phone number is not valid.",
            Self::Employed => "Profile data is incorrect. Employed needs to be Y/N.",
            Self::Education => "Profile data is incorrect. Education needs to be School/College/Graduate..",
            Self::Married => "Profile data is incorrect. Married needs to be Y/N.",
            Self::Age => "Profile data is incorrect. Age is invalid.",
            Self::EventProperties => "Event Data is incorrect. ErrorCode: 522 - Too many event properties. ",
            Self::Identity => "Identity is mandatory. ",
            Self::Type => "Type should be either profile or event. ",
            Self::NoProfileData => "Profile data is mandatory. ",
            Self::Timestamp => "Timestamp should be present in the Unix Epoch format. ",
            Self::ObjectId => "Object ID is not valid. ",
            Self::Discarded => "Event Name is incorrect. ErrorCode: 528 - Event is marked as discarded. ",
            Self::TokenObjectId => "Token data is incorrect. Object ID is not valid. ",
            Self::TokenData => "Token data is incorrect. Token data is not valid. ",
            Self::TokenId => "Token data is incorrect. Token id is mandatory. ",
            Self::TokenType => "Token data is incorrect. Token type is mandatory. ",
            Self::TokenPlatform => "Token data is incorrect. Token type does not fit the Object ID. ",
            Self::TokenKeys => "Token data is incorrect. Token keys are not valid. ",
            Self::Internal => "Internal error. ",
            Self::AddressType => "Type is not valid. ",
            Self::AddressStatus => "Status should be either Unsubscribe or Resubscribe. ",
            Self::AddressEmail => "Email is not valid. ",
            Self::AddressPhone => "Phone number is not valid. ",
        }
    }

    /// The whole text; `number` is the record's place, from 1.
    pub(crate) fn error(self, number: usize) -> String {
        format!("{}Skipped record number : {number}", self.text())
    }

    /// Whether the phone had passed its check by then: CleverTap echoes it as a number from there on (reference 4.2).
    pub(crate) const fn is_after_phone(self) -> bool {
        matches!(self, Self::Employed | Self::Education | Self::Married | Self::Age)
    }
}
