//! The lines of a Proxy Metadata Adapter, entered where they are written.

use super::Metadata;
use crate::bulk;
use crate::garbage;
use crate::random::Random;
use crate::requests::Due;
use crate::sessions::string;
use crate::talk::Talk;

/// The things it does.
#[derive(Clone, Copy)]
pub(super) enum Act {
    Listen,
    Stall,
    Open,
    Close,
    Say,
    Flood,
    Bulk,
    Echo,
    Refused,
    Ask,
    Malformed,
    Garbage,
    TooLong,
}

pub(super) const ACTS: [(usize, Act); 13] = [
    (30, Act::Listen),
    (3, Act::Stall),
    (10, Act::Open),
    (6, Act::Close),
    (30, Act::Say),
    (8, Act::Flood),
    (1, Act::Bulk),
    (1, Act::Echo),
    (10, Act::Refused),
    (10, Act::Ask),
    (5, Act::Malformed),
    (5, Act::Garbage),
    (1, Act::TooLong),
];

/// Requests whose answers never change, with arguments that are the same in both encodings.
const QUESTIONS: [(&str, &str, &str); 13] = [
    ("NUS", "|S|#|S|secret|S|host|S|x", "D|0.0|B|0"),
    ("NUA", "|S|ann|S|#|S|cn", "D|0.0|B|0"),
    ("GIS", "|S|#|S|chat_room|S|S1", "S|chat_room"),
    (
        "GSC",
        "|S|#|S|chat_room|S|nick+message|S|S1",
        "S|nick|S|message",
    ),
    ("GIT", "|S|chat_room|S|x", "I|30|D|0.0|M|D|I|0|D|0.0|M|RMDC"),
    ("GUI", "|S|#|S|chat_room", "I|0|D|0.0|M|D"),
    ("GIT", "", ""),
    ("GUI", "|S|#", ""),
    ("NNT", "|S|#|S|S1|I|1|M|D", "V"),
    ("NTC", "|S|S1|I|1", "V"),
    ("MDA", "|S|#|P|A|S|x", "V"),
    ("MSA", "", "V"),
    ("MDC", "|V", "V"),
];

impl Metadata {
    /// A message of a session that is open.
    fn message(&self, talk: &mut Talk<'_>, random: &mut Random, text: &str) -> Vec<u8> {
        let number = talk.world.ledger().number();
        self.numbered(talk, random, number, &format!("{number} {text}"))
    }

    /// The same, and so long that some hundreds are more than fits anywhere.
    fn bulk(&self, talk: &mut Talk<'_>, random: &mut Random) -> Vec<u8> {
        let number = talk.world.ledger().number();
        let text = bulk::text(number, random.between(4_000, 70_000));
        self.numbered(talk, random, number, &text)
    }

    fn numbered(
        &self,
        talk: &mut Talk<'_>,
        random: &mut Random,
        number: u64,
        text: &str,
    ) -> Vec<u8> {
        let Some(client) = self.sessions.any(random) else {
            return Vec::new();
        };
        talk.world
            .ledger()
            .saying(number, text, &client.ip, &client.nick);
        let arguments = said(talk, &client.id, Some(&format!("CHAT|{text}")));
        talk.request("NUM", arguments.as_bytes(), Due::Message(number))
    }

    /// A message that must be refused whatever else holds.
    fn refusal(&self, talk: &mut Talk<'_>, random: &mut Random) -> Vec<u8> {
        let text = format!("CHAT|{} never", talk.world.ledger().number());
        let nobody = self.sessions.nobody(random);
        let client = self.sessions.any(random).map(|client| client.id.clone());
        let client = client.unwrap_or_else(|| nobody.clone());
        let (session, message) = match random.between(0, 5) {
            0 => (client, Some("CHAT|")),
            1 => (client, None),
            2 => (client, Some(&text[1..])),
            _ => (nobody, Some(text.as_str())),
        };
        let arguments = said(talk, &session, message);
        talk.request("NUM", arguments.as_bytes(), Due::Error("EN"))
    }

    /// A session opens, or closes where there are enough.
    pub(super) fn open(&mut self, talk: &mut Talk<'_>, random: &mut Random) -> Vec<u8> {
        if self.sessions.is_full() {
            return self.close(talk, random);
        }
        let client = self.sessions.open(random);
        let (id, arguments) = (client.id.clone(), client.introduction(talk.encoding));
        talk.request("NNS", arguments.as_bytes(), Due::Session(id))
    }

    fn close(&mut self, talk: &mut Talk<'_>, random: &mut Random) -> Vec<u8> {
        let id = self.sessions.close_any(random);
        let id = id.unwrap_or_else(|| self.sessions.nobody(random));
        let arguments = string(talk.encoding, Some(&id));
        talk.request("NSC", arguments.as_bytes(), Due::VOID)
    }

    /// What is said by the act, which is nothing where it only waits.
    pub(super) fn lines(&mut self, act: Act, talk: &mut Talk<'_>, random: &mut Random) -> Vec<u8> {
        let (count, longest) = match act {
            Act::Flood => (random.between(20, 800), 5),
            Act::Bulk => (random.between(5, 40), 0),
            Act::Echo => (random.between(5, 120), 0),
            Act::Open | Act::Close => (random.between(1, 12), 0),
            _ => (1, 60),
        };
        let mut bytes = Vec::new();
        for _ in 0..count {
            let line = match act {
                Act::Listen | Act::Stall => break,
                Act::Open => self.open(talk, random),
                Act::Close => self.close(talk, random),
                Act::Say | Act::Flood => {
                    let text = random.text(longest);
                    self.message(talk, random, &text)
                }
                Act::Bulk => self.bulk(talk, random),
                Act::Echo => {
                    let name = "g".repeat(random.between(1000, 70_000));
                    let arguments = format!("|S|#|S|{name}|S|S1");
                    let answer = format!("S|{name}");
                    talk.request("GIS", arguments.as_bytes(), Due::Exactly(answer.into()))
                }
                Act::Refused => self.refusal(talk, random),
                Act::Ask => {
                    let (method, arguments, answer) = random.pick(&QUESTIONS);
                    talk.request(method, arguments.as_bytes(), Due::Exactly(answer.into()))
                }
                Act::Malformed => {
                    let method = random.pick(&["NUM", "NNS", "NSC", "GIS", "GIT", "NUS", "MDA"]);
                    let arguments = garbage::malformed(random, method);
                    talk.request(method, &arguments, Due::Error("E"))
                }
                Act::Garbage => garbage::unanswered(random),
                Act::TooLong => garbage::too_long(talk, random.pick(&["NUM", "NNS", "GIT"])),
            };
            bytes.extend_from_slice(&line);
        }
        bytes
    }
}

/// The arguments of a message.
fn said(talk: &Talk<'_>, session: &str, message: Option<&str>) -> String {
    let head = [None, Some(session)].map(|text| string(talk.encoding, text));
    let message = match message {
        // The encoder takes its time.
        Some(long) if long.len() > 1000 => format!("|S|{}", long.replace('|', "%7C")),
        other => string(talk.encoding, other),
    };
    head.concat() + &message
}
