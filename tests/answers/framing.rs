//! Lines as TCP delivers them: either line end, cut anywhere, many at once, long, blank, and a byte
//! order mark.

use std::thread;

use crate::setup::{AGENT, IP, SESSION, Setup, exchange, start_adapter};
use crate::standin::{Init, Session, Side};

#[test]
fn lines_may_end_in_lf_or_in_cr_lf() {
    let (_adapter, server) = start_adapter(&[]);
    let mut connection = server.metadata.accept();
    connection.expect_rac();
    let init = Init::new(Side::Metadata);
    connection.send(format!(
        "{}\n2000c|NSC|S|S1\n3000c|NSC|S|S1\r\n4000c|NSC|S|S1\n",
        init.line()
    ));
    connection.expect(&init.answer_line().expect("not a refusal"));
    for id in ["2000c", "3000c", "4000c"] {
        connection.expect(&format!("{id}|NSC|V"));
    }
}

#[test]
fn a_line_feed_is_no_part_of_the_last_argument() {
    let mut setup = Setup::new();
    let connection = &mut setup.metadata.connection;
    connection.send("2000c|GIS|S|#|S|one\r|S|S1\r\n3000c|GSC|S|#|S|g|S|two|S|S1\n");
    // A carriage return that ends no line is a character like any other.
    connection.expect("2000c|GIS|S|one%0D");
    connection.expect("3000c|GSC|S|two");
}

#[test]
fn a_whole_exchange_torn_into_single_bytes() {
    let (_adapter, server) = start_adapter(&[]);
    let mut metadata = server.metadata.accept();
    let mut data = server.data.accept();
    metadata.expect_rac();
    data.expect_rac();
    let inits = [Init::new(Side::Metadata), Init::new(Side::Data)];
    metadata.send_torn(format!("{}\r\n", inits[0].line()));
    metadata.expect(&inits[0].answer_line().expect("not a refusal"));
    data.send_torn(format!("{}\r\n", inits[1].line()));
    data.expect(&inits[1].answer_line().expect("not a refusal"));

    metadata.send_torn("2000c|NNS|S|#|S|S1|S|REMOTE_IP|S|::1|S|USER_AGENT|S|è 😀\r\n");
    metadata.expect("2000c|NNS|V");
    data.send_torn("2000c|SUB|S|chat_room\n");
    data.expect_matching("EOS", |line| line.ends_with("|EOS|S|chat_room|S|2000c"));
    data.expect("2000c|SUB|V");
    metadata.send_torn("3000c|NUM|S|#|S|S1|S|CHAT%7Cun caffè 😀 %2B\r\n");
    metadata.expect("3000c|NUM|V");
    data.expect_matching("the message", |line| {
        line.contains("|S|nick|S|è 😀|S|message|S|un caffè 😀 %2B|S|timestamp|")
    });
}

#[test]
fn lines_cut_in_awkward_places() {
    let mut setup = Setup::in_room();
    let line = format!("2000c|NUM|S|#|S|{SESSION}|S|CHAT%7Cè%25\r\n");
    let length = line.len();
    let accent = line.find('è').expect("it is there");
    let cuts: [&[usize]; 8] = [
        &[length - 1], // between CR and LF
        &[length - 2], // before CR
        &[accent + 1], // inside a character
        &[length - 3], // inside an escape
        &[length - 4], // after its %
        &[5, 6],       // around a pipe
        &[1, accent, length - 1],
        &[],
    ];
    for positions in cuts {
        setup.metadata.connection.send_cut(&line, positions);
        setup.metadata.connection.expect("2000c|NUM|V");
        assert_eq!(setup.data.chat().message, "è%");
    }
}

#[test]
fn a_read_that_ends_within_a_line_serves_the_lines_before_it() {
    let mut setup = Setup::new();
    let connection = &mut setup.metadata.connection;
    connection.send("2000c|NSC|S|S1\r\n3000c|NSC|S|S2\r\n4000c|NS");
    connection.expect("2000c|NSC|V");
    connection.expect("3000c|NSC|V");
    connection.send("C|S|S3\r\n");
    connection.expect("4000c|NSC|V");
}

#[test]
fn two_thousand_requests_in_one_write_get_two_thousand_answers() {
    let mut setup = Setup::new();
    let kinds = [
        ("NUS|S|u|S|p|S|host|S|h", "NUS|D|0.0|B|0"),
        ("NNS|S|#|S|S1|S|REMOTE_IP|S|::1", "NNS|V"),
        ("GIS|S|#|S|chat_room|S|S1", "GIS|S|chat_room"),
        ("GIT|S|chat_room", "GIT|I|30|D|0.0|M|D"),
        ("NSC|S|S1", "NSC|V"),
    ];
    let script: Vec<_> = (0..2000)
        .map(|n| {
            let (request, answer) = kinds[n % kinds.len()];
            (format!("{n}c|{request}"), format!("{n}c|{answer}"))
        })
        .collect();
    let requests: Vec<&str> = script.iter().map(|(request, _)| request.as_str()).collect();
    setup.metadata.connection.send_lines(requests);
    let mut got: Vec<String> = (0..2000)
        .map(|_| setup.metadata.connection.expect_line())
        .collect();
    // Replies may come in any order.
    let mut wanted: Vec<&str> = script.iter().map(|(_, answer)| answer.as_str()).collect();
    got.sort();
    wanted.sort();
    assert_eq!(got, wanted);
}

#[test]
fn two_thousand_messages_in_one_write_all_arrive_in_order() {
    let mut setup = Setup::in_room();
    let (ids, lines): (Vec<_>, Vec<_>) = (0..2000)
        .map(|n| {
            let text = format!("CHAT|message {n}");
            setup
                .metadata
                .compose("NUM", &[None, Some(SESSION), Some(&text)])
        })
        .unzip();
    let Setup {
        mut metadata,
        mut data,
        ..
    } = setup;
    let reader = thread::spawn(move || {
        for n in 0..2000 {
            assert_eq!(data.chat().message, format!("message {n}"));
        }
        data.expect_silence();
    });
    metadata.connection.send_lines(lines);
    for id in ids {
        metadata.expect_void(&id);
    }
    reader.join().expect("every message in order");
    drop(setup.adapter);
}

#[test]
fn a_byte_order_mark_may_open_the_stream_of_each_connection() {
    let (_adapter, server) = start_adapter(&[]);
    for side in [Side::Metadata, Side::Data] {
        for _ in 0..2 {
            let mut connection = server.listener(side).accept();
            connection.expect_rac();
            let init = Init::new(side);
            connection.send(format!("\u{feff}{}\r\n", init.line()));
            connection.expect(&init.answer_line().expect("not a refusal"));
        }
    }
}

#[test]
fn a_byte_order_mark_may_come_in_pieces_before_anything_else() {
    for cuts in [&[1][..], &[1, 2, 3], &[3]] {
        let (_adapter, server) = start_adapter(&[]);
        let mut connection = server.metadata.accept();
        connection.send_cut("\u{feff}", &[1, 2]);
        connection.expect_rac();
        let init = Init::new(Side::Metadata);
        connection.send_cut(format!("{}\n", init.line()), cuts);
        connection.expect(&init.answer_line().expect("not a refusal"));
    }
}

#[test]
fn blank_lines_are_skipped() {
    let (_adapter, server) = start_adapter(&[]);
    let mut connection = server.metadata.accept();
    connection.expect_rac();
    let init = Init::new(Side::Metadata);
    connection.send(format!(
        "\r\n\n\r\n{}\r\n\r\n\n\n2000c|NSC|S|S1\n\r\n",
        init.line()
    ));
    connection.expect(&init.answer_line().expect("not a refusal"));
    connection.expect("2000c|NSC|V");
    exchange(&mut connection, &[("3000c|NSC|S|S1", "3000c|NSC|V")]);
}

#[test]
fn a_blank_line_right_after_the_byte_order_mark() {
    let (_adapter, server) = start_adapter(&[]);
    let mut connection = server.data.accept();
    connection.expect_rac();
    let init = Init::new(Side::Data);
    connection.send(format!("\u{feff}\r\n{}\r\n", init.line()));
    connection.expect(&init.answer_line().expect("not a refusal"));
}

#[test]
fn request_ids_are_copied_and_never_read() {
    let mut setup = Setup::new();
    for id in [
        "0",
        "1",
        "-",
        "a b",
        "è😀",
        "%zz",
        "+",
        "#",
        "$",
        "99999999999999999999999",
    ] {
        exchange(
            &mut setup.metadata.connection,
            &[(&format!("{id}|NSC|S|S1"), &format!("{id}|NSC|V"))],
        );
    }
    let long = "x".repeat(10_000);
    exchange(
        &mut setup.metadata.connection,
        &[(&format!("{long}|NSC|S|S1"), &format!("{long}|NSC|V"))],
    );
}

#[test]
fn the_same_id_twice_is_answered_twice() {
    let mut setup = Setup::new();
    let session = Session::new(SESSION, IP, AGENT);
    setup.metadata.open(&session);
    setup
        .metadata
        .connection
        .send("5c|NSC|S|S1\r\n5c|NSC|S|S1\r\n");
    setup.metadata.connection.expect("5c|NSC|V");
    setup.metadata.connection.expect("5c|NSC|V");
}
