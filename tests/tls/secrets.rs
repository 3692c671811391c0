//! A whole exchange at the most talkative level, and in all that was printed no password, in whatever form.

use crate::der::base64;
use crate::files::Files;
use crate::pki::Profile;
use crate::setup::{Ports, SESSION, server};
use crate::standin::{Adapter, Encoding, Exit, Init, Session, Side};

/// Each has a part that no encoding of text changes.
const OURS: &str = "zebra7 für+alle%|\"\\ x";
const CLIENTS: [&str; 3] = ["giraffe8 ä+ö%|=&", "okapi9/#$", "lion10"];
const PARTS: [&str; 4] = ["zebra7", "giraffe8", "okapi9", "lion10"];

/// A text as it might be found by somebody who looks.
fn forms(secret: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let list = |form: fn(&u8) -> String, between: &str| {
        bytes.iter().map(form).collect::<Vec<_>>().join(between)
    };
    let mut forms = vec![
        secret.to_owned(),
        Encoding::Form.encode(Some(secret)),
        Encoding::Smart.encode(Some(secret)),
        list(|byte| format!("%{byte:02X}"), ""),
        list(|byte| format!("%{byte:02x}"), ""),
        list(|byte| format!("{byte:02x}"), ""),
        list(|byte| format!("{byte:02X}"), ""),
        list(|byte| byte.to_string(), ", "),
        list(|byte| byte.to_string(), ","),
        secret.escape_debug().to_string(),
        secret.escape_default().to_string(),
        bytes.escape_ascii().to_string(),
    ];
    // Wherever it begins in what was encoded, most of it is there to be found.
    for skipped in 0..3 {
        let whole = base64(&bytes[skipped..]);
        forms.push(whole[..bytes[skipped..].len() / 3 * 4].to_owned());
    }
    forms
}

#[track_caller]
fn assert_no_secret(exit: &Exit) {
    let printed = format!("{}{}", exit.stdout, exit.stderr);
    assert!(
        printed.contains("TRACE"),
        "the level is not what it should be:\n{printed}"
    );
    for secret in CLIENTS.iter().chain(&[OURS]).chain(&PARTS) {
        for form in forms(secret) {
            let line = printed.lines().find(|line| line.contains(&form));
            assert_eq!(line, None, "{secret:?} is there as {form:?}");
        }
    }
    // But it is known who it was.
    for user in ["user1", "anna"] {
        assert!(
            !printed.contains(&format!("{user}|S|password")),
            "{printed}"
        );
    }
}

fn end(adapter: Adapter) -> Exit {
    adapter.signal("TERM");
    adapter.wait()
}

/// How the adapter is told the password.
#[derive(Clone, Copy)]
enum Source {
    CommandLine,
    File,
    Environment,
}

/// All that is ever said with a password in it, and much that should not be.
fn exchange(source: Source) {
    let files = Files::new();
    let certified = Profile::server().self_signed();
    let trusted = files.write("server.pem", certified.pem());
    let config = server(&certified);
    let ports = Ports::open();
    let command = ports.command_trusting(&trusted).args(["--log", "trace"]);
    let adapter = match source {
        Source::CommandLine => command.args(["--user", "user1", "--password", OURS]),
        Source::File => {
            let file = files.write("password", OURS);
            files.set_mode("password", 0o644);
            command.args(["--user", "user1", "--password-file", &file])
        }
        Source::Environment => command
            .env("CHAT_ADAPTER_USER", "user1")
            .env("CHAT_ADAPTER_PASSWORD", OURS),
    };
    let adapter = adapter.start();

    // A login before the init is an error; so is another on the connection for data.
    let mut connection = ports.metadata.meet(&config).connection("metadata");
    let rac = connection.expect_rac();
    assert_eq!(
        rac.credentials
            .as_ref()
            .map(|(_, password)| password.as_str()),
        Some(OURS)
    );
    connection.send_line(login("1f", "NUS", "anna", CLIENTS[0], Encoding::Form));
    connection.expect_last_lines();
    adapter.wait_for_log(&["metadata", "came before the init"]);

    let (data_peer, mut data) = ports.meet_data(&config);
    data.connection
        .send_line(login("1f", "NUS", "anna", CLIENTS[0], data.encoding));
    data.expect_silence();

    // Logins as they are, in either encoding, and in every way in which they can go wrong.
    for version in ["1.9.1", "1.8.3"] {
        let init = Init::offering(Side::Metadata, version);
        let (_peer, mut metadata) = ports.meet_metadata_with(&config, &init);
        for (n, password) in CLIENTS.iter().enumerate() {
            let id = format!("{n}a");
            for method in ["NUS", "NUA"] {
                metadata.connection.send_line(login(
                    &id,
                    method,
                    "anna",
                    password,
                    metadata.encoding,
                ));
                metadata
                    .connection
                    .expect_matching("a welcome", |line| line.contains("|D|"));
            }
        }
        for (n, bad) in [
            "NUS|S|anna|S|zebra7%ZZ",
            "NUS|S|anna|S|%FFokapi9|S|h|S|v",
            "NUS|S|zebra7",
            "NUS|zebra7|okapi9",
            "NUS|S|anna|lion10|giraffe8|S|okapi9",
            "NUA|S|anna|S|okapi9",
            "NUA|B|lion10|S|okapi9|S|x",
        ]
        .iter()
        .enumerate()
        {
            metadata.connection.send_line(format!("{n}b|{bad}"));
            metadata
                .connection
                .expect_matching("an error or a welcome", |line| {
                    line.starts_with(&format!("{n}b|NU"))
                });
        }
        for strange in [
            "1c|nus|S|anna|S|okapi9",
            "2c|NUX|S|anna|S|okapi9",
            "3c|RAC|S|user|S|u|S|password|S|zebra7",
        ] {
            metadata.connection.send_line(strange);
        }
        metadata.connection.send_line(&rac.line);
        metadata.connection.send_line(format!(
            "4c|NUS|S|anna|S|okapi9{}",
            " lion10".repeat(1 << 20)
        ));
        metadata
            .connection
            .expect_matching("an error", |line| line.starts_with("4c|NUS|E|"));
        metadata.open(&Session::new(SESSION, "192.0.2.7", "Mozilla/5.0").of_user("anna"));
        adapter.signal("USR1");
        adapter.signal("HUP");
        adapter.wait_for_log(&["reloaded"]);
        metadata.connection.send_line("0|CLOSE|S|reason|S|again");
        metadata.connection.expect_closed();
    }

    // Half the hello comes back before the init, and then the whole of it.
    data_peer.close_notify();
    drop((data_peer, data));
    let whole = format!("{}\r\n", rac.line);
    for (part, words) in [
        (
            &rac.line[..rac.line.len() - 3],
            "closed the connection; next try in",
        ),
        (&whole, "is a remote adapter, too"),
    ] {
        let peer = ports.data.meet(&config);
        let mut connection = peer.connection("data");
        connection.expect_rac();
        connection.send(part);
        peer.close_notify();
        connection.expect_closed();
        adapter.wait_for_log(&[" data ", words]);
    }

    // And in the end the server does not want us any more.
    let mut connection = ports.metadata.meet(&config).connection("metadata");
    connection.expect_rac();
    connection.send_line("0|CLOSE|S|reason|S|wrong+credentials");
    connection.expect_closed();
    adapter.wait_for_log(&["wrong credentials?", "user \"user1\""]);
    assert_no_secret(&end(adapter));
}

fn login(id: &str, method: &str, user: &str, password: &str, encoding: Encoding) -> String {
    let encoded = |text| encoding.encode(Some(text));
    let mut line = format!("{id}|{method}|S|{}|S|{}", encoded(user), encoded(password));
    if method == "NUA" {
        line.push_str("|S|CN%3Danna");
    }
    line + "|S|host|S|localhost"
}

#[test]
fn with_the_password_on_the_command_line() {
    exchange(Source::CommandLine);
}

#[test]
fn with_the_password_in_a_file() {
    exchange(Source::File);
}

#[test]
fn with_the_password_in_the_environment() {
    exchange(Source::Environment);
}

#[test]
fn what_is_searched_for_would_be_found() {
    let exit = |printed: &str| std::panic::catch_unwind(|| assert_no_secret(&fake(printed)));
    assert!(exit("TRACE nothing to be seen").is_ok());
    for secret in CLIENTS {
        for form in forms(secret) {
            assert!(exit(&format!("TRACE {form}")).is_err(), "{form}");
        }
    }
}

fn fake(printed: &str) -> Exit {
    Exit {
        status: Default::default(),
        stdout: String::new(),
        stderr: printed.to_owned(),
    }
}
