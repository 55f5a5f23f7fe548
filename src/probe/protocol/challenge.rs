//! Parses the challenges of one `WWW-Authenticate` header (RFC 9110, section 11.6.1), as leniently as containerd does.
//!
//! Parsing stops at an invalid parameter and keeps the earlier ones. RFC 9110 also allows blanks around `=`, and several
//! challenges in one header. `http-auth` is stricter: it drops a challenge with an invalid parameter.

/// A challenge: its scheme, and its parameters in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    pub(super) scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// Returns a parameter by its lower-case name; the last one wins, as in Go.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let mut found = self.parameters.iter().rev().filter(|(known, _)| known == name);
        found.next().map(|(_, value)| value.clone())
    }
}

/// Parses the challenges of a header; schemes and parameter names become lower case.
pub(super) fn parse(header: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (word, after) = token(rest);
        if word.is_empty() {
            return challenges;
        }
        let value = after.trim_start_matches(BLANKS).strip_prefix('=');
        let (Some(value), Some(challenge)) = (value, challenges.last_mut()) else {
            if !after.is_empty() && !after.starts_with([' ', '\t', ',']) {
                return challenges;
            }
            challenges.push(Challenge { scheme: word.to_ascii_lowercase(), parameters: Vec::new() });
            rest = after;
            continue;
        };
        let (value, after) = token_or_quoted(value.trim_start_matches(BLANKS));
        challenge.parameters.push((word.to_ascii_lowercase(), value));
        rest = after.trim_start_matches(BLANKS);
        if !rest.starts_with(',') {
            return challenges;
        }
    }
}

const BLANKS: [char; 2] = [' ', '\t'];

/// Splits off a token (RFC 9110, section 5.6.2), which may be empty.
fn token(text: &str) -> (&str, &str) {
    let is_token =
        |character: char| character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(character);
    text.split_at(text.find(|character| !is_token(character)).unwrap_or(text.len()))
}

fn token_or_quoted(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = token(text);
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    // An unterminated quoted string counts as empty.
    (String::new(), "")
}

#[cfg(test)]
mod tests {
    use super::parse;

    const REALM: &str = "https://contoso.azurecr.io/oauth2/token";

    #[test]
    fn challenges_are_parsed_in_every_accepted_form() {
        for (header, expected) in [
            (r#"Bearer realm="R",service="S",scope="repository:a:pull""#, ("R", "S")),
            (r#"bearer service="S" , realm="R""#, ("R", "S")),
            (r#"BEARER  realm = "R" ,	service= "S""#, ("R", "S")),
            (r#"Bearer REALM="old",realm="R", Service=S"#, ("R", "S")),
            (r#"Bearer error="insufficient_scope",,realm="R",service="S""#, ("R", "S")),
            (r#"Bearer realm="R",service="S";error="x""#, ("R", "S")),
            (r#"Bearer realm="R",service="S","#, ("R", "S")),
            (r#"Bearer realm="R",service="S\"\\""#, ("R", "S\"\\")),
            (r#"Basic realm="other", Bearer realm="R", service="S""#, ("R", "S")),
            (r#"Negotiate, Bearer realm="R", service="S""#, ("R", "S")),
        ] {
            let header = header.replace("\"R\"", &format!("\"{REALM}\""));
            let challenges = parse(&header);
            let found = challenges.iter().find(|challenge| challenge.scheme == "bearer");
            let found = found.unwrap_or_else(|| panic!("{header}: {challenges:?}"));
            let parameters = (found.parameter("realm"), found.parameter("service"));
            let expected = (Some(expected.0.replace('R', REALM)), Some(expected.1.to_owned()));
            assert_eq!(parameters, expected, "{header}");
        }
    }

    #[test]
    fn invalid_challenges_have_no_realm() {
        for header in
            ["", "Bearer", "Bearer realm", "realm=\"R\"", "Bearer realm=\"R", "Bearer: realm=\"R\"", "=,=,"]
        {
            let realm = parse(header).iter().find_map(|challenge| challenge.parameter("realm"));
            assert_eq!(realm.filter(|realm| !realm.is_empty()), None, "{header}");
        }
    }
}
