//! A part of an account for one tenant: what SQL may do at most, and bounds that no SQL passes.
//!
//! In: a [`Scope`]. Out: options that keep to it, or an error that names the option and the bound.

use crate::access::Access;
use crate::error::{Error, Result};
use crate::options::Options;
use crate::storage::is_local;

/// What a part of an account may do: see [`Account::scoped`](crate::Account::scoped).
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
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
#[non_exhaustive]
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
#[non_exhaustive]
pub enum FullScan {
    /// Where the session says so.
    #[default]
    Allowed,
    /// Never.
    Refused,
}

/// Where failed rows may be written to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
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
    /// A scope that reads and writes, without ceilings.
    pub fn new(tenant: impl Into<String>) -> Self {
        Self { tenant: tenant.into(), ..Self::default() }
    }

    /// Sets [`access`](Self::access).
    #[must_use]
    pub fn with_access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Sets [`ceilings`](Self::ceilings).
    #[must_use]
    pub fn with_ceilings(mut self, ceilings: Ceilings) -> Self {
        self.ceilings = ceilings;
        self
    }

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

impl Ceilings {
    /// No ceilings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`delete_rows_max`](Self::delete_rows_max).
    #[must_use]
    pub fn with_delete_rows_max(mut self, rows: u64) -> Self {
        self.delete_rows_max = Some(rows);
        self
    }

    /// Sets [`lookups_max`](Self::lookups_max).
    #[must_use]
    pub fn with_lookups_max(mut self, keys: usize) -> Self {
        self.lookups_max = Some(keys);
        self
    }

    /// Sets [`upload_concurrency`](Self::upload_concurrency).
    #[must_use]
    pub fn with_upload_concurrency(mut self, requests: usize) -> Self {
        self.upload_concurrency = Some(requests);
        self
    }

    /// Sets [`read_concurrency`](Self::read_concurrency).
    #[must_use]
    pub fn with_read_concurrency(mut self, requests: usize) -> Self {
        self.read_concurrency = Some(requests);
        self
    }

    /// Sets [`full_scan`](Self::full_scan).
    #[must_use]
    pub fn with_full_scan(mut self, full_scan: FullScan) -> Self {
        self.full_scan = full_scan;
        self
    }

    /// Sets [`failed_rows_to`](Self::failed_rows_to).
    #[must_use]
    pub fn with_failed_rows_to(mut self, failed_rows_to: FailedRowsTo) -> Self {
        self.failed_rows_to = failed_rows_to;
        self
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
