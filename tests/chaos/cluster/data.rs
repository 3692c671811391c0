//! A server's Proxy Data Adapter: it hears, leaves and comes back.

use std::time::{Duration, Instant};

use super::Cluster;
use super::door::Door;
use super::ledger::Connection;
use super::line::Line;
use crate::opening::Opening;
use crate::proxy::PROMPT;
use crate::random::Random;
use crate::standin::{Encoding, Event, Init, Side};
use crate::world::{Phase, Run};

/// One connection that serves.
struct Heard<'a> {
    cluster: &'a Cluster<'a>,
    line: Line<'a>,
    number: Connection,
    /// The id of the subscription that is open.
    open: Option<String>,
    asked: usize,
}

/// What an answer is due to.
enum Due {
    Subscription(String),
    Unsubscription,
}

impl Heard<'_> {
    /// Takes a line in; yields what it answers, if it is a reply.
    fn take(&mut self, line: &str) -> Run<Option<String>> {
        match Event::parse(line, Encoding::Smart)? {
            Event::Update(update) => self.cluster.ledger().arrived(self.number, &update)?,
            Event::EndOfSnapshot { subscription, .. } => {
                let mut ledger = self.cluster.ledger();
                ledger.end_of_snapshot(self.number, &subscription)?;
            }
            Event::Reply(reply) if reply.is_void() => return Ok(Some(reply.id)),
            other => return Err(self.line.fail(&format!("nobody asked for this: {other:?}"))),
        }
        Ok(None)
    }

    /// Takes in what comes within this time.
    fn hear(&mut self, time: Duration) -> Run<()> {
        let until = Instant::now() + time;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            if let Some(line) = self.line.next(left)? {
                self.take(&line)?;
            } else if let Some(in_order) = self.line.has_ended() {
                if self.cluster.world.phase() >= Phase::Served {
                    return Ok(()); // the adapter was told to end
                }
                return Err(self.line.fail(&format!("ended, in order: {in_order}")));
            }
        }
        Ok(())
    }

    /// Subscribes, or ends the subscription that there is.
    fn toggle(&mut self) -> Run<()> {
        self.asked += 1;
        let id = format!("{:x}d{:x}", self.asked, self.number);
        let (method, due) = match self.open.take() {
            None => {
                self.cluster.ledger().subscribing(self.number, &id);
                ("SUB", Due::Subscription(id.clone()))
            }
            Some(_) => {
                self.cluster.ledger().may_end(self.number);
                ("USB", Due::Unsubscription)
            }
        };
        self.line.send(&format!("{id}|{method}|S|chat_room\r\n"))?;
        let until = Instant::now() + PROMPT;
        loop {
            let line = self.line.due("a reply")?;
            if self.take(&line)?.is_some_and(|answered| answered == id) {
                break;
            }
            if Instant::now() > until {
                return Err(self.line.fail("no reply, and much else"));
            }
        }
        match due {
            Due::Subscription(id) => {
                self.cluster.ledger().subscribed(self.number, &id)?;
                self.open = Some(id);
            }
            Due::Unsubscription => self.cluster.ledger().ended(self.number),
        }
        Ok(())
    }

    /// Takes in what comes until the connection ends, however that is; whether in good order.
    fn read_to_the_end(&mut self) -> Run<bool> {
        for line in self.line.read_to_the_end()? {
            self.take(&line)?;
        }
        Ok(self.line.has_ended() == Some(true))
    }
}

/// Runs it from the beginning to the end.
pub(crate) fn run(
    cluster: &Cluster<'_>,
    server: usize,
    mut door: Door,
    mut random: Random,
) -> Run<()> {
    let (world, random) = (cluster.world, &mut random);
    let init = Init::new(Side::Data).of_instance(&format!("data {server}"));
    let mut old: Option<Heard<'_>> = None;
    loop {
        let stream = door.next(world)?;
        let was_calm = world.is_calm();
        let opening = match was_calm {
            true => Opening::Proper,
            false => Opening::draw(random, false),
        };
        let Some(wire) = opening.run(world, stream, &init, random)? else {
            door.ended(None);
            continue;
        };
        let number = {
            let mut ledger = cluster.ledger();
            if let Some(old) = &old {
                ledger.replaced(old.number);
            }
            ledger.data_begins()
        };
        if let Some(mut old) = old.take() {
            old.read_to_the_end()?;
        }
        let name = format!("data connection {number} of server {server}");
        let mut heard = Heard {
            cluster,
            line: Line::new(world, name.clone(), wire),
            number,
            open: None,
            asked: 0,
        };
        world.happened(&name, "serves");
        let since = Instant::now();
        let life = random.millis(50, 1500);
        while since.elapsed() < life && !world.is_calm() {
            match random.between(0, 20) {
                0 => world.wait(random.millis(10, 200))?,
                1 => heard.toggle()?,
                _ if heard.open.is_none() => heard.toggle()?,
                _ => heard.hear(random.millis(5, 60))?,
            }
        }
        if was_calm {
            return end_of_run(heard);
        }
        let fault = random.between(0, 4);
        world.happened(&name, &format!("fault {fault}"));
        cluster.ledger().may_end(number);
        match fault {
            // It connects again, and nobody has ended the old connection.
            0 | 1 if !door.is_called() => {
                old = Some(heard);
                continue;
            }
            0 | 1 => heard.line.reset(),
            2 => {
                heard.line.finish();
                heard.read_to_the_end()?;
            }
            _ => {
                heard.line.send("0|CLOSE|S|reason|S|chaos\r\n")?;
                match heard.read_to_the_end()? {
                    true => cluster.ledger().complete(number),
                    false => return Err(heard.line.fail("no orderly end after CLOSE")),
                }
            }
        }
        door.ended(Some(since.elapsed()));
    }
}

/// The room is open to the end.
fn end_of_run(mut heard: Heard<'_>) -> Run<()> {
    let cluster = heard.cluster;
    if heard.open.is_none() {
        heard.toggle()?;
    }
    cluster.is_in_room();
    while cluster.world.phase() < Phase::Served {
        heard.hear(Duration::from_millis(20))?;
    }
    match heard.read_to_the_end()? {
        true => cluster.ledger().complete(heard.number),
        false => return Err(heard.line.fail("no orderly end of the run")),
    }
    match cluster.ledger().has_all(heard.number) {
        true => Ok(()),
        false => Err(heard.line.fail("not all messages have come")),
    }
}
