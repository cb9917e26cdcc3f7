//! URLs of BigQuery: `bigquery://project/default_dataset?location=EU&billing_project=payer`.

use std::collections::BTreeMap;

use url::form_urlencoded;

use crate::error::shown;

/// The parameters that there are.
const PARAMETERS: [&str; 2] = ["location", "billing_project"];

/// The project, and what is said besides by its name: `default_dataset` and the parameters. `rest` is what follows `bigquery:`.
pub(crate) fn parse(rest: &str) -> Result<(String, BTreeMap<String, String>), String> {
    const EXAMPLE: &str = "for example bigquery://acme-warehouse or bigquery://acme-warehouse/crm?location=EU";
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = path.strip_prefix("//").ok_or_else(|| format!("its URL is no URL; {EXAMPLE}"))?;
    let (project, dataset) = path.trim_end_matches('/').split_once('/').unwrap_or((path.trim_end_matches('/'), ""));
    // A project of a domain is `acme.com:warehouse`.
    let is_project = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':'));
    if !is_project(project) {
        return Err(format!("its URL names no project of Google's; {EXAMPLE}"));
    }
    if !dataset.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(format!("what follows the project in its URL is no dataset; {EXAMPLE}"));
    }
    let mut options = BTreeMap::new();
    if !dataset.is_empty() {
        options.insert("default_dataset".to_owned(), dataset.to_owned());
    }
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        if !PARAMETERS.contains(&key.as_ref()) {
            return Err(format!("parameter \"{}\" of its URL is not known; these are: {}", shown(&key), PARAMETERS.join(" ")));
        }
        if !is_project(&value) {
            return Err(format!("parameter \"{}\" of its URL has no value that can be; {EXAMPLE}", shown(&key)));
        }
        options.insert(key.into_owned(), value.into_owned());
    }
    Ok((project.to_owned(), options))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_url_names_a_project_and_perhaps_a_dataset_and_a_place() {
        let (project, options) = parse("//acme.com:warehouse/crm?location=europe-west1&billing_project=payer").expect("a URL");
        assert_eq!(project, "acme.com:warehouse");
        let options: Vec<_> = options.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(options, ["billing_project=payer", "default_dataset=crm", "location=europe-west1"]);
        for url in ["acme", "//", "//a/b/c", "//acme?key=hunter2", "//user:hunter2@acme", "//acme?location=../hunter2"] {
            assert!(!parse(url).expect_err(url).contains("hunter2"), "{url}");
        }
    }
}
