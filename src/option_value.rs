//! The value of an option as it was typed, and the ways to read it. What stands behind a file's or a
//! host's name is not looked at.

use crate::StartError;
use crate::ari::escape::Escaped;
use crate::server::Network;
use lexopt::ValueExt;
use log::LevelFilter;
use std::ffi::OsString;
use std::fmt::Display;
use std::net::Ipv6Addr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// What is wanted where a port was typed behind an address.
const WITH_PORT: &str = "a host's name or address alone; the ports are those of --metadata_rrport and \
                         --data_rrport";

/// The same where both ports may be.
const HOST_WITH_PORT: &str = "a host's name or address alone; the ports are those of --metadata_rrport \
                              and --data_rrport, or both stand behind it: HOST:8003:8001";

/// The value of an option as it was typed.
pub struct Value {
    /// The long name of the option.
    pub option: &'static str,
    /// What was typed.
    pub value: OsString,
}

impl Value {
    /// Any text but none.
    pub fn text(self) -> Result<String, StartError> {
        match self.value.string() {
            Err(_) => Err(error(self.option, "has a value that is not UTF-8")),
            Ok(text) if text.is_empty() => Err(error(self.option, "has an empty value")),
            Ok(text) => Ok(text),
        }
    }

    /// The name of a file, which may be any bytes.
    pub fn file(self) -> Result<PathBuf, StartError> {
        match self.value.is_empty() {
            false => Ok(self.value.into()),
            true => Err(error(self.option, "needs a value: FILE")),
        }
    }

    /// A text that `read` makes something of; if not, it says what is wanted.
    fn read<T>(self, read: impl Fn(&str) -> Result<T, &'static str>) -> Result<T, StartError> {
        let option = self.option;
        let text = self.text()?;
        let escaped = Escaped(text.as_bytes());
        read(&text).map_err(|want| error(option, format_args!("{escaped}: not {want}")))
    }

    fn number<T: FromStr + PartialOrd>(
        self,
        range: RangeInclusive<T>,
        want: &'static str,
    ) -> Result<T, StartError> {
        self.read(|text| match text.parse() {
            Ok(number) if range.contains(&number) && !text.starts_with('+') => Ok(number),
            _ => Err(want),
        })
    }

    pub fn port(self) -> Result<u16, StartError> {
        self.number(1..=65535, "a port from 1 to 65535")
    }

    /// A day at the most: no longer interval makes sense for a keepalive.
    pub fn millis(self) -> Result<Duration, StartError> {
        let want = "a number of milliseconds from 0 to 86400000";
        self.number(0..=86_400_000, want).map(Duration::from_millis)
    }

    pub fn level(self) -> Result<LevelFilter, StartError> {
        let want = "one of off, error, warn, info, debug, trace";
        self.read(|text| text.parse().map_err(|_| want))
    }

    /// A host, perhaps with two ports behind it.
    pub fn host(self) -> Result<(String, Option<[u16; 2]>), StartError> {
        self.read(|text| {
            let parts: Vec<_> = text.rsplitn(3, ':').collect();
            let is_number = |part: &str| part.parse::<u64>().is_ok();
            if let [data, metadata, host] = parts[..]
                && is_bare(host)
                && is_number(metadata)
                && is_number(data)
            {
                let port = |text: &str| text.parse().ok().filter(|&port| port > 0);
                let ports = port(metadata).zip(port(data));
                let (metadata, data) = ports.ok_or("a host with two ports from 1 to 65535")?;
                return Ok((address(host)?, Some([metadata, data])));
            }
            match address(text) {
                Err(WITH_PORT) => Err(HOST_WITH_PORT),
                address => Ok((address?, None)),
            }
        })
    }

    /// An address or a name of this host.
    pub fn address(self) -> Result<String, StartError> {
        self.read(address)
    }

    pub fn network(self) -> Result<Network, StartError> {
        let option = self.option;
        let text = self.text()?;
        text.parse()
            .map_err(|why| error(option, format_args!("{}: {why}", Escaped(text.as_bytes()))))
    }
}

/// What is wrong with an option.
pub fn error(option: &str, what: impl Display) -> StartError {
    StartError::Usage(format!("--{option} {what}"))
}

/// A host's name or address, the latter perhaps in brackets as it is in a URL.
fn address(text: &str) -> Result<String, &'static str> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match bare {
        Some(bare) if bare.parse::<Ipv6Addr>().is_ok() => Ok(bare.to_owned()),
        Some(_) => Err("an IPv6 address in brackets"),
        None if is_name(text) || is_ipv6(text) => Ok(text.to_owned()),
        None if is_with_port(text) => Err(WITH_PORT),
        None => Err("a host's name or address alone"),
    }
}

/// Whether ports may stand behind this.
fn is_bare(host: &str) -> bool {
    !host.contains(':') || host.starts_with('[') && host.ends_with(']')
}

fn is_with_port(text: &str) -> bool {
    let port = text.trim_end_matches('/').rsplit_once(':');
    port.is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}

fn is_name(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    text.bytes().all(is_part) && !text.starts_with('-')
}

/// A link-local address, such as `fe80::1%eth0`, has the name of an interface behind it.
fn is_ipv6(text: &str) -> bool {
    let (address, interface) = text.split_once('%').unwrap_or((text, "any"));
    let is_part = |c: char| !c.is_control() && !c.is_whitespace() && c != '/';
    address.parse::<Ipv6Addr>().is_ok() && !interface.is_empty() && interface.chars().all(is_part)
}
