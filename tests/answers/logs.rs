//! What an operator reads on stderr, and what nobody may ever read there.

use crate::setup::{AGENT, IP, SESSION, Setup, command, exchange, start_adapter};
use crate::standin::{Adapter, Init, Listener, Server, Session, Side};

/// Ends the adapter and yields all it ever logged.
#[track_caller]
fn stop(adapter: Adapter) -> String {
    adapter.signal("TERM");
    let exit = adapter.wait();
    assert_eq!(exit.code(), 0, "{exit}");
    exit.stderr
}

#[test]
fn at_info_each_connection_tells_its_story() {
    let mut setup = Setup::in_room();
    setup.data.unsubscribe("chat_room");
    let metadata = setup.server.metadata.port().to_string();
    let data = setup.server.data.port().to_string();
    for (side, port) in [("metadata", &metadata), ("data", &data)] {
        for words in [&["connecting"][..], &["connected"], &["1.9.1", "keepalive"]] {
            let mut all = vec!["info", side, port];
            all.extend_from_slice(words);
            setup.adapter.wait_for_log(&all);
        }
    }
    setup
        .adapter
        .wait_for_log(&["info", " data ", &data, "subscribed"]);
    setup
        .adapter
        .wait_for_log(&["info", " data ", &data, "unsubscribed"]);
    setup.metadata.connection.abort();
    setup.adapter.wait_for_log(&["metadata", &metadata, "lost"]);
    setup.data.connection.close();
    setup.adapter.wait_for_log(&[" data ", &data, "lost"]);
}

/// The first line of the log of an adapter with these arguments and this environment.
fn first_line(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let mut adapter = command().args(arguments);
    for (name, value) in environment {
        adapter = adapter.env(name, value);
    }
    let adapter = adapter.start();
    adapter.wait_for_log(&["connecting"]);
    let log = stop(adapter);
    let first = log.lines().next().expect("a first line");
    let (_, event) = first.split_once("INFO  ").expect("a level");
    event.to_owned()
}

#[test]
fn the_first_line_tells_how_it_is_run_and_never_the_password() {
    // Nobody listens on port 1 and 2, and a name that is no host's is not found.
    let start = concat!("chat-adapter ", env!("CARGO_PKG_VERSION"), ": metadata ");
    let ports = ["--metadata_rrport", "1", "--data_rrport", "2"];
    let first = |arguments: &[&str], environment: &[(&str, &str)]| {
        let line = first_line(&[&ports, arguments].concat(), environment);
        let rest = line.strip_prefix(start).expect(&line);
        rest.to_owned()
    };
    assert_eq!(
        first(&["--host", "127.0.0.1"], &[]),
        "127.0.0.1:1, data 127.0.0.1:2, without TLS, no credentials, keepalive after 10000 ms, no \
         watchdog"
    );
    let arguments = [
        "--host=::1",
        "--user",
        "a\nb",
        "--password",
        "sesame",
        "--keepalive=0",
    ];
    assert_eq!(
        first(&arguments, &[]),
        "[::1]:1, data [::1]:2, without TLS, user \"a\\nb\", no keepalive of its own, no watchdog"
    );
    let environment = [
        ("CHAT_ADAPTER_USER", "user1"),
        ("CHAT_ADAPTER_PASSWORD", "sesame"),
        ("NOTIFY_SOCKET", "@nobody"),
        ("WATCHDOG_USEC", "10000000"),
    ];
    assert_eq!(
        first(
            &["--host=127.0.0.1", "--tls", "--keepalive=500"],
            &environment
        ),
        "127.0.0.1:1, data 127.0.0.1:2, TLS (trusting the platform's store, no client \
         certificate), user \"user1\", keepalive after 500 ms, watchdog"
    );
}

#[test]
fn a_refused_connection_is_told() {
    let server = Server {
        metadata: Listener::bind_closed("metadata"),
        data: Listener::bind_closed("data"),
    };
    let adapter = command().args(server.arguments()).start();
    let port = server.data.port().to_string();
    adapter.wait_for_log(&[" data ", &port, "refused"]);
}

#[test]
fn the_keepalive_in_force_is_told() {
    let (adapter, server) = start_adapter(&[]);
    let metadata = Init::new(Side::Metadata).with_hint(7777);
    let data = Init::new(Side::Data).without_hint();
    let _connections = (server.meet_metadata(&metadata), server.meet_data(&data));
    let line = adapter.wait_for_log(&["metadata 127.0.0.1", "serving", "keepalive"]);
    assert!(line.contains("7777") || line.contains("7.777"), "{line}");
    let line = adapter.wait_for_log(&[" data 127.0.0.1", "serving", "keepalive"]);
    assert!(line.contains("10000") || line.contains("10 s"), "{line}");
}

#[test]
fn at_info_there_is_no_line_per_message() {
    let mut setup = Setup::in_room();
    let before = setup.adapter.log().lines().count();
    for n in 0..100 {
        setup.metadata.say(SESSION, &n.to_string()).expect("V");
        setup.data.chat();
    }
    let Setup { adapter, .. } = setup;
    let after = stop(adapter).lines().count();
    assert!(after < before + 20, "{before} lines, then {after}");
}

#[test]
fn at_debug_there_is_a_line_per_request() {
    let mut setup = Setup::with(
        &["--log", "debug"],
        &Init::new(Side::Metadata),
        &Init::new(Side::Data),
    );
    setup.open_room();
    setup.metadata.say(SESSION, "hi").expect("V");
    setup.metadata.connection.send_line("2000c|GIT|S|chat_room");
    setup.metadata.close_session(SESSION);
    setup.data.unsubscribe("chat_room");
    for method in ["NNS", "NUM", "GIT", "NSC"] {
        setup.adapter.wait_for_log(&["debug", "metadata", method]);
    }
    for method in ["SUB", "USB"] {
        setup.adapter.wait_for_log(&["debug", " data ", method]);
    }
}

#[test]
fn at_trace_there_are_the_lines_themselves() {
    let mut setup = Setup::with(
        &["--log", "trace"],
        &Init::new(Side::Metadata),
        &Init::new(Side::Data),
    );
    setup.open_room();
    exchange(
        &mut setup.metadata.connection,
        &[("2000c|GIT|S|some item", "2000c|GIT|I|0|D|0.0|M|RMDC")],
    );
    setup
        .adapter
        .wait_for_log(&["trace", "2000c|GIT|S|some item"]);
    setup
        .adapter
        .wait_for_log(&["trace", "2000c|GIT|I|0|D|0.0|M|RMDC"]);
    setup
        .adapter
        .wait_for_log(&["trace", "|EOS|S|chat_room|S|"]);
}

/// Sends everything that is secret, in every way in which it could slip into a log, to an adapter at
/// this level.
fn log_of_secrets(level: &str) -> String {
    let credentials = [
        "--user",
        "secret-rac-user",
        "--password",
        "secret-rac-password",
    ];
    let server = Server::start();
    let adapter = command()
        .args(server.arguments())
        .args(credentials)
        .args(["--log", level])
        .start();
    let mut metadata = server.meet_metadata(&Init::new(Side::Metadata));
    let mut data = server.meet_data(&Init::new(Side::Data));
    let connection = &mut metadata.connection;
    let nus = "NUS|S|secret-user|S|secret-password|S|secret-name|S|secret-value";
    let nua = "NUA|S|secret-user|S|secret-password|S|secret-principal|S|secret-name|S|secret-value";
    let welcome = "D|0.0|B|0";
    exchange(
        connection,
        &[
            (&format!("1c|{nus}"), &format!("1c|NUS|{welcome}")),
            (&format!("2c|{nua}"), &format!("2c|NUA|{welcome}")),
        ],
    );
    // Malformed in every part.
    for line in [
        "3c|NUS|S|secret-user|S|secret-password%zz",
        "3c|NUS|S|secret-user%zz|S|secret-password",
        "3c|NUS|S|secret-user|S|secret-password|S",
        "3c|NUS|S|secret-user|secret-password",
        "3c|NUS|secret-type|secret-user|S|secret-password",
        "3c|NUS|S|secret-user",
        "3c|NUA|S|secret-user|S|secret-password|B|secret-principal",
        "3c|NUA|S|secret-user|S|secret-password",
        "3c|NUA|S|secret-user|S|%FFsecret-password|S|secret-principal",
    ] {
        connection.send_line(line);
        connection.expect_matching("an error", |line| line.starts_with("3c|NU"));
    }
    connection.send(b"4c|NUS|S|secret-user|S|secret-password\xff\r\n");
    connection.expect_matching("an error", |line| line.starts_with("4c|NUS|E|"));
    connection.send_torn("5c|NUS|S|secret-user|S|secret-password\r\n");
    connection.expect(&format!("5c|NUS|{welcome}"));
    // On the port where nobody logs in.
    data.connection
        .send_lines([format!("6c|{nus}"), format!("7c|{nua}")]);
    data.expect_silence();
    // The method of an adapter, in the wrong mouth.
    connection.send_line("1|RAC|S|user|S|secret-rac-user|S|password|S|secret-rac-password");
    exchange(connection, &[("8c|NSC|S|the end", "8c|NSC|V")]);
    // Before the init.
    metadata.connection.close();
    let mut early = server.metadata.accept();
    early.expect_rac();
    early.send_line(format!("9c|{nus}"));
    early.expect_last_lines();
    let mut metadata = server.meet_metadata(&Init::new(Side::Metadata));
    // In a line that the connection's end cuts.
    exchange(&mut metadata.connection, &[("ac|NSC|S|x", "ac|NSC|V")]);
    metadata.connection.send(format!("bc|{}", &nus[..40]));
    metadata.connection.close();
    let _last = server.meet_metadata(&Init::new(Side::Metadata));
    stop(adapter)
}

#[test]
fn no_credentials_and_no_client_passwords_at_any_level() {
    for level in ["error", "warn", "info", "debug", "trace"] {
        let log = log_of_secrets(level);
        // The first line names the user, and is one at info.
        let user = "user \"secret-rac-user\"";
        let named = usize::from(level != "error" && level != "warn");
        assert_eq!(log.matches(user).count(), named, "{log}");
        assert!(!log.replacen(user, "", 1).contains("secret"), "{log}");
        assert_eq!(log.contains("NUS"), level != "error", "{log}");
    }
}

#[test]
fn no_password_when_the_server_says_it_is_wrong() {
    let (adapter, server) = start_adapter(&[
        "--user",
        "someone",
        "--password",
        "secret",
        "--log",
        "trace",
    ]);
    let mut connection = server.data.accept();
    connection.expect_rac();
    connection.send_line("0|CLOSE|S|reason|S|wrong+credentials");
    connection.expect_closed();
    adapter.wait_for_log(&["wrong credentials"]);
    assert!(!stop(adapter).contains("secret"));
}

#[test]
fn text_from_outside_is_escaped() {
    let evil = "\u{1b}[2J\u{1b}]0;title\u{7}\u{8}\u{9b}31m\r\nINJECTED\u{202e}\0\u{7f}";
    let encoded = "%1B[2J%1B]0;title%07%08%C2%9B31m%0D%0AINJECTED%E2%80%AE%00%7F";
    let raw = evil.replace("\r\n", "");
    let server = Server::start();
    let adapter = command()
        .args(server.arguments())
        .args(["--log", "trace"])
        .start();
    let (mut metadata, mut data) = server.meet();
    metadata.open(&Session::new(SESSION, evil, evil).of_user(evil));
    data.subscribe("chat_room");
    metadata.say(SESSION, evil).expect("V");
    data.chat();
    let connection = &mut metadata.connection;
    connection.send_lines([
        &format!("1c|{raw}|S|x"),
        &format!("{raw}|NSC"),
        &format!("{raw}|XYZ"),
        &raw,
        &format!("2c|GIS|S|{encoded}|S|{encoded} %zz{raw}|S|x"),
    ]);
    connection.expect_matching("an error", |line| {
        line.starts_with(&format!("{raw}|NSC|E|"))
    });
    connection.expect_matching("an error", |line| line.starts_with("2c|GIS|E|"));
    data.connection.send_lines([
        &format!("3c|SUB|S|{encoded}"),
        &format!("4c|SUB|S|{raw}"),
        &format!("5c|USB|S|{encoded}"),
    ]);
    data.connection.expect("3c|SUB|EU|No such item");
    data.connection.expect("4c|SUB|EU|No such item");
    data.connection.expect("5c|USB|V");
    connection.send_line(format!("0|CLOSE|S|reason|S|{encoded}"));
    connection.expect_closed();
    // Its init, too, may say anything.
    let mut connection = server.metadata.accept();
    connection.expect_rac();
    let version = format!("1.7{evil}");
    let init = Init::offering(Side::Metadata, &version)
        .of_instance(evil)
        .with(evil, evil);
    connection.send_line(init.line());
    connection.expect(&init.answer_line().expect("not a refusal"));
    let log = stop(adapter);
    for character in log.chars().filter(|c| *c != '\n') {
        assert!(!character.is_control(), "{character:?} in {log:?}");
        assert_ne!(character, '\u{202e}', "{log:?}");
    }
    assert!(
        log.lines().all(|line| !line.starts_with("INJECTED")),
        "{log}"
    );
}

#[test]
fn the_version_of_a_refused_init_is_escaped() {
    let (adapter, server) = start_adapter(&[]);
    let mut connection = server.data.accept();
    connection.expect_rac();
    // Not one of the versions of the table, but for what follows it; whatever the answer, the log
    // is clean.
    connection.send_line("1c|DPI|S|ARI.version|S|1.8.3%1B%5B31m%0AINJECTED");
    connection.expect_line();
    adapter.wait_for_log(&[" data ", "injected"]);
    let log = stop(adapter);
    assert!(!log.contains('\u{1b}'), "{log:?}");
    assert!(
        log.lines().all(|line| !line.starts_with("INJECTED")),
        "{log}"
    );
}

/// Starts an adapter in this environment, connects it, and yields its whole log.
fn log_with(arguments: &[&str], environment: Option<(&str, &str)>) -> String {
    let server = Server::start();
    let mut adapter = command().args(server.arguments()).args(arguments);
    if let Some((name, value)) = environment {
        adapter = adapter.env(name, value);
    }
    let adapter = adapter.start();
    let (mut metadata, mut data) = server.meet();
    metadata.open(&Session::new("S1", IP, AGENT));
    data.expect_silence();
    stop(adapter).to_lowercase()
}

#[test]
fn the_level_is_info_by_default() {
    let log = log_with(&[], None);
    assert!(log.contains("info"), "{log}");
    assert!(!log.contains("debug"), "{log}");
}

#[test]
fn the_level_is_set_by_the_flag() {
    let log = log_with(&["--log", "error"], None);
    assert!(!log.contains("info"), "{log}");
    assert_eq!(log_with(&["--log", "off"], None), "");
    let log = log_with(&["--log=trace"], None);
    assert!(log.contains("trace") && log.contains("debug"), "{log}");
}

#[test]
fn rust_log_works_where_the_flag_is_absent() {
    let log = log_with(&[], Some(("RUST_LOG", "debug")));
    assert!(log.contains("debug"), "{log}");
    assert!(!log.contains("trace"), "{log}");
    let log = log_with(&[], Some(("RUST_LOG", "error")));
    assert!(!log.contains("info"), "{log}");
    assert_eq!(log_with(&[], Some(("RUST_LOG", "off"))), "");
}

#[test]
fn rust_log_takes_the_levels_of_modules() {
    for modules in ["chat_adapter=debug", "warn,chat_adapter::server=debug"] {
        let log = log_with(&[], Some(("RUST_LOG", modules)));
        assert!(log.contains("debug"), "{log}");
        assert!(!log.contains("trace") && !log.contains("rust_log"), "{log}");
    }
}

#[test]
fn a_rust_log_that_is_no_level_is_named_and_passed_over() {
    let log = log_with(&[], Some(("RUST_LOG", "verbose")));
    assert!(
        log.contains("rust_log is verbose, which is no level"),
        "{log}"
    );
    assert!(log.contains("connecting"), "{log}");
    let log = log_with(&[], Some(("RUST_LOG", "")));
    assert!(log.contains("connecting"), "{log}");
    let log = log_with(&[], Some(("RUST_LOG", "error,chat_adapter=debug")));
    assert!(log.contains("connecting"), "{log}");
}

#[test]
fn a_time_zone_that_is_none_is_named_and_passed_over() {
    let log = log_with(&[], Some(("TZ", "Nowhere/Land\nforged")));
    let line = "warn  tz is nowhere/land\\nforged, which is no time zone: messages carry utc";
    assert!(log.contains(line), "{log}");
    assert!(log.contains("connecting"), "{log}");
    let log = log_with(&[], Some(("TZ", "CET-1CEST")));
    assert!(!log.contains("time zone"), "{log}");
}

#[test]
fn the_flag_wins_over_rust_log() {
    let log = log_with(&["--log", "info"], Some(("RUST_LOG", "trace")));
    assert!(log.contains("info"), "{log}");
    assert!(!log.contains("trace") && !log.contains("debug"), "{log}");
}

#[test]
fn nothing_is_written_to_stdout() {
    let server = Server::start();
    let adapter = command()
        .args(server.arguments())
        .args(["--log", "trace"])
        .start();
    let _connections = server.meet();
    adapter.signal("TERM");
    assert_eq!(adapter.wait().stdout, "");
}
