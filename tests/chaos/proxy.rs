//! One connection that is being served: what the Proxy sends and reads on it, and where that is entered.

use std::time::{Duration, Instant};

use crate::bulk;
use crate::ledger::Connection;
use crate::random::Random;
use crate::requests::{Due, Outcome, Requests};
use crate::standin::{Encoding, Event, Side};
use crate::wire::{End, Wire};
use crate::world::{Halt, Phase, Run, World};

/// How long one wait for the socket may be, so that the end of the run is noticed.
const TICK: Duration = Duration::from_millis(50);

/// How long the adapter may take for what it can do at once.
pub(crate) const PROMPT: Duration = Duration::from_secs(15);

/// One connection, after its handshake.
pub(crate) struct Proxy<'a> {
    /// Where everything is entered.
    pub(crate) world: &'a World,
    side: Side,
    wire: Wire,
    /// How strings are written.
    pub(crate) encoding: Encoding,
    requests: Requests,
    /// The ledger's number for it, on the data side.
    pub(crate) connection: Connection,
    /// Sessions that the adapter knows, not taken from here yet.
    pub(crate) opened: Vec<String>,
    ids: String,
    asked: u64,
    since: Instant,
    /// The adapter is entitled to end it.
    may_end: bool,
}

impl<'a> Proxy<'a> {
    /// Takes over after a handshake. `number` tells it from all others of its side.
    pub(crate) fn new(
        world: &'a World,
        side: Side,
        wire: Wire,
        encoding: Encoding,
        number: Connection,
    ) -> Self {
        Self {
            world,
            side,
            wire,
            encoding,
            requests: Requests::new(encoding),
            connection: number,
            opened: Vec::new(),
            ids: format!("{number:x}00000010c3e4d0462"),
            asked: 0,
            since: Instant::now(),
            may_end: false,
        }
    }

    /// For how long it has served.
    pub(crate) fn served(&self) -> Duration {
        self.since.elapsed()
    }

    /// The id of the next request.
    pub(crate) fn id(&mut self) -> String {
        self.asked += 1;
        format!("{:x}i{}", self.asked, self.ids)
    }

    /// Enters a request and yields its line. The arguments begin with a pipe, or are none.
    pub(crate) fn request(&mut self, method: &'static str, arguments: &[u8], due: Due) -> Vec<u8> {
        let id = self.id();
        self.request_under(&id, method, arguments, due)
    }

    /// The same under an id of [`Proxy::id`].
    pub(crate) fn request_under(
        &mut self,
        id: &str,
        method: &'static str,
        arguments: &[u8],
        due: Due,
    ) -> Vec<u8> {
        self.requests.asked(id, method, due);
        [id.as_bytes(), b"|", method.as_bytes(), arguments, b"\r\n"].concat()
    }

    /// Sends all of this, and takes in what comes meanwhile.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Run<()> {
        let mut rest = bytes;
        let until = Instant::now() + PROMPT;
        while !rest.is_empty() {
            self.transfer(&mut rest, true, TICK)?;
            if Instant::now() > until {
                return Err(self.fail("the adapter does not read".to_owned()));
            }
        }
        Ok(())
    }

    /// The same in pieces that end anywhere.
    pub(crate) fn send_torn(&mut self, bytes: &[u8], random: &mut Random) -> Run<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let most = rest.len().min(random.between(1, 2000));
            let (piece, later) = rest.split_at(random.between(1, most + 1));
            self.send(piece)?;
            rest = later;
        }
        Ok(())
    }

    /// Reads nothing for so long; what goes out of this meanwhile is sent. Then it reads again, and sends the rest.
    pub(crate) fn stall(&mut self, time: Duration, bytes: &[u8]) -> Run<()> {
        let mut rest = bytes;
        let until = Instant::now() + time;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            match rest.is_empty() {
                true => self.world.wait(left)?,
                false => self.transfer(&mut rest, false, left.min(TICK))?,
            }
        }
        let rest = rest.to_vec();
        self.send(&rest)
    }

    /// Reads nothing while something holds.
    pub(crate) fn stall_while(&mut self, mut holds: impl FnMut() -> bool) -> Run<()> {
        while holds() {
            self.world.wait(Duration::from_millis(5))?;
        }
        Ok(())
    }

    /// Takes in what comes within this time.
    pub(crate) fn read_for(&mut self, time: Duration) -> Run<()> {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            self.transfer(&mut &[][..], true, left.min(TICK))?;
            if left.is_zero() || self.has_ended() {
                return Ok(());
            }
        }
    }

    /// Takes in what comes until something holds, which must be soon.
    pub(crate) fn read_until(
        &mut self,
        what: &str,
        mut holds: impl FnMut(&mut Self) -> bool,
    ) -> Run<()> {
        let until = Instant::now() + PROMPT;
        while !holds(self) {
            if Instant::now() > until {
                return Err(self.fail(format!("{what}: not within {PROMPT:?}")));
            }
            if self.has_ended() {
                return Err(self.fail(format!("{what}: the connection ended before")));
            }
            self.transfer(&mut &[][..], true, TICK)?;
        }
        Ok(())
    }

    /// Whether every request has its reply.
    pub(crate) fn is_answered(&self) -> bool {
        self.requests.open() == 0
    }

    fn transfer(&mut self, rest: &mut &[u8], reads: bool, time: Duration) -> Run<()> {
        self.world.wait(Duration::ZERO)?;
        let transferred = self.wire.transfer(rest, reads, time);
        transferred.map_err(|violation| self.fail(violation))?;
        while let Some(line) = self.wire.line() {
            let received = self.receive(&line);
            received.map_err(|violation| self.fail(format!("{violation}\n  in: {line:.1000}")))?;
        }
        if self.has_ended() {
            *rest = &[];
            let is_entitled = self.may_end || self.world.phase() >= Phase::Ending;
            if !is_entitled {
                return Err(self.fail("the adapter ended the connection unasked".to_owned()));
            }
        }
        Ok(())
    }

    fn receive(&mut self, line: &str) -> Result<(), String> {
        let event = match bulk::update(line) {
            Some(update) => Event::Update(update?),
            None => Event::parse(line, self.encoding)?,
        };
        let world = self.world;
        match event {
            Event::Reply(reply) => {
                let outcome = self.requests.answered(&reply)?;
                match outcome {
                    Outcome::Plain => Ok(()),
                    Outcome::Opened(session) => {
                        self.opened.push(session);
                        Ok(())
                    }
                    Outcome::Granted(number) => world.ledger().granted(number),
                    Outcome::Refused(number) => world.ledger().refused(number),
                    Outcome::Subscribed(id) => world.ledger().subscribed(&id),
                    Outcome::Unsubscribed(id) => world.ledger().unsubscribed(&id),
                }
            }
            _ if self.side == Side::Metadata => {
                Err("an event on the metadata connection".to_owned())
            }
            Event::Update(update) => world.ledger().arrived(self.connection, &update),
            Event::EndOfSnapshot { item, subscription } if item == "chat_room" => world
                .ledger()
                .end_of_snapshot(self.connection, &subscription),
            other => Err(format!("nobody asked for this: {other:?}")),
        }
    }

    /// From now on the adapter may end the connection, and nothing is sure of what it does for it.
    pub(crate) fn allow_end(&mut self) {
        self.may_end = true;
        if self.side == Side::Data {
            self.world.ledger().data_may_end();
        }
    }

    /// Whether the adapter has ended it.
    pub(crate) fn has_ended(&self) -> bool {
        self.wire.end().is_some()
    }

    /// Takes in what comes until the adapter ends the connection, which it must do in good order: everything that was
    /// asked is answered before.
    pub(crate) fn read_to_the_end(&mut self) -> Run<()> {
        self.read_until("the end of the connection", |proxy| proxy.has_ended())?;
        if self.wire.end() != Some(End::Orderly) || self.wire.is_torn() {
            return Err(self.fail("a reset, or half a line, where an end was due".to_owned()));
        }
        if !self.is_answered() {
            let (count, one) = (self.requests.open(), self.requests.example());
            return Err(self.fail(format!(
                "{count} requests were never answered, such as {one}"
            )));
        }
        Ok(())
    }

    /// Takes in what comes until the connection is over, however it ends.
    pub(crate) fn read_to_any_end(&mut self) -> Run<()> {
        self.read_until("the end of the connection", |proxy| proxy.has_ended())
    }

    /// Sends nothing more.
    pub(crate) fn finish(&self) {
        self.wire.finish();
    }

    /// Breaks the connection.
    pub(crate) fn reset(self) {
        self.wire.reset();
    }

    fn fail(&self, violation: String) -> Halt {
        Halt(format!(
            "{:?} connection {}: {violation}",
            self.side, self.connection
        ))
    }
}
