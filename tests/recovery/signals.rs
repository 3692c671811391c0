//! Signals: ending in order, ending at once, telling the state, not ending.

use crate::files::Files;
use crate::setup::{AGENT, IP, SESSION, Setup, command, start_adapter};
use crate::slow_reader;
use crate::standin::{End, Server, Session, Side};
use std::io::{Read, Write};

#[test]
fn each_of_the_two_signals_ends_it_and_both_connections_properly() {
    for signal in ["TERM", "INT"] {
        let mut setup = Setup::in_room();
        setup.metadata.say(SESSION, "before the end").unwrap();
        setup.adapter.signal(signal);
        assert_eq!(setup.data.chat().message, "before the end");
        assert!(matches!(setup.data.connection.expect_closed(), End::Closed));
        assert!(matches!(
            setup.metadata.connection.expect_closed(),
            End::Closed
        ));
        assert_eq!(setup.adapter.wait().code(), 0);
    }
}

#[test]
fn it_ends_while_it_waits_for_a_server_that_is_away() {
    let (adapter, mut server) = start_adapter(&[]);
    server.metadata.close();
    server.data.close();
    adapter.wait_for_log(&["metadata", "next try"]);
    adapter.wait_for_log(&[" data ", "next try"]);
    adapter.signal("TERM");
    assert_eq!(adapter.wait().code(), 0);
}

#[test]
fn a_second_signal_ends_it_though_a_proxy_does_not_read() {
    let mut setup = Setup::in_room();
    let filler = "x".repeat(64 << 10);
    while setup.metadata.say(SESSION, &filler).is_ok() {}
    setup.adapter.signal("TERM");
    setup.adapter.wait_for_log(&["ending"]);
    setup.adapter.signal("TERM");
    let exit = setup.adapter.wait();
    assert_eq!(exit.code(), 0);
    // What is logged after the second signal does not count.
    assert!(!exit.to_string().contains("unwritten"), "{exit}");
}

/// A Proxy that takes nothing, and perhaps sends a line, when the end comes.
#[track_caller]
fn losses_are_counted(sends: Option<&str>) {
    let mut setup = Setup::in_room();
    let filler = "x".repeat(64 << 10);
    while setup.metadata.say(SESSION, &filler).is_ok() {}
    if let Some(line) = sends {
        setup.data.connection.send_line(line);
    }
    setup.adapter.signal("TERM");
    let exit = setup.adapter.wait();
    assert_eq!(exit.code(), 0);
    let logged = "messages that were answered with success are lost";
    assert!(exit.to_string().contains(logged), "{exit}");
    let end = "ended with messages unwritten: a Proxy did not take them";
    assert!(exit.stderr.trim_end().ends_with(end), "{exit}");
}

#[test]
fn what_a_proxy_did_not_take_by_the_end_is_counted() {
    losses_are_counted(None);
}

#[test]
fn it_is_counted_though_the_proxy_that_takes_nothing_says_something() {
    // Its reply comes behind updates that do not leave.
    losses_are_counted(Some("2c|SUB|S|else"));
}

#[test]
fn it_ends_though_a_metadata_proxy_asks_on_and_never_reads() {
    let Setup {
        adapter, metadata, ..
    } = Setup::new();
    let (mut asking, _unread) = metadata.connection.split();
    std::thread::scope(|scope| {
        // Its replies are more than fits between the two, and then the adapter reads no more.
        let question = "1c|GIS|S|#|S|chat_room|S|S1\r\n".repeat(1000);
        scope.spawn(move || while asking.try_send(question.as_bytes()).is_ok() {});
        for nth in 1.. {
            adapter.signal("USR1");
            let line = adapter.wait_for_log_nth(&["relayed"], nth);
            let (queued, _) = line.split_once(" bytes queued").expect("the state");
            let (_, queued) = queued.rsplit_once(' ').expect("the state");
            if queued.parse::<usize>().expect("a number") > 1 << 20 {
                break;
            }
        }
        adapter.signal("TERM");
        assert_eq!(adapter.wait().code(), 0);
    });
}

#[test]
fn what_was_written_and_never_arrived_is_told_of() {
    let (adapter, mut metadata, _data) = slow_reader::accept_into_small_buffers();
    metadata.open(&Session::new(SESSION, IP, AGENT));
    let long = "x".repeat(500);
    for n in 0..30 {
        metadata.say(SESSION, &format!("{n} {long}")).unwrap();
    }
    adapter.signal("TERM");
    let exit = adapter.wait();
    assert_eq!(exit.code(), 0);
    let logged = "the Proxy did not take all that was written in time";
    let mut lines = exit.stderr.lines();
    assert!(
        lines.any(|line| line.contains("data") && line.contains(logged)),
        "{exit}"
    );
}

#[test]
fn replies_arrive_though_the_proxy_goes_on_asking_while_it_ends() {
    let mut setup = Setup::in_room();
    let question = "1c|GIS|S|#|S|chat_room|S|S1\r\n".repeat(1000);
    setup.metadata.connection.send(&question);
    setup.metadata.connection.expect("1c|GIS|S|chat_room");
    let Setup {
        adapter, metadata, ..
    } = setup;
    let (mut asking, mut answers) = metadata.connection.split();
    std::thread::scope(|scope| {
        // It asks on until the connection is gone, as a server does that has not noticed.
        scope.spawn(move || while asking.try_send(question.as_bytes()).is_ok() {});
        adapter.signal("TERM");
        // Whole lines to the very end, and then an end: no reset in the middle of a reply.
        while let Ok(line) = answers.next_line() {
            assert_eq!(line, "1c|GIS|S|chat_room");
        }
    });
    assert_eq!(adapter.wait().code(), 0);
}

#[test]
fn every_success_that_was_written_is_received_though_messages_go_on_coming() {
    let Setup {
        adapter,
        mut metadata,
        mut data,
        ..
    } = Setup::in_room();
    let mut messages = (0..).map(|n| format!("{n}|NUM|S|#|S|{SESSION}|S|CHAT%7C{n}\r\n"));
    let mut lines = move || messages.by_ref().take(1000).collect::<String>();
    metadata.connection.send(lines());
    let (mut asking, mut answers) = metadata.connection.split();
    // The first answer shows that it is in the middle of things.
    assert_eq!(answers.next_line().unwrap(), "0|NUM|V");
    std::thread::scope(|scope| {
        scope.spawn(move || while asking.try_send(lines()).is_ok() {});
        adapter.signal("TERM");
        let mut accepted = vec!["0".to_owned()];
        while let Ok(line) = answers.next_line() {
            match line.strip_suffix("|NUM|V") {
                Some(number) => accepted.push(number.to_owned()),
                // The data connection may end first.
                None => assert!(line.contains("|NUM|EN|"), "{line}"),
            }
        }
        let received = data.connection.expect_last_lines();
        let received = received.iter().filter_map(|line| {
            let (_, text) = line.split_once("|S|message|S|")?;
            Some(text.split_once('|')?.0.to_owned())
        });
        assert_eq!(received.collect::<Vec<_>>(), accepted);
    });
    assert_eq!(adapter.wait().code(), 0);
}

#[test]
fn every_success_is_received_though_the_data_proxy_sends_something_before_it_reads() {
    let (adapter, mut metadata, mut data) = slow_reader::accept_into_small_buffers();
    metadata.open(&Session::new(SESSION, IP, AGENT));
    // Too much for the Proxy's system as long as nobody reads, and not too much for this one.
    let long = "x".repeat(500);
    for n in 0..30 {
        metadata.say(SESSION, &format!("{n} {long}")).unwrap();
    }
    adapter.signal("TERM");
    metadata.connection.expect_closed();
    adapter.wait_for_log(&["unsubscribed by the loss"]);
    // What comes to a socket that is shut in both directions has TCP drop all that is unread; so
    // this goes on from before it is until after.
    for n in 0..2000 {
        let _ = data.write_all(format!("{n}c|SUB|S|else\r\n").as_bytes());
    }
    let mut received = Vec::new();
    let _ = data.read_to_end(&mut received); // a reset may follow what was read
    let received = String::from_utf8(received).unwrap();
    for n in 0..30 {
        assert!(
            received.contains(&format!("|S|message|S|{n} {long}|")),
            "{n}"
        );
    }
    assert_eq!(adapter.wait().code(), 0);
}

#[test]
fn a_proxy_that_ends_its_own_half_gets_every_reply() {
    let Setup {
        adapter: _adapter,
        metadata,
        ..
    } = Setup::new();
    let question = "1c|GIS|S|#|S|chat_room|S|S1\r\n".repeat(40_000);
    let (mut asking, mut answers) = metadata.connection.split();
    asking.try_send(question.as_bytes()).expect("a connection");
    asking.end();
    for _ in 0..40_000 {
        let line = answers.next_line().expect("a reply");
        assert_eq!(line, "1c|GIS|S|chat_room");
    }
}

#[test]
fn hangup_and_broken_pipe_do_not_end_it() {
    let mut setup = Setup::in_room();
    setup.adapter.signal("HUP");
    setup.adapter.wait_for_log(&["reloaded"]);
    setup.adapter.signal("PIPE");
    setup.metadata.say(SESSION, "still here").unwrap();
    assert_eq!(setup.data.chat().message, "still here");
    assert!(setup.adapter.is_running());
}

#[test]
fn a_refusal_is_judged_by_the_credentials_that_its_own_connection_has_sent() {
    let files = Files::new();
    let set = |user: &str, password: &str| {
        files.write("chat-adapter.user", user);
        files.write("chat-adapter.password", password);
    };
    set("olga", "open-sesame");
    let server = Server::start();
    let adapter = command()
        .args(server.arguments())
        .env("CREDENTIALS_DIRECTORY", files.directory())
        .start();
    let [mut metadata, data] = [Side::Metadata, Side::Data].map(|side| {
        let mut connection = server.listener(side).accept();
        let sent = Some(("olga".to_owned(), "open-sesame".to_owned()));
        assert_eq!(connection.expect_rac().credentials, sent);
        connection
    });
    set("nina", "shut-barley");
    adapter.signal("HUP");
    adapter.wait_for_log(&["reloaded"]);
    metadata.send_line("0|CLOSE|S|reason|S|open-sesame+is+wrong");
    metadata.expect_closed();
    let reason = "(a reason that quotes the password)";
    adapter.wait_for_log(&["warn", " metadata ", "\"olga\"", reason]);
    data.close();
    adapter.wait_for_log(&["warn", " data ", "\"olga\"", "without a word"]);
    let log = adapter.log();
    assert!(!log.contains("open-sesame"), "{log}");
    assert!(!log.contains("nina"), "{log}");
}

#[test]
fn the_state_is_one_line() {
    let mut setup = Setup::in_room();
    setup.metadata.open(&Session::new("S2", IP, AGENT));
    setup.metadata.say(SESSION, "one").unwrap();
    setup.metadata.say(SESSION, "two").unwrap();
    setup.metadata.say("S3", "from nobody").unwrap_err();
    // What a Proxy has read already may be counted as queued for a moment.
    let mut lines = (1..=1000).map(|nth| {
        setup.adapter.signal("USR1");
        setup.adapter.wait_for_log_nth(&["relayed"], nth)
    });
    let line = lines.find(|line| line.matches(" 0 bytes queued").count() == 2);
    let line = line.expect("empty queues");
    for part in [
        "metadata serving, ARI 1.9.1",
        "data serving, ARI 1.9.1",
        "0 reconnections",
        "2 sessions",
        "2 relayed",
        "1 refused",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
}
