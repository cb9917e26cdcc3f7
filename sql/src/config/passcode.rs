//! Where the passcode of an account is, or the password of a database, and the secret from there.
//!
//! In: the name of a variable, or a file. Out: the secret, or why there is none. No message holds a byte of it.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use super::small_file::{self, NotRead};
use datafusion_clevertap::Secret;

/// A passcode has a dozen characters, the key file of a service account two or three thousand.
const BYTES_MAX: u64 = 8192;

/// Where a passcode is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PasscodePlace {
    Variable(String),
    File(PathBuf),
}

impl fmt::Display for PasscodePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => f.write_str(name),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl PasscodePlace {
    /// The passcode.
    ///
    /// # Errors
    /// Why there is none, as a sentence.
    pub(super) fn read(&self, variable: &dyn Fn(&str) -> Option<String>) -> Result<Secret, String> {
        self.text("passcode", variable).map(Secret::new)
    }

    /// The same as text; `what` is what it is called: `passcode`, `password`.
    ///
    /// # Errors
    /// Why there is none, as a sentence.
    pub(crate) fn text(&self, what: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
        match self {
            Self::Variable(name) => variable(name)
                .ok_or_else(|| format!("the variable {name}, which holds its {what}, is not set: read -rs {name} && export {name}")),
            Self::File(path) => from_file(path, what),
        }
    }
}

fn from_file(path: &Path, what: &str) -> Result<String, String> {
    let place = path.display();
    let refused = |why: &str| Err(format!("its {what}_file {place} {why}"));
    let (there, bytes) = match small_file::read(path, BYTES_MAX) {
        Ok(read) => read,
        Err(NotRead::Nothing) => return refused("is not there"),
        Err(NotRead::NoFile) => return refused("is not a file"),
        Err(NotRead::Failed(error)) => return refused(&format!("was not read: {error}")),
    };
    check_permissions(&there, path, what)?;
    let Ok(text) = String::from_utf8(bytes) else { return refused("is not text") };
    match text.trim() {
        "" => refused(&format!("is empty; expected the {what}, in one line")),
        // BigQuery's password is the key file of a service account: JSON, of many lines.
        secret if (secret.contains(['\n', '\r']) && !(what == "password" && secret.starts_with('{'))) || text.len() as u64 > BYTES_MAX => {
            refused(&format!("has more than one line; expected the {what} alone"))
        }
        secret => Ok(secret.to_owned()),
    }
}

/// As ssh has it for keys: a file of the user's is for the user alone. One of root's is a secret that a container or a service was given, whose
/// readers root has chosen; nobody else may write it.
#[cfg(unix)]
fn check_permissions(there: &fs::Metadata, path: &Path, what: &str) -> Result<(), String> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let place = path.display();
    let mode = there.permissions().mode() & 0o777;
    let of_user = there.uid() == rustix::process::geteuid().as_raw();
    if !of_user && there.uid() != 0 {
        return Err(format!("its {what}_file {place} belongs to another user; expected a file of your own"));
    }
    let forbidden = if there.uid() == 0 { 0o022 } else { 0o077 };
    if mode & forbidden != 0 {
        let done = if there.uid() == 0 { "written" } else { "read" };
        return Err(format!("its {what}_file {place} may be {done} by others (its mode is {mode:03o}): chmod 600 {place}"));
    }
    Ok(())
}

/// Where permissions are not Unix's, the folder's owner answers for it.
#[cfg(not(unix))]
fn check_permissions(_: &fs::Metadata, _: &Path, _: &str) -> Result<(), String> {
    Ok(())
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const PASSCODE: &str = "TOP-SECRET-1";

    /// What is said of a file with this text and mode; nothing where it is taken.
    fn said(text: &[u8], mode: u32) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passcode");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let why = PasscodePlace::File(path.clone()).read(&|_| None).err()?;
        assert!(!why.contains("SECRET"), "{why}");
        Some(why.replace(&path.display().to_string(), "P"))
    }

    #[test]
    fn a_file_is_one_line_that_nobody_else_can_change() {
        assert_eq!(said(format!("{PASSCODE}\r\n").as_bytes(), 0o600), None);
        assert_eq!(said(b" \n", 0o600).unwrap(), "its passcode_file P is empty; expected the passcode, in one line");
        assert_eq!(said(b"SECRET\nKEY", 0o600).unwrap(), "its passcode_file P has more than one line; expected the passcode alone");
        assert_eq!(said(&[b'a'; 9000], 0o600).unwrap(), "its passcode_file P has more than one line; expected the passcode alone");
        assert_eq!(said(b"\xff", 0o600).unwrap(), "its passcode_file P is not text");
        let open = said(PASSCODE.as_bytes(), 0o666).unwrap();
        assert!(open.contains("by others (its mode is 666): chmod 600 P"), "{open}");
    }

    #[test]
    fn a_password_may_be_the_key_file_of_a_service_account() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.json");
        fs::write(&path, "{\n  \"type\": \"service_account\"\n}\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let place = PasscodePlace::File(path);
        assert_eq!(place.text("password", &|_| None).unwrap(), "{\n  \"type\": \"service_account\"\n}");
        assert!(place.read(&|_| None).err().unwrap().ends_with("has more than one line; expected the passcode alone"));
    }

    #[test]
    fn others_do_not_read_a_file_of_the_users_unless_the_user_is_root() {
        let is_root = rustix::process::geteuid().is_root();
        assert_eq!(said(PASSCODE.as_bytes(), 0o644).is_none(), is_root);
    }

    #[test]
    fn a_place_without_a_passcode_says_how_to_put_one_there() {
        let missing = PasscodePlace::File("/nowhere/passcode".into()).read(&|_| None).err().unwrap();
        assert_eq!(missing, "its passcode_file /nowhere/passcode is not there");
        let unset = PasscodePlace::Variable("LAB_PASSCODE".into());
        assert!(unset.read(&|_| None).err().unwrap().ends_with("is not set: read -rs LAB_PASSCODE && export LAB_PASSCODE"));
        assert!(unset.read(&|name| (name == "LAB_PASSCODE").then(|| PASSCODE.to_owned())).is_ok());
    }
}
