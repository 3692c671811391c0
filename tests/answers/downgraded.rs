//! A metadata connection of ARI 1.8, form-encoded, beside a data connection of 1.9.1: texts change
//! their encoding on the way from one to the other.

use crate::setup::{SESSION, Setup, exchange, expect_error};
use crate::standin::{Encoding, Init, Session, Side};

/// All the ways to agree on 1.8.
const VERSIONS: [Option<&str>; 3] = [None, Some("1.8.2"), Some("1.8.3")];

#[test]
fn texts_and_labels_are_written_anew() {
    for version in VERSIONS {
        let mut setup = Setup::with_version(version);
        assert_eq!(setup.metadata.encoding, Encoding::Form);
        let subscription = setup.data.subscribe("chat_room");
        exchange(
            &mut setup.metadata.connection,
            &[
                (
                    "1c|NNS|S|#|S|S1|S|REMOTE_IP|S|2001%3Adb8%3A%3A7|S|USER_AGENT|S|\
                     Mozilla%2F5.0+%28X11%3B+%C3%A8%29",
                    "1c|NNS|V",
                ),
                (
                    "2c|NUM|S|#|S|S1|S|CHAT%7C50%25+%2B+a%7Cb+%C3%A8+%F0%9F%98%80%0D%0A",
                    "2c|NUM|V",
                ),
            ],
        );
        let line = setup.data.connection.expect_line();
        let wanted = format!(
            "|UD3|S|chat_room|S|{subscription}|B|0|S|IP|S|2001:db8::7|S|nick|S|\
             Mozilla/5.0 (X11; è)|S|message|S|50%25 %2B a%7Cb è 😀%0D%0A|S|timestamp|S|"
        );
        assert!(line.contains(&wanted), "{line}");
    }
}

#[test]
fn every_awkward_text_crosses() {
    let mut setup = Setup::with_version(Some("1.8.3"));
    setup.open_room();
    for text in [
        "#",
        "$",
        "%",
        "+",
        "|",
        " ",
        "  a  ",
        "\r\n",
        "\t",
        "\0",
        "è",
        "😀",
        "\u{200f}א",
        "~",
        "*",
        "-_.",
        "a+b c",
        "%41",
        "#$",
    ] {
        setup.metadata.say(SESSION, text).expect("V");
        assert_eq!(setup.data.chat().message, text);
        setup.metadata.open(&Session::new("S1", text, text));
        setup.metadata.say("S1", "hi").expect("V");
        let chat = setup.data.chat();
        assert_eq!((chat.ip.as_str(), chat.nick.as_str()), (text, text));
    }
}

#[test]
fn a_quarter_of_a_mebibyte_crosses() {
    let mut setup = Setup::with_version(Some("1.8.2"));
    setup.open_room();
    for unit in ["x", " ", "+", "è", "😀"] {
        let text = unit.repeat((256 << 10) / unit.len());
        setup.metadata.say(SESSION, &text).expect("V");
        assert!(setup.data.chat().message == text, "256 KiB of {unit:?}");
    }
}

#[test]
fn what_old_senders_leave_unescaped_is_read() {
    let mut setup = Setup::with_version(Some("1.8.3"));
    setup.open_room();
    for (sent, text) in [
        ("a b", "a b"),
        ("a b+c%20d", "a b c d"),
        ("~!()'/:;", "~!()'/:;"),
        ("%c3%a8", "è"),
        ("è", "è"),
    ] {
        exchange(
            &mut setup.metadata.connection,
            &[(
                &format!("2000c|NUM|S|#|S|{SESSION}|S|CHAT%7C{sent}"),
                "2000c|NUM|V",
            )],
        );
        assert_eq!(setup.data.chat().message, text);
    }
}

#[test]
fn errors_are_form_encoded() {
    for version in VERSIONS {
        let mut setup = Setup::with_version(version);
        exchange(
            &mut setup.metadata.connection,
            &[(
                "2000c|NUM|S|#|S|S1|S|CHAT%7Chi",
                "2000c|NUM|EN|Session+lost%21+Please+reload+the+browser+page%28s%29.",
            )],
        );
        let connection = &mut setup.metadata.connection;
        for (request, head) in [
            ("2000c|NUM|S|#|S|S1|S|#", "2000c|NUM|EN"),
            ("2000c|NUM|S|#|S|S1|S|hi", "2000c|NUM|EN"),
            ("2000c|GIS|S|#|S|+|S|S1", "2000c|GIS|EI"),
            ("2000c|GSC|S|#|S|g|S|#|S|S1", "2000c|GSC|ES"),
        ] {
            connection.send_line(request);
            expect_error(connection, head, Encoding::Form);
        }
    }
}

#[test]
fn every_method_is_answered() {
    for version in VERSIONS {
        exchange(
            &mut Setup::with_version(version).metadata.connection,
            &[
                (
                    "1c|NUS|S|u+1|S|p%7C|S|host|S|localhost%3A8080",
                    "1c|NUS|D|0.0|B|0",
                ),
                ("2c|NUA|S|#|S|#|S|CN%3Dx", "2c|NUA|D|0.0|B|0"),
                ("3c|NNS|S|#|S|S1|S|REMOTE_IP|S|%3A%3A1", "3c|NNS|V"),
                (
                    "4c|GIS|S|#|S|a++b%7C+%C3%A8|S|S1",
                    "4c|GIS|S|a|S|b%7C|S|%C3%A8",
                ),
                (
                    "5c|GSC|S|#|S|g|S|+IP+%2B+%7E|S|S1",
                    "5c|GSC|S|IP|S|%2B|S|%7E",
                ),
                (
                    "6c|GIT|S|chat_room|S|x",
                    "6c|GIT|I|30|D|0.0|M|D|I|0|D|0.0|M|RMDC",
                ),
                ("7c|GUI|S|#|S|chat_room", "7c|GUI|I|0|D|0.0|M|D"),
                ("8c|NNT|S|#|S|S1|I|1|M|D|S|g|S|s|I|1|I|1|S|#", "8c|NNT|V"),
                ("9c|NTC|S|S1|I|1|M|D|S|g|S|s|I|1|I|1|S|#", "9c|NTC|V"),
                ("ac|MDA|S|#|S|S1|P|A|S|app|S|token", "ac|MDA|V"),
                ("bc|MSA|S|#|S|S1|P|A|S|app|S|token", "bc|MSA|V"),
                ("cc|MDC|S|#|S|S1|P|A|S|app|S|old|S|new", "cc|MDC|V"),
                ("dc|NSC|S|S1", "dc|NSC|V"),
            ],
        );
    }
}

#[test]
fn a_session_known_by_one_encoding_is_known_by_the_other() {
    let mut setup = Setup::with_version(Some("1.8.3"));
    setup.data.subscribe("chat_room");
    setup.metadata.open(&Session::new("S è|1", "::1", "x y"));
    setup.metadata.connection.send_line("0|CLOSE");
    setup.metadata.connection.expect_closed();
    // The same Proxy comes back, and offers 1.9.1 now.
    let init = Init::new(Side::Metadata);
    let mut metadata = setup.server.meet_metadata(&init);
    assert_eq!(metadata.encoding, Encoding::Smart);
    metadata.say("S è|1", "hi").expect("V");
    let chat = setup.data.chat();
    assert_eq!((chat.ip.as_str(), chat.nick.as_str()), ("::1", "x y"));
}

#[test]
fn metadata_1_9_0_is_smart_beside_data_1_9_1() {
    let mut setup = Setup::with_version(Some("1.9.0"));
    setup.open_room();
    exchange(
        &mut setup.metadata.connection,
        &[(
            &format!("2000c|NUM|S|#|S|{SESSION}|S|CHAT%7Ca%7Cb %2B è "),
            "2000c|NUM|V",
        )],
    );
    assert_eq!(setup.data.chat().message, "a|b + è ");
}
