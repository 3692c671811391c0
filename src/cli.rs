//! The command line: one table of options, from which parsing, help, man page and completions come.
//! It knows what a value may look like, and does not look whether a file or a host is there.

use crate::ari::Side;
use crate::ari::escape::Escaped;
use crate::option_value::{self, Value};
use crate::server::{Secret, Servers, tls};
use crate::{Config, StartError};
use lexopt::{Arg, Parser};
use std::ffi::OsString;
use std::fmt::{Display, Write};
use std::mem;
use std::path::PathBuf;

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
        "name or address of a Lightstreamer Server; with\n\
         ports of its own HOST:METADATA:DATA; may be\n\
         repeated [default: localhost]",
        |to, value| {
            to.change(value.host()?, |servers, (name, ports)| match ports {
                Some([metadata, data]) => servers.host_with_ports(name, metadata, data),
                None => servers.host(name),
            })
        },
    ),
    opt(
        "listen",
        "ADDRESS",
        "listen on this address of this host, for Proxies\n\
         with a remote_host; without --host nobody is\n\
         called; may be repeated",
        |to, value| to.change(value.address()?, |servers, address| servers.listen(address)),
    ),
    opt(
        "allow",
        "NETWORK",
        "let in Proxies from this network alone, such as\n\
         10.1.0.0/16; may be repeated",
        |to, value| to.change(value.network()?, Servers::allow),
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
            let password = value.text().map(Secret::new);
            set(&mut to.config.credentials.password, password)
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
        "certificate to show, with its chain, in PEM",
        |to, value| set(&mut to.cert, value.file()),
    ),
    opt(
        "tls-key",
        "FILE",
        "its private key, in PEM, without passphrase",
        |to, value| set(&mut to.key, value.file()),
    ),
    opt(
        "tls-client-ca",
        "FILE",
        "let in, by --listen, Proxies with a certificate of\n\
         these authorities alone; may be repeated",
        |to, value| value.file().map(|file| to.tls.client_ca.push(file)),
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
        |to, value| to.change(value.millis()?, Servers::keepalive),
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
        option_value::error(self.long, what)
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
        let read = Value {
            option: option.long,
            value,
        };
        (option.set)(&mut draft, read)?;
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
    // `chat.py` takes the beginning of a name for the name.
    let begins = |option: &&Opt| option.long.replace('_', "-").starts_with(&typed);
    let nearest = (1..=4).find_map(|edits| OPTIONS.iter().find(|option| is_near(option, edits)));
    let meant = OPTIONS.iter().find(begins).or(nearest);
    meant.map_or(String::new(), |option| {
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
    fn change<T>(&mut self, value: T, to: fn(Servers, T) -> Servers) -> Result<(), StartError> {
        self.config.servers = to(self.config.servers.clone(), value);
        Ok(())
    }

    fn config(mut self) -> Result<Config, StartError> {
        let wrong = |what: &str| Err(StartError::Usage(what.into()));
        self.tls.identity = match (self.cert.take(), self.key.take()) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            (Some(_), None) => return wrong("--tls-cert needs a --tls-key"),
            (None, Some(_)) => return wrong("--tls-key needs a --tls-cert"),
        };
        if self.is_tls {
            let tls = mem::take(&mut self.tls);
            self.change(tls, Servers::tls)?;
        } else if let Some(option) = self.tls_option {
            return Err(option.error("needs --tls"));
        }
        let (metadata, data) = (self.config.metadata_port, self.config.data_port);
        if metadata == data {
            return wrong(&format!(
                "--metadata_rrport and --data_rrport are both {data}, and must differ"
            ));
        }
        let ports = [(Side::Metadata, metadata), (Side::Data, data)];
        let valid = self.config.servers.validate(&ports);
        valid.map_err(StartError::Usage)?;
        Ok(self.config)
    }
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
        assert_eq!((config.metadata_port, config.data_port), (8003, 8001));
        assert_eq!(
            config.servers.places(1, 2),
            "metadata localhost:1, data localhost:2"
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
            let places = places(&["--host", host]);
            assert_eq!(
                places.replace(['[', ']'], ""),
                format!("metadata {host}:1, data {host}:2")
            );
        }
        for (host, shown) in [
            ("[::1]", "metadata [::1]:1, data [::1]:2"),
            (
                "fe80::1%\u{202e}",
                "metadata [fe80::1%\\u{202e}]:1, data [fe80::1%\\u{202e}]:2",
            ),
            ("ls2:8103:8101", "metadata ls2:8103, data ls2:8101"),
            ("[::1]:8103:8101", "metadata [::1]:8103, data [::1]:8101"),
            (
                "::1:8103:8101",
                "metadata [::1:8103:8101]:1, data [::1:8103:8101]:2",
            ),
        ] {
            assert_eq!(places(&["--host", host]), shown);
        }
    }

    fn places(args: &[&str]) -> String {
        run(args).unwrap().servers.places(1, 2)
    }

    #[test]
    fn there_may_be_several_servers_in_either_direction() {
        let hosts = ["--host", "ls1", "--host", "ls2:3:4"];
        let listen = ["--listen", "127.0.0.1", "--listen", "::1"];
        let allow = ["--allow", "127.0.0.0/8"];
        let of_hosts = "metadata ls1:1, data ls1:2, metadata ls2:3, data ls2:4";
        assert_eq!(places(&hosts), of_hosts);
        let of_listen = "metadata listening on 127.0.0.1:1, data listening on 127.0.0.1:2, \
                         metadata listening on [::1]:1, data listening on [::1]:2";
        assert_eq!(places(&listen), of_listen);
        assert_eq!(
            places(&[&hosts[..], &listen, &allow].concat()),
            format!("{of_hosts}, {of_listen}, allowing 127.0.0.0/8")
        );
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
            ("meta", "metadata_rrport"),
            ("data_", "data_rrport"),
            ("pass", "password"),
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
                 --metadata_rrport and --data_rrport, or both stand behind it: HOST:8003:8001",
            ),
            (
                &["--host", "[::1]:8003"],
                "--host [::1]:8003: not a host's name or address alone; the ports are those of \
                 --metadata_rrport and --data_rrport, or both stand behind it: HOST:8003:8001",
            ),
            (
                &["--host", "https://push:8003/"],
                "--host https://push:8003/: not a host's name or address alone; the ports are \
                 those of --metadata_rrport and --data_rrport, or both stand behind it: \
                 HOST:8003:8001",
            ),
            (
                &["--host", "ls2:3:65536"],
                "--host ls2:3:65536: not a host with two ports from 1 to 65535",
            ),
            (
                &["--host", "ls2:3:3"],
                "--host ls2: its port 3 is given twice",
            ),
            (
                &["--host", "ls2", "--host", "ls1", "--host", "LS2"],
                "--host LS2: its port 8003 is given twice",
            ),
            (
                &["--host", "ls2", "--host", "ls2:8003:8001"],
                "--host ls2: its port 8003 is given twice",
            ),
            (
                &["--host", "ls2:1:2", "--host", "ls2:2:3"],
                "--host ls2: its port 2 is given twice",
            ),
            (
                &[
                    "--host",
                    "ls2",
                    "--host",
                    "ls1",
                    "--tls",
                    "--tls-name",
                    "ls",
                ],
                "--tls-name is for one --host: the names of several are verified as they are",
            ),
            (&["--allow", "10.0.0.0/8"], "--allow needs a --listen"),
            (
                &["--listen", "127.0.0.1:8003"],
                "--listen 127.0.0.1:8003: not a host's name or address alone; the ports are those of \
                 --metadata_rrport and --data_rrport",
            ),
            (
                &["--tls", "--tls-client-ca", "ca.pem"],
                "--tls-client-ca needs a --listen",
            ),
            (
                &["--listen", "::1", "--tls-client-ca", "ca.pem"],
                "--tls-client-ca needs --tls",
            ),
            (
                &["--listen", "::1", "--tls"],
                "--listen with --tls needs --tls-cert and --tls-key, for what Proxies see",
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
