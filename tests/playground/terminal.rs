//! A chat client without a browser: what is typed is sent, what arrives is printed. It comes in by the same door as any
//! other client and knows of the server only what TLCP tells.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, BufRead, IsTerminal};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::protocol::{Role, WebSocket};
use tungstenite::{Message, client};

use crate::client::Half;
use crate::show::print;
use crate::tlcp::{self, SUBPROTOCOL};
use crate::{ADAPTER_SET, DATA_ADAPTER};

const FIELDS: [&str; 4] = ["message", "IP", "nick", "timestamp"];

/// What the client says it is, and is called in the room.
const NICK: &str = "playground terminal";

/// How long to wait before the next try to connect.
const PAUSE: Duration = Duration::from_secs(1);

/// How long after the end of the input everything said must have come back.
const PATIENCE: Duration = Duration::from_secs(10);

/// What clients are told of sessions that the adapter has forgotten.
const SESSION_LOST: &str = "Session lost!";

enum Event {
    Typed(String),
    InputEnded,
    /// From the connection of this number.
    Frame(u64, String),
    Gone(u64),
}

/// The client.
struct Terminal<'a> {
    port: u16,
    /// Whether what is typed can be seen already where everything is printed.
    is_echoed: bool,
    /// Whether the playground is about to end, so that nobody need be told of what breaks off.
    is_ending: &'a AtomicBool,
    events: Receiver<Event>,
    to_self: Sender<Event>,
    connection: Option<WebSocket<Half>>,
    /// How many connections there have been.
    connections: u64,
    /// Whether the room is open to this client.
    is_ready: bool,
    values: [Option<String>; FIELDS.len()],
    /// What is to be said once the room is open.
    queue: VecDeque<String>,
    sent: BTreeMap<u64, String>,
    last_number: u64,
    /// What was said and has not come back yet.
    unseen: Vec<String>,
    /// What was said last of having no connection.
    complaint: String,
}

/// Chats until the input ends and everything said has come back.
pub(crate) fn run(port: u16, is_ending: &AtomicBool) -> Result<(), String> {
    let (to_self, events) = unbounded();
    let typed = to_self.clone();
    let reader = thread::Builder::new().name("terminal-input".to_owned());
    let reader = reader.spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if typed.send(Event::Typed(line)).is_err() {
                return;
            }
        }
        let _ = typed.send(Event::InputEnded); // nobody there: nobody to tell
    });
    reader.map_err(|error| format!("terminal: no thread: {error}"))?;
    let is_echoed = io::stdin().is_terminal() && io::stdout().is_terminal();
    Terminal::new(port, is_echoed, is_ending, events, to_self).chat()
}

impl<'a> Terminal<'a> {
    fn new(
        port: u16,
        is_echoed: bool,
        is_ending: &'a AtomicBool,
        events: Receiver<Event>,
        to_self: Sender<Event>,
    ) -> Self {
        Self {
            port,
            is_echoed,
            is_ending,
            events,
            to_self,
            connection: None,
            connections: 0,
            is_ready: false,
            values: Default::default(),
            queue: VecDeque::new(),
            sent: BTreeMap::new(),
            last_number: 0,
            unseen: Vec::new(),
            complaint: String::new(),
        }
    }

    fn chat(&mut self) -> Result<(), String> {
        let mut end = None;
        let mut next_try = Instant::now();
        loop {
            if self.connection.is_none() && next_try <= Instant::now() {
                next_try = Instant::now() + PAUSE;
                let is_ending = self.is_ending.load(Ordering::SeqCst);
                if !is_ending && let Err(problem) = self.connect() {
                    self.complain(&problem);
                }
            }
            let is_done = self.queue.is_empty() && self.sent.is_empty() && self.unseen.is_empty();
            let until = match (end, self.connection.is_some()) {
                (Some(_), _) if is_done => return Ok(()),
                (Some(end), _) if end <= Instant::now() => {
                    return Err("terminal: not all that was said came back".to_owned());
                }
                (Some(end), true) => Some(end),
                (Some(end), false) => Some(next_try.min(end)),
                (None, false) => Some(next_try),
                (None, true) => None,
            };
            let event = match until {
                Some(until) => self.events.recv_deadline(until),
                None => self.events.recv().map_err(RecvTimeoutError::from),
            };
            match event {
                Ok(Event::Typed(text)) => self.typed(text),
                Ok(Event::InputEnded) => end = Some(Instant::now() + PATIENCE),
                Ok(Event::Frame(connection, frame)) if connection == self.connections => {
                    frame.lines().for_each(|line| self.line(line));
                }
                Ok(Event::Gone(connection)) if connection == self.connections => {
                    self.hang_up("the server has closed the connection");
                }
                Ok(_) | Err(_) => {}
            }
            self.say_what_waits();
        }
    }

    /// Takes a line to be sent, unless there is nothing to be read in it.
    fn typed(&mut self, text: String) {
        if !text.trim().is_empty() {
            self.queue.push_back(text);
        }
    }

    fn connect(&mut self) -> Result<(), String> {
        let words = |error: &dyn std::error::Error| error.to_string();
        let url = format!("ws://127.0.0.1:{}/lightstreamer", self.port);
        let mut request = url.into_client_request().map_err(|e| words(&e))?;
        let headers = request.headers_mut();
        headers.insert(
            "Sec-WebSocket-Protocol",
            HeaderValue::from_static(SUBPROTOCOL),
        );
        headers.insert("User-Agent", HeaderValue::from_static(NICK));
        let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).map_err(|e| words(&e))?;
        let (connection, _) = client(request, socket).map_err(|e| words(&e))?;
        // The server has no reason to speak first, so that nothing is lost between the two.
        let [reading, writing] = Half::pair(connection.get_ref()).map_err(|e| words(&e))?;
        let mut reader = WebSocket::from_raw_socket(reading, Role::Client, None);
        let mut writer = WebSocket::from_raw_socket(writing, Role::Client, None);
        let hello = format!(
            "create_session\r\nLS_adapter_set={ADAPTER_SET}&LS_cid=playground&LS_send_sync=false"
        );
        writer.send(Message::text(hello)).map_err(|e| words(&e))?;
        self.connections += 1;
        let (to_self, number) = (self.to_self.clone(), self.connections);
        let thread = thread::Builder::new().name("terminal-reader".to_owned());
        let thread = thread.spawn(move || {
            while let Ok(message) = reader.read() {
                if let Message::Text(text) = message
                    && to_self
                        .send(Event::Frame(number, text.to_string()))
                        .is_err()
                {
                    return;
                }
            }
            let _ = to_self.send(Event::Gone(number)); // nobody there: nobody to tell
        });
        thread.map_err(|e| words(&e))?;
        self.connection = Some(writer);
        Ok(())
    }

    fn line(&mut self, line: &str) {
        let mut parts = line.splitn(2, ',');
        let tag = parts.next().unwrap_or_default();
        let rest = parts.next().unwrap_or_default();
        let arguments: Vec<&str> = rest.split(',').collect();
        let argument = |at: usize| arguments.get(at).copied().unwrap_or_default();
        let text = |at: usize| tlcp::unescape(argument(at)).unwrap_or_default();
        match tag {
            "CONOK" => {
                let schema = FIELDS.join("%20");
                self.send(&format!(
                    "control\r\nLS_reqId=1&LS_op=add&LS_subId=1&LS_mode=DISTINCT&LS_group=chat_room\
                     &LS_schema={schema}&LS_data_adapter={DATA_ADAPTER}&LS_snapshot=true"
                ));
            }
            "CONERR" => self.hang_up(&text(1)),
            "REQERR" => self.hang_up(&text(2)),
            "ERROR" | "END" => self.hang_up(&text(1)),
            "EOS" => {
                self.is_ready = true;
                self.complaint.clear();
                print("* in the room; each line typed is a message");
            }
            "U" => {
                if let Some(values) = rest.splitn(3, ',').nth(2)
                    && tlcp::values(values, &mut self.values).is_some()
                    && let Some(line) = self.update()
                {
                    print(&line);
                }
            }
            "MSGDONE" => drop(self.answered(argument(1))),
            "MSGFAIL" => {
                let reason = text(3);
                let Some(said) = self.answered(argument(1)) else {
                    return;
                };
                let _ = self.seen(&said); // it never will be
                if reason.starts_with(SESSION_LOST) {
                    // Another adapter than before: it must be told anew who is here.
                    self.queue.push_front(said);
                    self.hang_up("the adapter does not know this session any more");
                } else {
                    print(&format!(
                        "! refused: {}: {}",
                        printable(&reason),
                        printable(&said)
                    ));
                }
            }
            _ => {}
        }
    }

    fn answered(&mut self, number: &str) -> Option<String> {
        self.sent.remove(&number.parse().ok()?)
    }

    /// What to print of an update: nothing, if it is one's own and can be seen already.
    fn update(&mut self) -> Option<String> {
        let values = self
            .values
            .clone()
            .map(|value| value.unwrap_or_else(|| "?".to_owned()));
        let [text, ip, nick, time] = values.each_ref().map(String::as_str);
        if nick == NICK && self.seen(text) && self.is_echoed {
            return None;
        }
        Some(format!(
            "{} {} {:.40} | {}",
            printable(time),
            printable(ip),
            printable(nick),
            printable(text)
        ))
    }

    /// Notes that this has come back; says whether that was awaited.
    fn seen(&mut self, text: &str) -> bool {
        let at = self.unseen.iter().position(|said| said == text);
        at.map(|at| self.unseen.remove(at)).is_some()
    }

    fn say_what_waits(&mut self) {
        while self.is_ready
            && let Some(text) = self.queue.pop_front()
        {
            self.last_number += 1;
            let number = self.last_number;
            let message = tlcp::escaped(&format!("CHAT|{text}"));
            self.unseen.push(text.clone());
            self.sent.insert(number, text);
            self.send(&format!(
                "msg\r\nLS_reqId={}&LS_message={message}&LS_msg_prog={number}",
                number + 1
            ));
        }
    }

    fn send(&mut self, frame: &str) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        if let Err(error) = connection.send(Message::text(frame)) {
            self.hang_up(&error.to_string());
        }
    }

    /// Gives the connection up; what may not have arrived is told.
    fn hang_up(&mut self, why: &str) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        connection.get_ref().cut();
        self.is_ready = false;
        self.values = Default::default();
        self.unseen.clear();
        let sent = std::mem::take(&mut self.sent);
        if self.is_ending.load(Ordering::SeqCst) {
            return;
        }
        self.complain(why);
        for text in sent.into_values() {
            print(&format!(
                "! it is not known whether this arrived: {}",
                printable(&text)
            ));
        }
    }

    fn complain(&mut self, why: &str) {
        if self.complaint != why {
            why.clone_into(&mut self.complaint);
            print(&format!("* no room yet: {}; trying again", printable(why)));
        }
    }
}

/// Text from others, without what a terminal would obey.
fn printable(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c.is_control() {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    static IS_ENDING: AtomicBool = AtomicBool::new(false);

    fn terminal(is_echoed: bool) -> Terminal<'static> {
        let (to_self, events) = unbounded();
        Terminal::new(0, is_echoed, &IS_ENDING, events, to_self)
    }

    /// What is printed when somebody of this name has said this.
    fn printed(terminal: &mut Terminal, nick: &str, text: &str) -> Option<String> {
        let values = [text, "127.0.0.1", nick, "10:43:43"];
        terminal.values = values.map(|value| Some(value.to_owned()));
        terminal.update()
    }

    #[test]
    fn a_line_of_spaces_is_not_sent() {
        let mut terminal = terminal(true);
        for text in ["", " ", " \t\u{3000}"] {
            terminal.typed(text.to_owned());
        }
        assert!(terminal.queue.is_empty());
        terminal.typed(" indented ".to_owned());
        assert_eq!(terminal.queue, [" indented "]);
    }

    #[test]
    fn one_s_own_line_is_not_printed_where_it_was_typed() {
        let mut terminal = terminal(true);
        terminal.unseen = vec!["hello".to_owned()];
        let other = printed(&mut terminal, "Firefox", "hello");
        assert_eq!(other.unwrap(), "10:43:43 127.0.0.1 Firefox | hello");
        assert_eq!(printed(&mut terminal, NICK, "hello"), None);
        // What was said before this connection is not on the screen.
        assert!(printed(&mut terminal, NICK, "hello").is_some());
    }

    #[test]
    fn one_s_own_line_is_printed_where_it_was_piped_in() {
        let mut terminal = terminal(false);
        terminal.unseen = vec!["hello".to_owned()];
        assert!(printed(&mut terminal, NICK, "hello").is_some());
        assert!(terminal.unseen.is_empty());
    }
}
