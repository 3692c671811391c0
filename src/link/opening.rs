//! Opening a connection: what an init says, and what it is answered (sections 3 and 4).

use super::lost::Lost;
use crate::ari::Side;
use crate::ari::reply::{ErrorKind, Reply};
use crate::ari::request::{Malformed, Method, Pairs};
use crate::ari::text::Encoding;
use crate::ari::version::{self, Version};
use std::time::Duration;

/// The shortest interval that a Proxy's hint can ask for.
const SHORTEST_HINT: Duration = Duration::from_secs(1);

/// The interval when neither user nor Proxy says anything.
const DEFAULT_KEEPALIVE: Duration = Duration::from_secs(10);

/// The same for a Proxy of the 1.8 family, which may not say what it needs.
const DEFAULT_KEEPALIVE_1_8: Duration = Duration::from_secs(1);

/// What an init says, as far as it matters.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Init {
    version: Option<String>,
    keepalive_hint: Option<i64>,
    /// `proxy.instance_id`.
    pub instance: Option<String>,
}

impl Init {
    /// Reads the parameters; those that are not known are passed over.
    ///
    /// # Errors
    /// [`Malformed`], as [`Pairs`] has it.
    pub fn read(params: Pairs<'_>) -> Result<Init, Malformed> {
        let mut init = Init::default();
        for entry in params {
            let (Some(name), Some(value)) = entry? else {
                continue;
            };
            match &*name {
                "ARI.version" => init.version = Some(value.into_owned()),
                "keepalive_hint.millis" => init.keepalive_hint = value.trim().parse().ok(),
                "proxy.instance_id" => init.instance = Some(value.into_owned()),
                _ => {}
            }
        }
        Ok(init)
    }

    /// After how much silence a keepalive is due; zero: never (section 4). `configured` is what
    /// the user asked for, if anything.
    #[must_use]
    pub fn keepalive(&self, version: Version, configured: Option<Duration>) -> Duration {
        let default = match self.keepalive_hint {
            None if version.is_1_8() => DEFAULT_KEEPALIVE_1_8,
            _ => DEFAULT_KEEPALIVE,
        };
        let own = configured.unwrap_or(default);
        let hint = self
            .keepalive_hint
            .and_then(|hint| u64::try_from(hint).ok());
        match hint.filter(|&hint| hint > 0).map(Duration::from_millis) {
            Some(hint) if own.is_zero() || hint < own => hint.max(SHORTEST_HINT),
            _ => own,
        }
    }

    /// Answers the init that came as `method` on a connection of `side`.
    ///
    /// # Errors
    /// [`Lost::Refused`], after the refusal was appended.
    pub fn answer(
        &self,
        side: Side,
        id: &[u8],
        method: Method,
        replies: &mut Vec<u8>,
    ) -> Result<Version, Lost> {
        let reply = Reply::to(id, method, Encoding::Form, replies);
        let kind = match method {
            Method::Dpi => ErrorKind::Data,
            _ => ErrorKind::Metadata,
        };
        let refuse = |reply: Reply<'_>, why: String| {
            reply.error(kind, &why);
            Err(Lost::Refused(why))
        };
        if let Some(other) = method.side().filter(|&other| other != side) {
            let why = format!(
                "This is the {side} connection of the Remote Adapter, and the Proxy here is a \
                 {other} Proxy: are the ports of the two mixed up?"
            );
            return refuse(reply, why);
        }
        let version = match version::agree(side, self.version.as_deref()) {
            Ok(version) => version,
            Err(refusal) => return refuse(reply, refusal.to_string()),
        };
        match version {
            Version::V1_8_0 => reply.void(),
            _ => reply
                .string(Some("ARI.version"))
                .string(Some(version.name()))
                .end(),
        }
        Ok(version)
    }
}

/// The interval until an init says otherwise.
#[must_use]
pub fn keepalive_before_init(configured: Option<Duration>) -> Duration {
    configured.unwrap_or(DEFAULT_KEEPALIVE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ari::request::{Head, Request};

    fn init(line: &str) -> Result<Init, Malformed> {
        let head = Head::of(line.as_bytes()).unwrap();
        match Request::parse(Method::Mpi, head.args).unwrap() {
            Request::Init(params) => Init::read(params),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_parameters_that_matter_are_found_in_any_order() {
        let read = init(
            "1|MPI|S|mine|S|#|S|proxy.instance_id|S|hew+b|S|ARI.version|S|1.9.1|I|4|S|keepalive_hint.millis|S|8000",
        );
        let expected = Init {
            version: Some("1.9.1".into()),
            keepalive_hint: Some(8000),
            instance: Some("hew b".into()),
        };
        assert_eq!(read, Ok(expected));
        assert_eq!(init("1|MPI|"), Ok(Init::default()));
        assert!(init("1|MPI|S|ARI.version").is_err());
        assert!(init("1|MPI|S|ARI.version|S|%").is_err());
    }

    #[test]
    fn the_interval_by_every_rule() {
        // configured, hint, expected; first for a 1.9 Proxy, then for a 1.8 one
        let rows: [(Option<u64>, Option<i64>, u64, u64); 14] = [
            (None, None, 10_000, 1_000),
            (None, Some(8_000), 8_000, 8_000),
            (None, Some(20_000), 10_000, 10_000),
            (None, Some(10), 1_000, 1_000),
            (None, Some(0), 10_000, 10_000),
            (None, Some(-1), 10_000, 10_000),
            (Some(3_000), None, 3_000, 3_000),
            (Some(3_000), Some(2_000), 2_000, 2_000),
            (Some(3_000), Some(4_000), 3_000, 3_000),
            (Some(500), Some(100), 1_000, 1_000),
            (Some(500), Some(600), 500, 500),
            (Some(0), None, 0, 0),
            (Some(0), Some(0), 0, 0),
            (Some(0), Some(30_000), 30_000, 30_000),
        ];
        for (configured, hint, modern, old) in rows {
            let init = Init {
                keepalive_hint: hint,
                ..Init::default()
            };
            let configured = configured.map(Duration::from_millis);
            for (version, millis) in [(Version::V1_9_1, modern), (Version::V1_8_3, old)] {
                let interval = init.keepalive(version, configured);
                let row = (configured, hint, version);
                assert_eq!(interval, Duration::from_millis(millis), "{row:?}");
            }
        }
    }
}
