//! `clevertap-sql init`: asks for an account, tries it, and writes a commented `clevertap.toml`.
//!
//! In: answers. Out: the file, whole or not at all; beside it a file of the passcode, if it was typed. No passcode is shown, and none gets into
//! `clevertap.toml`. A file that is there already stays as it is.
//!
//! ```text
//! questions ─▶ text ─▶ check, where there is a passcode ─▶ the passcode's file, then clevertap.toml
//!     └─ dialog
//! ```

mod dialog;
mod questions;
#[cfg(test)]
mod tests;
mod text;

use std::{fs, io::Write, path::Path};

use super::check;
use crate::{
    config::{ACCOUNT_ID, AccountFlags, Config, FoundFile, Origin},
    failure::{Completion, Failure, Result},
    files::atomic_file::{AtomicFile, FileAccess},
    terminal::output::Output,
};
use datafusion_clevertap::Secret;

pub(crate) use self::{dialog::Dialog, questions::InitPlace};
use self::{
    questions::{Answered, Passcode, Target, ask, refuse_existing},
    text::file_text,
};

/// Asks, tries, writes.
///
/// # Errors
/// [`Failure::Usage`] for a file that is there already, and where answers are missing; [`Failure::Failed`] if the account was refused and the
/// file is not wanted; the disk's.
pub(crate) async fn init(place: &InitPlace<'_>, mut dialog: Dialog<'_>, output: &mut Output) -> Result<Completion> {
    dialog.say("This writes a clevertap.toml, with an account and the place of its passcode.\nAn empty answer is what stands in brackets.");
    let target = Target::choose(place, &mut dialog).await?;
    let answered = ask(place, &target, &mut dialog).await?;
    let text = file_text(&answered);
    if !is_accepted(place, &target, &answered, &text, &mut dialog, output).await? {
        return Err(Failure::Failed("nothing was written".into()));
    }
    write(&target, &answered, &text)?;
    dialog.say(&format!("{} was written; clevertap-sql config shows what is in force", target.shown));
    Ok(Completion::Done)
}

/// Tries the account, where there is a passcode; whether the file is to be written.
async fn is_accepted(
    place: &InitPlace<'_>,
    target: &Target,
    answered: &Answered,
    text: &str,
    dialog: &mut Dialog<'_>,
    output: &mut Output,
) -> Result<bool> {
    let folder = std::path::absolute(&target.path)?.parent().map(Path::to_owned).unwrap_or_default();
    let found = FoundFile { shown: target.shown.clone(), origin: target.origin, folder, text: text.to_owned() };
    // The account that was typed is meant, whatever the environment speaks of.
    let variable = |name: &str| (place.variable)(name).filter(|_| name != ACCOUNT_ID);
    let config = Config::of_file(Some(found), &AccountFlags::default(), &variable)?;
    let passcode = match &answered.passcode {
        Passcode::Typed(passcode) => Some(Secret::new(passcode.clone())),
        Passcode::InVariable(name) => (place.variable)(name).map(Secret::new),
    };
    let (Some(described), Some(passcode)) = (config.described.accounts.into_iter().next(), passcode) else {
        if let Passcode::InVariable(name) = &answered.passcode {
            dialog.say(&format!(
                "{name} is not set, so nothing was tried. To set it: read -rs {name} && export {name}; then clevertap-sql check"
            ));
        }
        return Ok(true);
    };
    dialog.say("The account is tried, as by clevertap-sql check:");
    let checked = match described.open(passcode) {
        Ok(opened) => dialog.interrupts.or(check::check(&opened, output)).await?,
        Err(why) => Err(Failure::Failed(why)),
    };
    let Err(why) = checked else { return Ok(true) };
    dialog.say(&format!("the account was not accepted: {why}"));
    let yes_or_no = |text: &str| match text {
        "yes" | "y" => Ok(true),
        "no" | "n" => Ok(false),
        _ => Err("expected yes or no".to_owned()),
    };
    dialog.ask("Is the file to be written all the same? yes or no", Some("no"), yes_or_no).await
}

/// Writes the passcode first: a configuration that is there works.
fn write(target: &Target, answered: &Answered, text: &str) -> Result<()> {
    let folder = match target.path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    make_folder(folder)?;
    let create = |path: &Path, shown: &str, access: FileAccess, text: &str| {
        refuse_existing(path, shown)?;
        let mut file = AtomicFile::create(path, access)?;
        file.write_all(text.as_bytes())?;
        file.finish()
    };
    if let Passcode::Typed(passcode) = &answered.passcode {
        let path = folder.join(answered.passcode_file());
        create(&path, &path.display().to_string(), FileAccess::OwnerOnly, &format!("{passcode}\n"))?;
    }
    // A team's file is read by the team.
    let access = if target.origin == Origin::WorkingFolder { FileAccess::Default } else { FileAccess::OwnerOnly };
    create(&target.path, &target.shown, access, text)
}

/// The folder of the user's own file, which is for the user alone.
fn make_folder(folder: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| Failure::file(folder, &error))
}
