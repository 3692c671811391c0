//! A client's connection: WebSocket frames to and from the hub. One thread reads, one writes and breaks the silence
//! when there is nothing else to say. What the frames mean is not its business.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use tungstenite::Message;
use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};

use crate::hub::{Event, Outbox};
use crate::server::{ClientId, Peer};
use crate::uninterrupted::uninterrupted;

/// What is to be done for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ToClient {
    /// Send this.
    Frame(String),
    /// Never be silent for longer than this from now on.
    Probe(Duration),
    /// Close the connection.
    HangUp,
}

/// The largest frame that is read, in bytes.
const LARGEST_FRAME: usize = 1 << 20;

/// How long a client may leave what is sent to it unread, and how long it may take to say goodbye.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves a client whose handshake is done, until it is gone. `early` is what it sent right behind the handshake.
pub(crate) fn serve(
    id: ClientId,
    peer: Peer,
    socket: TcpStream,
    early: Vec<u8>,
    hub: &Sender<Event>,
) -> io::Result<()> {
    socket.set_read_timeout(None)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let [reading, writing] = Half::pair(&socket)?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(LARGEST_FRAME))
        .max_frame_size(Some(LARGEST_FRAME));
    let reader = WebSocket::from_partially_read(reading, early, Role::Server, Some(config));
    let writer = WebSocket::from_raw_socket(writing, Role::Server, Some(config));
    let (outbox, orders) = Outbox::new(socket);
    let name = format!("client-{id}-writer");
    let thread = thread::Builder::new()
        .name(name)
        .spawn(move || write(writer, &orders))?;
    if hub.send(Event::Joined(id, peer, outbox)).is_ok() {
        read(id, reader, hub);
        // The hub lets go of the queue, on which the writer's life hangs. Where there is no hub, the process ends.
        if hub.send(Event::Left(id)).is_ok() {
            let _ = thread.join();
        }
    }
    Ok(())
}

fn read(id: ClientId, mut socket: WebSocket<Half>, hub: &Sender<Event>) {
    // Pings and the closing are answered within.
    while let Ok(message) = socket.read() {
        if let Message::Text(text) = message
            && hub.send(Event::Frame(id, text.to_string())).is_err()
        {
            return;
        }
    }
}

fn write(mut socket: WebSocket<Half>, orders: &Receiver<ToClient>) {
    let mut silence = None;
    loop {
        let order = match silence {
            Some(silence) => orders.recv_timeout(silence),
            None => orders.recv().map_err(RecvTimeoutError::from),
        };
        let sent = match order {
            Ok(ToClient::Frame(lines)) => socket.send(Message::text(lines)),
            Ok(ToClient::Probe(longest)) => {
                silence = Some(longest);
                Ok(())
            }
            Err(RecvTimeoutError::Timeout) => socket.send(Message::text("PROBE\r\n")),
            Ok(ToClient::HangUp) => {
                // A client that does not answer the closing is waited for no longer than this.
                let _ = socket.get_ref().source.set_read_timeout(Some(PATIENCE));
                let _ = socket.close(None).and_then(|()| socket.flush());
                socket.get_ref().mute();
                return;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if sent.is_err() {
            // The reader may be waiting for a client that does not read any more.
            socket.get_ref().cut();
            return;
        }
    }
}

/// One of two protocol machines that share a connection: the one that reads answers pings and the closing by itself.
/// Each hands over whole frames, and each hand-over is one write under a lock, so that frames never mix.
pub(crate) struct Half {
    source: TcpStream,
    sink: Arc<Mutex<Option<TcpStream>>>,
}

impl Half {
    /// Both halves of a connection.
    pub(crate) fn pair(socket: &TcpStream) -> io::Result<[Self; 2]> {
        let sink = Arc::new(Mutex::new(Some(socket.try_clone()?)));
        let half = || {
            io::Result::Ok(Self {
                source: socket.try_clone()?,
                sink: Arc::clone(&sink),
            })
        };
        Ok([half()?, half()?])
    }

    /// Ends the connection, which the other half notices.
    pub(crate) fn cut(&self) {
        // Fails only where there is nothing left to end.
        let _ = self.source.shutdown(Shutdown::Both);
    }

    /// Nothing is to follow a closing frame.
    fn mute(&self) {
        *self.sink.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Read for Half {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        uninterrupted(|| self.source.read(buffer))
    }
}

impl Write for Half {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sink) = &mut *sink {
            sink.write_all(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
