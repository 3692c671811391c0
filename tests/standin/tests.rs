//! The stand-in, tested against itself: a scripted Remote Adapter on a thread is the other side.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{self, JoinHandle};

use super::{
    Answer, Connection, DataProxy, Encoding, End, Event, Init, Listener, MetadataProxy, RemoteHost,
    Reply, Session, Side,
};

const RAC: &str = "1|RAC|S|enableClosePacket|S|true|S|SDK|S|Some+Adapter";

/// A Remote Adapter that sends one line, then answers each line it reads with the next of the
/// script.
fn adapter(to: SocketAddr, script: &[&str]) -> JoinHandle<Vec<String>> {
    let script: Vec<String> = script.iter().map(|&text| text.to_owned()).collect();
    thread::spawn(move || {
        let mut stream = TcpStream::connect(to).expect("the listener is open");
        let mut input = BufReader::new(stream.try_clone().expect("a descriptor"));
        let mut received = Vec::new();
        for text in script {
            stream.write_all(text.as_bytes()).expect("still connected");
            let mut line = String::new();
            input.read_line(&mut line).expect("still connected");
            received.push(line);
        }
        received
    })
}

fn connected(script: &[&str]) -> (Connection, JoinHandle<Vec<String>>) {
    let listener = Listener::bind("test");
    let adapter = adapter(listener.address(), script);
    (listener.accept(), adapter)
}

/// The message of the panic that the action must end in.
fn failure(action: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(action)).expect_err("a failure");
    panic.downcast_ref::<String>().expect("a message").clone()
}

#[test]
fn lines_are_read_however_they_come_and_keepalives_are_counted() {
    let (mut connection, adapter) = connected(&["a\r\nKEEPALIVE\r\nb\r\nKEEP", "ALIVE\r\nc\r\n"]);
    assert_eq!(connection.expect_line(), "a");
    assert_eq!(connection.keepalives(), 0);
    assert_eq!(connection.expect_line(), "b");
    assert_eq!(connection.keepalives(), 1);
    connection.send_line("go on");
    connection.expect_keepalive();
    connection.expect("c");
    connection.close();
    assert_eq!(adapter.join().expect("no panic"), ["go on\r\n", ""]);
}

#[test]
fn reading_in_chunks_of_one_byte_changes_nothing() {
    let (mut connection, _adapter) = connected(&["one\r\ntwo\r\n"]);
    connection.incoming().set_chunk(1);
    connection.expect("one");
    connection.expect("two");
}

#[test]
fn a_wrong_line_fails_with_both_lines_and_the_transcript() {
    let (mut connection, _adapter) = connected(&["first\r\nsecond\r\n"]);
    connection.expect("first");
    let message = failure(|| connection.expect("third"));
    assert!(message.contains("\"third\""), "{message}");
    assert!(message.contains("\"second\""), "{message}");
    assert!(message.contains("← first"), "{message}");
}

#[test]
fn a_line_feed_alone_is_not_good_enough_for_an_adapter() {
    let (mut connection, _adapter) = connected(&["first\n"]);
    assert!(failure(|| drop(connection.expect_line())).contains("CR LF"));
}

#[test]
fn a_line_cut_short_by_the_end_is_a_failure() {
    let (mut connection, adapter) = connected(&["whole\r\ncut"]);
    connection.expect("whole");
    connection.send_line("now go");
    adapter.join().expect("no panic");
    let message = failure(|| {
        connection.expect_closed();
    });
    assert!(message.contains("middle of a line"), "{message}");
}

#[test]
fn torn_and_cut_bytes_arrive_whole() {
    let (mut connection, adapter) = connected(&["go\r\n", "go\r\n"]);
    connection.expect("go");
    connection.send_torn("torn è\r\n");
    connection.expect("go");
    connection.send_cut("cut in three\r\n", &[3, 4]);
    assert_eq!(
        adapter.join().expect("no panic"),
        ["torn è\r\n", "cut in three\r\n"]
    );
    assert_eq!(connection.expect_closed(), End::Closed);
}

#[test]
fn an_abort_is_seen_as_a_reset() {
    let listener = Listener::bind("test");
    let mut client = TcpStream::connect(listener.address()).expect("the listener is open");
    listener.accept().abort();
    let error = client.read(&mut [0; 1]).expect_err("no orderly end");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn a_closed_listener_refuses_and_comes_back_on_its_port() {
    let mut listener = Listener::bind_closed("test");
    let address = listener.address();
    for _ in 0..3 {
        let error = TcpStream::connect(address).expect_err("nobody listens");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        listener.reopen();
        let _client = TcpStream::connect(address).expect("it is back");
        listener.accept().close();
        assert_eq!(listener.address(), address);
        listener.close();
    }
}

#[test]
fn the_halves_work_on_two_threads() {
    let (connection, adapter) = connected(&["hello\r\n"]);
    let (mut outgoing, mut incoming) = connection.split();
    let reader = thread::spawn(move || incoming.expect_line());
    assert_eq!(reader.join().expect("no panic"), "hello");
    outgoing.send_line("and you");
    assert_eq!(adapter.join().expect("no panic"), ["and you\r\n"]);
}

#[test]
fn a_rac_is_checked_to_the_letter() {
    let good = [
        (RAC, None),
        (
            "1|RAC|S|user|S|u+1|S|password|S|p%25|S|enableClosePacket|S|true|S|SDK|S|x",
            Some(("u 1".to_owned(), "p%".to_owned())),
        ),
    ];
    for (line, credentials) in good {
        let (mut connection, _adapter) = connected(&[&format!("{line}\r\n")]);
        assert_eq!(connection.expect_rac().credentials, credentials);
    }
    let bad = [
        "2|RAC|S|enableClosePacket|S|true|S|SDK|S|x",
        "1|RAC|S|SDK|S|x|S|enableClosePacket|S|true",
        "1|RAC|S|enableClosePacket|S|true|S|SDK|S|",
        "1|RAC|S|enableClosePacket|S|true|S|SDK|S|a b",
        "1|RAC|S|user|S|u|S|enableClosePacket|S|true|S|SDK|S|x",
        "1|RAC|S|enableClosePacket|S|true|S|SDK|S|x|S|more|S|y",
    ];
    for line in bad {
        let (mut connection, _adapter) = connected(&[&format!("{line}\r\n")]);
        failure(|| drop(connection.expect_rac()));
    }
}

#[test]
fn an_init_is_written_in_every_shape() {
    let metadata = |init: Init| init.line();
    assert_eq!(
        metadata(Init::bare(Side::Metadata)),
        "10000010c3e4d0462|MPI"
    );
    assert_eq!(
        metadata(Init::bare_with_pipe(Side::Metadata)),
        "10000010c3e4d0462|MPI|"
    );
    let init = Init::bare(Side::Data)
        .with("ARI.version", "1.8.2")
        .with("a b", "è")
        .with("ARI.version", "1.9.1");
    assert_eq!(
        init.line(),
        "10000010c3e4d0462|DPI|S|ARI.version|S|1.9.1|S|a+b|S|%C3%A8"
    );
    assert_eq!(
        init.reversed().line(),
        "10000010c3e4d0462|DPI|S|a+b|S|%C3%A8|S|ARI.version|S|1.9.1"
    );
}

#[test]
fn the_version_table_is_the_protocols() {
    let answer = |side, version| Init::offering(side, version).answer();
    let agreed = |version: &str| Answer::Version(version.to_owned());
    assert_eq!(Init::versionless(Side::Metadata).answer(), Answer::Void);
    assert_eq!(Init::versionless(Side::Data).answer(), Answer::Refused);
    for version in ["1.8.0", "1.8.1"] {
        assert_eq!(answer(Side::Metadata, version), Answer::Refused);
    }
    for version in ["1.8.2", "1.8.3", "1.9.0"] {
        assert_eq!(answer(Side::Metadata, version), agreed(version));
    }
    for version in ["1.8.4", "1.8.20", "1.8.x"] {
        assert_eq!(answer(Side::Metadata, version), agreed("1.8.3"));
        assert_eq!(
            Init::offering(Side::Metadata, version).encoding(),
            Encoding::Form
        );
        assert_eq!(answer(Side::Data, version), Answer::Refused);
    }
    for version in ["1.8.0", "1.8.1", "1.8.2", "1.8.3", "1.9.0"] {
        assert_eq!(answer(Side::Data, version), Answer::Refused);
    }
    for version in [
        "1.8", "1.80.1", "1.9.1", "1.9.2", "1.10.0", "2.0.0", "later",
    ] {
        assert_eq!(answer(Side::Metadata, version), agreed("1.9.1"));
        assert_eq!(answer(Side::Data, version), agreed("1.9.1"));
    }
    assert_eq!(
        Init::offering(Side::Metadata, "1.8.3").encoding(),
        Encoding::Form
    );
    assert_eq!(
        Init::offering(Side::Metadata, "1.9.0").encoding(),
        Encoding::Smart
    );
}

#[test]
fn replies_and_errors_are_taken_apart() {
    let error = |line, encoding| Reply::parse(line).expect("a reply").error(encoding);
    assert!(Reply::parse("1|NSC|V").expect("a reply").is_void());
    assert!(Reply::parse("nonsense").is_err());
    let found = error("1|NUM|EN|No+way%21", Encoding::Form)
        .expect("proper")
        .expect("an error");
    assert_eq!(
        (found.kind.as_str(), found.message.as_str()),
        ("EN", "No way!")
    );
    assert_eq!(error("1|GIS|S|EN", Encoding::Smart), Ok(None));
    assert!(error("1|NUM|EN|No+way", Encoding::Smart).is_err());
    assert!(error("1|NUM|EN|", Encoding::Smart).is_err());
    assert!(error("1|NUM|EN|a|b", Encoding::Smart).is_err());
    assert!(error("1|NUM|EC|a|-1|b", Encoding::Smart).is_ok());
}

#[test]
fn events_are_taken_apart_and_checked() {
    let parse = |line| Event::parse(line, Encoding::Smart);
    let line = "1732348805123|UD3|S|chat_room|S|1c|B|0|S|IP|S|192.0.2.7|S|nick|S|\
                Mozilla/5.0 (X11)|S|message|S|50%25 %2B a%7Cb|S|timestamp|S|09:00:05|S|\
                raw_timestamp|S|1732348805123";
    let Ok(Event::Update(update)) = parse(line) else {
        panic!("not an update: {line}");
    };
    assert_eq!(update.subscription, "1c");
    let chat = update.chat().expect("the chat's fields");
    assert_eq!(chat.message, "50% + a|b");
    assert_eq!(chat.nick, "Mozilla/5.0 (X11)");
    assert_eq!(chat.raw_timestamp, update.millis);
    assert!(matches!(
        parse("17|EOS|S|a|S|1"),
        Ok(Event::EndOfSnapshot { .. })
    ));
    assert!(matches!(parse("17|CLS|S|a|S|1"), Ok(Event::Clear { .. })));
    assert!(matches!(parse("17|FAL|E|broken"), Ok(Event::Failure(_))));
    assert!(matches!(parse("1c|SUB|V"), Ok(Event::Reply(_))));
    for bad in [
        "1c|EOS|S|a|S|1",
        "17|EOS|S|a",
        "17|EOS|S|a|S|#",
        "17|UD3|S|a|S|1|S|IP",
        "17|UD3|S|a|S|1|B|2|S|IP|S|x",
        "17|UD3|S|a|S|1|B|0|S|IP|S|%7c",
        "17|UD3|S|a|S|1|B|0|S|IP",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_metadata_proxy_takes_replies_in_any_order() {
    let (connection, adapter) = connected(&[
        "200000010c3e4d0462|NSC|V\r\n100000010c3e4d0462|NNS|V\r\n",
        "",
    ]);
    let mut proxy = MetadataProxy::new(connection, Encoding::Form);
    let first = proxy.send_open(&Session::new("S1", "::1", "a b"));
    let second = proxy.send("NSC", &[Some("S1")]);
    proxy.expect_void(&first);
    proxy.expect_void(&second);
    assert_eq!(
        adapter.join().expect("no panic"),
        [
            "100000010c3e4d0462|NNS|S|#|S|S1|S|REMOTE_IP|S|%3A%3A1|S|USER_AGENT|S|a+b\r\n",
            "200000010c3e4d0462|NSC|S|S1\r\n"
        ]
    );
}

#[test]
fn a_data_proxy_insists_that_the_snapshot_ends_before_the_reply() {
    let eos = "1732348800000|EOS|S|a|S|100000010c3e4d0462\r\n";
    let reply = "100000010c3e4d0462|SUB|V\r\n";
    let (connection, _adapter) = connected(&[&format!("{eos}{reply}")]);
    assert_eq!(
        DataProxy::new(connection, Encoding::Smart).subscribe("a"),
        "100000010c3e4d0462"
    );
    let (connection, _adapter) = connected(&[&format!("{reply}{eos}")]);
    failure(|| drop(DataProxy::new(connection, Encoding::Smart).subscribe("a")));
}

#[test]
fn a_data_proxy_takes_no_update_of_the_subscription_before() {
    let update = "1732348800000|UD3|S|a|S|1|B|0|S|x|S|y\r\n";
    let eos = "1732348800000|EOS|S|a|S|100000010c3e4d0462\r\n";
    let reply = "100000010c3e4d0462|SUB|V\r\n";
    let (connection, _adapter) = connected(&[&format!("{update}{eos}{reply}")]);
    failure(|| drop(DataProxy::new(connection, Encoding::Smart).subscribe("a")));
}

#[test]
fn a_proxy_with_a_remote_host_connects_and_waits_for_the_hello() {
    let ports = RemoteHost::new();
    let port = ports.caller(Side::Data);
    assert!(port.try_connect().is_err(), "nobody listens yet");
    let socket = std::net::TcpListener::bind(ports.address(Side::Data));
    let listener = socket.expect("a port that is held is free for the adapter");
    let from = std::net::Ipv4Addr::new(127, 0, 0, 2);
    let script = thread::spawn(move || {
        let (mut stream, peer) = listener.accept().expect("a Proxy");
        assert_eq!(peer.ip(), from);
        stream
            .write_all(format!("{RAC}\r\n").as_bytes())
            .expect("connected");
        let mut line = String::new();
        let mut input = BufReader::new(stream.try_clone().expect("a descriptor"));
        input.read_line(&mut line).expect("connected");
        assert_eq!(line, Init::new(Side::Data).line() + "\r\n");
        let answer = Init::new(Side::Data).answer_line().expect("no refusal");
        stream
            .write_all(format!("{answer}\r\n").as_bytes())
            .expect("connected");
        let _second = listener.accept().expect("a stranger");
    });
    port.clone().from(from).meet_data(&Init::new(Side::Data));
    assert_eq!(port.stranger(b"HELO\r\n"), b"");
    script.join().expect("no panic");
}
