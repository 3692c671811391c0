//! Both directions flooded through small buffers, by a server that does not read for a while: nothing is lost, nothing
//! changes places, and neither side waits for ever.

use std::io::{ErrorKind, Write as _};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use rustls::version::{TLS12, TLS13};

use crate::peer::{Peer, Port};
use crate::setup::{Ports, SESSION, Setup};
use crate::standin::{DataProxy, Incoming};

/// What the server's buffers are asked to be; the system makes them a little larger. The smallest are slow going.
const TINY: usize = 4 << 10;
const SMALL: usize = 16 << 10;

/// A write that takes longer than this tells that everything on the way is full.
const STALLED: Duration = Duration::from_millis(300);

/// How many requests follow when the server has begun to read.
const AFTERWARDS: usize = 300;

/// How large each request and each reply is, in bytes.
const SIZE: usize = 8000;

/// A request that was sent.
enum Asked {
    /// A list of items, and the exact answer.
    Items(String),
    /// The message of this number.
    Message(usize),
}

fn id(n: usize) -> String {
    format!("{n:x}00000010c3e4d0462")
}

/// The server's sending half: floods the metadata connection, and tells the readers of each request once there is a
/// reason to read.
fn flood(peer: &Peer, changes_keys: bool, asked: &Sender<Asked>) {
    peer.socket()
        .set_write_timeout(Some(STALLED))
        .expect("a timeout");
    let mut before_stall = Vec::new();
    let mut left = None;
    for n in 0.. {
        let id = id(n);
        let filling = "x".repeat(SIZE);
        let (line, what) = if n % 2 == 0 {
            let reply = format!("{id}|GIS|S|item{n}|S|{filling}");
            (
                format!("{id}|GIS|S|#|S|item{n} {filling}|S|{SESSION}\r\n"),
                Asked::Items(reply),
            )
        } else {
            let line = format!("{id}|NUM|S|#|S|{SESSION}|S|CHAT%7C{n} {filling}\r\n");
            (line, Asked::Message(n))
        };
        if changes_keys && n % 50 == 0 {
            peer.update_keys();
        }
        let records = peer.seal(line.as_bytes());
        // Told before it is sent: a reader that runs ahead just waits.
        match left {
            None => before_stall.push(what),
            Some(_) => asked.send(what).expect("a reader"),
        }
        let mut rest = &records[..];
        while !rest.is_empty() {
            match peer.socket().write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    left.get_or_insert(AFTERWARDS);
                    for what in before_stall.drain(..) {
                        asked.send(what).expect("a reader");
                    }
                }
                Err(error) => panic!("cannot send: {error}"),
            }
        }
        match &mut left {
            Some(0) => return,
            Some(left) => *left -= 1,
            None => {}
        }
    }
}

/// Reads the replies, each of which must be right and in its place; tells the messages that were answered with
/// success.
fn read_replies(mut replies: Incoming, asked: Receiver<Asked>, accepted: &Sender<usize>) {
    for (n, what) in asked.into_iter().enumerate() {
        let reply = replies.expect_line();
        match what {
            Asked::Items(expected) => assert!(
                reply == expected,
                "{} instead of {}",
                &reply[..40],
                &expected[..40]
            ),
            Asked::Message(number) if reply == format!("{}|NUM|V", id(n)) => {
                accepted.send(number).expect("a reader");
            }
            Asked::Message(_) => {
                let refusal = format!("{}|NUM|EN|", id(n));
                assert!(reply.starts_with(&refusal), "{reply}");
            }
        }
    }
}

/// Reads the updates: those of the messages accepted, in their order, and no others.
fn read_updates(mut data: DataProxy, accepted: Receiver<usize>) -> usize {
    let mut count = 0;
    for n in accepted {
        let chat = data.chat();
        let expected = format!("{n} ");
        assert!(
            chat.message.starts_with(&expected),
            "{} instead of {n}",
            &chat.message[..10]
        );
        assert_eq!(chat.message.len(), expected.len() + SIZE);
        count += 1;
    }
    data.expect_silence();
    count
}

fn flooded(buffers: usize, version: &'static rustls::SupportedProtocolVersion, changes_keys: bool) {
    let ports = Ports {
        metadata: Port::with_buffers(Some(buffers)),
        data: Port::with_buffers(Some(buffers)),
    };
    let mut setup = Setup::over(ports, &[version], &[]);
    setup.open_room();
    let Setup {
        adapter,
        metadata,
        data,
        metadata_peer,
        ..
    } = setup;
    let (_sending, replies) = metadata.connection.split();
    let (asked, to_answer) = mpsc::channel();
    let (accepted, to_relay) = mpsc::channel();
    let count = thread::scope(|scope| {
        scope.spawn(move || flood(&metadata_peer, changes_keys, &asked));
        scope.spawn(move || read_replies(replies, to_answer, &accepted));
        scope
            .spawn(move || read_updates(data, to_relay))
            .join()
            .expect("updates")
    });
    assert!(count > AFTERWARDS / 4, "only {count} messages were relayed");
    let log = adapter.log();
    assert!(!log.contains("lost"), "{log}");
}

#[test]
fn by_tls_1_2() {
    flooded(SMALL, &TLS12, false);
}

#[test]
fn by_tls_1_3() {
    flooded(TINY, &TLS13, false);
}

#[test]
fn while_keys_change() {
    flooded(SMALL, &TLS13, true);
}
