//! The command with answers, homes and emulators of its own.

use std::{collections::VecDeque, path::PathBuf};

use clevertap_emulator::{Emulator, Server, Settings};

use super::*;
use crate::{
    config::PASSCODE,
    terminal::{answers::Answers, format::Format, interrupt::Interrupts},
    world::Stderr,
};

const HUSH: &str = "emulator-passcode";

/// A home, a working folder, and an emulator behind a socket.
struct Kitchen {
    folder: tempfile::TempDir,
    server: Server,
    id: String,
}

impl Kitchen {
    async fn new() -> Self {
        let settings = Settings { time_zone: chrono_tz::Asia::Kolkata, ..Settings::default() };
        let id = settings.account_id.clone();
        let server = Emulator::new(settings).serve("127.0.0.1:0").await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("here")).unwrap();
        Self { folder, server, id }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Runs the command; how it ended, what was asked and what was printed.
    async fn init(&self, flags: AccountFlags, passcode: Option<&str>, answers: &[&str]) -> (Result<Completion>, String) {
        let home = self.path("home").display().to_string();
        let variable = |name: &str| match name {
            "HOME" => Some(home.clone()),
            PASSCODE => passcode.map(str::to_owned),
            _ => None,
        };
        let (stderr, printed) = (Stderr::default(), self.path("printed"));
        let mut console = stderr.console();
        let answers = Answers::Lines(answers.iter().map(|&answer| answer.to_owned()).collect::<VecDeque<_>>());
        let dialog = Dialog { answers, console: &mut console, interrupts: Interrupts::listen().unwrap() };
        let here = self.path("here");
        let place = InitPlace { named: None, working_folder: &here, flags: &flags, variable: &variable };
        let mut output = Output::open(Some(Format::Table), Some(&printed), FileAccess::Default).unwrap();
        let ended = Box::pin(init(&place, dialog, &mut output)).await;
        output.close(false).unwrap();
        let said = format!("{}{}", stderr.text(), fs::read_to_string(printed).unwrap());
        assert!(!said.contains(HUSH), "{said}");
        (ended, said)
    }

    fn at_emulator(&self) -> AccountFlags {
        AccountFlags { endpoint: Some(self.server.url()), ..AccountFlags::default() }
    }
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions()) & 0o777
}

/// What the file says, with the passcode of the variable.
fn account(path: &Path) -> crate::config::OpenAccount {
    let variable = |name: &str| (name == PASSCODE).then(|| HUSH.to_owned());
    Config::load(Some(path), Path::new(""), &AccountFlags::default(), variable).unwrap().accounts.into_default().unwrap()
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_typed_passcode_gets_a_file_of_its_own_and_the_account_is_tried() {
    let kitchen = Kitchen::new().await;
    let answers = ["1", &kitchen.id, "", "Asia/Kolkata", "shop", "2", "", HUSH];
    let (ended, said) = kitchen.init(kitchen.at_emulator(), None, &answers).await;
    ended.unwrap();
    assert!(said.contains("~/.config/clevertap-sql/clevertap.toml was written") && said.contains("\nok "), "{said}");
    let (file, passcode) = ("home/.config/clevertap-sql/clevertap.toml", "home/.config/clevertap-sql/shop.passcode");
    assert!(!kitchen.text(file).contains(HUSH), "{}", kitchen.text(file));
    assert_eq!(kitchen.text(passcode), format!("{HUSH}\n"));
    assert_eq!(
        [mode(&kitchen.path(file)), mode(&kitchen.path(passcode)), mode(&kitchen.path("home/.config/clevertap-sql"))],
        [0o600, 0o600, 0o700]
    );
    let opened = account(&kitchen.path(file));
    assert_eq!(
        (opened.name.as_str(), opened.id.as_str(), opened.account.time_zone()),
        ("shop", kitchen.id.as_str(), Some(chrono_tz::Asia::Kolkata))
    );
    assert_eq!(format!("http://{}", opened.account.host()), kitchen.server.url());
    // It is not written over, whatever was answered.
    let (again, _) = kitchen.init(kitchen.at_emulator(), None, &answers).await;
    let text = again.unwrap_err();
    assert!(text.code() == 2 && text.to_string().ends_with("is there already, and stays as it is: edit it, or move it away"), "{text}");
}

#[tokio::test]
async fn the_file_of_the_working_folder_names_a_variable_and_is_not_tried_without_it() {
    let kitchen = Kitchen::new().await;
    let answers = ["2", "ABC-12D-345Z", "india", "in1", "", "", "SHOP_PASSCODE", ""];
    let (ended, said) = kitchen.init(AccountFlags::default(), None, &answers).await;
    ended.unwrap();
    assert!(said.contains("Did you mean in1?") && said.contains("begin with CLEVERTAP_"), "{said}");
    assert!(said.contains("CLEVERTAP_PASSCODE is not set, so nothing was tried"), "{said}");
    assert_eq!(account(&kitchen.path("here/clevertap.toml")).account.host(), "in1.api.clevertap.com");
    let endpoint = kitchen.init(kitchen.at_emulator(), None, &["2"]).await.0.unwrap_err();
    assert!(endpoint.to_string().contains("is there already"), "{endpoint}");
    fs::remove_file(kitchen.path("here/clevertap.toml")).unwrap();
    let endpoint = kitchen.init(kitchen.at_emulator(), None, &["2"]).await.0.unwrap_err();
    assert!(endpoint.to_string().contains("has no endpoint"), "{endpoint}");
}

#[tokio::test]
async fn an_account_that_is_refused_is_written_only_if_it_is_wanted() {
    let kitchen = Kitchen::new().await;
    let mut answers = vec!["1", &kitchen.id, "", "", "", "1", "", ""];
    let (ended, said) = kitchen.init(kitchen.at_emulator(), Some("wrong"), &answers).await;
    assert_eq!(ended.unwrap_err().to_string(), "nothing was written", "{said}");
    assert!(said.contains("the account was not accepted: ") && !kitchen.path("home").exists(), "{said}");
    *answers.last_mut().unwrap() = "yes";
    let (ended, said) = kitchen.init(kitchen.at_emulator(), Some("wrong"), &answers).await;
    ended.unwrap_or_else(|failure| panic!("{failure}: {said}"));
    assert!(kitchen.path("home/.config/clevertap-sql/clevertap.toml").exists());
}

#[tokio::test]
async fn an_input_that_ends_leaves_nothing_and_says_what_was_not_answered() {
    let kitchen = Kitchen::new().await;
    let text = kitchen.init(AccountFlags::default(), None, &["1", "ABC-12D-345Z"]).await.0.unwrap_err();
    assert!(text.code() == 2 && text.to_string().starts_with("the input ended before this was answered: Region"), "{text}");
    assert!(!kitchen.path("home").exists());
}
