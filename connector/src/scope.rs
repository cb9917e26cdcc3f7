//! A part of an account for one tenant: what SQL may do at most, and bounds that no SQL passes.
//!
//! In: a [`Scope`]. Out: options that keep to it, or an error that names the option and the bound.

use crate::access::Access;
use crate::error::{Error, Result};
use crate::options::Options;
use crate::storage::is_local;

/// What a part of an account may do: see [`Account::scoped`](crate::Account::scoped).
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Who it is for: shown in `Debug` and in errors. Default: nobody named.
    pub tenant: String,
    /// What SQL may do; never more than the account that it is a part of. Default: read and write.
    pub access: Access,
    /// Bounds of the session's options.
    pub ceilings: Ceilings,
}

/// Bounds of options that no SET passes; `None` leaves an option as free as it is without a scope.
#[derive(Debug, Clone, Default)]
pub struct Ceilings {
    /// Rows that one DELETE or demerge may take.
    pub delete_rows_max: Option<u64>,
    /// Keys that one query may look up.
    pub lookups_max: Option<usize>,
    /// Uploads in flight of one statement.
    pub upload_concurrency: Option<usize>,
    /// Requests in flight of any other call.
    pub read_concurrency: Option<usize>,
    /// Whether `full_scan` may be set. Default: it may.
    pub full_scan: FullScan,
    /// Where failed rows may be written to. Default: anywhere.
    pub failed_rows_to: FailedRowsTo,
}

/// Whether everybody who can be listed may be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FullScan {
    /// Where the session says so.
    #[default]
    Allowed,
    /// Never.
    Refused,
}

/// Where failed rows may be written to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FailedRowsTo {
    /// To folders of this machine and to the stores of the session.
    #[default]
    Anywhere,
    /// To the stores of the session alone.
    Stores,
    /// Nowhere: they are in the table `failed_rows`.
    Nowhere,
}

impl Scope {
    /// `options`, with each bound that has its default lowered to its ceiling.
    ///
    /// # Errors
    /// [`Error::Setting`] for an option that was set beyond its ceiling.
    pub(crate) fn check(&self, mut options: Options) -> Result<Options> {
        let Ceilings { delete_rows_max, lookups_max, upload_concurrency, read_concurrency, full_scan, failed_rows_to } = &self.ceilings;
        let defaults = Options::default();
        let tenant = &self.tenant;
        bound("delete_rows_max", &mut options.delete_rows_max, defaults.delete_rows_max, *delete_rows_max, tenant)?;
        bound("lookups_max", &mut options.lookups_max, defaults.lookups_max, *lookups_max, tenant)?;
        bound("upload_concurrency", &mut options.upload_concurrency, defaults.upload_concurrency, *upload_concurrency, tenant)?;
        bound("read_concurrency", &mut options.read_concurrency, defaults.read_concurrency, *read_concurrency, tenant)?;
        let refused =
            |option: &str, why: &str| Err(Error::Setting(format!("option \"clevertap.{option}\" is set, and {why} of \"{tenant}\"")));
        if options.full_scan && *full_scan == FullScan::Refused {
            return refused("full_scan", "reading everybody is not in the scope");
        }
        match (&options.failed_rows_to, failed_rows_to) {
            (Some(_), FailedRowsTo::Nowhere) => refused("failed_rows_to", "files of failed rows are not in the scope"),
            (Some(to), FailedRowsTo::Stores) if is_local(to) => refused("failed_rows_to", "folders of this machine are not in the scope"),
            _ => Ok(options),
        }
    }
}

fn bound<T: PartialOrd + Copy + std::fmt::Display>(name: &str, value: &mut T, default: T, ceiling: Option<T>, tenant: &str) -> Result<()> {
    let Some(ceiling) = ceiling.filter(|ceiling| *value > *ceiling) else { return Ok(()) };
    if *value == default {
        // As it is where nobody set it.
        *value = ceiling;
        return Ok(());
    }
    Err(Error::Setting(format!(
        "option \"clevertap.{name}\" is {value}, and the scope of \"{tenant}\" allows {ceiling}; set it to that, or lower"
    )))
}
