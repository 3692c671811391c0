//! What a Proxy Metadata Adapter says, and what it should not.

use std::fs;
use std::time::{Duration, Instant};

use crate::bulk;
use crate::garbage;
use crate::ledger::Connection;
use crate::random::Random;
use crate::requests::Due;
use crate::sessions::{Sessions, string};
use crate::side::Part;
use crate::standin::{Init, Side};
use crate::talk::{PROMPT, Talk};
use crate::world::{Halt, Play, Stage, World};

/// The metadata side.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    sessions: Sessions,
    connections: Connection,
    /// The name of the Proxy's instance; `None`: it has none.
    instance: Option<String>,
    instances: usize,
    /// The instance is not the one before.
    renewed: bool,
    /// The adapter may have met an instance that the Proxy does not remember.
    unsure: bool,
}

/// The things it does.
#[derive(Clone, Copy)]
enum Act {
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

const ACTS: [(usize, Act); 13] = [
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

/// How many bytes may wait in the adapter: its bound and a good deal more. A storm brings more than that, and once in so
/// many acts there is one.
const WAITING: usize = 10 << 20;
const STORM_IN: usize = 200;

/// How many bytes the system takes between the adapter and a server that does not read.
fn between() -> usize {
    let limits = fs::read_to_string("/proc/sys/net/ipv4/tcp_wmem").unwrap_or_default();
    let most = limits.split_whitespace().nth(2);
    most.and_then(|most| most.parse().ok()).unwrap_or(4 << 20)
}

/// Requests whose answers never change, with arguments that are the same in both encodings.
const QUESTIONS: [(&str, &str, &str); 11] = [
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
    ("NNT", "|S|#|S|S1|I|1|M|D", "V"),
    ("NTC", "|S|S1|I|1", "V"),
    ("MDA", "|S|#|P|A|S|x", "V"),
    ("MSA", "", "V"),
    ("MDC", "|V", "V"),
];

impl Metadata {
    /// No session is open.
    pub(crate) fn new() -> Self {
        Self::default()
    }

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

    /// More than fits anywhere, while the data side does not read.
    fn storm(&mut self, talk: &mut Talk<'_>, random: &mut Random) -> Play<()> {
        let world = talk.world;
        world.happened("metadata", "a storm");
        world.set_stormy(true);
        let outcome = self.blow(talk, random);
        world.set_stormy(false);
        outcome
    }

    fn blow(&mut self, talk: &mut Talk<'_>, random: &mut Random) -> Play<()> {
        let most = WAITING + between();
        let mut sent = 0;
        while sent < most + WAITING / 2 {
            let bytes = self.lines(Act::Bulk, talk, random);
            sent += bytes.len().max(most / 100); // nobody may be there to say anything
            talk.send(&bytes)?;
        }
        talk.listen_until("the storm", |talk| talk.is_answered())?;
        let promised = talk.world.ledger().promised();
        match promised > most {
            true => Err(Halt(format!("{promised} bytes are waiting"))),
            false => Ok(()),
        }
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

    fn open(&mut self, talk: &mut Talk<'_>, random: &mut Random) -> Vec<u8> {
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
    fn lines(&mut self, act: Act, talk: &mut Talk<'_>, random: &mut Random) -> Vec<u8> {
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

impl Part for Metadata {
    const SIDE: Side = Side::Metadata;

    fn init(&mut self, random: &mut Random) -> Init {
        let versions = ["1.9.1", "1.9.1", "1.9.0", "1.8.3", "1.8.2", "3.0"];
        let init = match random.chance(90) {
            true => Init::offering(Side::Metadata, random.pick(&versions)),
            false => Init::versionless(Side::Metadata),
        };
        self.renewed = self.unsure || self.instance.is_none() || random.chance(25);
        self.unsure = false;
        if self.renewed {
            self.instances += 1;
            self.instance = random
                .chance(80)
                .then(|| format!("proxy {}", self.instances));
        }
        match &self.instance {
            Some(instance) => init.of_instance(instance),
            None => init.without("proxy.instance_id"),
        }
    }

    fn begins(&mut self, _world: &World) -> Play<Connection> {
        self.connections += 1;
        Ok(self.connections - 1)
    }

    fn missed(&mut self, unsure: bool) {
        // A name the adapter has not met, or may not have: the next one is another.
        self.unsure = unsure || self.renewed;
    }

    fn opened(&mut self, talk: &mut Talk<'_>) -> Play<()> {
        if self.renewed {
            self.sessions.forget();
            return Ok(());
        }
        // A robust Proxy repeats what the adapter may not have heard.
        let closed = self.sessions.closed().map(|id| {
            let arguments = string(talk.encoding, Some(id));
            talk.request("NSC", arguments.as_bytes(), Due::VOID)
        });
        let mut bytes: Vec<u8> = closed.collect::<Vec<_>>().concat();
        for client in self.sessions.unheard() {
            let arguments = client.introduction(talk.encoding);
            let due = Due::Session(client.id.clone());
            bytes.extend(talk.request("NNS", arguments.as_bytes(), due));
        }
        talk.send(&bytes)
    }

    fn act(&mut self, talk: &mut Talk<'_>, random: &mut Random) -> Play<()> {
        for id in talk.opened.drain(..) {
            self.sessions.heard(&id);
        }
        if random.between(0, STORM_IN) == 0 {
            return self.storm(talk, random);
        }
        let act = random.weighted(&ACTS);
        let bytes = self.lines(act, talk, random);
        match act {
            Act::Listen => talk.listen(random.millis(0, 30)),
            Act::Stall => {
                let flood = random.pick(&[Act::Flood, Act::Echo, Act::Bulk]);
                let bytes = self.lines(flood, talk, random);
                talk.stall(random.millis(10, 600), &bytes)
            }
            _ if random.chance(20) && bytes.len() < 20_000 => talk.send_torn(&bytes, random),
            _ => talk.send(&bytes),
        }
    }

    fn ended(&mut self, world: &World, _connection: Connection, _in_order: bool) -> Play<()> {
        world.ledger().metadata_gone();
        Ok(())
    }

    fn finale(&mut self, mut talk: Talk<'_>, random: &mut Random) -> Play<()> {
        let world = talk.world;
        while world.stage() < Stage::Open {
            talk.listen(Duration::from_millis(10))?;
        }
        let bytes = self.open(&mut talk, random);
        talk.send(&bytes)?;
        // The first may be too many where much is waiting still.
        let first = world.ledger().number();
        let until = Instant::now() + PROMPT;
        while !world.ledger().has_arrived(first) {
            if Instant::now() > until {
                return Err(Halt("no message gets through".to_owned()));
            }
            let bytes = self.lines(Act::Say, &mut talk, random);
            talk.send(&bytes)?;
            talk.listen_until("an answer", |talk| talk.is_answered())?;
            talk.listen(Duration::from_millis(10))?;
        }
        let mut bytes = Vec::new();
        for _ in 0..100 {
            bytes.extend(self.lines(Act::Say, &mut talk, random));
        }
        talk.send(&bytes)?;
        talk.listen_until("the answers", |talk| talk.is_answered())?;
        talk.listen_until("the messages", |_| !world.ledger().has_debts())?;
        world.reached(Stage::Served);
        // The end comes in the midst of things.
        while !talk.has_ended() {
            let bytes = self.lines(Act::Flood, &mut talk, random);
            talk.send(&bytes)?;
        }
        world.ledger().metadata_gone();
        Ok(())
    }
}
