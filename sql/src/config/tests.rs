//! Flags, the environment and files together: what wins, what is refused and where, and what is open.

use std::{fs, path::Path};

use super::*;
use crate::failure::Failure;
use datafusion_clevertap::Access;

const SHOP: &str = "[accounts.shop]\naccount_id = 'S-1'\nregion = 'in1'\ntime_zone = 'Asia/Kolkata'\n";
const SEVERAL: &str = "[accounts.shop]\naccount_id = 'S-1'\nregion = 'in1'\ntime_zone = 'Asia/Kolkata'\npasscode_env = 'SHOP_PASSCODE'\n\
                       [accounts.lab]\naccount_id = 'L-1'\nregion = 'sg1'\ntime_zone = 'Asia/Singapore'\npasscode_env = 'LAB_PASSCODE'\naccess = 'read'\n";
const PASSCODES: [(&str, &str); 3] = [("SHOP_PASSCODE", "hush-s"), ("LAB_PASSCODE", "hush-l"), (PASSCODE, "hush-c")];

fn variables<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
    move |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
}

fn found(origin: Origin, text: &str) -> FoundFile {
    FoundFile { shown: FILE_NAME.into(), origin, folder: "/project".into(), text: text.into() }
}

fn load(text: &str, flags: &AccountFlags, pairs: &[(&str, &str)]) -> Result<Config> {
    Config::of_file(Some(found(Origin::Named, text)), flags, &variables(pairs))
}

fn usage<T: std::fmt::Debug>(result: Result<T>) -> String {
    match result.unwrap_err() {
        Failure::Usage(text) => text,
        other => panic!("{other:?}"),
    }
}

/// What is refused in a file, and where.
fn faults(origin: Origin, text: &str) -> String {
    usage(Config::of_file(Some(found(origin, text)), &AccountFlags::default(), &|_| None))
}

/// The account that is used by default: name, id, host and zone, and where id and host came from.
fn by_default(config: &Config) -> [String; 6] {
    let opened = config.accounts.by_default().unwrap_or_else(|| panic!("{:?}", config.accounts));
    let described = config.described.accounts.iter().find(|account| account.name == opened.name).unwrap();
    let host_from = described.endpoint.as_ref().map(|endpoint| &endpoint.from).or(described.region.as_ref().map(|region| &region.from));
    let zone = opened.account.time_zone().map(|zone| zone.name().to_owned()).unwrap_or_default();
    let (host, host_from) = (opened.account.host().to_owned(), host_from.unwrap().to_string());
    [opened.name.clone(), opened.id.clone(), host, zone, described.id.from.to_string(), host_from]
}

fn named(name: &str) -> AccountFlags {
    AccountFlags { account: Some(name.into()), ..AccountFlags::default() }
}

#[test]
fn flags_win_over_variables_and_both_over_the_file_key_by_key() {
    let of_file = load(SHOP, &AccountFlags::default(), &[(PASSCODE, "p")]).unwrap();
    assert_eq!(by_default(&of_file), ["shop", "S-1", "in1.api.clevertap.com", "Asia/Kolkata", "clevertap.toml:2", "clevertap.toml:3"]);
    let variables = [(PASSCODE, "p"), (REGION, "sg1"), (ACCOUNT_ID, "S-1")];
    let of_variable = load(SHOP, &AccountFlags::default(), &variables).unwrap();
    assert_eq!(by_default(&of_variable), ["shop", "S-1", "sg1.api.clevertap.com", "Asia/Kolkata", ACCOUNT_ID, REGION]);
    let flags = AccountFlags { region: Some("us1".into()), time_zone: Some("UTC".into()), ..AccountFlags::default() };
    let of_flag = load(SHOP, &flags, &variables).unwrap();
    assert_eq!(by_default(&of_flag), ["shop", "S-1", "us1.api.clevertap.com", "UTC", ACCOUNT_ID, "--region"]);
}

#[test]
fn an_id_that_the_file_does_not_have_is_an_account_of_its_own_with_nothing_of_the_files() {
    let variables = [(PASSCODE, "p"), (REGION, "sg1"), (ACCOUNT_ID, "X-1")];
    let config = load(SHOP, &AccountFlags::default(), &variables).unwrap();
    assert_eq!(by_default(&config), ["clevertap", "X-1", "sg1.api.clevertap.com", "", ACCOUNT_ID, REGION]);
    // CLEVERTAP_PASSCODE is that account's, and does not go to the one of the file.
    let [closed] = config.accounts.closed.as_slice() else { panic!("{:?}", config.accounts) };
    assert_eq!(
        closed.why,
        "account shop (clevertap.toml:1) is not open: CLEVERTAP_PASSCODE is the passcode of the account that CLEVERTAP_ACCOUNT_ID names, \
         and goes to no other; passcode_env names another variable"
    );
    let mended =
        load(&format!("{SHOP}passcode_env = 'SHOP_PASSCODE'"), &AccountFlags::default(), &[&variables[..], &PASSCODES[..1]].concat());
    assert_eq!(mended.unwrap().accounts.open.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["shop", "clevertap"]);
    // It takes the place of a namesake, of which it has nothing.
    let namesake = load(&SHOP.replace("shop", "clevertap"), &AccountFlags::default(), &variables).unwrap();
    assert_eq!((namesake.accounts.open.len(), by_default(&namesake)[1..4].join(" ")), (1, "X-1 sg1.api.clevertap.com ".into()));
    // Half of one is refused as without a file.
    assert!(usage(load(SHOP, &AccountFlags::default(), &[(ACCOUNT_ID, "X-1")])).contains("still needs its passcode"));
}

#[test]
fn a_passcode_goes_to_the_account_that_it_is_meant_for() {
    let of_shop = |file: &str, flags: &AccountFlags, pairs: &[(&str, &str)]| {
        let config = load(file, flags, pairs).unwrap();
        config
            .described
            .accounts
            .iter()
            .find(|account| account.name == "shop")
            .unwrap()
            .passcode
            .clone()
            .map(|place| place.value.to_string())
    };
    let with_own = format!("{SHOP}passcode_env = 'SHOP_PASSCODE'");
    let none = AccountFlags::default();
    assert_eq!(of_shop(SHOP, &none, &PASSCODES).unwrap(), PASSCODE);
    // The file names another place, and nothing says that CLEVERTAP_PASSCODE is of this account.
    assert_eq!(of_shop(&with_own, &none, &PASSCODES).unwrap(), "SHOP_PASSCODE");
    let with_id = [&PASSCODES[..], &[(ACCOUNT_ID, "S-1")]].concat();
    assert_eq!(of_shop(&with_own, &none, &with_id).unwrap(), PASSCODE);
    assert_eq!(of_shop(&with_own, &AccountFlags { account_id: Some("S-1".into()), ..none.clone() }, &PASSCODES).unwrap(), PASSCODE);
    let of_other = [&PASSCODES[..], &[(ACCOUNT_ID, "X-1"), (REGION, "us1")]].concat();
    assert_eq!(of_shop(&with_own, &named("shop"), &of_other).unwrap(), "SHOP_PASSCODE");
    // What the environment says of another account is not said of this one.
    assert_eq!(by_default(&load(&with_own, &named("shop"), &of_other).unwrap())[2], "in1.api.clevertap.com");
    assert!(of_shop(SHOP, &named("shop"), &of_other).is_err());
}

#[test]
fn of_several_accounts_one_is_used_by_default_where_something_says_which() {
    let none = AccountFlags::default();
    let several = load(SEVERAL, &none, &PASSCODES).unwrap();
    assert_eq!(several.accounts.open.len(), 2);
    // Their zones differ, and nothing chose one.
    assert_eq!(several.accounts.time_zone, None);
    let text = usage(several.accounts.into_default());
    assert_eq!(text, "this command is about one account, and there are several: shop, lab; --account NAME says which");
    let lab = load(SEVERAL, &named("lab"), &PASSCODES).unwrap();
    assert_eq!(by_default(&lab)[..4], ["lab", "L-1", "sg1.api.clevertap.com", "Asia/Singapore"]);
    assert_eq!(lab.accounts.time_zone.unwrap().name(), "Asia/Singapore");
    // An id says it, too.
    let by_id = load(SEVERAL, &none, &[&PASSCODES[..], &[(ACCOUNT_ID, "L-1")]].concat()).unwrap();
    assert_eq!(by_default(&by_id)[0], "lab");
    // The zone that all have is the session's.
    assert!(load(&SEVERAL.replace("Singapore", "Kolkata"), &none, &PASSCODES).unwrap().accounts.time_zone.is_some());
}

#[test]
fn what_speaks_of_one_account_asks_which_where_there_are_several() {
    let flags = AccountFlags { region: Some("us1".into()), ..AccountFlags::default() };
    let expected =
        |name: &str| format!("{name} speaks of one account, and the file has several: shop, lab; --account NAME says which is meant");
    assert_eq!(usage(load(SEVERAL, &flags, &PASSCODES)), expected("--region"));
    assert_eq!(usage(load(SEVERAL, &AccountFlags::default(), &[(ENDPOINT, "127.0.0.1:1")])), expected(ENDPOINT));
    assert_eq!(
        by_default(&load(SEVERAL, &AccountFlags { account: Some("lab".into()), ..flags }, &PASSCODES).unwrap())[2],
        "us1.api.clevertap.com"
    );
    assert_eq!(
        usage(load(SEVERAL, &named("labs"), &PASSCODES)),
        "--account labs: there is no account of this name; there are shop, lab. Did you mean lab?"
    );
    let two = AccountFlags { account_id: Some("S-1".into()), ..named("lab") };
    assert!(
        usage(load(SEVERAL, &two, &PASSCODES))
            .starts_with("--account lab and --account-id are two accounts (clevertap.toml:7 has another id)")
    );
    let same_id = SEVERAL.replace("L-1", "S-1");
    assert!(
        usage(load(&same_id, &AccountFlags::default(), &[(ACCOUNT_ID, "S-1")])).ends_with("shop, lab; --account NAME says which is meant")
    );
}

#[test]
fn an_account_that_lacks_its_passcode_stops_what_uses_it_and_nothing_else() {
    let config = load(SEVERAL, &AccountFlags::default(), &PASSCODES[..1]).unwrap();
    assert_eq!(config.accounts.open.len(), 1);
    assert!(config.accounts.closed[0].why.starts_with("account lab (clevertap.toml:6) is not open: the variable LAB_PASSCODE"));
    let lab = load(SEVERAL, &named("lab"), &PASSCODES[..1]).unwrap();
    // What files mean does not hang on a passcode.
    assert_eq!(lab.accounts.time_zone.unwrap().name(), "Asia/Singapore");
    assert!(usage(lab.accounts.into_default()).ends_with("is not set: read -rs LAB_PASSCODE && export LAB_PASSCODE"));
    let without_region = load("[accounts.shop]\naccount_id = 'S-1'", &AccountFlags::default(), &PASSCODES).unwrap();
    assert!(usage(without_region.accounts.into_default()).ends_with("and so does --region"));
}

#[test]
fn a_flag_narrows_what_the_file_permits_and_never_widens_it() {
    let access = |file: &str, flags: AccountFlags| {
        let config = load(file, &flags, &PASSCODES)?;
        Ok::<_, Failure>(config.accounts.by_default().unwrap().account.access())
    };
    let (erase, read) =
        (AccountFlags { allow_erase: true, ..AccountFlags::default() }, AccountFlags { read_only: true, ..AccountFlags::default() });
    let with = |level: &str| format!("{SHOP}access = '{level}'\n");
    assert_eq!(access(SHOP, AccountFlags::default()).unwrap(), Access::Write);
    assert_eq!(access(SHOP, erase.clone()).unwrap(), Access::Erase);
    assert_eq!(access(&with("erase"), AccountFlags::default()).unwrap(), Access::Erase);
    assert_eq!(access(&with("erase"), read).unwrap(), Access::Read);
    assert_eq!(
        usage(access(&with("write"), erase.clone())),
        "--allow-erase is more than access = \"write\" permits (clevertap.toml:5); change it there"
    );
    // What it permits to one account it does not permit to another.
    let lab = load(SEVERAL, &AccountFlags { account: Some("shop".into()), ..erase }, &PASSCODES).unwrap();
    assert_eq!(lab.accounts.open.iter().map(|one| one.account.access()).collect::<Vec<_>>(), [Access::Erase, Access::Read]);
}

#[test]
fn every_fault_of_a_file_has_its_line_and_column_and_the_nearest_name() {
    let text = "stat = 'x'\n\
                [accounts.shop]\nacount_id = 'S-1'\nregion = 'india'\ntime_zone = 'asia/kolkatta'\naccess = 'all'\npasscode_env = 'hush-1-hush'\n\
                [accounts.Lab]\naccount_id = 'L-1'\npasscode = 'hush'\npasscode_env = 'A'\npasscode_file = 'b'\n\
                [options]\non_rejct = 'skip'\nfailed_max = -1\nnulls = 'drop'\ndry_run = []\n\
                [files]\n'my users' = 'u/'\nold = ''\n[serve]\nlisten = '127.0.0.1:1'\n";
    assert_eq!(
        faults(Origin::User, text),
        "clevertap.toml:1:1: \"stat\" is no key of this file; did you mean state?\n\
         clevertap.toml:2:11: [accounts.shop] has no account_id (dashboard, Settings > Project)\n\
         clevertap.toml:3:1: \"acount_id\" is no key of [accounts.shop]; did you mean account_id?\n\
         clevertap.toml:4:10: region is \"india\"; expected one of eu1, in1, sg1, us1, aps3, mec1. Did you mean in1?\n\
         clevertap.toml:5:13: time zone is \"asia/kolkatta\"; expected a name of the tz database, such as Asia/Kolkata or UTC. Did you mean Asia/Kolkata?\n\
         clevertap.toml:6:10: access is \"all\"; expected read, write or erase\n\
         clevertap.toml:7:16: passcode_env is not the name of a variable; expected one, as CLEVERTAP_PASSCODE, and the passcode in the variable\n\
         clevertap.toml:8:11: \"Lab\" is no name here; expected small letters, digits and _, with a letter first: shop_eu\n\
         clevertap.toml:8:11: [accounts.Lab] is one of several, and says passcode_env or passcode_file\n\
         clevertap.toml:10:1: \"passcode\" is no key of [accounts.Lab]; did you mean passcode_env?\n\
         clevertap.toml:12:17: passcode_file and passcode_env are two places of one passcode; name one\n\
         clevertap.toml:14:1: \"on_rejct\" is no option; did you mean on_reject?\n\
         clevertap.toml:15:14: option \"clevertap.failed_max\" is \"-1\"; expected a whole number, 0 or more\n\
         clevertap.toml:16:9: option \"clevertap.nulls\" is \"drop\"; expected 'omit' or 'delete'\n\
         clevertap.toml:17:11: \"dry_run\" is a list; expected one value\n\
         clevertap.toml:19:1: \"my users\" is no name here; expected small letters, digits and _, with a letter first: shop_eu\n\
         clevertap.toml:20:7: \"old\" is empty; expected a path, a folder or a URL of files\n\
         clevertap.toml:21:2: [serve] is a section that this build of clevertap-sql does not know"
    );
}

#[test]
fn accounts_that_would_be_taken_for_each_other_are_refused() {
    let events = format!("{SHOP}passcode_env = 'A'\n[accounts.shop_events]\naccount_id = 'S-1'\npasscode_env = 'B'\n");
    assert_eq!(
        faults(Origin::User, &events),
        "clevertap.toml:6:11: \"shop_events\" is the schema of the events of [accounts.shop]; choose another name"
    );
    assert_eq!(
        faults(Origin::User, &SEVERAL.replace("LAB_PASSCODE", "SHOP_PASSCODE")),
        "clevertap.toml:6:11: [accounts.lab] names SHOP_PASSCODE as [accounts.shop] does, and they are two accounts; a passcode is of one"
    );
}

#[test]
fn the_file_of_the_working_folder_sends_nothing_elsewhere_and_a_named_one_may() {
    let text = "state = 's3://elsewhere/state'\n\
                [accounts.shop]\naccount_id = 'S-1'\nendpoint = 'https://elsewhere.example'\npasscode_file = '../.ssh/id_rsa'\naccess = 'erase'\n\
                [options]\nfailed_rows_to = 's3://elsewhere/rows'\nlist_email = 'a@example.org'\ndelete_rows_max = 1000000\n";
    let refused = faults(Origin::WorkingFolder, text);
    for (place, what) in [
        ("1:1", "state"),
        ("4:1", "endpoint"),
        ("5:1", "passcode_file"),
        ("6:10", "access = \"erase\""),
        ("8:1", "failed_rows_to"),
        ("9:1", "list_email"),
        ("10:1", "delete_rows_max"),
    ] {
        let line = format!(
            "clevertap.toml:{place}: {what} is not taken from the clevertap.toml of the working folder, which may come from somebody else: "
        );
        let found = refused.lines().find(|found| found.starts_with(&line)).unwrap_or_else(|| panic!("{line}\n{refused}"));
        assert!(found.ends_with(". --config clevertap.toml takes it"), "{found}");
    }
    assert_eq!(refused.lines().count(), 7, "{refused}");
    for origin in [Origin::Named, Origin::User] {
        Config::of_file(Some(found(origin, text)), &AccountFlags::default(), &|_| None).unwrap();
    }
    // Any secret of the environment could be named.
    let of_variable = |name: &str| format!("{SHOP}passcode_env = '{name}'\n");
    let other = faults(Origin::WorkingFolder, &of_variable("AWS_SECRET_ACCESS_KEY"));
    assert!(other.starts_with("clevertap.toml:5:16: passcode_env = \"AWS_SECRET_ACCESS_KEY\" is not taken"), "{other}");
    let own = found(Origin::WorkingFolder, &of_variable("CLEVERTAP_PASSCODE_SHOP"));
    let config = Config::of_file(Some(own), &AccountFlags::default(), &variables(&[("CLEVERTAP_PASSCODE_SHOP", "p")])).unwrap();
    assert_eq!(config.notice().unwrap(), "clevertap.toml of this folder is used: shop (S-1 at in1)");
    assert_eq!(by_default(&config)[0], "shop");
}

#[test]
fn paths_of_a_file_begin_in_its_folder() {
    let text = "state = 'memory'\n[accounts.a]\naccount_id = 'A'\npasscode_file = 'a.passcode'\n\
                [files]\nusers = 'data/users/'\nlate = '/data/*.csv'\nfar = 's3://b/x/'\n[options]\nfailed_rows_to = 'failed/'\n";
    let config = load(text, &AccountFlags::default(), &[]).unwrap();
    let files: Vec<&str> = config.files.iter().map(|files| files.place.value.as_str()).collect();
    assert_eq!(files, ["/project/data/users/", "/data/*.csv", "s3://b/x/"]);
    assert_eq!(config.state.unwrap().value, "/project/memory");
    assert_eq!(config.options[0].value.value, "/project/failed/");
    assert_eq!(config.described.accounts[0].passcode.as_ref().unwrap().value.to_string(), "/project/a.passcode");
    let state = |pairs| load("", &AccountFlags::default(), pairs).unwrap().state.map(|state| state.value);
    assert_eq!(state(&[("HOME", "/home/ada")]).unwrap(), "/home/ada/.local/share/clevertap-sql");
    assert_eq!(state(&[("HOME", "/home/ada"), ("XDG_DATA_HOME", "/x")]).unwrap(), "/x/clevertap-sql");
    assert_eq!(state(&[]), None);
}

#[test]
fn no_passcode_is_shown_by_anything_that_holds_one() {
    let config = load(SEVERAL, &AccountFlags::default(), &PASSCODES).unwrap();
    assert!(!format!("{config:?}").contains("hush"), "{config:?}");
}

#[test]
fn the_examples_of_the_page_are_files_that_are_read() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let blocks: Vec<&str> = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!blocks.is_empty());
    for block in &blocks {
        Config::of_file(Some(found(Origin::User, block)), &AccountFlags::default(), &|_| None)
            .unwrap_or_else(|failure| panic!("{failure}\n{block}"));
    }
    let whole = load(blocks[0], &AccountFlags::default(), &[]).unwrap();
    let names = |config: &Config| config.described.accounts.iter().map(|account| account.name.clone()).collect::<Vec<_>>();
    assert_eq!((names(&whole), whole.files.len(), whole.options.len()), (vec!["shop".to_owned(), "lab".to_owned()], 2, 2));
}

#[test]
fn databases_are_checked_at_their_lines_and_those_of_the_working_folder_are_read_alone() {
    let faults_of = |origin, text: &str| faults(origin, text);
    assert_eq!(
        faults_of(
            Origin::Named,
            "[databases.shop]\nurl = 'postgres://a:hush@db.example/shop'\n[databases.two]\nurl = 'mysql://db.example/x'\naccess = 'all'\ncreate = 1\n\
             pasword_env = 'X'\n[databases.datafusion]\nurl = 'oracle://db.example/x'\n[databases.none]\n"
        ),
        "clevertap.toml:2:7: database \"shop\": its URL has a password in it; leave it out, and set password_env or password_file [DB-101]\n\
         clevertap.toml:5:10: access is \"all\"; expected read or write\n\
         clevertap.toml:6:10: \"create\" is a number; expected true or false, without quotes\n\
         clevertap.toml:7:1: \"pasword_env\" is no key of [databases.two]; did you mean password_env?\n\
         clevertap.toml:8:12: \"datafusion\" is the catalogue of everything else; choose another name\n\
         clevertap.toml:9:7: database \"datafusion\": its URL begins with none of postgres:// mysql:// mariadb:// redshift:// sqlite: bigquery:// ; for example \
         postgres://reader@db.acme.example/shop [DB-101]\n\
         clevertap.toml:10:12: [databases.none] has no url, such as postgres://reader@db.acme.example/shop, and no driver"
    );
    let refused = faults_of(
        Origin::WorkingFolder,
        "[databases.shop]\nurl = 'postgres://db.example/shop'\npassword_env = 'AWS_SECRET'\n[databases.own]\nurl = 'sqlite:own.db'\naccess = 'write'\n",
    );
    assert!(
        refused.contains("clevertap.toml:3:1: password_env is not taken")
            && refused.contains("clevertap.toml:6:10: access = \"write\" is not taken"),
        "{refused}"
    );
    let read =
        Config::of_file(Some(found(Origin::WorkingFolder, "[databases.own]\nurl = 'sqlite:own.db'\n")), &AccountFlags::default(), &|_| {
            None
        });
    assert!(read.unwrap().databases[0].opened.is_ok());
}

#[test]
fn what_a_driver_is_told_is_read_and_no_secret_of_it_stands_in_the_file() {
    let whole = "[databases.wh]\ndriver = 'snowflake'\naccess = 'write'\ncreate = true\nstaging = 's3://acme/tmp/'\n\
                 options = { 'adbc.snowflake.sql.account' = 'AB-123', port = 443 }\nsecret_options_env = { 'adbc.snowflake.sql.auth_token' = 'WH_TOKEN' }\n";
    let described = load(whole, &AccountFlags::default(), &[("WH_TOKEN", "hush")]).unwrap().databases.remove(0).described;
    assert_eq!((described.key, described.place.value.as_str()), ("driver", "snowflake"));
    assert_eq!(
        described.options.iter().map(|(key, value)| format!("{key}={}", value.value)).collect::<Vec<_>>(),
        ["adbc.snowflake.sql.account=AB-123", "port=443"]
    );
    assert!(described.create.is_some_and(|create| create.value) && described.staging.is_some());
    let staged = |staging: &str| {
        let text = format!("[databases.dw]\nurl = 'redshift://loader@dw.acme.example/shop'\nstaging = '{staging}'\n");
        load(&text, &AccountFlags::default(), &[]).unwrap().databases.remove(0).opened.err()
    };
    let is_of_clouds = cfg!(feature = "cloud");
    assert_eq!(staged("s3://acme/tmp/").is_none(), is_of_clouds);
    assert!(staged("ftp://acme/tmp/").unwrap().contains("ftp:// is not read; expected"));
    let unset = load(whole, &AccountFlags::default(), &[]).unwrap();
    let why = unset.databases[0].opened.as_ref().unwrap_err();
    assert!(why.contains("the variable WH_TOKEN, which holds its adbc.snowflake.sql.auth_token, is not set"), "{why}");
    assert_eq!(
        faults(
            Origin::Named,
            "[databases.a]\ndriver = 'x'\nurl = 'sqlite:a.db'\n[databases.b]\nurl = 'sqlite:b.db'\ncreate = true\noptions = { o = 'v' }\n\
             [databases.c]\ndriver = 'x'\noptions = { 'sql.auth_token' = 'hush-1' }\nsecret_options_env = { k = 'hush-2' }\n"
        ),
        "clevertap.toml:2:10: url and driver are two ways to a database; name one\n\
         clevertap.toml:6:10: create = true makes tables, which takes access = \"write\" beside it\n\
         clevertap.toml:7:13: \"o\" is an option of a driver, and the database has a url\n\
         clevertap.toml:10:13: the value of \"sql.auth_token\" is a secret, and none stands in this file; \
         secret_options_env = { \"sql.auth_token\" = \"A_VARIABLE\" } names one that holds it\n\
         clevertap.toml:11:28: this is not the name of a variable; expected one, as WH_KEY, and the secret in the variable"
    );
    let refused = faults(Origin::WorkingFolder, whole);
    for key in ["driver", "options", "secret_options_env", "staging", "access = \"write\""] {
        assert!(refused.contains(&format!(": {key} is not taken from the clevertap.toml of the working folder")), "{key}: {refused}");
    }
}
