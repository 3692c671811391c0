//! The command line: what it takes, what it prints, and how it refuses.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Child, Stdio};

use crate::setup::command;
use crate::standin::{Exit, Init, Server, Side};

fn run<A: AsRef<OsStr>>(arguments: &[A]) -> Exit {
    command().args(arguments).run()
}

#[test]
fn help_fits_a_terminal_and_shows_every_option_its_default_and_an_example() {
    for flag in ["--help", "-h"] {
        let exit = run(&[flag]);
        assert_eq!(exit.code(), 0, "{exit}");
        assert_eq!(exit.stderr, "");
        let help = &exit.stdout;
        for line in help.lines() {
            assert!(line.chars().count() <= 80, "{line}");
            assert_eq!(line.trim_end(), line, "trailing space");
            assert!(!line.contains('\t') && !line.contains('\u{1b}'), "{line:?}");
        }
        assert!(help.ends_with('\n'));
        // Between an option's VALUE and its description there is a gap.
        for word in help.split_whitespace() {
            let letters = word.trim_start_matches(|c: char| c.is_ascii_uppercase());
            let glued = word.len() - letters.len() > 1
                && letters.starts_with(|c: char| c.is_ascii_lowercase());
            assert!(!glued, "{word} in\n{help}");
        }
        for option in [
            "--host",
            "--metadata_rrport",
            "--data_rrport",
            "--user",
            "--password",
            "--keepalive",
            "--log",
            "--help",
            "--version",
            "-h",
            "-V",
        ] {
            assert!(help.contains(option), "{option} is not in\n{help}");
        }
        for default in ["localhost", "8003", "8001", "10000", "info"] {
            assert!(help.contains(default), "{default} is not in\n{help}");
        }
        let example = |line: &str| line.trim_start().starts_with("chat-adapter --");
        assert!(help.lines().any(example), "no example in\n{help}");
    }
}

#[test]
fn version_is_that_of_the_package() {
    for flag in ["--version", "-V"] {
        let exit = run(&[flag]);
        assert_eq!(exit.code(), 0, "{exit}");
        assert_eq!(
            exit.stdout,
            concat!("chat-adapter ", env!("CARGO_PKG_VERSION"), "\n")
        );
        assert_eq!(exit.stderr, "");
    }
}

/// A wrong command line: one line that names what is wrong, a pointer to the help, and 2.
#[track_caller]
fn refused<A: AsRef<OsStr>>(arguments: &[A], named: &[&str]) {
    let exit = run(arguments);
    assert_eq!(exit.code(), 2, "{exit}");
    assert_eq!(exit.stdout, "", "{exit}");
    let lines: Vec<&str> = exit.stderr.lines().collect();
    assert!((1..=2).contains(&lines.len()), "{exit}");
    assert!(lines[0].starts_with("chat-adapter: "), "{exit}");
    for name in named {
        assert!(lines[0].contains(name), "{name} is not in: {exit}");
    }
    assert!(exit.stderr.contains("--help"), "{exit}");
    assert!(
        exit.stderr.chars().all(|c| c == '\n' || !c.is_control()),
        "{exit}"
    );
}

#[test]
fn unknown_options_are_refused() {
    refused(&["--bogus"], &["--bogus"]);
    refused(&["--bogus=1"], &["--bogus"]);
    refused(&["--hosts", "a"], &["--hosts"]);
    refused(&["-x"], &["-x"]);
}

#[test]
fn an_option_that_is_nearly_one_is_told_which() {
    refused(&["--hots", "a"], &["--hots", "did you mean --host?"]);
    refused(&["--keep_alive=5"], &["did you mean --keepalive?"]);
    for option in ["--data_notifport", "--data-notifport"] {
        refused(
            &[option, "8002"],
            &[option, "no longer needed", "--data_rrport"],
        );
    }
}

#[test]
fn a_port_behind_the_host_is_told_where_it_belongs() {
    for host in ["push:8003", "10.0.0.1:8003", "[::1]:8003"] {
        refused(
            &["--host", host],
            &[host, "--metadata_rrport", "--data_rrport"],
        );
    }
}

#[test]
fn stray_arguments_are_refused() {
    refused(&["example.com"], &["example.com"]);
    refused(&["--host", "a", "b"], &["b"]);
    refused(&["--", "c"], &["c"]);
}

#[test]
fn missing_values_are_refused() {
    for option in [
        "--host",
        "--metadata_rrport",
        "--data_rrport",
        "--user",
        "--password",
        "--keepalive",
        "--log",
    ] {
        refused(&[option], &[option]);
    }
}

#[test]
fn ports_are_numbers_from_1_to_65535() {
    for option in ["--metadata_rrport", "--data_rrport"] {
        for value in [
            "0",
            "65536",
            "-1",
            "abc",
            "80x",
            "8003.0",
            "99999999999999999999",
            " 80",
        ] {
            refused(&[option, value], &[option, value]);
        }
        refused(&[option, ""], &[option]);
    }
}

#[test]
fn bad_keepalives_are_refused() {
    for value in ["-1", "abc", "10s", "1.5", "99999999999999999999999"] {
        refused(&["--keepalive", value], &["--keepalive", value]);
    }
    refused(&["--keepalive", ""], &["--keepalive"]);
}

#[test]
fn unknown_levels_are_refused() {
    for value in ["loud", "5", "info,debug=x"] {
        refused(&["--log", value], &["--log", value]);
    }
    refused(&["--log", ""], &["--log"]);
}

#[test]
fn an_empty_host_is_refused() {
    refused(&["--host", ""], &["--host"]);
    refused(&["--host="], &["--host"]);
}

#[test]
fn a_user_and_a_password_come_together() {
    refused(&["--user", "someone"], &["user", "--password"]);
    refused(&["--password", "sesame"], &["password", "--user"]);
}

#[test]
fn the_password_is_in_no_error() {
    for rest in [
        &["stray"][..],
        &["--bogus"],
        &["--metadata_rrport", "0"],
        &[],
    ] {
        let mut arguments = vec!["--password", "sesame"];
        arguments.extend_from_slice(rest);
        let exit = run(&arguments);
        assert_eq!(exit.code(), 2, "{exit}");
        assert!(!exit.stderr.contains("sesame"), "{exit}");
    }
}

#[test]
fn bytes_that_are_not_utf_8_are_refused() {
    let bad = |bytes: &[u8]| OsString::from(OsStr::from_bytes(bytes));
    refused(&[bad(b"--host=\xff")], &["--host"]);
    refused(&[bad(b"--host"), bad(b"a\xffb")], &["--host"]);
    refused(
        &[bad(b"--user"), bad(b"\xe8"), bad(b"--password"), bad(b"x")],
        &["--user"],
    );
    refused(&[bad(b"--password"), bad(b"\xe8")], &["--password"]);
    refused(&[bad(b"--keepalive"), bad(b"\xff")], &["--keepalive"]);
    refused(&[bad(b"--b\xffgus")], &[]);
    refused(&[bad(b"str\xffay")], &[]);
}

#[test]
fn control_characters_of_a_bad_value_are_escaped() {
    refused(
        &["--metadata_rrport", "1\u{1b}[31m"],
        &["--metadata_rrport"],
    );
    refused(&["a\nb"], &[]);
    refused(&["--bo\rgus"], &[]);
}

#[test]
fn help_and_version_need_nothing_else() {
    assert_eq!(run(&["--help", "--metadata_rrport", "1"]).code(), 0);
    assert_eq!(run(&["--host", "example.com", "--version"]).code(), 0);
}

#[test]
fn underscores_and_hyphens_are_interchangeable_and_values_may_be_attached() {
    let server = Server::start();
    let host = server.metadata.host();
    let (metadata, data) = (server.metadata.port(), server.data.port());
    for line in [
        format!("--host {host} --metadata_rrport {metadata} --data_rrport {data}"),
        format!("--host {host} --metadata-rrport {metadata} --data-rrport {data}"),
        format!("--host={host} --metadata-rrport={metadata} --data_rrport={data}"),
        format!("--data_rrport={data} --metadata_rrport={metadata} --host={host}"),
        format!(
            "--host {host} --metadata_rrport {metadata} --data-rrport {data} --keepalive=500 \
             --log=warn"
        ),
        format!("--host={host} --metadata_rrport 0{metadata} --data_rrport={data} --log debug"),
    ] {
        let _adapter = command().args(line.split(' ')).start();
        let (mut metadata, mut data) = server.meet();
        metadata.close_session("S1");
        data.expect_silence();
    }
}

#[test]
fn values_may_begin_with_a_hyphen_or_hold_an_equals_sign() {
    let server = Server::start();
    for credentials in [
        &["--user=-u=1", "--password=-p=2"][..],
        &["--user", "-u=1", "--password", "-p=2"],
    ] {
        let _adapter = command().args(server.arguments()).args(credentials).start();
        let mut connection = server.metadata.accept();
        let agreement = connection.handshake(&Init::new(Side::Metadata));
        let wanted = ("-u=1".to_owned(), "-p=2".to_owned());
        assert_eq!(agreement.rac.credentials, Some(wanted));
    }
}

/// Runs it with its output going there; yields the exit code and what it says on stderr.
fn printing_to(stdout: impl Into<Stdio>, option: &str) -> (Option<i32>, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_chat-adapter"))
        .args([option, "--host", "127.0.0.1"])
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .and_then(Child::wait_with_output)
        .expect("the binary");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), stderr)
}

#[test]
fn what_cannot_be_printed_is_a_failure() {
    for option in ["--help", "--version", "--check"] {
        let full = File::create("/dev/full").expect("the device");
        let (code, stderr) = printing_to(full, option);
        assert_eq!(code, Some(1), "{option}: {stderr}");
        let reason = "chat-adapter: cannot print: No space left on device (os error 28)\n";
        assert_eq!(stderr, reason, "{option}");
        // Whoever has read enough knows why.
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        assert_eq!(
            printing_to(writer, option),
            (Some(1), String::new()),
            "{option}"
        );
    }
}
