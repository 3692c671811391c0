//! What a session's messages are labelled with: texts that a client chose, of bounded length.

use std::borrow::Cow;

/// The most of an address or a user agent that is kept and sent, in bytes of UTF-8, [`CUT`] included.
const LONGEST_LABEL: usize = 1000;

/// Stands at the end of one that was cut.
const CUT: &str = "…";

/// A text that a client chose, cut at a character if it is longer than a label may be.
pub(super) fn label(text: &str) -> Cow<'_, str> {
    if text.len() <= LONGEST_LABEL {
        return text.into();
    }
    let fits = |end: &usize| text.is_char_boundary(*end);
    let end = (0..=LONGEST_LABEL - CUT.len()).rev().find(fits);
    [&text[..end.unwrap_or(0)], CUT].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_label_is_cut_at_a_character() {
        for (text, expected) in [
            ("a".repeat(1000), "a".repeat(1000)),
            ("a".repeat(1001), "a".repeat(997) + "…"),
            ("è".repeat(500), "è".repeat(500)),
            ("è".repeat(501), "è".repeat(498) + "…"),
            ("\u{1f600}".repeat(2000), "\u{1f600}".repeat(249) + "…"),
            ("é".repeat(498) + "a…", "é".repeat(498) + "a…"),
            (String::new(), String::new()),
        ] {
            assert_eq!(label(&text), expected);
            assert!(label(&text).len() <= LONGEST_LABEL);
        }
    }
}
