//! What a Proxy Metadata Adapter says, and what it should not.

mod lines;
mod storm;

use std::time::{Duration, Instant};

use self::lines::{ACTS, Act};
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

/// Once in so many acts there is a storm.
const STORM_IN: usize = 200;

impl Metadata {
    /// No session is open.
    pub(crate) fn new() -> Self {
        Self::default()
    }
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
