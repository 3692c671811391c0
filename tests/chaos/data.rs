//! What a Proxy Data Adapter sends, and what it should not.

use std::time::Duration;

use crate::garbage;
use crate::ledger::Connection;
use crate::proxy::Proxy;
use crate::random::Random;
use crate::requests::Due;
use crate::side::Behaviour;
use crate::standin::{Init, Side};
use crate::world::{Phase, Run, World};

/// The data side.
#[derive(Debug)]
pub(crate) struct Data {
    /// The id of the subscription that was opened last and not closed.
    open: Option<String>,
}

/// The things it does.
#[derive(Clone, Copy)]
enum Action {
    Read,
    Stall,
    Subscribe,
    Unsubscribe,
    Renew,
    Refused,
    Malformed,
    Garbage,
    TooLong,
}

const ACTIONS: [(usize, Action); 9] = [
    (50, Action::Read),
    (4, Action::Stall),
    (30, Action::Subscribe),
    (4, Action::Unsubscribe),
    (4, Action::Renew),
    (5, Action::Refused),
    (5, Action::Malformed),
    (5, Action::Garbage),
    (1, Action::TooLong),
];

impl Data {
    /// Nothing is subscribed to.
    pub(crate) fn new() -> Self {
        Self { open: None }
    }

    fn subscription(&mut self, proxy: &mut Proxy<'_>) -> Vec<u8> {
        let id = proxy.id();
        proxy.world.ledger().subscribing(proxy.connection, &id);
        self.open = Some(id.clone());
        proxy.request_under(&id, "SUB", b"|S|chat_room", Due::Subscription(id.clone()))
    }

    fn unsubscription(&mut self, proxy: &mut Proxy<'_>) -> Vec<u8> {
        let due = match self.open.take() {
            Some(id) => {
                proxy.world.ledger().unsubscribing();
                Due::Unsubscription(id)
            }
            None => Due::VOID,
        };
        proxy.request("USB", b"|S|chat_room", due)
    }
}

impl Behaviour for Data {
    const SIDE: Side = Side::Data;

    fn init(&mut self, random: &mut Random) -> Init {
        let init = Init::offering(Side::Data, random.pick(&["1.9.1", "1.9.1", "1.9.2", "2.0"]));
        init.with_hint(random.pick(&[8000, 1000, 0]))
    }

    fn begins(&mut self, world: &World) -> Run<Connection> {
        Ok(world.ledger().data_begins()?)
    }

    fn missed(&mut self, _unsure: bool) {}

    fn opened(&mut self, _talk: &mut Proxy<'_>) -> Run<()> {
        Ok(())
    }

    fn act(&mut self, proxy: &mut Proxy<'_>, random: &mut Random) -> Run<()> {
        if proxy.world.is_overloaded() {
            let world = proxy.world;
            return proxy.stall_while(|| world.is_overloaded());
        }
        let bytes = match random.weighted(&ACTIONS) {
            Action::Read => return proxy.read_for(random.millis(0, 30)),
            Action::Stall => return proxy.stall(random.millis(10, 700), b""),
            Action::Subscribe if self.open.is_none() => self.subscription(proxy),
            Action::Subscribe => return proxy.read_for(random.millis(0, 10)),
            Action::Unsubscribe => self.unsubscription(proxy),
            Action::Renew => {
                let first = self.unsubscription(proxy);
                [first, self.subscription(proxy)].concat()
            }
            Action::Refused if random.chance(50) => proxy.request("USB", b"|S|other", Due::VOID),
            Action::Refused => proxy.request("SUB", b"|S|other", Due::Error("EU")),
            Action::Malformed => {
                let method = random.pick(&["SUB", "USB"]);
                let arguments = garbage::malformed(random, method);
                proxy.request(method, &arguments, Due::Error("E"))
            }
            Action::Garbage => garbage::unanswered(random),
            Action::TooLong => garbage::too_long(proxy, "SUB"),
        };
        match random.chance(20) && bytes.len() < 20_000 {
            true => proxy.send_torn(&bytes, random),
            false => proxy.send(&bytes),
        }
    }

    fn ended(&mut self, world: &World, connection: Connection, in_order: bool) -> Run<()> {
        self.open = None;
        if in_order {
            world.ledger().data_gone(connection, true)?;
        }
        Ok(())
    }

    fn end_of_run(&mut self, mut proxy: Proxy<'_>, _random: &mut Random) -> Run<()> {
        if self.open.is_none() {
            let bytes = self.subscription(&mut proxy);
            proxy.send(&bytes)?;
        }
        proxy.read_until("the subscription", |proxy| proxy.is_answered())?;
        proxy.world.reached(Phase::Open);
        while proxy.world.phase() < Phase::Ending {
            proxy.read_for(Duration::from_millis(20))?;
        }
        proxy.read_to_the_end()?;
        Ok(proxy.world.ledger().data_gone(proxy.connection, true)?)
    }
}
