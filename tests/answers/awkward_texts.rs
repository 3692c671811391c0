//! Texts that break adapters, each carried byte for byte.

use crate::setup::{AGENT, IP, SESSION, Setup, exchange};
use crate::standin::{Session, decode};

/// Whatever one can type, paste or generate, and more.
const TEXTS: &[&str] = &[
    "#",
    "$",
    "%",
    "+",
    "|",
    "##",
    "$$",
    "#$",
    "%23",
    "%24",
    "%7C",
    "%%",
    "%+",
    "+ +",
    "a+b",
    "100%",
    "50% + a|b",
    " ",
    "   ",
    " a",
    "a   ",
    "\t",
    "\r",
    "\n",
    "\r\n",
    "one\r\ntwo\r\n",
    "\n\n",
    "\0",
    "a\0b",
    "\u{1}\u{7}\u{1b}[31mred\u{1b}[0m\u{7f}",
    "è",
    "e\u{300}",
    "日本語",
    "😀",
    "👩‍👩‍👧‍👦",
    "🏳️‍🌈",
    "\u{200f}مرحبا\u{200e}",
    "\u{202e}txet\u{202c}",
    "\u{feff}",
    "\u{feff}text",
    "\u{fffd}",
    "\u{2028}\u{2029}\u{85}",
    "\u{a0}\u{3000}",
    "\u{10ffff}",
    "<script>alert('&amp;')</script>",
    "\\n \" ' ` \\",
    "KEEPALIVE",
    "V",
    "1|NUM|V",
    "CHAT|",
    "null",
    "S|#|S|$",
];

#[test]
fn every_text_arrives_as_it_was_sent() {
    let mut setup = Setup::in_room();
    for text in TEXTS {
        setup.metadata.say(SESSION, text).expect("V");
        assert_eq!(setup.data.chat().message, *text);
    }
}

#[test]
fn every_text_may_be_a_user_agent_and_an_address() {
    let mut setup = Setup::new();
    setup.data.subscribe("chat_room");
    for text in TEXTS {
        setup.metadata.open(&Session::new("S1", text, text));
        setup.metadata.say("S1", "hi").expect("V");
        let chat = setup.data.chat();
        assert_eq!(chat.ip, *text);
        assert_eq!(chat.nick, *text);
    }
}

#[test]
fn every_text_may_be_a_user_name_and_a_session_id() {
    let mut setup = Setup::new();
    setup.data.subscribe("chat_room");
    for text in TEXTS {
        let session = Session::without_context(text).of_user(text);
        setup.metadata.open(&session);
        setup.metadata.say(text, "hi").expect("V");
        assert_eq!(setup.data.chat().nick, *text);
        setup.metadata.close_session(text);
        setup.metadata.say(text, "hi").expect_err("closed");
    }
}

#[test]
fn every_text_without_spaces_may_be_an_item() {
    let mut setup = Setup::new();
    for text in TEXTS.iter().filter(|text| !text.contains(' ')) {
        let reply = setup.metadata.ask("GIS", &[None, Some(text), Some("S1")]);
        let token = reply.result.strip_prefix("S|").expect("one item");
        let item = setup.metadata.encoding.read(token);
        assert_eq!(item, Ok(Some((*text).to_owned())));
    }
}

#[test]
fn every_text_at_once_is_carried() {
    let mut setup = Setup::in_room();
    let text = TEXTS.concat();
    setup.metadata.say(SESSION, &text).expect("V");
    assert_eq!(setup.data.chat().message, text);
}

#[test]
fn every_character_of_the_basic_plane_is_carried() {
    let mut setup = Setup::in_room();
    let all: Vec<char> = (1..=0xffff).filter_map(char::from_u32).collect();
    for part in all.chunks(4096) {
        let text: String = part.iter().collect();
        setup.metadata.say(SESSION, &text).expect("V");
        assert_eq!(setup.data.chat().message, text);
    }
}

#[test]
fn a_quarter_of_a_mebibyte_is_carried() {
    let mut setup = Setup::in_room();
    for unit in ["x", " ", "%", "|", "+", "\n", "è", "😀"] {
        let text = unit.repeat((256 << 10) / unit.len());
        assert_eq!(text.len(), 256 << 10);
        setup.metadata.say(SESSION, &text).expect("V");
        let chat = setup.data.chat();
        assert!(chat.message == text, "256 KiB of {unit:?}");
        assert_eq!((chat.ip.as_str(), chat.nick.as_str()), (IP, AGENT));
    }
}

#[test]
fn what_the_sender_escaped_oddly_is_written_properly() {
    let mut setup = Setup::in_room();
    // The token that follows `CHAT%7C`, and the token everybody receives.
    let tokens = [
        ("#", "%23"),
        ("$", "%24"),
        ("%23", "%23"),
        ("%24", "%24"),
        ("##", "##"),
        ("%23%24", "#$"),
        ("a+b", "a b"),
        ("a%20b", "a b"),
        ("a b", "a b"),
        ("+", " "),
        ("%2b", "%2B"),
        ("%2B", "%2B"),
        ("%7c", "%7C"),
        ("%0d%0a", "%0D%0A"),
        ("%41%42%43", "ABC"),
        ("%c3%a8", "è"),
        ("%C3%A8", "è"),
        ("%F0%9F%98%80", "😀"),
        ("è", "è"),
        ("%00", "\0"),
        ("%09", "\t"),
        ("\t", "\t"),
        ("\0", "\0"),
        ("%1B", "\u{1b}"),
        ("%25", "%25"),
        ("%2541", "%2541"),
        ("trailing  ", "trailing  "),
        ("trailing++", "trailing  "),
        ("a%7Cb", "a%7Cb"),
        ("~*'()!", "~*'()!"),
    ];
    for (sent, wanted) in tokens {
        exchange(
            &mut setup.metadata.connection,
            &[(
                &format!("2000c|NUM|S|#|S|{SESSION}|S|CHAT%7C{sent}"),
                "2000c|NUM|V",
            )],
        );
        let line = setup.data.connection.expect_line();
        let (_, rest) = line.split_once("|S|message|S|").expect("a message");
        let (token, _) = rest.split_once("|S|timestamp|S|").expect("a timestamp");
        assert_eq!(token, wanted, "sent as {sent:?}");
        assert_eq!(decode(token), decode(wanted));
    }
}

#[test]
fn the_prefix_may_be_escaped_oddly_too() {
    let mut setup = Setup::in_room();
    for token in ["CHAT%7chi", "%43HAT%7Chi", "%43%48%41%54%7C%68%69"] {
        exchange(
            &mut setup.metadata.connection,
            &[(
                &format!("2000c|NUM|S|#|S|{SESSION}|S|{token}"),
                "2000c|NUM|V",
            )],
        );
        assert_eq!(setup.data.chat().message, "hi");
    }
}

#[test]
fn labels_escaped_oddly_are_written_properly() {
    let mut setup = Setup::new();
    setup.data.subscribe("chat_room");
    for (sent, wanted) in [
        ("a+b", "a b"),
        ("%2b", "%2B"),
        ("%23", "%23"),
        ("%24", "%24"),
        ("%41", "A"),
        ("x%7cy", "x%7Cy"),
    ] {
        exchange(
            &mut setup.metadata.connection,
            &[
                (
                    &format!("1c|NNS|S|#|S|S1|S|REMOTE_IP|S|{sent}|S|USER_AGENT|S|{sent}"),
                    "1c|NNS|V",
                ),
                ("2c|NUM|S|#|S|S1|S|CHAT%7Chi", "2c|NUM|V"),
            ],
        );
        let line = setup.data.connection.expect_line();
        let labels = format!("|S|IP|S|{wanted}|S|nick|S|{wanted}|S|message|S|hi|");
        assert!(line.contains(&labels), "{line}");
    }
}
