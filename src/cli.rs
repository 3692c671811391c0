//! The command line: one table of options, from which parsing and help come.

use std::ffi::OsString;
use std::fmt::{self, Write};
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::time::Duration;

use crate::Config;
use crate::server::{Secret, tls};
use lexopt::{Arg, Parser, ValueExt};
use log::LevelFilter;

/// One option of the command line.
#[derive(Debug)]
pub struct Opt {
    /// Which one it is.
    pub name: OptName,
    /// Its long name. `_` and `-` mean the same in it.
    pub long: &'static str,
    /// Its one-letter name, if it has one.
    pub short: Option<char>,
    /// What its value is called; empty when it takes none.
    pub value: &'static str,
    /// What it does, in one line or more of 50 characters at the most.
    pub help: &'static [&'static str],
}

/// The options by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the table of options says it")]
pub enum OptName {
    Host,
    MetadataPort,
    DataPort,
    User,
    Password,
    PasswordFile,
    Tls,
    TlsCa,
    TlsName,
    TlsCert,
    TlsKey,
    Keepalive,
    Log,
    Help,
    Version,
}

const fn opt(
    name: OptName,
    long: &'static str,
    value: &'static str,
    help: &'static [&'static str],
) -> Opt {
    Opt {
        name,
        long,
        short: None,
        value,
        help,
    }
}

/// All options, in the order of the help.
pub const OPTIONS: &[Opt] = &[
    opt(
        OptName::Host,
        "host",
        "HOST",
        &[
            "name or address of the Lightstreamer Server",
            "[default: localhost]",
        ],
    ),
    opt(
        OptName::MetadataPort,
        "metadata_rrport",
        "PORT",
        &[
            "request_reply_port of the Proxy Metadata Adapter",
            "[default: 8003]",
        ],
    ),
    opt(
        OptName::DataPort,
        "data_rrport",
        "PORT",
        &[
            "request_reply_port of the Proxy Data Adapter",
            "[default: 8001]",
        ],
    ),
    opt(
        OptName::User,
        "user",
        "USER",
        &["user name that the Proxies ask for"],
    ),
    opt(
        OptName::Password,
        "password",
        "PASSWORD",
        &[
            "password that the Proxies ask for; every user of",
            "this host can read it here",
        ],
    ),
    opt(
        OptName::PasswordFile,
        "password-file",
        "FILE",
        &["file that holds the password"],
    ),
    opt(OptName::Tls, "tls", "", &["connect by TLS"]),
    opt(
        OptName::TlsCa,
        "tls-ca",
        "FILE",
        &[
            "trust the certificates in this file and no others;",
            "one that is the server's own is taken as it is;",
            "may be repeated [default: the platform's store]",
        ],
    ),
    opt(
        OptName::TlsName,
        "tls-name",
        "NAME",
        &[
            "name that the server's certificate must carry",
            "[default: that of --host]",
        ],
    ),
    opt(
        OptName::TlsCert,
        "tls-cert",
        "FILE",
        &["client certificate, with its chain, in PEM"],
    ),
    opt(
        OptName::TlsKey,
        "tls-key",
        "FILE",
        &["its private key, in PEM, without passphrase"],
    ),
    opt(
        OptName::Keepalive,
        "keepalive",
        "MILLIS",
        &[
            "longest silence before a keepalive; 0: only what",
            "the Proxy asks for [default: 10000]",
        ],
    ),
    opt(
        OptName::Log,
        "log",
        "LEVEL",
        &[
            "error, warn, info, debug or trace; without it the",
            "variable RUST_LOG counts [default: info]",
        ],
    ),
    Opt {
        short: Some('h'),
        ..opt(OptName::Help, "help", "", &["print this help and exit"])
    },
    Opt {
        short: Some('V'),
        ..opt(
            OptName::Version,
            "version",
            "",
            &["print the version and exit"],
        )
    },
];

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// Run the adapter.
    Run(Box<Config>),
    /// Print this text.
    Print(String),
}

/// What is wrong with the command line: one line that names it.
#[derive(Debug, PartialEq, Eq)]
pub struct UsageError(String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

impl From<lexopt::Error> for UsageError {
    fn from(error: lexopt::Error) -> Self {
        UsageError(crate::ari::escape::Escaped(error.to_string().as_bytes()).to_string())
    }
}

/// The text of `--help`.
#[must_use]
pub fn help() -> String {
    let mut text = String::from(
        "The Remote Adapter of Lightstreamer's Basic Chat Demo.\n\n\
         Usage: chat-adapter [OPTIONS]\n\nOptions:\n",
    );
    for option in OPTIONS {
        let short = option.short.map_or("   ".into(), |c| format!("-{c},"));
        let left = format!("{short} --{} {}", option.long, option.value);
        for (n, line) in option.help.iter().enumerate() {
            let left = if n == 0 { left.trim_end() } else { "" };
            let _ = writeln!(text, "  {left:<27}{line}"); // a String takes everything
        }
    }
    text.push_str(
        "\nIn every long name - and _ mean the same. The adapter connects to both Proxy\n\
         Adapters and keeps trying until they are there. SIGTERM and SIGINT end it,\n\
         SIGUSR1 logs its state, SIGHUP reads credentials again. The credentials may\n\
         also come from CHAT_ADAPTER_USER and CHAT_ADAPTER_PASSWORD, or from systemd.\n\n\
         Example:\n  chat-adapter --host push.example.com --metadata_rrport 8003 \\\n\
         \x20              --data_rrport 8001\n",
    );
    text
}

/// Reads the command line, the program's name left out.
///
/// # Errors
/// [`UsageError`] for the first thing that is wrong.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, UsageError> {
    let mut parser = Parser::from_args(args);
    let mut config = Config::default();
    let mut tls = tls::Settings::default();
    let (mut tls_wanted, mut tls_option) = (false, None);
    let (mut cert, mut key) = (None, None);
    while let Some(arg) = parser.next()? {
        let mut is_short = false;
        let option = match arg {
            Arg::Long(long) => {
                let canonical = long.replace('-', "_");
                OPTIONS
                    .iter()
                    .find(|o| o.long.replace('-', "_") == canonical)
            }
            Arg::Short(short) => {
                is_short = true;
                OPTIONS.iter().find(|o| o.short == Some(short))
            }
            Arg::Value(_) => None,
        };
        let Some(option) = option else {
            // It may be the rest of a password with a space in it.
            if matches!(arg, Arg::Value(_)) && config.credentials.password.is_some() {
                let what = "unexpected argument after --password, not shown here; a value with \
                            spaces in it needs quotes";
                return Err(UsageError(what.into()));
            }
            return Err(arg.unexpected().into());
        };
        if option.value.is_empty() {
            no_value(option, is_short, &mut parser)?;
        }
        if option.long.starts_with("tls-") {
            tls_option.get_or_insert(option.long);
        }
        match option.name {
            OptName::Host => config.host = host(option, &mut parser)?,
            OptName::MetadataPort => config.metadata_port = port(option, &mut parser)?,
            OptName::DataPort => config.data_port = port(option, &mut parser)?,
            OptName::User => config.credentials.user = Some(text(option, &mut parser)?),
            OptName::Password => {
                let password = Secret::new(text(option, &mut parser)?);
                config.credentials.password = Some(password);
            }
            OptName::PasswordFile => {
                config.credentials.password_file = Some(file(option, &mut parser)?);
            }
            OptName::Tls => tls_wanted = true,
            OptName::TlsCa => tls.ca.push(file(option, &mut parser)?),
            OptName::TlsName => tls.name = Some(text(option, &mut parser)?),
            OptName::TlsCert => cert = Some(file(option, &mut parser)?),
            OptName::TlsKey => key = Some(file(option, &mut parser)?),
            OptName::Keepalive => config.keepalive = Some(millis(option, &mut parser)?),
            OptName::Log => config.log = Some(level(option, &mut parser)?),
            OptName::Help => return Ok(Command::Print(help())),
            OptName::Version => {
                let version = concat!("chat-adapter ", env!("CARGO_PKG_VERSION"), "\n");
                return Ok(Command::Print(version.into()));
            }
        }
    }
    tls.identity = match (cert, key) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        (Some(_), None) => return Err(UsageError("--tls-cert needs a --tls-key".into())),
        (None, Some(_)) => return Err(UsageError("--tls-key needs a --tls-cert".into())),
    };
    config.tls = match (tls_wanted, tls_option) {
        (true, _) => Some(tls),
        (false, None) => None,
        (false, Some(option)) => return Err(UsageError(format!("--{option} needs --tls"))),
    };
    if config.metadata_port == config.data_port {
        let port = config.metadata_port;
        let what = format!("--metadata_rrport and --data_rrport are both {port}, and must differ");
        return Err(UsageError(what));
    }
    Ok(Command::Run(Box::new(config)))
}

/// Makes sure that nothing is attached to an option that takes nothing.
fn no_value(option: &Opt, is_short: bool, parser: &mut Parser) -> Result<(), UsageError> {
    let Some(value) = parser.optional_value() else {
        return Ok(());
    };
    let value = value.to_string_lossy();
    let shown = crate::ari::escape::Escaped(value.as_bytes());
    Err(UsageError(match option.short.filter(|_| is_short) {
        Some(short) => format!("invalid option '-{short}{shown}': long names take two dashes"),
        None => format!("--{} takes no value: {shown}", option.long),
    }))
}

/// A value that must not be empty.
fn text(option: &Opt, parser: &mut Parser) -> Result<String, UsageError> {
    let wrong = |what: &str| Err(UsageError(format!("--{} {what}", option.long)));
    match parser.value() {
        Err(_) => wrong(&format!("needs a value: {}", option.value)),
        Ok(value) => match value.string() {
            Err(_) => wrong("has a value that is not UTF-8"),
            Ok(value) if value.is_empty() => wrong("has an empty value"),
            Ok(value) => Ok(value),
        },
    }
}

/// A host, whose address may stand in brackets as it does in a URL.
fn host(option: &Opt, parser: &mut Parser) -> Result<String, UsageError> {
    let value = text(option, parser)?;
    let bare = value
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Some(bare) = bare {
        return match bare.parse::<Ipv6Addr>() {
            Ok(_) => Ok(bare.to_owned()),
            Err(_) => Err(invalid(option, &value, "an IPv6 address in brackets")),
        };
    }
    let is_name = value
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    match (is_name && !value.starts_with('-')) || is_ipv6(&value) {
        true => Ok(value),
        false => Err(invalid(option, &value, "a host's name or address alone")),
    }
}

/// An address of the link, such as `fe80::1%eth0`, has the name of an interface behind it.
fn is_ipv6(value: &str) -> bool {
    let (address, interface) = value.split_once('%').unwrap_or((value, "any"));
    let is_interface = |c: char| !c.is_control() && !c.is_whitespace() && c != '/';
    address.parse::<Ipv6Addr>().is_ok()
        && !interface.is_empty()
        && interface.chars().all(is_interface)
}

/// The name of a file, which may be any bytes.
fn file(option: &Opt, parser: &mut Parser) -> Result<PathBuf, UsageError> {
    match parser.value() {
        Ok(value) if !value.is_empty() => Ok(value.into()),
        _ => Err(UsageError(format!(
            "--{} needs a value: {}",
            option.long, option.value
        ))),
    }
}

fn invalid(option: &Opt, value: &str, want: &str) -> UsageError {
    let shown = crate::ari::escape::Escaped(value.as_bytes());
    UsageError(format!("--{} {shown}: not {want}", option.long))
}

fn port(option: &Opt, parser: &mut Parser) -> Result<u16, UsageError> {
    let value = text(option, parser)?;
    match value.parse() {
        Ok(port) if port > 0 && !value.starts_with('+') => Ok(port),
        _ => Err(invalid(option, &value, "a port from 1 to 65535")),
    }
}

/// The longest keepalive interval that makes sense: a day.
const LONGEST_KEEPALIVE: u64 = 24 * 60 * 60 * 1000;

fn millis(option: &Opt, parser: &mut Parser) -> Result<Duration, UsageError> {
    let value = text(option, parser)?;
    match value.parse() {
        Ok(millis) if millis <= LONGEST_KEEPALIVE && !value.starts_with('+') => {
            Ok(Duration::from_millis(millis))
        }
        _ => {
            let want = format!("a number of milliseconds from 0 to {LONGEST_KEEPALIVE}");
            Err(invalid(option, &value, &want))
        }
    }
}

fn level(option: &Opt, parser: &mut Parser) -> Result<LevelFilter, UsageError> {
    let value = text(option, parser)?;
    match value.parse() {
        Ok(level) if level != LevelFilter::Off => Ok(level),
        _ => Err(invalid(
            option,
            &value,
            "one of error, warn, info, debug, trace",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(args: &[&str]) -> Result<Config, String> {
        match parse(args.iter().map(OsString::from)) {
            Ok(Command::Run(config)) => Ok(*config),
            Ok(Command::Print(text)) => panic!("{text}"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_help() {
        let config = run(&[]).unwrap();
        assert_eq!(
            (&*config.host, config.metadata_port, config.data_port),
            ("localhost", 8003, 8001)
        );
        for default in ["localhost", "8003", "8001", "10000", "info"] {
            assert!(help().contains(&format!("[default: {default}]")));
        }
    }

    #[test]
    fn names_may_be_written_either_way() {
        for arg in ["--metadata_rrport", "--metadata-rrport"] {
            assert_eq!(run(&[arg, "9003"]).unwrap().metadata_port, 9003);
            let joined = format!("{arg}=9004");
            assert_eq!(run(&[&joined]).unwrap().metadata_port, 9004);
        }
    }

    #[test]
    fn hosts_are_names_and_addresses() {
        for host in ["push.example.com", "a_b", "10.0.0.1", "::1", "fe80::1%eth0"] {
            assert_eq!(run(&["--host", host]).unwrap().host, host);
        }
        assert_eq!(run(&["--host", "[::1]"]).unwrap().host, "::1");
    }

    #[test]
    fn the_help_fits_a_terminal() {
        for line in help().lines() {
            assert!(line.chars().count() < 80, "{line}");
        }
    }

    #[test]
    fn each_mistake_is_named() {
        let cases: &[(&[&str], &str)] = &[
            (&["--hots", "x"], "invalid option '--hots'"),
            (&["-x"], "invalid option '-x'"),
            (&["stray"], "unexpected argument \"stray\""),
            (
                &["--password", "a", "b"],
                "unexpected argument after --password, not shown here; a value with spaces in it \
                 needs quotes",
            ),
            (&["--host"], "--host needs a value: HOST"),
            (&["--host="], "--host has an empty value"),
            (&["--help=1"], "--help takes no value: 1"),
            (&["--tls=no"], "--tls takes no value: no"),
            (
                &["-host", "a"],
                "invalid option '-host': long names take two dashes",
            ),
            (
                &["--host", "http://push/"],
                "--host http://push/: not a host's name or address alone",
            ),
            (
                &["--host", "push:8003"],
                "--host push:8003: not a host's name or address alone",
            ),
            (
                &["--host", "push\n"],
                "--host push\\n: not a host's name or address alone",
            ),
            (
                &["--host", "--tls"],
                "--host --tls: not a host's name or address alone",
            ),
            (
                &["--host", "::1%"],
                "--host ::1%: not a host's name or address alone",
            ),
            (
                &["--metadata_rrport", "8001"],
                "--metadata_rrport and --data_rrport are both 8001, and must differ",
            ),
            (
                &["--host", "[push]"],
                "--host [push]: not an IPv6 address in brackets",
            ),
            (
                &["--data_rrport", "+80"],
                "--data_rrport +80: not a port from 1 to 65535",
            ),
            (
                &["--data_rrport", "0"],
                "--data_rrport 0: not a port from 1 to 65535",
            ),
            (
                &["--data-rrport", "65536"],
                "--data_rrport 65536: not a port from 1 to 65535",
            ),
            (
                &["--keepalive", "soon"],
                "--keepalive soon: not a number of milliseconds from 0 to 86400000",
            ),
            (
                &["--log", "loud"],
                "--log loud: not one of error, warn, info, debug, trace",
            ),
            (
                &["--log", "\u{1b}"],
                "--log \\u{1b}: not one of error, warn, info, debug, trace",
            ),
            (&["--tls-name", "x"], "--tls-name needs --tls"),
            (&["--tls", "--tls-key", "x"], "--tls-key needs a --tls-cert"),
            (
                &["--tls", "--tls-cert", "x"],
                "--tls-cert needs a --tls-key",
            ),
            (&["--tls", "--tls-ca="], "--tls-ca needs a value: FILE"),
        ];
        for (args, message) in cases {
            assert_eq!(run(args).err().as_deref(), Some(*message), "{args:?}");
        }
    }
}
