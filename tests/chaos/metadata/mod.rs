//! What a Proxy Metadata Adapter sends, and what it should not.

mod lines;
mod overload;

use std::time::{Duration, Instant};

use self::lines::{ACTIONS, Action};
use crate::ledger::Connection;
use crate::proxy::{PROMPT, Proxy};
use crate::random::Random;
use crate::requests::Due;
use crate::sessions::{Sessions, string};
use crate::side::Behaviour;
use crate::standin::{Init, Side};
use crate::world::{Halt, Phase, Run, World};

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

/// Once in so many actions there is overload.
const OVERLOAD_IN: usize = 200;

impl Metadata {
    /// No session is open.
    pub(crate) fn new() -> Self {
        Self::default()
    }
}

impl Behaviour for Metadata {
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

    fn begins(&mut self, _world: &World) -> Run<Connection> {
        self.connections += 1;
        Ok(self.connections - 1)
    }

    fn missed(&mut self, unsure: bool) {
        // A name the adapter has not met, or may not have: the next one is another.
        self.unsure = unsure || self.renewed;
    }

    fn opened(&mut self, proxy: &mut Proxy<'_>) -> Run<()> {
        if self.renewed {
            self.sessions.forget();
            return Ok(());
        }
        // A robust Proxy repeats what the adapter may not know.
        let closed = self.sessions.closed().map(|id| {
            let arguments = string(proxy.encoding, Some(id));
            proxy.request("NSC", arguments.as_bytes(), Due::VOID)
        });
        let mut bytes: Vec<u8> = closed.collect::<Vec<_>>().concat();
        for client in self.sessions.unknown() {
            let arguments = client.introduction(proxy.encoding);
            let due = Due::Session(client.id.clone());
            bytes.extend(proxy.request("NNS", arguments.as_bytes(), due));
        }
        proxy.send(&bytes)
    }

    fn act(&mut self, proxy: &mut Proxy<'_>, random: &mut Random) -> Run<()> {
        for id in proxy.opened.drain(..) {
            self.sessions.set_known(&id);
        }
        if random.between(0, OVERLOAD_IN) == 0 {
            return self.overload(proxy, random);
        }
        let act = random.weighted(&ACTIONS);
        let bytes = self.lines(act, proxy, random);
        match act {
            Action::Read => proxy.read_for(random.millis(0, 30)),
            Action::Stall => {
                let flood = random.pick(&[Action::Flood, Action::Echo, Action::Bulk]);
                let bytes = self.lines(flood, proxy, random);
                proxy.stall(random.millis(10, 600), &bytes)
            }
            _ if random.chance(20) && bytes.len() < 20_000 => proxy.send_torn(&bytes, random),
            _ => proxy.send(&bytes),
        }
    }

    fn ended(&mut self, world: &World, _connection: Connection, _in_order: bool) -> Run<()> {
        world.ledger().metadata_gone();
        Ok(())
    }

    fn end_of_run(&mut self, mut proxy: Proxy<'_>, random: &mut Random) -> Run<()> {
        let world = proxy.world;
        while world.phase() < Phase::Open {
            proxy.read_for(Duration::from_millis(10))?;
        }
        let bytes = self.open(&mut proxy, random);
        proxy.send(&bytes)?;
        // The first may be too many where much is queued still.
        let first = world.ledger().number();
        let until = Instant::now() + PROMPT;
        while !world.ledger().has_arrived(first) {
            if Instant::now() > until {
                return Err(Halt("no message gets through".to_owned()));
            }
            let bytes = self.lines(Action::Send, &mut proxy, random);
            proxy.send(&bytes)?;
            proxy.read_until("an answer", |proxy| proxy.is_answered())?;
            proxy.read_for(Duration::from_millis(10))?;
        }
        let mut bytes = Vec::new();
        for _ in 0..100 {
            bytes.extend(self.lines(Action::Send, &mut proxy, random));
        }
        proxy.send(&bytes)?;
        proxy.read_until("the answers", |proxy| proxy.is_answered())?;
        proxy.read_until("the messages", |_| !world.ledger().has_debts())?;
        world.reached(Phase::Served);
        // The end comes in the midst of things.
        while !proxy.has_ended() {
            let bytes = self.lines(Action::Flood, &mut proxy, random);
            proxy.send(&bytes)?;
        }
        world.ledger().metadata_gone();
        Ok(())
    }
}
