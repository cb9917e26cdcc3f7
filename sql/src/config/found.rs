//! Which file holds the configuration: the one that `--config` names, else the working folder's, else the user's own.
//!
//! In: the flag, the working folder, the environment. Out: one file, as text, with how far it is trusted. A file of the working folder may have
//! come with a repository that somebody else wrote, so that it may say less: see `file`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::small_file::{self, NotRead};
use crate::failure::{Failure, Result};

/// The name of the file.
pub(crate) const FILE_NAME: &str = "clevertap.toml";
/// A file of configuration has a few kB. More is none.
const BYTES_MAX: u64 = 1 << 20;

/// How a file was found, and so what it may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// `--config` names it.
    Named,
    /// It lies in the working folder, whoever put it there.
    WorkingFolder,
    /// It lies in the user's own folder.
    User,
}

/// A file that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundFile {
    /// What messages call it: `~/.config/clevertap-sql/clevertap.toml`.
    pub(crate) shown: String,
    pub(crate) origin: Origin,
    /// Its folder: relative paths in the file begin there.
    pub(crate) folder: PathBuf,
    pub(crate) text: String,
}

impl FoundFile {
    /// The file that is in force, if there is one.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a file that `--config` names and that is not there, and for one that cannot be read or that everybody may write.
    pub(crate) fn find(flag: Option<&Path>, working_folder: &Path, variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        if let Some(path) = flag {
            return match Self::read(path, path.display().to_string(), Origin::Named)? {
                Some(file) => Ok(Some(file)),
                None => Err(Failure::Usage(format!("--config {}: there is no such file; clevertap-sql init writes one", path.display()))),
            };
        }
        if let Some(file) = Self::read(&working_folder.join(FILE_NAME), FILE_NAME.to_owned(), Origin::WorkingFolder)? {
            return Ok(Some(file));
        }
        let Some(path) = users_file(variable) else { return Ok(None) };
        Self::read(&path, shown(&path, variable), Origin::User)
    }

    /// `None` where nothing is there.
    fn read(path: &Path, shown: String, origin: Origin) -> Result<Option<Self>> {
        let refused = |why: &str| Err(Failure::Usage(format!("{shown} {why}")));
        let (there, bytes) = match small_file::read(path, BYTES_MAX) {
            Ok(read) => read,
            Err(NotRead::Nothing) => return Ok(None),
            Err(NotRead::NoFile) => return refused("is not a file"),
            Err(NotRead::Failed(error)) => return refused(&format!("was not read: {error}")),
        };
        if is_writable_by_all(&there) {
            return refused(&format!(
                "may be written by everybody on this machine, who could send the passcode elsewhere: chmod o-w {shown}"
            ));
        }
        if bytes.len() as u64 > BYTES_MAX {
            return refused("has more than 1 MiB, and is no configuration");
        }
        let Ok(text) = String::from_utf8(bytes) else { return refused("is not UTF-8 text") };
        let folder = match std::path::absolute(path) {
            Ok(path) => path.parent().map(Path::to_owned).unwrap_or_default(),
            Err(error) => return refused(&format!("was not read: {error}")),
        };
        // Some editors put a mark in front of the text.
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        Ok(Some(Self { shown, origin, folder, text }))
    }
}

/// `~/.config/clevertap-sql`, or that of `XDG_CONFIG_HOME`; `None` where no home is known.
pub(crate) fn users_folder(variable: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    home_folder(variable, "XDG_CONFIG_HOME", ".config")
}

/// The user's own file, whether or not it is there.
pub(crate) fn users_file(variable: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    users_folder(variable).map(|folder| folder.join(FILE_NAME))
}

/// Where the program keeps what it must remember, if nothing else is said: `~/.local/share/clevertap-sql`.
pub(super) fn users_state(variable: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    home_folder(variable, "XDG_DATA_HOME", ".local/share")
}

/// The program's folder in one of the folders of the XDG base directory specification, which takes absolute paths alone.
fn home_folder(variable: &dyn Fn(&str) -> Option<String>, name: &str, below_home: &str) -> Option<PathBuf> {
    let path = |name: &str| variable(name).filter(|text| !text.trim().is_empty()).map(PathBuf::from);
    let base = path(name).filter(|path| path.is_absolute()).or_else(|| path("HOME").map(|home| home.join(below_home)));
    base.map(|base| base.join("clevertap-sql"))
}

/// A path as people write it: `~` in the place of their home.
pub(crate) fn shown(path: &Path, variable: &dyn Fn(&str) -> Option<String>) -> String {
    let below = variable("HOME").filter(|home| home.len() > 1).and_then(|home| path.strip_prefix(home).ok().map(Path::to_owned));
    below.map_or_else(|| path.display().to_string(), |below| format!("~/{}", below.display()))
}

/// Where permissions are not Unix's, the folder's owner answers for it.
#[cfg(not(unix))]
fn is_writable_by_all(_: &fs::Metadata) -> bool {
    false
}

#[cfg(unix)]
fn is_writable_by_all(there: &fs::Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&there.permissions()) & 0o002 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn the_named_file_is_taken_else_the_working_folders_else_the_users() {
        let world = tempfile::tempdir().unwrap();
        let (home, here) = (world.path().join("home"), world.path().join("here"));
        fs::create_dir_all(&here).unwrap();
        let variable = |name: &str| (name == "HOME").then(|| home.display().to_string());
        let found = |flag: Option<&Path>| FoundFile::find(flag, &here, &variable).unwrap();
        assert_eq!(found(None), None);
        file(&home, ".config/clevertap-sql/clevertap.toml", "# the user's");
        let users = found(None).unwrap();
        assert_eq!(
            (users.shown.as_str(), users.origin, users.text.as_str()),
            ("~/.config/clevertap-sql/clevertap.toml", Origin::User, "# the user's")
        );
        file(&here, "clevertap.toml", "\u{feff}# the folder's");
        let folders = found(None).unwrap();
        assert_eq!(
            (folders.shown.as_str(), folders.origin, folders.text.as_str()),
            ("clevertap.toml", Origin::WorkingFolder, "# the folder's")
        );
        assert_eq!(folders.folder, here);
        let named = file(world.path(), "own.toml", "# named");
        let named = found(Some(&named)).unwrap();
        assert_eq!((named.origin, named.folder.as_path()), (Origin::Named, world.path()));
        let missing = FoundFile::find(Some(&here.join("nothing.toml")), &here, &variable).unwrap_err();
        assert!(missing.code() == 2 && missing.to_string().ends_with("there is no such file; clevertap-sql init writes one"), "{missing}");
    }

    #[test]
    fn the_users_folder_is_where_xdg_says_if_it_says_a_whole_path() {
        let folder = |xdg: &'static str| {
            users_file(&move |name| Some(if name == "XDG_CONFIG_HOME" { xdg } else { "/home/ada" }.to_owned())).unwrap()
        };
        assert_eq!(folder("/x"), Path::new("/x/clevertap-sql/clevertap.toml"));
        assert_eq!(folder("relative"), Path::new("/home/ada/.config/clevertap-sql/clevertap.toml"));
        assert_eq!(users_file(&|_| None), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_everybody_may_write_is_refused_until_the_remedy_is_done() {
        use std::os::unix::fs::PermissionsExt;
        let world = tempfile::tempdir().unwrap();
        let path = file(world.path(), "clevertap.toml", "");
        let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let find = || FoundFile::find(None, world.path(), &|_| None);
        mode(0o666);
        let refused = find().unwrap_err();
        assert!(refused.code() == 2 && refused.to_string().ends_with("chmod o-w clevertap.toml"), "{refused}");
        mode(0o664);
        assert!(find().unwrap().is_some());
        // A link is as good as what it leads to.
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(&path, elsewhere.path().join("clevertap.toml")).unwrap();
        let linked = || FoundFile::find(None, elsewhere.path(), &|_| None);
        assert!(linked().unwrap().is_some());
        mode(0o666);
        assert_eq!(linked().unwrap_err().code(), 2);
    }

    #[test]
    fn what_is_no_text_file_is_refused_by_its_name() {
        let world = tempfile::tempdir().unwrap();
        fs::create_dir(world.path().join("clevertap.toml")).unwrap();
        let refused = |flag: Option<&Path>| FoundFile::find(flag, world.path(), &|_| None).unwrap_err().to_string();
        assert_eq!(refused(None), "clevertap.toml is not a file");
        let path = world.path().join("b.toml");
        fs::write(&path, b"\xff\xfe").unwrap();
        assert!(refused(Some(&path)).ends_with("b.toml is not UTF-8 text"));
    }
}
