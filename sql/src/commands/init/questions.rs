//! What has to be known for a file: where it is to be, the account, the place of its passcode.
//!
//! In: flags and variables, which answer or propose; a dialog. Out: [`Answered`].

use std::path::{Path, PathBuf};

use super::dialog::Dialog;
use crate::{
    config::{
        ACCOUNT_ID, AccountFlags, ENDPOINT, FILE_NAME, NAME, Origin, PASSCODE, REGION, TIME_ZONE, VARIABLES, parse_name, parse_region,
        parse_time_zone, parse_variable, shown, users_file,
    },
    failure::{Failure, Result},
};

/// Where the file may be, and what is known without asking.
pub(crate) struct InitPlace<'a> {
    /// `--config`.
    pub(crate) named: Option<&'a Path>,
    pub(crate) working_folder: &'a Path,
    /// Flags that answer questions.
    pub(crate) flags: &'a AccountFlags,
    pub(crate) variable: &'a dyn Fn(&str) -> Option<String>,
}

/// The file that will be.
pub(super) struct Target {
    pub(super) path: PathBuf,
    pub(super) shown: String,
    pub(super) origin: Origin,
}

/// What was answered.
pub(super) struct Answered {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) region: Option<String>,
    pub(super) endpoint: Option<String>,
    pub(super) time_zone: Option<String>,
    pub(super) passcode: Passcode,
}

pub(super) enum Passcode {
    InVariable(String),
    /// Typed, for a file of its own.
    Typed(String),
}

impl Answered {
    /// The name of the file of the passcode, beside the configuration.
    pub(super) fn passcode_file(&self) -> String {
        format!("{}.passcode", self.name)
    }
}

impl Target {
    /// The file that `--config` names, or the one that is chosen.
    ///
    /// # Errors
    /// [`Failure::Usage`] for one that is there.
    pub(super) async fn choose(place: &InitPlace<'_>, dialog: &mut Dialog<'_>) -> Result<Self> {
        let here = || Self { path: place.working_folder.join(FILE_NAME), shown: FILE_NAME.to_owned(), origin: Origin::WorkingFolder };
        let target = match (place.named, users_file(place.variable)) {
            (Some(path), _) => Self { path: path.to_owned(), shown: path.display().to_string(), origin: Origin::Named },
            (None, None) => here(),
            (None, Some(path)) => {
                let users = Self { shown: shown(&path, place.variable), path, origin: Origin::User };
                let of_user = format!("{}: yours, wherever you work", users.shown);
                let of_folder = format!("{FILE_NAME} of this folder: for all who work here, without secrets");
                let choice = dialog.choose("Where is the file to be?", &[&of_user, &of_folder]).await?;
                if choice == 0 { users } else { here() }
            }
        };
        refuse_existing(&target.path, &target.shown)?;
        if place.flags.endpoint.is_some() && target.origin == Origin::WorkingFolder {
            return Err(Failure::Usage(format!(
                "the {FILE_NAME} of a working folder has no endpoint, since it may come from somebody else; --config FILE and your own file take it"
            )));
        }
        Ok(target)
    }
}

/// Refuses to write over a file. Also a link to nowhere is there.
///
/// # Errors
/// [`Failure::Usage`].
pub(super) fn refuse_existing(path: &Path, shown: &str) -> Result<()> {
    match path.symlink_metadata() {
        Ok(_) => Err(Failure::Usage(format!("{shown} is there already, and stays as it is: edit it, or move it away"))),
        Err(_) => Ok(()),
    }
}

/// Asks for what no flag says; variables are proposed.
///
/// # Errors
/// [`Failure::Usage`] for a flag that is wrong, and where answers end.
pub(super) async fn ask(place: &InitPlace<'_>, target: &Target, dialog: &mut Dialog<'_>) -> Result<Answered> {
    let (flags, variable) = (place.flags, place.variable);
    let has_endpoint = flags.endpoint.is_some() || variable(ENDPOINT).is_some();
    let given = |text: &str| if text.is_empty() { Err("this needs an answer".to_owned()) } else { Ok(text.to_owned()) };
    let region = |text: &str| match text {
        "" if has_endpoint => Ok(None),
        text => parse_region(text).map(|region| Some(region.name().to_owned())),
    };
    let zone = |text: &str| match text {
        "" => Ok(None),
        text => parse_time_zone(text).map(|zone| Some(zone.name().to_owned())),
    };

    let id = match &flags.account_id {
        Some(id) => id.clone(),
        None => dialog.ask("Account id (dashboard, Settings > Project)", variable(ACCOUNT_ID).as_deref(), given).await?,
    };
    let region = match &flags.region {
        Some(text) => region(text).map_err(Failure::Usage)?,
        None => {
            let default = variable(REGION).or_else(|| has_endpoint.then(String::new));
            dialog.say("The region is the part before .dashboard in the dashboard's address.");
            dialog.ask("Region (eu1, in1, sg1, us1, aps3, mec1)", default.as_deref(), region).await?
        }
    };
    let time_zone = match &flags.time_zone {
        Some(text) => zone(text).map_err(Failure::Usage)?,
        None => {
            dialog.say("Without the project's time zone the times of events cannot be read.");
            dialog.ask("Time zone, such as Asia/Kolkata", Some(&variable(TIME_ZONE).unwrap_or_default()), zone).await?
        }
    };
    let name = match &flags.account {
        Some(name) => parse_name(name).map_err(Failure::Usage)?,
        None => dialog.ask("Name in SQL, as in SELECT … FROM name.profiles", Some(NAME), parse_name).await?,
    };
    let passcode = passcode(target, dialog).await?;
    Ok(Answered { name, id, region, endpoint: flags.endpoint.clone(), time_zone, passcode })
}

async fn passcode(target: &Target, dialog: &mut Dialog<'_>) -> Result<Passcode> {
    let is_of_folder = target.origin == Origin::WorkingFolder;
    let choices = ["in a variable of the environment", "in a file that only you can read; you type it now"];
    if !is_of_folder && dialog.choose("Where is the passcode?", &choices).await? == 1 {
        return dialog.ask_hidden("Passcode (it is not shown): ").await.map(Passcode::Typed);
    }
    let name = |text: &str| match parse_variable(text)? {
        name if is_of_folder && !name.starts_with(VARIABLES) => {
            Err(format!("the file of a working folder names no other variables than those that begin with {VARIABLES}"))
        }
        name => Ok(name),
    };
    dialog.ask("Variable that holds the passcode", Some(PASSCODE), name).await.map(Passcode::InVariable)
}
