//! What a Proxy Data Adapter says, and what it should not.

use std::time::Duration;

use crate::garbage;
use crate::ledger::Connection;
use crate::random::Random;
use crate::requests::Due;
use crate::side::Part;
use crate::standin::{Init, Side};
use crate::talk::Talk;
use crate::world::{Play, Stage, World};

/// The data side.
#[derive(Debug)]
pub(crate) struct Data {
    /// The id of the subscription that was opened last and not closed.
    open: Option<String>,
}

/// The things it does.
#[derive(Clone, Copy)]
enum Act {
    Listen,
    Stall,
    Subscribe,
    Unsubscribe,
    Renew,
    Refused,
    Malformed,
    Garbage,
    TooLong,
}

const ACTS: [(usize, Act); 9] = [
    (50, Act::Listen),
    (4, Act::Stall),
    (30, Act::Subscribe),
    (4, Act::Unsubscribe),
    (4, Act::Renew),
    (5, Act::Refused),
    (5, Act::Malformed),
    (5, Act::Garbage),
    (1, Act::TooLong),
];

impl Data {
    /// Nothing is subscribed to.
    pub(crate) fn new() -> Self {
        Self { open: None }
    }

    fn subscription(&mut self, talk: &mut Talk<'_>) -> Vec<u8> {
        let id = talk.id();
        talk.world.ledger().subscribing(talk.connection, &id);
        self.open = Some(id.clone());
        talk.request_under(&id, "SUB", b"|S|chat_room", Due::Subscription(id.clone()))
    }

    fn unsubscription(&mut self, talk: &mut Talk<'_>) -> Vec<u8> {
        let due = match self.open.take() {
            Some(id) => {
                talk.world.ledger().unsubscribing();
                Due::Unsubscription(id)
            }
            None => Due::VOID,
        };
        talk.request("USB", b"|S|chat_room", due)
    }
}

impl Part for Data {
    const SIDE: Side = Side::Data;

    fn init(&mut self, random: &mut Random) -> Init {
        let init = Init::offering(Side::Data, random.pick(&["1.9.1", "1.9.1", "1.9.2", "2.0"]));
        init.with_hint(random.pick(&[8000, 1000, 0]))
    }

    fn begins(&mut self, world: &World) -> Play<Connection> {
        Ok(world.ledger().data_begins()?)
    }

    fn missed(&mut self, _unsure: bool) {}

    fn opened(&mut self, _talk: &mut Talk<'_>) -> Play<()> {
        Ok(())
    }

    fn act(&mut self, talk: &mut Talk<'_>, random: &mut Random) -> Play<()> {
        if talk.world.is_stormy() {
            let world = talk.world;
            return talk.stall_while(|| world.is_stormy());
        }
        let bytes = match random.weighted(&ACTS) {
            Act::Listen => return talk.listen(random.millis(0, 30)),
            Act::Stall => return talk.stall(random.millis(10, 700), b""),
            Act::Subscribe if self.open.is_none() => self.subscription(talk),
            Act::Subscribe => return talk.listen(random.millis(0, 10)),
            Act::Unsubscribe => self.unsubscription(talk),
            Act::Renew => {
                let first = self.unsubscription(talk);
                [first, self.subscription(talk)].concat()
            }
            Act::Refused if random.chance(50) => talk.request("USB", b"|S|other", Due::VOID),
            Act::Refused => talk.request("SUB", b"|S|other", Due::Error("EU")),
            Act::Malformed => {
                let method = random.pick(&["SUB", "USB"]);
                let arguments = garbage::malformed(random, method);
                talk.request(method, &arguments, Due::Error("E"))
            }
            Act::Garbage => garbage::unanswered(random),
            Act::TooLong => garbage::too_long(talk, "SUB"),
        };
        match random.chance(20) && bytes.len() < 20_000 {
            true => talk.send_torn(&bytes, random),
            false => talk.send(&bytes),
        }
    }

    fn ended(&mut self, world: &World, connection: Connection, in_order: bool) -> Play<()> {
        self.open = None;
        if in_order {
            world.ledger().data_gone(connection, true)?;
        }
        Ok(())
    }

    fn finale(&mut self, mut talk: Talk<'_>, _random: &mut Random) -> Play<()> {
        if self.open.is_none() {
            let bytes = self.subscription(&mut talk);
            talk.send(&bytes)?;
        }
        talk.listen_until("the subscription", |talk| talk.is_answered())?;
        talk.world.reached(Stage::Open);
        while talk.world.stage() < Stage::Ending {
            talk.listen(Duration::from_millis(20))?;
        }
        talk.listen_to_the_end()?;
        Ok(talk.world.ledger().data_gone(talk.connection, true)?)
    }
}
