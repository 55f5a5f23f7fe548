//! The section `metrics`: which histograms of stages the agent exposes.

use super::{boolean, optional};
use crate::config::StageHistograms;
use crate::config::section::{Field, Reader};
use crate::config::value::Refusal;
use crate::text::yaml::Value;

/// Most buckets of a histogram: twelve stages have one each.
const MAX_BUCKETS: usize = 16;
/// What a bucket may be.
const BOUND: &str = "a number of seconds greater than 0";

/// Reads the section.
pub(super) fn read(reader: &mut Reader, field: &Field<'_>) -> Option<StageHistograms> {
    let section = reader.section(field, &["stageHistograms"])?;
    optional(&section, "stageHistograms", StageHistograms::Full, |field| match field.node.value {
        Value::Sequence(_) => read_buckets(reader, field),
        Value::Plain(_) | Value::Quoted(_) | Value::Mapping(_) => {
            let expected = "true, false, or a list of upper bounds in seconds";
            let is_on = reader.plain(field, expected, boolean)?;
            Some(if is_on { StageHistograms::Full } else { StageHistograms::Off })
        }
    })
}

fn read_buckets(reader: &mut Reader, field: &Field<'_>) -> Option<StageHistograms> {
    let items = reader.items(field, "numbers")?;
    let bounds: Vec<_> = items
        .iter()
        .map(|item| {
            let positive =
                |text: &str| text.parse::<f64>().ok().filter(|bound| bound.is_finite() && *bound > 0.0);
            reader.plain(item, BOUND, positive)
        })
        .collect::<Option<_>>()?;
    if bounds.is_empty() || bounds.len() > MAX_BUCKETS || !bounds.is_sorted_by(|lower, upper| lower < upper) {
        let expected = format!("1 to {MAX_BUCKETS} numbers in ascending order");
        reader.refuse(field, &Refusal::unquoted(format!("found {bounds:?}"), expected));
        return None;
    }
    Some(StageHistograms::Buckets(bounds))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::StageHistograms;
    use crate::config::file::parse;

    fn read(value: &str) -> Result<StageHistograms, String> {
        let text =
            format!("images: [{{image: contoso.azurecr.io/app:1}}]\nmetrics: {{stageHistograms: {value}}}");
        parse(Path::new("c"), &text)
            .map(|config| config.stage_histograms)
            .map_err(|errors| errors.to_string())
    }

    #[test]
    fn histograms_are_on_off_or_have_ascending_buckets() {
        assert_eq!(read("true"), Ok(StageHistograms::Full));
        assert_eq!(read("false"), Ok(StageHistograms::Off));
        assert_eq!(read("[0.25, 1, 10]"), Ok(StageHistograms::Buckets(vec![0.25, 1.0, 10.0])));
        for (value, expected) in [
            ("[]", "expected 1 to 16 numbers in ascending order"),
            ("[1, 1]", "expected 1 to 16 numbers in ascending order"),
            ("[2, 1]", "expected 1 to 16 numbers in ascending order"),
            ("[0]", "expected a number of seconds greater than 0"),
            ("[.inf]", "expected a number of seconds greater than 0"),
            ("[a]", "expected a number of seconds greater than 0"),
            ("sometimes", "expected true, false, or a list of upper bounds in seconds"),
            ("{on: true}", "expected true, false, or a list of upper bounds in seconds"),
        ] {
            let message = read(value).expect_err(value);
            assert!(message.starts_with("c:2:") && message.contains(expected), "{value}: {message}");
        }
    }
}
