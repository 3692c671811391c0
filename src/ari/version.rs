//! Which protocol version to agree on: the table of section 3.

use super::Side;
use super::text::Encoding;
use std::fmt;

/// A version this adapter can speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A Proxy that names no version.
    V1_8_0,
    /// Named by the Proxy, as all that follow.
    V1_8_2,
    /// As 1.8.2 for what a chat needs.
    V1_8_3,
    /// UTF-8 and the smart encoding, but no single connection for data.
    V1_9_0,
    /// Data requests, replies and notifications on one connection.
    V1_9_1,
}

impl Version {
    /// As it stands on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Version::V1_8_0 => "1.8.0",
            Version::V1_8_2 => "1.8.2",
            Version::V1_8_3 => "1.8.3",
            Version::V1_9_0 => "1.9.0",
            Version::V1_9_1 => "1.9.1",
        }
    }

    /// How strings are written once it is agreed.
    pub fn encoding(self) -> Encoding {
        if self.is_1_8() {
            Encoding::Form
        } else {
            Encoding::Smart
        }
    }

    /// Whether it is one of the 1.8 family, which demands keepalives without saying so (section 4).
    pub fn is_1_8(self) -> bool {
        !matches!(self, Version::V1_9_0 | Version::V1_9_1)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Picks the version for a connection from the one its Proxy offers; `None` when it names none.
///
/// # Errors
/// For the rows of the table that say so: the text to answer and to log.
pub fn agree(side: Side, offered: Option<&str>) -> Result<Version, String> {
    let version = match (side, offered) {
        (Side::Metadata, None) => Some(Version::V1_8_0),
        (Side::Metadata, Some("1.8.2")) => Some(Version::V1_8_2),
        (Side::Metadata, Some("1.8.3")) => Some(Version::V1_8_3),
        (Side::Metadata, Some("1.9.0")) => Some(Version::V1_9_0),
        // 1.8.0 and 1.8.1 have no way to be named.
        (Side::Metadata, Some("1.8.0" | "1.8.1")) => None,
        (Side::Metadata, Some(other)) if other.starts_with("1.8.") => Some(Version::V1_8_3),
        // A data connection needs 1.9.1.
        (Side::Data, None | Some("1.9.0")) => None,
        (Side::Data, Some(other)) if other.starts_with("1.8.") => None,
        _ => Some(Version::V1_9_1),
    };
    version.ok_or_else(|| {
        let offered = match offered {
            Some(version) => format!("ARI {}", version.escape_debug()),
            None => "ARI 1.8.0, since it names none".into(),
        };
        let needed = match side {
            Side::Metadata => "1.9.1 is needed, or 1.9.0, 1.8.3, 1.8.2, or 1.8.0 by naming none",
            Side::Data => "1.9.1 is needed, that is Lightstreamer Server 7.4 or later",
        };
        format!("Unsupported protocol version: the Proxy offers {offered}; {needed}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table() {
        let rows = [
            (None, Some("1.8.0"), None),
            (Some("1.8.0"), None, None),
            (Some("1.8.1"), None, None),
            (Some("1.8.2"), Some("1.8.2"), None),
            (Some("1.8.3"), Some("1.8.3"), None),
            (Some("1.8.4"), Some("1.8.3"), None),
            (Some("1.8.20"), Some("1.8.3"), None),
            (Some("1.8.x"), Some("1.8.3"), None),
            (Some("1.8"), Some("1.9.1"), Some("1.9.1")),
            (Some("1.80.1"), Some("1.9.1"), Some("1.9.1")),
            (Some("1.9.0"), Some("1.9.0"), None),
            (Some("1.9.1"), Some("1.9.1"), Some("1.9.1")),
            (Some("1.9.2"), Some("1.9.1"), Some("1.9.1")),
            (Some("1.10.0"), Some("1.9.1"), Some("1.9.1")),
            (Some("2.0"), Some("1.9.1"), Some("1.9.1")),
            (Some("what?"), Some("1.9.1"), Some("1.9.1")),
            (Some(""), Some("1.9.1"), Some("1.9.1")),
        ];
        for (offered, metadata, data) in rows {
            let agreed = |side| agree(side, offered).ok().map(Version::name);
            assert_eq!(agreed(Side::Metadata), metadata, "{offered:?}");
            assert_eq!(agreed(Side::Data), data, "{offered:?}");
        }
    }

    #[test]
    fn a_refusal_names_what_is_offered_and_what_is_needed() {
        let text = agree(Side::Data, Some("1.8.3")).unwrap_err();
        assert!(text.contains("1.8.3") && text.contains("1.9.1"), "{text}");
        let text = agree(Side::Data, None).unwrap_err();
        assert!(text.contains("1.8.0") && text.contains("1.9.1"), "{text}");
        let text = agree(Side::Metadata, Some("1.8.1")).unwrap_err();
        assert!(text.contains("1.8.1") && text.contains("1.9.1"), "{text}");
    }

    #[test]
    fn the_encoding_goes_with_the_version() {
        assert_eq!(Version::V1_8_3.encoding(), Encoding::Form);
        assert_eq!(Version::V1_9_0.encoding(), Encoding::Smart);
    }
}
