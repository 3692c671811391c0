//! A server's Proxy Metadata Adapter: sessions that open and close, and what they say.

use std::time::Instant;

use super::Cluster;
use super::door::Door;
use super::ledger::{Connection, Number};
use super::line::Line;
use crate::opening::Opening;
use crate::random::Random;
use crate::sessions::string;
use crate::standin::{Encoding, Init, Reply, Side};
use crate::world::{Phase, Run};

/// So many messages each server sends when all is calm.
const AT_LAST: usize = 100;

/// The versions that it speaks, connection by connection.
const VERSIONS: [&str; 4] = ["1.9.1", "1.9.0", "1.8.3", "1.9.2"];

/// One connection that serves.
struct Talk<'a> {
    cluster: &'a Cluster<'a>,
    line: Line<'a>,
    number: Connection,
    encoding: Encoding,
    asked: usize,
}

impl Talk<'_> {
    /// Writes a request; yields its id, and the line.
    fn request(&mut self, method: &str, arguments: &[Option<&str>]) -> (String, String) {
        self.asked += 1;
        let id = format!("{:x}m{:x}", self.asked, self.number);
        let mut line = format!("{id}|{method}");
        for argument in arguments {
            line += &string(self.encoding, *argument);
        }
        (id, line + "\r\n")
    }

    /// Sends a request that must have success.
    fn ask(&mut self, method: &str, arguments: &[Option<&str>]) -> Run<()> {
        let (id, line) = self.request(method, arguments);
        self.line.send(&line)?;
        let line = self.line.due("a reply")?;
        match Reply::parse(&line)? {
            reply if reply.id == id && reply.is_void() => Ok(()),
            other => Err(self.line.fail(&format!("{method} was answered {other:?}"))),
        }
    }

    /// Writes messages of these sessions: their ids, their numbers, and the lines.
    fn messages(
        &mut self,
        sessions: &[String],
        count: usize,
        random: &mut Random,
    ) -> (Vec<(String, Number)>, String) {
        let (mut due, mut lines) = (Vec::new(), String::new());
        for _ in 0..count {
            let session = &sessions[random.between(0, sessions.len())];
            let text = random.text(30);
            let (number, text) = {
                let mut ledger = self.cluster.ledger();
                ledger.sending(self.number, &agent(session), &text)
            };
            let message = format!("CHAT|{text}");
            let (id, line) = self.request("NUM", &[None, Some(session), Some(&message)]);
            due.push((id, number));
            lines += &line;
        }
        (due, lines)
    }

    /// Their answers, which come in order.
    fn answers(&mut self, due: Vec<(String, Number)>) -> Run<()> {
        for (id, number) in due {
            let line = self.line.due("an answer")?;
            let reply = Reply::parse(&line)?;
            let error = reply.error(self.encoding)?;
            match error {
                _ if reply.id != id || reply.method != "NUM" => {
                    return Err(self
                        .line
                        .fail(&format!("not the answer to {id}: {reply:?}")));
                }
                None if reply.is_void() => self.cluster.ledger().granted(number),
                Some(error) if error.message.starts_with("Nobody is subscribed") => {
                    self.cluster.ledger().refused(number)?;
                }
                _ => {
                    let what = format!("message {number} was answered {reply:?}");
                    return Err(self.line.fail(&what));
                }
            }
        }
        Ok(())
    }

    /// Opens a session.
    fn open(&mut self, id: &str) -> Run<()> {
        let agent = agent(id);
        let context = [Some("USER_AGENT"), Some(&*agent)];
        self.ask("NNS", &[&[None, Some(id)][..], &context].concat())
    }
}

fn agent(session: &str) -> String {
    format!("Browser of {session}")
}

/// Runs it from the beginning to the end.
pub(crate) fn run(
    cluster: &Cluster<'_>,
    server: usize,
    mut door: Door,
    mut random: Random,
) -> Run<()> {
    let (world, random) = (cluster.world, &mut random);
    // The same on all servers: a session is known where it was opened.
    let ids: Vec<_> = (0..6).map(|n| format!("S{n}")).collect();
    let mut open: Vec<String> = Vec::new();
    let mut instance = 0;
    let mut old: Option<Talk<'_>> = None;
    loop {
        let stream = door.next(world)?;
        let was_calm = world.is_calm();
        let opening = match was_calm {
            true => Opening::Proper,
            false => Opening::draw(random, false),
        };
        let init = Init::offering(Side::Metadata, random.pick(&VERSIONS));
        let init = init.of_instance(&format!("metadata {server}, {instance}"));
        let Some(wire) = opening.run(world, stream, &init, random)? else {
            door.ended(None);
            continue;
        };
        if let Some(mut old) = old.take() {
            cluster.ledger().metadata_gone(old.number);
            old.line.read_to_the_end()?;
        }
        let number = cluster.ledger().metadata_begins();
        let name = format!("metadata connection {number} of server {server}");
        let mut talk = Talk {
            cluster,
            line: Line::new(world, name.clone(), wire),
            number,
            encoding: init.encoding(),
            asked: 0,
        };
        world.happened(&name, &format!("serves: {}", init.line()));
        let since = Instant::now();
        let life = random.millis(50, 1500);
        while since.elapsed() < life && !world.is_calm() {
            match random.between(0, 12) {
                0 if !open.is_empty() => {
                    let id = open.swap_remove(random.between(0, open.len()));
                    talk.ask("NSC", &[Some(&id)])?;
                }
                1 => world.wait(random.millis(1, 100))?,
                _ if open.is_empty() || random.chance(5) => {
                    let id = &ids[random.between(0, ids.len())];
                    if !open.contains(id) {
                        talk.open(id)?;
                        open.push(id.clone());
                    }
                }
                _ => {
                    let count = random.between(1, 9);
                    let (due, lines) = talk.messages(&open, count, random);
                    talk.line.send(&lines)?;
                    talk.answers(due)?;
                }
            }
        }
        if was_calm {
            return end_of_run(talk, &mut open, random);
        }
        let fault = random.between(0, 4);
        world.happened(&name, &format!("fault {fault}"));
        if !open.is_empty() && random.chance(50) {
            // Nobody will know what becomes of these.
            let (_, lines) = talk.messages(&open, 5, random);
            talk.line.send(&lines)?;
        }
        match fault {
            0 | 1 if !door.is_called() => {
                old = Some(talk);
                continue;
            }
            0 | 1 => talk.line.reset(),
            2 => {
                talk.line.finish();
                talk.line.read_to_the_end()?;
            }
            // The server was restarted.
            _ => {
                talk.line.reset();
                instance += 1;
                open.clear();
            }
        }
        cluster.ledger().metadata_gone(number);
        door.ended(Some(since.elapsed()));
    }
}

/// All that is said now must come on every server.
fn end_of_run(mut talk: Talk<'_>, open: &mut Vec<String>, random: &mut Random) -> Run<()> {
    let cluster = talk.cluster;
    if open.is_empty() {
        talk.open("S at last")?;
        open.push("S at last".to_owned());
    }
    while cluster.world.phase() < Phase::Open {
        cluster.world.wait(std::time::Duration::from_millis(10))?;
    }
    for _ in 0..AT_LAST / 10 {
        let (due, lines) = talk.messages(open, 10, random);
        talk.line.send(&lines)?;
        talk.answers(due)?;
    }
    cluster.has_served();
    talk.line.read_to_the_end()?;
    cluster.ledger().metadata_gone(talk.number);
    Ok(())
}
