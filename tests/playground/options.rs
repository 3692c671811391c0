//! The playground's command line.

use lexopt::{Arg, Parser};

/// What `--help` prints.
pub(crate) const HELP: &str = "\
A chat room to play with: a stand-in for Lightstreamer Server, the real adapter, and a page.
A development tool: it listens on 127.0.0.1 only and keeps nothing.

Usage: cargo run -p playground -- [OPTIONS]

Options:
      --http PORT             port of the chat page and of clients [default: 8080]
      --metadata_rrport PORT  port of the Proxy Metadata Adapter [default: 8003]
      --data_rrport PORT      port of the Proxy Data Adapter [default: 8001]
      --servers N             so many servers, 1 to 9, with one adapter for all of them: ports
                              of the second are 10 more, and so on [default: 1]
      --no-adapter            start no adapter: any may connect to the two ports
      --lines                 print the lines of all ARI connections, and the adapter's log
      --terminal              chat here, on the first server: each line typed is a message
  -h, --help                  print this help and exit

A PORT of 0 leaves the choice to the system. In names - and _ mean the same. Ctrl-C
ends the playground; so does the end of what is typed, with --terminal.
";

/// The ports of each server are so much higher than those of the one before.
const STEP: u16 = 10;

/// As many as can be told apart on a screen.
const MOST_SERVERS: u16 = 9;

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) http: u16,
    pub(crate) metadata: u16,
    pub(crate) data: u16,
    pub(crate) servers: u16,
    pub(crate) adapter: bool,
    pub(crate) lines: bool,
    pub(crate) terminal: bool,
}

impl Options {
    /// Reads the command line, the program's name left out; `None` where help is wanted.
    pub(crate) fn parse(mut parser: Parser) -> Result<Option<Self>, lexopt::Error> {
        let mut options = Self {
            http: 8080,
            metadata: 8003,
            data: 8001,
            servers: 1,
            adapter: true,
            lines: false,
            terminal: false,
        };
        while let Some(arg) = parser.next()? {
            let name = match &arg {
                Arg::Long(name) => name.replace('_', "-"),
                Arg::Short('h') => "help".to_owned(),
                _ => return Err(arg.unexpected()),
            };
            match name.as_str() {
                "http" => options.http = port(&mut parser, &name)?,
                "metadata-rrport" => options.metadata = port(&mut parser, "metadata_rrport")?,
                "data-rrport" => options.data = port(&mut parser, "data_rrport")?,
                "servers" => options.servers = servers(&mut parser)?,
                "no-adapter" => options.adapter = false,
                "lines" => options.lines = true,
                "terminal" => options.terminal = true,
                "help" => return Ok(None),
                _ => return Err(arg.unexpected()),
            }
        }
        options.ports()?;
        Ok(Some(options))
    }

    /// The ports of each server: of its page, its Proxy Metadata Adapter and its Proxy Data Adapter.
    pub(crate) fn ports(&self) -> Result<Vec<[u16; 3]>, String> {
        let mut taken = Vec::new();
        (0..self.servers)
            .map(|number| {
                let first = [
                    ("http", self.http),
                    ("metadata_rrport", self.metadata),
                    ("data_rrport", self.data),
                ];
                let mut ports = [0; 3];
                for (port, (option, first)) in ports.iter_mut().zip(first) {
                    if first == 0 {
                        continue;
                    }
                    let beyond =
                        || format!("--{option}: with --servers {} it is too high", self.servers);
                    *port = first.checked_add(number * STEP).ok_or_else(beyond)?;
                    if taken.contains(port) {
                        return Err(format!("--{option}: port {port} would be used twice"));
                    }
                    taken.push(*port);
                }
                Ok(ports)
            })
            .collect()
    }
}

/// How many servers are wanted.
fn servers(parser: &mut Parser) -> Result<u16, lexopt::Error> {
    let value = parser.value()?;
    let number = value.to_str().and_then(|value| value.parse().ok());
    number
        .filter(|number| (1..=MOST_SERVERS).contains(number))
        .ok_or_else(|| {
            format!(
                "--servers: {value:?} does not go: it must be a number from 1 to {MOST_SERVERS}"
            )
            .into()
        })
}

/// The value of this option; the error names both.
fn port(parser: &mut Parser, option: &str) -> Result<u16, lexopt::Error> {
    let value = parser.value()?;
    value
        .to_str()
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| {
            format!("--{option}: {value:?} is no port: it must be a number from 0 to 65535").into()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Options>, String> {
        Options::parse(Parser::from_args(line.split_whitespace())).map_err(|e| e.to_string())
    }

    #[test]
    fn the_defaults_are_those_of_the_help() {
        let options = parse("").unwrap().unwrap();
        for port in [options.http, options.metadata, options.data] {
            assert!(HELP.contains(&format!("[default: {port}]")));
        }
        assert_eq!(options.ports(), Ok(vec![[8080, 8003, 8001]]));
        assert!(options.adapter && !options.lines && !options.terminal);
        let options = parse("--terminal --lines").unwrap().unwrap();
        assert!(options.terminal && options.lines);
    }

    #[test]
    fn names_may_be_written_either_way() {
        for line in [
            "--data_rrport 0 --no_adapter",
            "--data-rrport=0 --no-adapter",
        ] {
            let options = parse(line).unwrap().unwrap();
            assert_eq!((options.data, options.adapter), (0, false));
        }
        assert_eq!(parse("--http 1 -h"), Ok(None));
    }

    #[test]
    fn each_server_has_ports_of_its_own() {
        let ports = |line| parse(line).unwrap().unwrap().ports().unwrap();
        assert_eq!(
            ports("--servers 2"),
            [[8080, 8003, 8001], [8090, 8013, 8011]]
        );
        assert_eq!(ports("--servers 9")[8], [8160, 8083, 8081]);
        // The system chooses others each time.
        let line = "--servers=2 --http 0 --data_rrport 0 --metadata_rrport 7";
        assert_eq!(ports(line), [[0, 7, 0], [0, 17, 0]]);
    }

    #[test]
    fn mistakes_are_named() {
        for (line, named) in [
            ("--http", "--http"),
            ("--http x", "--http: \"x\""),
            ("--http 99999", "--http: \"99999\""),
            ("--metadata-rrport=65536", "--metadata_rrport: \"65536\""),
            ("--data_rrport -1", "--data_rrport: \"-1\""),
            ("--servers 0", "--servers: \"0\""),
            ("--servers 10", "--servers: \"10\""),
            ("--servers two", "--servers: \"two\""),
            ("--http 8001", "--data_rrport: port 8001"),
            ("--servers 2 --http 8011", "--data_rrport: port 8011"),
            ("--servers 9 --http 65456", "--http: with --servers 9"),
            ("--port 1", "--port"),
            ("x", "\"x\""),
            ("-x", "-x"),
            ("--lines=on", "--lines"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(named), "{line}: {error}");
        }
    }

    #[test]
    fn the_help_fits_a_terminal() {
        assert!(HELP.lines().all(|line| line.chars().count() <= 95));
    }
}
