//! The lines of a Proxy Metadata Adapter, entered where they are written.

use super::Metadata;
use crate::bulk;
use crate::garbage;
use crate::proxy::Proxy;
use crate::random::Random;
use crate::requests::Due;
use crate::sessions::string;

/// The things it does.
#[derive(Clone, Copy)]
pub(super) enum Action {
    Read,
    Stall,
    Open,
    Close,
    Send,
    Flood,
    Bulk,
    Echo,
    Refused,
    Ask,
    Malformed,
    Garbage,
    TooLong,
}

pub(super) const ACTIONS: [(usize, Action); 13] = [
    (30, Action::Read),
    (3, Action::Stall),
    (10, Action::Open),
    (6, Action::Close),
    (30, Action::Send),
    (8, Action::Flood),
    (1, Action::Bulk),
    (1, Action::Echo),
    (10, Action::Refused),
    (10, Action::Ask),
    (5, Action::Malformed),
    (5, Action::Garbage),
    (1, Action::TooLong),
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
    fn message(&self, proxy: &mut Proxy<'_>, random: &mut Random, text: &str) -> Vec<u8> {
        let number = proxy.world.ledger().number();
        self.numbered(proxy, random, number, &format!("{number} {text}"))
    }

    /// The same, and so long that some hundreds are more than fits anywhere.
    fn bulk(&self, proxy: &mut Proxy<'_>, random: &mut Random) -> Vec<u8> {
        let number = proxy.world.ledger().number();
        let text = bulk::text(number, random.between(4_000, 70_000));
        self.numbered(proxy, random, number, &text)
    }

    fn numbered(
        &self,
        proxy: &mut Proxy<'_>,
        random: &mut Random,
        number: u64,
        text: &str,
    ) -> Vec<u8> {
        let Some(client) = self.sessions.any(random) else {
            return Vec::new();
        };
        proxy
            .world
            .ledger()
            .sending(number, text, &client.ip, &client.nick);
        let arguments = message_arguments(proxy, &client.id, Some(&format!("CHAT|{text}")));
        proxy.request("NUM", arguments.as_bytes(), Due::Message(number))
    }

    /// A message that must be refused whatever else holds.
    fn refusal(&self, proxy: &mut Proxy<'_>, random: &mut Random) -> Vec<u8> {
        let text = format!("CHAT|{} never", proxy.world.ledger().number());
        let nobody = self.sessions.nobody(random);
        let client = self.sessions.any(random).map(|client| client.id.clone());
        let client = client.unwrap_or_else(|| nobody.clone());
        let (session, message) = match random.between(0, 5) {
            0 => (client, Some("CHAT|")),
            1 => (client, None),
            2 => (client, Some(&text[1..])),
            _ => (nobody, Some(text.as_str())),
        };
        let arguments = message_arguments(proxy, &session, message);
        proxy.request("NUM", arguments.as_bytes(), Due::Error("EN"))
    }

    /// A session opens, or closes where there are enough.
    pub(super) fn open(&mut self, proxy: &mut Proxy<'_>, random: &mut Random) -> Vec<u8> {
        if self.sessions.is_full() {
            return self.close(proxy, random);
        }
        let client = self.sessions.open(random);
        let (id, arguments) = (client.id.clone(), client.introduction(proxy.encoding));
        proxy.request("NNS", arguments.as_bytes(), Due::Session(id))
    }

    fn close(&mut self, proxy: &mut Proxy<'_>, random: &mut Random) -> Vec<u8> {
        let id = self.sessions.close_any(random);
        let id = id.unwrap_or_else(|| self.sessions.nobody(random));
        let arguments = string(proxy.encoding, Some(&id));
        proxy.request("NSC", arguments.as_bytes(), Due::VOID)
    }

    /// The lines of an action: none, where it only waits.
    pub(super) fn lines(
        &mut self,
        act: Action,
        proxy: &mut Proxy<'_>,
        random: &mut Random,
    ) -> Vec<u8> {
        let (count, longest) = match act {
            Action::Flood => (random.between(20, 800), 5),
            Action::Bulk => (random.between(5, 40), 0),
            Action::Echo => (random.between(5, 120), 0),
            Action::Open | Action::Close => (random.between(1, 12), 0),
            _ => (1, 60),
        };
        let mut bytes = Vec::new();
        for _ in 0..count {
            let line = match act {
                Action::Read | Action::Stall => break,
                Action::Open => self.open(proxy, random),
                Action::Close => self.close(proxy, random),
                Action::Send | Action::Flood => {
                    let text = random.text(longest);
                    self.message(proxy, random, &text)
                }
                Action::Bulk => self.bulk(proxy, random),
                Action::Echo => {
                    let name = "g".repeat(random.between(1000, 70_000));
                    let arguments = format!("|S|#|S|{name}|S|S1");
                    let answer = format!("S|{name}");
                    proxy.request("GIS", arguments.as_bytes(), Due::Exactly(answer.into()))
                }
                Action::Refused => self.refusal(proxy, random),
                Action::Ask => {
                    let (method, arguments, answer) = random.pick(&QUESTIONS);
                    proxy.request(method, arguments.as_bytes(), Due::Exactly(answer.into()))
                }
                Action::Malformed => {
                    let method = random.pick(&["NUM", "NNS", "NSC", "GIS", "GIT", "NUS", "MDA"]);
                    let arguments = garbage::malformed(random, method);
                    proxy.request(method, &arguments, Due::Error("E"))
                }
                Action::Garbage => garbage::unanswered(random),
                Action::TooLong => garbage::too_long(proxy, random.pick(&["NUM", "NNS", "GIT"])),
            };
            bytes.extend_from_slice(&line);
        }
        bytes
    }
}

/// The arguments of a message.
fn message_arguments(proxy: &Proxy<'_>, session: &str, message: Option<&str>) -> String {
    let head = [None, Some(session)].map(|text| string(proxy.encoding, text));
    let message = match message {
        // The encoder takes its time.
        Some(long) if long.len() > 1000 => format!("|S|{}", long.replace('|', "%7C")),
        other => string(proxy.encoding, other),
    };
    head.concat() + &message
}
