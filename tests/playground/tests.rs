//! The playground over real sockets: a client's WebSocket at one end, the real adapter or a hand-played one at the other.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{env, fs, process};

use chat_adapter::{Adapter, Config};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::{Message, WebSocket};

use crate::options::Options;
use crate::show::What;
use crate::stand_in::StandIn;
use crate::tlcp::SUBPROTOCOL;
use crate::{Playground, invitation};

/// A hang is a failure.
const DEADLINE: Duration = Duration::from_secs(20);

fn start() -> Playground {
    start_many(1)
}

fn start_many(servers: u16) -> Playground {
    let options = Options {
        servers,
        http: 0,
        metadata: 0,
        data: 0,
        adapter: true,
        lines: false,
        terminal: false,
    };
    Playground::start(&options, What::Nothing).unwrap()
}

fn connect(port: u16) -> TcpStream {
    let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
}

/// A client, line by line.
struct Client {
    socket: WebSocket<TcpStream>,
    lines: Vec<String>,
}

impl Client {
    fn connect(port: u16) -> Self {
        let url = format!("ws://127.0.0.1:{port}/lightstreamer");
        let mut request = url.into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert(
            "Sec-WebSocket-Protocol",
            HeaderValue::from_static(SUBPROTOCOL),
        );
        headers.insert("User-Agent", HeaderValue::from_static("test"));
        let (socket, _) = tungstenite::client(request, connect(port)).unwrap();
        let lines = Vec::new();
        Self { socket, lines }
    }

    fn send(&mut self, frame: &str) {
        self.socket.send(Message::text(frame)).unwrap();
    }

    /// Awaits a line with this beginning; those before it are skipped.
    fn await_line(&mut self, beginning: &str) -> String {
        self.lines_until(beginning).pop().unwrap()
    }

    /// The lines to come, up to one with this beginning.
    fn lines_until(&mut self, beginning: &str) -> Vec<String> {
        let mut lines = Vec::new();
        // Signs of life come for good.
        let deadline = Instant::now() + DEADLINE;
        loop {
            let is_early = Instant::now() < deadline;
            assert!(is_early, "{beginning}: awaited in vain, after {lines:?}");
            while !self.lines.is_empty() {
                let line = self.lines.remove(0);
                let is_last = line.starts_with(beginning);
                lines.push(line);
                if is_last {
                    return lines;
                }
            }
            let message = self
                .socket
                .read()
                .unwrap_or_else(|error| panic!("{beginning}: {error}"));
            if let Message::Text(text) = message {
                self.lines = text.lines().map(str::to_owned).collect();
            }
        }
    }

    /// Opens a session, as soon as there is an adapter.
    fn enter(port: u16) -> Self {
        loop {
            let mut client = Self::connect(port);
            client
                .send("create_session\r\nLS_adapter_set=PROXY_PYTHONCHAT&LS_keepalive_millis=500");
            if client.await_line("CON").starts_with("CONOK") {
                return client;
            }
        }
    }

    fn subscribe(&mut self) {
        self.send(
            "control\r\nLS_reqId=1&LS_op=add&LS_subId=1&LS_mode=DISTINCT&LS_group=chat_room\
             &LS_schema=message%20IP%20nick&LS_data_adapter=CHAT_ROOM&LS_snapshot=true",
        );
        self.await_line("SUBOK,1,1,3");
    }
}

#[test]
fn clients_chat_through_the_real_adapter() {
    let playground = start();
    let adapter = Adapter::start(playground.config()).unwrap();
    let mut ann = Client::enter(playground.servers[0].http);
    ann.subscribe();
    ann.await_line("EOS,1,1");
    ann.send("msg\r\nLS_reqId=2&LS_message=CHAT%7Ca%7Cb%20%2B%2050%25&LS_msg_prog=1");
    assert_eq!(ann.await_line("U,"), "U,1,1,a%7Cb + 50%25|127.0.0.1|test");
    let mut bob = Client::enter(playground.servers[0].http);
    bob.subscribe();
    assert_eq!(bob.await_line("U,"), "U,1,1,a%7Cb + 50%25|127.0.0.1|test");
    bob.await_line("EOS,1,1");
    bob.send("msg\r\nLS_reqId=2&LS_message=hello&LS_msg_prog=1");
    assert!(bob.await_line("MSGFAIL").starts_with("MSGFAIL,*,1,34,"));
    // Nothing to say for half a second: a sign of life.
    ann.await_line("PROBE");
    bob.send("control\r\nLS_op=destroy&LS_close_socket=true");
    while bob.socket.read().is_ok() {}
    playground.end();
    while ann.socket.read().is_ok() {}
    assert!(adapter.stop(DEADLINE));
}

#[test]
fn the_status_item_of_the_descriptor_follows_the_real_adapter() {
    let playground = start();
    let item = crate::descriptor::status_item().unwrap();
    let item = item.expect("a status_item in adapters.xml");
    let page = include_str!("page.html");
    assert!(page.contains(&format!("'{item}'")), "{item} on the page");
    let adapter = Adapter::start(playground.config()).unwrap();
    let mut ann = Client::enter(playground.servers[0].http);
    ann.send(&format!(
        "control\r\nLS_reqId=1&LS_op=add&LS_subId=1&LS_mode=MERGE&LS_group={item}\
         &LS_schema=status&LS_data_adapter=CHAT_ROOM&LS_snapshot=true"
    ));
    // The session is there as soon as the metadata connection is.
    while ann.await_line("U,") != "U,1,1,connected" {}
    assert!(adapter.stop(DEADLINE));
    assert_eq!(ann.await_line("U,"), "U,1,1,reconnecting");
    let adapter = Adapter::start(playground.config()).unwrap();
    assert_eq!(ann.await_line("U,"), "U,1,1,connected");
    playground.end();
    assert!(adapter.stop(DEADLINE));
}

#[test]
fn windows_on_two_servers_hear_each_other_and_get_their_own_replies_alone() {
    let playground = start_many(2);
    let adapter = Adapter::start(playground.config()).unwrap();
    let mut windows = [1, 2].map(|number| {
        let mut window = Client::enter(playground.servers[number - 1].http);
        let name = window.await_line("SERVNAME");
        assert_eq!(name, format!("SERVNAME,Server {number} of 2"));
        window.subscribe();
        window.await_line("EOS,1,1");
        window
    });
    for number in [1, 2, 1, 2] {
        let [update, done, reply] = [
            format!("U,1,1,said by {number}|"),
            format!("MSGDONE,*,{number},"),
            format!("REQOK,{number}"),
        ];
        let own = &mut windows[number - 1];
        own.send(&format!(
            "msg\r\nLS_reqId={number}&LS_message=CHAT%7Csaid%20by%20{number}&LS_msg_prog={number}"
        ));
        // The message comes before the word that it is done, or after it, and signs of life at any time.
        let mut lines = own.lines_until(&update);
        if !lines.contains(&done) {
            lines.extend(own.lines_until(&done));
        }
        let mut others = windows[2 - number].lines_until(&update);
        for lines in [&mut lines, &mut others] {
            lines.retain(|line| line != "PROBE");
        }
        assert!(lines.contains(&reply), "{lines:?}");
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert_eq!(others.len(), 1, "{others:?}");
    }
    let state = adapter.state();
    assert!(state.contains(", 2 sessions, "), "{state}");
    playground.end();
    assert!(adapter.stop(DEADLINE));
}

#[test]
fn the_invitation_names_every_server() {
    let urls = ["a", "b", "c"].map(str::to_owned);
    assert_eq!(invitation(&urls[..1]), "Open a in two windows");
    assert_eq!(invitation(&urls[..2]), "Open a and b in two windows");
    assert_eq!(invitation(&urls), "Open a, b and c in three windows");
    let nine = vec![String::new(); 9];
    assert!(invitation(&nine).ends_with(" in nine windows"));
}

/// A directory that goes with its test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("{name}-{}", process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0); // a test that fails has its reason already
    }
}

#[test]
fn a_restart_of_the_adapter_costs_no_session() {
    let directory = Directory::new("playground-restart");
    let playground = start();
    let adapter = || {
        Adapter::start(Config {
            state: Some(directory.0.join("sessions")),
            ..playground.config()
        })
        .unwrap()
    };
    let first = adapter();
    let mut ann = Client::enter(playground.servers[0].http);
    ann.subscribe();
    ann.await_line("EOS,1,1");
    let mut gone = Client::enter(playground.servers[0].http);
    ann.send("msg\r\nLS_reqId=2&LS_message=CHAT%7Cbefore&LS_msg_prog=1");
    ann.await_line("MSGDONE,*,1,");
    assert!(first.stop(DEADLINE));
    // Who comes in the gap is to try again, and what is said in it is refused with a reason.
    let mut eve = Client::connect(playground.servers[0].http);
    eve.send("create_session\r\nLS_adapter_set=PROXY_PYTHONCHAT");
    assert_eq!(
        eve.await_line("CON"),
        "CONERR,6,The Remote Adapter is not connected"
    );
    ann.send("msg\r\nLS_reqId=3&LS_message=CHAT%7Cgap&LS_msg_prog=2");
    assert_eq!(
        ann.await_line("MSG"),
        "MSGFAIL,*,2,34,The Remote Adapter is not connected"
    );
    gone.send("control\r\nLS_op=destroy&LS_close_socket=true");
    while gone.socket.read().is_ok() {}
    let second = adapter();
    // Refused until the item is subscribed again, and never for a session that is lost.
    let deadline = Instant::now() + DEADLINE;
    for number in 3.. {
        ann.send(&format!(
            "msg\r\nLS_reqId=4&LS_message=CHAT%7Cafter&LS_msg_prog={number}"
        ));
        let mut lines = ann.lines_until("MSG");
        let told = lines.pop().unwrap();
        if told.starts_with("MSGDONE") {
            // The message comes by another way than the reply, and is history for who comes then.
            let after = "U,1,1,after|";
            if !lines.iter().any(|line| line.starts_with(after)) {
                ann.await_line(after);
            }
            break;
        }
        let is_early = !told.contains("Session lost") && Instant::now() < deadline;
        assert!(is_early, "{told}");
    }
    let mut bob = Client::enter(playground.servers[0].http);
    bob.subscribe();
    for text in ["before", "after"] {
        let update = bob.await_line("U,");
        assert!(update.starts_with(&format!("U,1,1,{text}|")), "{update}");
    }
    bob.await_line("EOS,1,1");
    // Ann's and Bob's: it was told of the one that ended in the gap.
    assert!(
        second.state().contains(", 2 sessions, "),
        "{}",
        second.state()
    );
    playground.end();
    assert!(second.stop(DEADLINE));
}

/// Plays an adapter's opening on a Proxy's port; nothing if the Proxy turns it away.
fn open(port: u16) -> Option<BufReader<TcpStream>> {
    introduce(port).map(|(reader, _)| reader)
}

/// The same, with the Proxy's init.
fn introduce(port: u16) -> Option<(BufReader<TcpStream>, String)> {
    let mut socket = connect(port);
    // A reset may come as early as here.
    let _ = socket.write_all(b"1|RAC|S|SDK|S|by+hand\r\n");
    let mut reader = BufReader::new(socket);
    let mut init = String::new();
    match reader.read_line(&mut init) {
        Ok(0) => return None,
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
        Err(error) => panic!("{error}"),
    }
    let (id, rest) = init.split_once('|').unwrap();
    let answer = format!("{id}|{}|S|ARI.version|S|1.8.3\n", &rest[..3]);
    reader.get_mut().write_all(answer.as_bytes()).unwrap();
    Some((reader, init))
}

#[test]
fn a_proxy_keeps_its_name_as_long_as_it_runs() {
    let instances = |server: &StandIn| {
        let inits = [server.metadata, server.data].map(|port| {
            loop {
                // The one before may have to be noticed as gone.
                if let Some((_, init)) = introduce(port) {
                    break init;
                }
            }
        });
        let of = |name: &str| {
            inits.each_ref().map(|init| {
                let (_, rest) = init.split_once(&format!("|{name}|S|")).unwrap();
                rest.split(['|', '\r']).next().unwrap().to_owned()
            })
        };
        // By this an adapter knows that both connections are to one server.
        let [metadata, data] = of("server.instance_id");
        assert_eq!(metadata, data);
        (of("proxy.instance_id"), metadata)
    };
    let playground = start_many(2);
    let [one, other] = playground.servers.as_slice() else {
        panic!("two servers");
    };
    let known = instances(one);
    assert_eq!(instances(one), known);
    let (proxies, server) = instances(other);
    assert!(proxies != known.0 && server != known.1);
    playground.end();
}

#[test]
fn a_proxy_serves_one_adapter_at_a_time() {
    let playground = start();
    let mut first = open(playground.servers[0].metadata).unwrap();
    assert!(open(playground.servers[0].metadata).is_none());
    // The first one is served on: a login is asked for in the encoding it agreed to.
    // Who comes before that one is known to be there is told so, and comes again.
    let moment = Some(Duration::from_millis(100));
    first.get_ref().set_read_timeout(moment).unwrap();
    let mut line = String::new();
    let mut client = loop {
        let mut client = Client::connect(playground.servers[0].http);
        client.send("create_session\r\nLS_adapter_set=PROXY_PYTHONCHAT&LS_user=a%20b");
        match first.read_line(&mut line) {
            Ok(_) => break client,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    };
    assert!(line.contains("|NUS|S|a+b|S|#|"), "{line}");
    drop(first);
    assert!(client.await_line("CONERR").starts_with("CONERR,6,"));
    // Its end is noticed in a moment.
    while open(playground.servers[0].metadata).is_none() {}
    playground.end();
}

#[test]
fn who_speaks_no_ari_is_sent_away() {
    let playground = start();
    for hello in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\xff\xfe\r\n", b"\r\n"] {
        let mut rest = Vec::new();
        loop {
            let mut socket = connect(playground.servers[0].data);
            let _ = socket.write_all(hello); // a reset may come as early as here
            match socket.read_to_end(&mut rest) {
                Ok(_) => break,
                Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
            }
        }
        assert_eq!(rest, b"");
    }
    playground.end();
}

#[test]
fn the_page_is_served() {
    let playground = start();
    let mut socket = connect(playground.servers[0].http);
    let request = format!(
        "GET / HTTP/1.1\r\nHost: localhost:{}\r\n\r\n",
        playground.servers[0].http
    );
    // In two pieces, as it may come.
    socket.write_all(&request.as_bytes()[..9]).unwrap();
    socket.write_all(&request.as_bytes()[9..]).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
    assert!(body.starts_with("<!doctype html>") && body.ends_with("</html>\n"));
    playground.end();
}
