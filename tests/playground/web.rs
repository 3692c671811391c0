//! The playground's HTTP: the chat page, and the door through which clients get to their WebSocket. It lets in pages of
//! this machine only, since any site that somebody visits could otherwise chat here.

use std::fmt::Write as _;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use tungstenite::handshake::derive_accept_key;

use crate::client;
use crate::door;
use crate::hub::Event;
use crate::server::Peer;
use crate::show::Show;
use crate::tlcp::SUBPROTOCOL;
use crate::uninterrupted::uninterrupted;

/// The chat page. `NONCE` stands in it where each answer has another value.
const PAGE: &str = include_str!("page.html");

/// The path of a Lightstreamer Server.
const DOOR: &str = "/lightstreamer";

/// The largest head of a request, in bytes, and the most headers in it.
const LARGEST_HEAD: usize = 16 << 10;
const MOST_HEADERS: usize = 64;

/// The most connections at once.
const CONNECTIONS: usize = 500;

/// How long a connection may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves whoever comes, for good.
pub(crate) fn run(listener: &TcpListener, hub: &Sender<Event>, show: Show) {
    let (ids, open) = (AtomicU64::new(1), AtomicUsize::new(0));
    let freed = bounded(1);
    thread::scope(|scope| {
        loop {
            let (socket, peer) = door::accept(listener, "http", &freed.1, show);
            if open.fetch_add(1, Ordering::SeqCst) >= CONNECTIONS {
                open.fetch_sub(1, Ordering::SeqCst);
                continue;
            }
            let (ids, open, freed) = (&ids, &open, &freed.0);
            scope.spawn(move || {
                let id = ids.fetch_add(1, Ordering::SeqCst);
                // Whoever breaks off in the middle of a page has no more to be told.
                let _ = serve(id, peer, socket, hub);
                open.fetch_sub(1, Ordering::SeqCst);
                let _ = freed.try_send(()); // it is known already
            });
        }
    });
}

fn serve(id: u64, peer: SocketAddr, mut socket: TcpStream, hub: &Sender<Event>) -> io::Result<()> {
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let Some((head, rest)) = read_head(&mut socket)? else {
        return Ok(());
    };
    match answer(&head) {
        Answer::Page(page) => {
            socket.write_all(page.as_bytes())?;
            socket.shutdown(std::net::Shutdown::Write)?;
            // A socket that is closed with bytes unread takes back what the peer has not read yet.
            io::copy(&mut socket.take(LARGEST_HEAD as u64), &mut io::sink()).map(drop)
        }
        Answer::Switch { lines, agent } => {
            socket.write_all(lines.as_bytes())?;
            let peer = Peer {
                ip: peer.ip().to_string(),
                port: peer.port(),
                agent,
            };
            client::serve(id, peer, socket, rest, hub)
        }
    }
}

/// The head of a request, and what came behind it; none where nothing was asked.
fn read_head(socket: &mut TcpStream) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
    let mut head = Vec::new();
    let mut chunk = [0; 2048];
    loop {
        let count = uninterrupted(|| socket.read(&mut chunk))?;
        if count == 0 {
            return Ok(None);
        }
        let searched = head.len().saturating_sub(3);
        head.extend_from_slice(&chunk[..count]);
        let end = head[searched..].windows(4).position(|w| w == b"\r\n\r\n");
        if let Some(end) = end {
            let rest = head.split_off(searched + end + 4);
            return Ok(Some((head, rest)));
        }
        if head.len() > LARGEST_HEAD {
            return Ok(Some((head, Vec::new()))); // which no parser takes for complete
        }
    }
}

/// What to say to a request.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// This, and goodbye.
    Page(String),
    /// This, and then WebSocket frames.
    Switch {
        lines: String,
        agent: Option<String>,
    },
}

fn answer(head: &[u8]) -> Answer {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let (Ok(httparse::Status::Complete(_)), Some(method), Some(target)) =
        (request.parse(head), request.method, request.path)
    else {
        return page(
            "400 Bad Request",
            "",
            "This is not HTTP as the playground knows it.",
        );
    };
    let header = |name: &str| {
        let found = request
            .headers
            .iter()
            .find(|h| h.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok())
    };
    // A page of another site may have its own name lead here, or call from where it is.
    let origin =
        header("origin").map(|origin| origin.split_once("://").map_or("", |(_, host)| host));
    if !header("host").is_some_and(is_local) || !origin.is_none_or(is_local) {
        return page(
            "403 Forbidden",
            "",
            "The playground is for this machine only.",
        );
    }
    let path = target.split('?').next().unwrap_or_default();
    match (method, path) {
        ("GET", DOOR) => {
            let says = |name: &str, word: &str| {
                let mut words = header(name).unwrap_or_default().split(',').map(str::trim);
                words.any(|known| known.eq_ignore_ascii_case(word))
            };
            match header("sec-websocket-key") {
                Some(key)
                    if says("connection", "upgrade")
                        && says("upgrade", "websocket")
                        && says("sec-websocket-version", "13")
                        && says("sec-websocket-protocol", SUBPROTOCOL) =>
                {
                    Answer::Switch {
                        lines: format!(
                            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                             Upgrade: websocket\r\nSec-WebSocket-Accept: {}\r\n\
                             Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n",
                            derive_accept_key(key.as_bytes())
                        ),
                        agent: header("user-agent").map(str::to_owned),
                    }
                }
                _ => {
                    let text = format!("Here only WebSocket with {SUBPROTOCOL} is spoken.");
                    page("426 Upgrade Required", "Upgrade: websocket\r\n", &text)
                }
            }
        }
        ("GET" | "HEAD", "/" | "/index.html") => {
            let nonce = format!("{:016x}", RandomState::new().hash_one(0));
            let policy = format!(
                "Content-Type: text/html; charset=utf-8\r\nContent-Security-Policy: default-src 'none'; \
                 script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; img-src data:; \
                 base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
            );
            let body = PAGE.replace("NONCE", &nonce);
            let whole = response("200 OK", &policy, &body);
            Answer::Page(match method {
                "HEAD" => whole[..whole.len() - body.len()].to_owned(),
                _ => whole,
            })
        }
        ("GET" | "HEAD", _) => page("404 Not Found", "", "The chat page is at /."),
        _ => page(
            "405 Method Not Allowed",
            "Allow: GET, HEAD\r\n",
            "There is nothing to be sent here.",
        ),
    }
}

fn page(status: &str, headers: &str, text: &str) -> Answer {
    let headers = format!("{headers}Content-Type: text/plain; charset=utf-8\r\n");
    Answer::Page(response(status, &headers, &format!("{text}\n")))
}

fn response(status: &str, headers: &str, body: &str) -> String {
    let mut response = format!("HTTP/1.1 {status}\r\n{headers}");
    let _ = write!(
        response,
        "Content-Length: {}\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\
         Referrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{body}",
        body.len()
    ); // a String takes everything
    response
}

/// Whether a host, with its port if it has one, is this machine.
fn is_local(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let address = host.parse::<Ipv4Addr>();
    host.eq_ignore_ascii_case("localhost")
        || host == "[::1]"
        || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(head: &str) -> String {
        match answer(head.as_bytes()) {
            Answer::Page(page) => page[9..12].to_owned(),
            Answer::Switch { .. } => "101".to_owned(),
        }
    }

    fn get(path: &str, headers: &str) -> String {
        status(&format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n{headers}\r\n"
        ))
    }

    #[test]
    fn paths_and_methods() {
        assert_eq!(get("/", ""), "200");
        assert_eq!(get("/?x", ""), "200");
        assert_eq!(get("/etc", ""), "404");
        assert_eq!(get("/lightstreamer", ""), "426");
        assert_eq!(status("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n"), "405");
        assert_eq!(status("HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n"), "200");
        assert_eq!(status("hello\r\n\r\n"), "400");
    }

    #[test]
    fn the_door_opens_for_the_protocol_only() {
        let upgrade = |protocol: &str| {
            get(
                "/lightstreamer",
                &format!(
                    "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {protocol}\r\n"
                ),
            )
        };
        assert_eq!(upgrade(SUBPROTOCOL), "101");
        assert_eq!(upgrade("chat"), "426");
    }

    #[test]
    fn other_sites_stay_outside() {
        for origin in [
            "http://localhost:3000",
            "http://127.0.0.1",
            "http://[::1]:80",
        ] {
            assert_eq!(
                get("/", &format!("Origin: {origin}\r\n")),
                "200",
                "{origin}"
            );
        }
        for origin in [
            "https://example.com",
            "null",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
        ] {
            assert_eq!(
                get("/", &format!("Origin: {origin}\r\n")),
                "403",
                "{origin}"
            );
        }
        assert_eq!(status("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"), "403");
        assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), "403");
    }

    #[test]
    fn no_script_runs_but_the_page_s_own() {
        let Answer::Page(page) = answer(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n") else {
            panic!("a page")
        };
        let (_, nonce) = page.split_once("script-src 'nonce-").unwrap();
        assert!(page.contains(&format!("<script nonce=\"{}\">", &nonce[..16])));
        assert!(!page.contains("NONCE"));
    }
}
