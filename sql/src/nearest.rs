//! The name that was probably meant.

use datafusion::common::utils::datafusion_strsim::levenshtein;

/// The name that is most like `text`, whatever its case; at most a third of its letters differ.
pub(crate) fn nearest<'a>(text: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let text = text.to_lowercase();
    let distances = names.into_iter().map(|name| (levenshtein(&text, &name.to_lowercase()), name));
    let near = distances.filter(|(distance, name)| distance * 3 <= name.chars().count());
    near.min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_of_the_letters_may_differ() {
        let nearest = |text| nearest(text, ["in1", "clevertap.profiles", "Asia/Kolkata"]);
        assert_eq!(nearest("in"), Some("in1"));
        assert_eq!(nearest("clevertap.profile"), Some("clevertap.profiles"));
        assert_eq!(nearest("asia/kolkatta"), Some("Asia/Kolkata"));
        assert_eq!(nearest("moon"), None);
    }
}
