//! The command line: one table of options, from which parsing, help, man page and completions come.
//! It knows what a value may look like, and does not look whether a file or a host is there.

use crate::ari::escape::Escaped;
use crate::server::{Secret, tls};
use crate::{Config, StartError};
use lexopt::{Arg, Parser, ValueExt};
use log::LevelFilter;
use std::ffi::OsString;
use std::fmt::{Display, Write};
use std::net::Ipv6Addr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// One option of the command line.
#[derive(Debug)]
pub struct Opt {
    /// Its long name. `_` and `-` mean the same in it.
    pub long: &'static str,
    /// Its one-letter name, if it has one.
    pub short: Option<char>,
    /// What its value is called; empty when it takes none.
    pub value: &'static str,
    /// What it does, in one line or more of 50 characters at the most.
    pub help: &'static str,
    /// Reads its value and keeps it.
    set: fn(&mut Draft, Value) -> Result<(), StartError>,
}

/// All options, in the order of the help.
pub const OPTIONS: &[Opt] = &[
    opt(
        "host",
        "HOST",
        "name or address of the Lightstreamer Server\n[default: localhost]",
        |to, value| {
            to.config.servers = to.config.servers.clone().host(value.host()?);
            Ok(())
        },
    ),
    opt(
        "metadata_rrport",
        "PORT",
        "request_reply_port of the Proxy Metadata Adapter\n[default: 8003]",
        |to, value| set(&mut to.config.metadata_port, value.port()),
    ),
    opt(
        "data_rrport",
        "PORT",
        "request_reply_port of the Proxy Data Adapter\n[default: 8001]",
        |to, value| set(&mut to.config.data_port, value.port()),
    ),
    opt(
        "user",
        "USER",
        "user name that the Proxies ask for",
        |to, value| set(&mut to.config.credentials.user, value.text()),
    ),
    opt(
        "password",
        "PASSWORD",
        "password that the Proxies ask for; every user of\nthis host can read it here",
        |to, value| {
            set(
                &mut to.config.credentials.password,
                value.text().map(Secret::new),
            )
        },
    ),
    opt(
        "password-file",
        "FILE",
        "file that holds the password",
        |to, value| set(&mut to.config.credentials.password_file, value.file()),
    ),
    opt("tls", "", "connect by TLS", |to, _| {
        set(&mut to.is_tls, Ok(true))
    }),
    opt(
        "tls-ca",
        "FILE",
        "trust the certificates in this file and no others;\n\
         one that is the server's own is taken as it is;\n\
         may be repeated [default: the platform's store]",
        |to, value| value.file().map(|file| to.tls.ca.push(file)),
    ),
    opt(
        "tls-name",
        "NAME",
        "name that the server's certificate must carry\n[default: that of --host]",
        |to, value| set(&mut to.tls.name, value.text()),
    ),
    opt(
        "tls-cert",
        "FILE",
        "client certificate, with its chain, in PEM",
        |to, value| set(&mut to.cert, value.file()),
    ),
    opt(
        "tls-key",
        "FILE",
        "its private key, in PEM, without passphrase",
        |to, value| set(&mut to.key, value.file()),
    ),
    opt(
        "state",
        "FILE",
        "keep the open sessions in this file, so that a\n\
         restart costs none [default: with systemd, the\n\
         file sessions in its StateDirectory]",
        |to, value| set(&mut to.config.state, value.file()),
    ),
    opt(
        "keepalive",
        "MILLIS",
        "longest silence before a keepalive, in ms; 0: only\nwhat the Proxy asks for [default: 10000]",
        |to, value| {
            to.config.servers = to.config.servers.clone().keepalive(value.millis()?);
            Ok(())
        },
    ),
    opt(
        "log",
        "LEVEL",
        "off, error, warn, info, debug or trace; without it\n\
         the variable RUST_LOG counts [default: info]",
        |to, value| set(&mut to.config.log, value.level()),
    ),
    opt(
        "check",
        "",
        "say what a start would make of all this and what\nthe server must have, connect to nobody, and exit",
        |to, _| set(&mut to.is_check, Ok(true)),
    ),
    Opt {
        short: Some('h'),
        ..opt("help", "", "print this help and exit", |to, _| {
            set(&mut to.print, Ok(help()))
        })
    },
    Opt {
        short: Some('V'),
        ..opt("version", "", "print the version and exit", |to, _| {
            set(&mut to.print, Ok(VERSION.to_owned()))
        })
    },
];

const VERSION: &str = concat!("chat-adapter ", env!("CARGO_PKG_VERSION"), "\n");

const fn opt(
    long: &'static str,
    value: &'static str,
    help: &'static str,
    set: fn(&mut Draft, Value) -> Result<(), StartError>,
) -> Opt {
    Opt {
        long,
        short: None,
        value,
        help,
        set,
    }
}

/// Keeps a value in its place, or hands on the error.
fn set<T>(place: &mut T, value: Result<impl Into<T>, StartError>) -> Result<(), StartError> {
    *place = value?.into();
    Ok(())
}

impl Opt {
    fn is_called(&self, arg: &Arg<'_>) -> bool {
        match arg {
            Arg::Long(long) => long.replace('_', "-") == self.long.replace('_', "-"),
            Arg::Short(short) => self.short == Some(*short),
            Arg::Value(_) => false,
        }
    }

    fn error(&self, what: impl Display) -> StartError {
        StartError::Usage(format!("--{} {what}", self.long))
    }
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// Run the adapter.
    Run(Box<Config>),
    /// Only say what a start would make of it.
    Check(Box<Config>),
    /// Print this text.
    Print(String),
}

/// The text of `--help`.
pub fn help() -> String {
    let mut text = String::from(
        "The Remote Adapter of Lightstreamer's Basic Chat Demo.\n\n\
         Usage: chat-adapter [OPTIONS]\n\nOptions:\n",
    );
    for option in OPTIONS {
        let short = option.short.map_or("   ".into(), |c| format!("-{c},"));
        let left = format!("{short} --{} {}", option.long, option.value);
        for (n, line) in option.help.lines().enumerate() {
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
/// [`StartError::Usage`] for the first thing that is wrong.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, StartError> {
    let mut parser = Parser::from_args(args);
    let mut draft = Draft::default();
    while let Some(arg) = parser.next().map_err(|error| usage(error, ""))? {
        let Some(option) = OPTIONS.iter().find(|option| option.is_called(&arg)) else {
            // It may be the rest of a password with a space in it.
            if matches!(arg, Arg::Value(_)) && draft.config.credentials.password.is_some() {
                let what = "unexpected argument after --password, not shown here; a value with \
                            spaces in it needs quotes";
                return Err(StartError::Usage(what.into()));
            }
            let hint = match &arg {
                Arg::Long(long) => hint(long),
                _ => String::new(),
            };
            return Err(usage(arg.unexpected(), &hint));
        };
        let short = match arg {
            Arg::Short(short) => Some(short),
            _ => None,
        };
        if option.long.starts_with("tls-") {
            draft.tls_option.get_or_insert(option);
        }
        let value = match option.value {
            "" => no_value(option, short, &mut parser)?,
            name => parser
                .value()
                .map_err(|_| option.error(format_args!("needs a value: {name}")))?,
        };
        (option.set)(&mut draft, Value { option, value })?;
        if let Some(text) = draft.print {
            return Ok(Command::Print(text));
        }
    }
    let command = match draft.is_check {
        true => Command::Check,
        false => Command::Run,
    };
    Ok(command(Box::new(draft.config()?)))
}

fn usage(error: lexopt::Error, hint: &str) -> StartError {
    let what = error.to_string();
    StartError::Usage(format!("{}{hint}", Escaped(what.as_bytes())))
}

/// What may have been meant by a long name that is none.
fn hint(typed: &str) -> String {
    let typed = typed.replace('_', "-");
    if typed == "data-notifport" {
        return ": it is no longer needed, since --data_rrport serves for both; leave it out"
            .into();
    }
    let is_near = |option: &&Opt, edits| {
        let name = option.long.replace('_', "-");
        edits <= name.len() / 3 && is_near(typed.as_bytes(), name.as_bytes(), edits)
    };
    let nearest = (1..=4).find_map(|edits| OPTIONS.iter().find(|option| is_near(option, edits)));
    nearest.map_or(String::new(), |option| {
        format!("; did you mean --{}?", option.long)
    })
}

/// Whether it takes so many edits at the most to make one of the other: a letter more, one less,
/// another one, or two exchanged.
fn is_near(typed: &[u8], name: &[u8], edits: usize) -> bool {
    let ([a, typed_rest @ ..], [b, name_rest @ ..]) = (typed, name) else {
        return typed.len().max(name.len()) <= edits;
    };
    if a == b {
        return is_near(typed_rest, name_rest, edits);
    }
    let are_exchanged = typed_rest.first() == Some(b) && name_rest.first() == Some(a);
    edits > 0
        && (is_near(typed_rest, name, edits - 1)
            || is_near(typed, name_rest, edits - 1)
            || is_near(typed_rest, name_rest, edits - 1)
            || are_exchanged && is_near(&typed_rest[1..], &name_rest[1..], edits - 1))
}

/// Makes sure that nothing is attached to an option that takes nothing.
fn no_value(
    option: &Opt,
    short: Option<char>,
    parser: &mut Parser,
) -> Result<OsString, StartError> {
    let Some(value) = parser.optional_value() else {
        return Ok(OsString::new());
    };
    let value = value.to_string_lossy();
    let value = Escaped(value.as_bytes());
    Err(match short {
        Some(short) => StartError::Usage(format!(
            "invalid option '-{short}{value}': long names take two dashes"
        )),
        None => option.error(format_args!("takes no value: {value}")),
    })
}

/// What was read so far.
#[derive(Default)]
struct Draft {
    config: Config,
    tls: tls::Settings,
    is_tls: bool,
    is_check: bool,
    /// The first option that needs `--tls`.
    tls_option: Option<&'static Opt>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    /// What to print instead of running.
    print: Option<String>,
}

impl Draft {
    fn config(mut self) -> Result<Config, StartError> {
        let wrong = |what: &str| Err(StartError::Usage(what.into()));
        self.tls.identity = match (self.cert, self.key) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            (Some(_), None) => return wrong("--tls-cert needs a --tls-key"),
            (None, Some(_)) => return wrong("--tls-key needs a --tls-cert"),
        };
        if self.is_tls {
            self.config.servers = self.config.servers.tls(self.tls);
        } else if let Some(option) = self.tls_option {
            return Err(option.error("needs --tls"));
        }
        let port = self.config.metadata_port;
        if port == self.config.data_port {
            return wrong(&format!(
                "--metadata_rrport and --data_rrport are both {port}, and must differ"
            ));
        }
        Ok(self.config)
    }
}

/// The value of an option as it was typed, and the ways to read it.
struct Value {
    option: &'static Opt,
    value: OsString,
}

impl Value {
    /// Any text but none.
    fn text(self) -> Result<String, StartError> {
        match self.value.string() {
            Err(_) => Err(self.option.error("has a value that is not UTF-8")),
            Ok(text) if text.is_empty() => Err(self.option.error("has an empty value")),
            Ok(text) => Ok(text),
        }
    }

    /// The name of a file, which may be any bytes.
    fn file(self) -> Result<PathBuf, StartError> {
        match self.value.is_empty() {
            false => Ok(self.value.into()),
            true => Err(self.option.error("needs a value: FILE")),
        }
    }

    /// A text that `read` makes something of; if not, it says what is wanted.
    fn read<T>(self, read: impl Fn(&str) -> Result<T, &'static str>) -> Result<T, StartError> {
        let option = self.option;
        let text = self.text()?;
        let escaped = Escaped(text.as_bytes());
        read(&text).map_err(|want| option.error(format_args!("{escaped}: not {want}")))
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

    fn port(self) -> Result<u16, StartError> {
        self.number(1..=65535, "a port from 1 to 65535")
    }

    /// A day at the most: no longer interval makes sense for a keepalive.
    fn millis(self) -> Result<Duration, StartError> {
        let want = "a number of milliseconds from 0 to 86400000";
        self.number(0..=86_400_000, want).map(Duration::from_millis)
    }

    fn level(self) -> Result<LevelFilter, StartError> {
        let want = "one of off, error, warn, info, debug, trace";
        self.read(|text| text.parse().map_err(|_| want))
    }

    /// A host, whose address may stand in brackets as it does in a URL.
    fn host(self) -> Result<String, StartError> {
        self.read(|text| {
            let bare = text
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'));
            match bare {
                Some(bare) if bare.parse::<Ipv6Addr>().is_ok() => Ok(bare.to_owned()),
                Some(_) => Err("an IPv6 address in brackets"),
                None if is_name(text) || is_ipv6(text) => Ok(text.to_owned()),
                None if is_with_port(text) => Err("a host's name or address alone; the ports are \
                     those of --metadata_rrport and --data_rrport"),
                None => Err("a host's name or address alone"),
            }
        })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn run(args: &[&str]) -> Result<Config, String> {
        match parse(args.iter().map(OsString::from)) {
            Ok(Command::Run(config)) => Ok(*config),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_help() {
        let config = run(&[]).unwrap();
        assert_eq!(
            (
                config.metadata_port,
                config.data_port,
                config.servers.address(1)
            ),
            (8003, 8001, "localhost:1".into())
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
            let address = run(&["--host", host]).unwrap().servers.address(1);
            assert_eq!(address.replace(['[', ']'], ""), format!("{host}:1"));
        }
        let config = run(&["--host", "[::1]"]).unwrap();
        assert_eq!(config.servers.address(1), "[::1]:1");
        let config = run(&["--host", "fe80::1%\u{202e}"]).unwrap();
        assert_eq!(config.servers.address(1), "[fe80::1%\\u{202e}]:1");
    }

    #[test]
    fn a_mistyped_option_suggests_the_nearest() {
        for (typed, meant) in [
            ("hsot", "host"),
            ("hosts", "host"),
            ("Host", "host"),
            ("usr", "user"),
            ("tsl", "tls"),
            ("passwd", "password"),
            ("pasword_file", "password-file"),
            ("metadata_port", "metadata_rrport"),
            ("metadata-rport", "metadata_rrport"),
            ("datarrport", "data_rrport"),
            ("keep-alive", "keepalive"),
            ("tls-cacert", "tls-cert"),
            ("tls-kye", "tls-key"),
        ] {
            let error = run(&[&format!("--{typed}=secret")]).unwrap_err();
            let expected = format!("invalid option '--{typed}'; did you mean --{meant}?");
            assert_eq!(error, expected);
        }
        for option in OPTIONS {
            assert_eq!(
                hint(&format!("{}{}", option.long, "x".repeat(option.long.len()))),
                ""
            );
        }
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
            (
                &["--hots", "x"],
                "invalid option '--hots'; did you mean --host?",
            ),
            (&["--bogus", "x"], "invalid option '--bogus'"),
            (&["--port", "x"], "invalid option '--port'"),
            (
                &["--data-notifport", "8002"],
                "invalid option '--data-notifport': it is no longer needed, since --data_rrport serves for both; leave it out",
            ),
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
                "--host push:8003: not a host's name or address alone; the ports are those of \
                 --metadata_rrport and --data_rrport",
            ),
            (
                &["--host", "[::1]:8003"],
                "--host [::1]:8003: not a host's name or address alone; the ports are those of \
                 --metadata_rrport and --data_rrport",
            ),
            (
                &["--host", "https://push:8003/"],
                "--host https://push:8003/: not a host's name or address alone; the ports are \
                 those of --metadata_rrport and --data_rrport",
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
                "--log loud: not one of off, error, warn, info, debug, trace",
            ),
            (
                &["--log", "\u{1b}"],
                "--log \\u{1b}: not one of off, error, warn, info, debug, trace",
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
