//! A Proxy Adapter's socket: takes in one Remote Adapter at a time, opens the connection, carries lines between it
//! and the hub, and waits for the next one when it is gone. What the lines mean is not its business.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::mem;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use socket2::SockRef;

use crate::ari::{self, Line, Side};
use crate::codec::Encoding;
use crate::door;
use crate::hub::{Event, Outbox};
use crate::show::{Show, Way};

/// How often an adapter is asked to say something.
const KEEPALIVE_MILLIS: u32 = 8000;

/// An adapter that is silent for so long is gone.
const SILENCE: Duration = Duration::from_secs(20);

/// How long the opening of a connection may take, and how long an adapter may leave a line unread.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest line, in bytes.
const LONGEST_LINE: u64 = 16 << 20;

/// A Proxy whose port is taken.
pub(crate) struct Proxy {
    side: Side,
    listener: TcpListener,
    instance: String,
}

impl Proxy {
    /// Takes a port of 127.0.0.1; 0 for any.
    pub(crate) fn bind(side: Side, port: u16, instance: &str) -> io::Result<Self> {
        Ok(Self {
            side,
            listener: TcpListener::bind((Ipv4Addr::LOCALHOST, port))?,
            instance: instance.to_owned(),
        })
    }

    /// Where adapters find it.
    pub(crate) fn port(&self) -> io::Result<u16> {
        Ok(self.listener.local_addr()?.port())
    }

    /// Serves one adapter after the other, for good.
    pub(crate) fn run(self, hub: &Sender<Event>, show: Show) {
        let Self {
            side,
            listener,
            instance,
        } = self;
        let is_busy = AtomicBool::new(false);
        let mut was_told = false;
        let freed = bounded(1);
        thread::scope(|scope| {
            loop {
                let (socket, _) = door::accept(&listener, side.name(), &freed.1, show);
                if is_busy.swap(true, Ordering::SeqCst) {
                    // A real Proxy's port refuses while an adapter is served, and a reset comes nearest to that.
                    let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
                    // It will try again and again, and need not be told of each time.
                    if !mem::replace(&mut was_told, true) {
                        let name = side.name();
                        show.note(&format!(
                            "{name}: another adapter is turned away: one at a time"
                        ));
                    }
                    continue;
                }
                was_told = false;
                let (instance, is_busy, freed) = (&instance, &is_busy, &freed.0);
                scope.spawn(move || {
                    let end = serve(side, socket, instance, hub, show);
                    is_busy.store(false, Ordering::SeqCst);
                    let _ = freed.try_send(()); // it is known already
                    if let Err(end) = end {
                        let (name, end) = (side.name(), words(&end));
                        show.note(&format!(
                            "{name}: the adapter is gone: {end}; the next one may come"
                        ));
                    }
                });
            }
        });
    }
}

/// One adapter, from its first line to its last. The error says how it ended, unless the playground did.
fn serve(
    side: Side,
    socket: TcpStream,
    instance: &str,
    hub: &Sender<Event>,
    show: Show,
) -> io::Result<()> {
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let mut lines = Lines {
        side,
        show,
        source: BufReader::new(socket.try_clone()?),
    };
    let (version, encoding) = open(side, &mut lines, &socket, instance, show)?;
    socket.set_read_timeout(Some(SILENCE))?;
    let (outbox, queue) = Outbox::new(socket.try_clone()?);
    let writer = thread::Builder::new().name(format!("{}-writer", side.name()));
    let writer = writer.spawn(move || write(side, socket, &queue, show))?;
    let is_up = Event::AdapterUp(side, version, encoding, outbox);
    if hub.send(is_up).is_err() {
        return Ok(());
    }
    let end = loop {
        match lines.next() {
            // Where there is no hub any more, nobody wants to know.
            Ok(line) => drop(hub.send(Event::AdapterLine(side, line))),
            Err(end) => break end,
        }
    };
    if hub.send(Event::AdapterDown(side)).is_err() {
        // An adapter that has ended waits for this, and fails only if it does not any more.
        let _ = lines.source.get_ref().shutdown(Shutdown::Both);
        return Ok(());
    }
    // The hub lets go of the queue, on which the writer's life hangs.
    let _ = writer.join();
    Err(end)
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "it fell silent".to_owned(),
        _ => error.to_string(),
    }
}

/// Opens the connection: the adapter introduces itself, the Proxy offers a version, the adapter agrees.
fn open(
    side: Side,
    lines: &mut Lines,
    mut sink: &TcpStream,
    instance: &str,
    show: Show,
) -> io::Result<(String, Encoding)> {
    let name = ari::hello(&lines.next()?).map_err(io::Error::other)?;
    let name = name.unwrap_or_else(|| "an adapter without a name".to_owned());
    show.note(&format!("{}: here is {name}", side.name()));
    let init = ari::init(side, "10000010c3e4d0462", instance, KEEPALIVE_MILLIS);
    show.line(side, Way::ToAdapter, &init);
    sink.write_all(format!("{init}\r\n").as_bytes())?;
    loop {
        let line = lines.next()?;
        if ari::parse(&line) != Ok(Line::Keepalive) {
            return ari::agreed(side, &line).map_err(io::Error::other);
        }
    }
}

fn write(side: Side, mut socket: TcpStream, queue: &Receiver<String>, show: Show) {
    while let Ok(first) = queue.recv() {
        let mut batch = String::new();
        for line in [first].into_iter().chain(queue.try_iter()) {
            show.line(side, Way::ToAdapter, &line);
            batch.push_str(&line);
            batch.push_str("\r\n");
        }
        if socket.write_all(batch.as_bytes()).is_err() {
            break;
        }
    }
    // The reader may be waiting for an adapter that is not to answer any more.
    let _ = socket.shutdown(Shutdown::Both);
}

struct Lines {
    side: Side,
    show: Show,
    source: BufReader<TcpStream>,
}

impl Lines {
    /// The next line.
    fn next(&mut self) -> io::Result<String> {
        let mut bytes = Vec::new();
        let limited = &mut (&mut self.source).take(LONGEST_LINE);
        limited.read_until(b'\n', &mut bytes)?;
        if bytes.is_empty() {
            return Err(io::Error::other("it closed the connection"));
        }
        if bytes.pop() != Some(b'\n') {
            return Err(io::Error::other("it broke off within a line"));
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        let line = String::from_utf8(bytes)
            .map_err(|_| io::Error::other("it sent a line that is not UTF-8"))?;
        self.show.line(self.side, Way::FromAdapter, &line);
        Ok(line)
    }
}
