//! Where user and password come from, in which order, and what is said when they are no good.

use std::fs;

use crate::files::Files;
use crate::setup::command;
use crate::standin::{Adapter, Command, Exit, Init, Server, Side, announced_wait};

const PASSWORD: &str = "sésame +%|\" ouvre-toi";

/// The credentials with which an adapter started like this comes to both Proxies.
#[track_caller]
fn said(adapter: impl FnOnce(Command) -> Command) -> (Adapter, Option<(String, String)>) {
    let server = Server::start();
    let adapter = adapter(command().args(server.arguments())).start();
    let said = server.metadata.accept().expect_rac().credentials;
    assert_eq!(server.data.accept().expect_rac().credentials, said);
    (adapter, said)
}

fn pair(user: &str, password: &str) -> Option<(String, String)> {
    Some((user.to_owned(), password.to_owned()))
}

/// Files and variables of every kind, all at once.
struct Sources {
    files: Files,
    password_file: String,
}

impl Sources {
    fn new() -> Self {
        let files = Files::new();
        files.write("chat-adapter.user", "service user\n");
        files.write("chat-adapter.password", "service password\n");
        let password_file = files.write("password", format!("{PASSWORD}\n"));
        Self {
            files,
            password_file,
        }
    }

    fn service(&self, command: Command) -> Command {
        command.env("CREDENTIALS_DIRECTORY", self.files.directory())
    }

    fn environment(&self, command: Command) -> Command {
        let command = self.service(command).env("CHAT_ADAPTER_USER", "env user");
        command.env("CHAT_ADAPTER_PASSWORD", "env password")
    }

    fn file(&self, command: Command) -> Command {
        self.environment(command)
            .args(["--password-file", &self.password_file])
    }
}

#[test]
fn without_any_there_are_none() {
    let (_adapter, said) = said(|command| command);
    assert_eq!(said, None);
}

#[test]
fn each_source_outdoes_those_behind_it() {
    let sources = Sources::new();
    let (_adapter, service) = said(|command| sources.service(command));
    assert_eq!(service, pair("service user", "service password"));
    let (_adapter, environment) = said(|command| sources.environment(command));
    assert_eq!(environment, pair("env user", "env password"));
    let (_adapter, file) = said(|command| sources.file(command));
    assert_eq!(file, pair("env user", PASSWORD));
    let (_adapter, user) = said(|command| sources.file(command).args(["--user", "user1"]));
    assert_eq!(user, pair("user1", PASSWORD));
    let both = ["--user", "user1", "--password", "pwd1"];
    let (_adapter, line) = said(|command| sources.file(command).args(both));
    assert_eq!(line, pair("user1", "pwd1"));
}

#[test]
fn one_line_end_of_a_file_is_dropped_and_nothing_else() {
    for (content, password) in [
        ("pwd1", "pwd1"),
        ("pwd1\n", "pwd1"),
        ("pwd1\r\n", "pwd1"),
        ("pwd1\n\n", "pwd1\n"),
        (" pwd1 \t\n", " pwd1 \t"),
        ("two\nlines\n", "two\nlines"),
        ("\u{feff}pwd1\n", "\u{feff}pwd1"),
        ("#\n", "#"),
        ("$", "$"),
    ] {
        let files = Files::new();
        let file = files.write("password", content);
        let arguments = ["--user", "user1", "--password-file", &file];
        let (_adapter, said) = said(|command| command.args(arguments));
        assert_eq!(said, pair("user1", password), "{content:?}");
    }
}

/// Starting must fail with 1 and one line that names the file and what gives it.
#[track_caller]
fn refused(exit: &Exit, source: &str, file: &str, words: &str) {
    assert_eq!(exit.code(), 1, "{exit}");
    assert_eq!(exit.stderr.lines().count(), 1, "{exit}");
    let line = format!("cannot start: {source} {file} {words}");
    assert!(exit.stderr.contains(&line), "{exit}");
}

#[test]
fn files_that_are_no_good_are_named_at_start() {
    let files = Files::new();
    for (file, words) in [
        (files.path("missing"), "cannot be read"),
        (files.path(""), "cannot be read"),
        (files.write("empty", ""), "is empty"),
        (files.write("line-end", "\n"), "is empty"),
        (files.write("latin-1", b"caf\xe9"), "is not UTF-8"),
    ] {
        let exit = command()
            .args(["--user", "user1", "--password-file", &file])
            .run();
        refused(&exit, "--password-file", &file, words);
    }
}

#[test]
fn so_are_those_of_the_service_manager() {
    for bad in ["chat-adapter.user", "chat-adapter.password"] {
        let sources = Sources::new();
        let file = sources.files.write(bad, "");
        let refused = |words| {
            let exit = sources.service(command()).run();
            refused(&exit, "the credential", &file, words);
        };
        refused("is empty");
        fs::remove_file(&file).expect("to remove it");
        fs::create_dir(&file).expect("a directory");
        refused("cannot be read");
    }
}

#[test]
fn what_outdoes_a_bad_file_makes_it_harmless() {
    let sources = Sources::new();
    sources.files.write("chat-adapter.user", "");
    sources.files.write("chat-adapter.password", "");
    let (_adapter, said) = said(|command| sources.environment(command));
    assert_eq!(said, pair("env user", "env password"));
}

#[test]
fn one_without_the_other_is_a_mistake_in_usage() {
    let files = Files::new();
    let file = files.write("password", "pwd1");
    let directory = Files::new();
    directory.write("chat-adapter.user", "user1");
    for (command, words) in [
        (command().args(["--user", "user1"]), "no password"),
        (command().env("CHAT_ADAPTER_USER", "user1"), "no password"),
        (
            command().env("CREDENTIALS_DIRECTORY", directory.directory()),
            "no password",
        ),
        (command().args(["--password", "pwd1"]), "no user"),
        (command().args(["--password-file", &file]), "no user"),
        (command().env("CHAT_ADAPTER_PASSWORD", "pwd1"), "no user"),
    ] {
        let exit = command.run();
        assert_eq!(exit.code(), 2, "{exit}");
        assert!(
            exit.stderr.contains(words) && exit.stderr.contains("--help"),
            "{exit}"
        );
        assert!(!exit.stderr.contains("pwd1"), "{exit}");
    }
}

#[test]
fn a_service_without_credentials_of_ours_has_none() {
    let files = Files::new();
    files.write("somebody.else", "x");
    let (_adapter, said) = said(|command| command.env("CREDENTIALS_DIRECTORY", files.directory()));
    assert_eq!(said, None);
}

#[test]
fn a_file_that_everybody_can_read_is_a_warning() {
    let files = Files::new();
    let file = files.write("password", PASSWORD);
    let arguments = ["--user", "user1", "--password-file", &file];
    let (adapter, _) = said(|command| command.args(arguments));
    assert!(!adapter.log().contains("everybody"), "{}", adapter.log());
    files.set_mode("password", 0o604);
    let (adapter, _) = said(|command| command.args(arguments));
    adapter.wait_for_log(&["warn", &file, "can be read by everybody"]);
}

#[test]
fn a_password_on_the_command_line_is_warned_of_once() {
    let arguments = ["--user", "user1", "--password", PASSWORD];
    let (adapter, _) = said(|command| command.args(arguments));
    for _ in 0..2 {
        adapter.signal("HUP");
    }
    adapter.wait_for_log_nth(&["reloaded"], 1);
    let line = adapter.wait_for_log(&["warn", "command line"]);
    for better in ["--password-file", "CHAT_ADAPTER_PASSWORD", "systemd"] {
        assert!(line.contains(better), "{line}");
    }
    adapter.signal("TERM");
    let log = adapter.wait().stderr;
    assert_eq!(
        log.lines()
            .filter(|line| line.contains("command line"))
            .count(),
        1,
        "{log}"
    );
    assert!(!log.contains("ouvre-toi"), "{log}");
}

/// The adapter must tell that these are not good, naming the user alone, and that it is in no hurry.
#[track_caller]
fn told_as_wrong(adapter: &Adapter, words: &[&str]) {
    let line = adapter.wait_for_log(
        &[
            &["warn", "metadata 127", "wrong credentials", "next try in"],
            words,
        ]
        .concat(),
    );
    assert!(announced_wait(&line) >= 20_000, "{line}");
    assert!(!adapter.log().contains("ouvre-toi"), "{}", adapter.log());
}

#[test]
fn wrong_ones_are_told_as_what_they_are() {
    let files = Files::new();
    let file = files.write("password", PASSWORD);
    let server = Server::start();
    let arguments = ["--user", "Jürgen", "--password-file", &file];
    let start = || command().args(server.arguments()).args(arguments).start();

    let adapter = start();
    let mut connection = server.metadata.accept();
    connection.expect_rac();
    connection.send_line("0|CLOSE|S|reason|S|wrong+credentials+indeed");
    connection.expect_closed();
    told_as_wrong(&adapter, &["user \"Jürgen\"", "wrong credentials indeed"]);

    let adapter = start();
    let mut connection = server.metadata.accept();
    connection.expect_rac();
    connection.close();
    told_as_wrong(&adapter, &["user \"Jürgen\"", "without a word"]);
}

#[test]
fn those_that_were_accepted_are_not_doubted_for_one_close_but_for_eleven() {
    let files = Files::new();
    let file = files.write("password", PASSWORD);
    let server = Server::start();
    let arguments = ["--user", "Jürgen", "--password-file", &file];
    let adapter = command().args(server.arguments()).args(arguments).start();
    let mut connection = server.metadata.accept();
    connection.handshake(&Init::new(Side::Metadata));
    connection.close();
    for _ in 0..11 {
        let mut connection = server.metadata.accept();
        connection.expect_rac();
        connection.close();
    }
    told_as_wrong(&adapter, &["user \"Jürgen\"", "without a word"]);
    let line = adapter.wait_for_log(&["metadata", "accepted before", "next try in"]);
    assert!(!line.contains("wrong"), "{line}");
}

#[test]
fn those_that_were_accepted_are_doubted_at_once_for_a_reason() {
    let files = Files::new();
    let file = files.write("password", PASSWORD);
    let server = Server::start();
    let arguments = ["--user", "Jürgen", "--password-file", &file];
    let adapter = command().args(server.arguments()).args(arguments).start();
    let mut connection = server.metadata.accept();
    connection.handshake(&Init::new(Side::Metadata));
    connection.close();
    let mut connection = server.metadata.accept();
    connection.expect_rac();
    connection.send_line("0|CLOSE|S|reason|S|wrong+credentials+indeed");
    connection.expect_closed();
    told_as_wrong(&adapter, &["user \"Jürgen\"", "indeed"]);
}

#[test]
fn a_reason_that_quotes_the_password_is_kept_back() {
    let files = Files::new();
    let file = files.write("password", "letmein");
    let server = Server::start();
    let arguments = [
        "--user",
        "user1",
        "--password-file",
        &file,
        "--log",
        "trace",
    ];
    let adapter = command().args(server.arguments()).args(arguments).start();
    let mut connection = server.metadata.accept();
    connection.expect_rac();
    connection.send_line("0|CLOSE|S|reason|S|%22letmein%22+is+wrong");
    connection.expect_closed();
    adapter.wait_for_log(&["warn", "metadata", "user1", "quotes the password"]);
    assert!(!adapter.log().contains("letmein"), "{}", adapter.log());
}

#[test]
fn a_server_that_wants_some_and_gets_none_is_told_as_such() {
    let server = Server::start();
    let adapter = command().args(server.arguments()).start();
    let mut connection = server.metadata.accept();
    connection.expect_rac();
    connection.send_line("0|CLOSE|S|reason|S|credentials+missing");
    connection.expect_closed();
    adapter.wait_for_log(&[
        "warn",
        "metadata",
        "credentials wanted?",
        "credentials missing",
    ]);
}

#[test]
fn a_close_later_on_is_not_about_credentials() {
    let files = Files::new();
    let file = files.write("password", PASSWORD);
    let server = Server::start();
    let arguments = ["--user", "user1", "--password-file", &file];
    let adapter = command().args(server.arguments()).args(arguments).start();
    let mut connection = server.metadata.accept();
    connection.handshake(&Init::new(Side::Metadata));
    connection.send_line("0|CLOSE|S|reason|S|maintenance");
    connection.expect_closed();
    let line = adapter.wait_for_log(&["warn", "metadata", "maintenance"]);
    assert!(!line.contains("credentials"), "{line}");
    server
        .metadata
        .accept()
        .handshake(&Init::new(Side::Metadata));
}

#[test]
fn new_ones_count_from_the_next_connection_on() {
    let files = Files::new();
    let file = files.write("password", "old");
    let server = Server::start();
    let arguments = ["--user", "user1", "--password-file", &file];
    let adapter = command().args(server.arguments()).args(arguments).start();
    let mut connection = server.metadata.accept();
    let said = connection
        .handshake(&Init::new(Side::Metadata))
        .rac
        .credentials;
    assert_eq!(said, pair("user1", "old"));
    files.write("password", "new\n");
    adapter.signal("HUP");
    adapter.wait_for_log(&["reloaded"]);
    connection.close();
    assert_eq!(
        server.metadata.accept().expect_rac().credentials,
        pair("user1", "new")
    );
    // What is no good is told, and does no harm.
    files.write("password", "");
    adapter.signal("HUP");
    adapter.wait_for_log(&["error", "not reloaded", &file, "is empty"]);
}

#[test]
fn those_that_are_gone_are_missed() {
    let files = Files::new();
    files.write("chat-adapter.user", "user1");
    files.write("chat-adapter.password", "letmein");
    let server = Server::start();
    let adapter = command()
        .args(server.arguments())
        .env("CREDENTIALS_DIRECTORY", files.directory())
        .start();
    let mut connection = server.metadata.accept();
    connection.handshake(&Init::new(Side::Metadata));
    for name in ["chat-adapter.user", "chat-adapter.password"] {
        std::fs::remove_file(files.path(name)).expect("to remove it");
    }
    adapter.signal("HUP");
    adapter.wait_for_log(&["error", "not reloaded", "now there are none"]);
    connection.close();
    assert_eq!(
        server.metadata.accept().expect_rac().credentials,
        pair("user1", "letmein")
    );
}
