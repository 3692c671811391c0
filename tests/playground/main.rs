//! The playground: a chat room on this machine in one command, to see the adapter do its job without a Lightstreamer
//! Server. A stand-in server, the real adapter, and a page to chat on; a development tool, bound to the loopback
//! interface.
//!
//! The way of a message: [`client`] reads a WebSocket frame that [`web`] let in → [`hub`], the one thread of the
//! [`server`], which takes it apart with [`tlcp`] and puts [`ari`] lines together → [`proxy`] writes them to the
//! adapter, and what it answers comes back the same way. [`show`] prints what passes, [`terminal`] chats without a
//! browser.

mod ari;
mod client;
#[path = "../standin/codec.rs"]
#[allow(dead_code, reason = "its strict reader is for tests")]
mod codec;
mod descriptor;
mod door;
mod hub;
mod options;
mod proxy;
mod server;
mod show;
mod terminal;
#[cfg(test)]
mod tests;
mod tlcp;
#[path = "../standin/uninterrupted.rs"]
mod uninterrupted;
mod web;

use std::env;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use chat_adapter::server::{DRAIN, Servers};
use chat_adapter::signals::{Action, Signals};
use chat_adapter::{Adapter, Config, logging};
use crossbeam_channel::{Receiver, Sender};

use ari::Side;
use hub::{Event, Hub, Outbox};
use options::{HELP, Options};
use proxy::Proxy;
use show::{Show, print};

/// The names that clients know the adapters by.
const ADAPTER_SET: &str = "PROXY_PYTHONCHAT";
const DATA_ADAPTER: &str = "CHAT_ROOM";

/// How long the terminal waits for the adapter before it says that there is none.
const MOMENT: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let options = match Options::parse(lexopt::Parser::from_env()) {
        Ok(Some(options)) => options,
        Ok(None) => {
            let printed = io::stdout().write_all(HELP.as_bytes());
            return ExitCode::from(u8::from(printed.is_err()));
        }
        Err(error) => {
            complain(&format!("{error}\nTry --help."));
            return ExitCode::from(2);
        }
    };
    let outcome = run(&options);
    logging::flush();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            complain(&problem);
            ExitCode::FAILURE
        }
    }
}

fn complain(problem: &str) {
    // Nobody may be there to read it, which is no reason to panic.
    let _ = writeln!(io::stderr(), "playground: {problem}");
}

/// The stand-in server, on its threads.
struct Playground {
    http: u16,
    metadata: u16,
    data: u16,
    events: Sender<Event>,
    /// Receives once: as soon as both sides have an adapter.
    ready: Receiver<()>,
    hub: JoinHandle<[Option<Outbox<String>>; 2]>,
}

impl Playground {
    /// Takes the ports and serves them.
    fn start(options: &Options, show: Show) -> Result<Self, String> {
        let seed = RandomState::new().hash_one(0);
        let instance = format!("{seed:016x}");
        let busy = |option: &str, port: u16, error: &io::Error| {
            format!(
                "cannot listen on 127.0.0.1:{port}: {error}; choose another port with --{option} \
                 (is there another playground, or a Lightstreamer Server?)"
            )
        };
        let web = TcpListener::bind((Ipv4Addr::LOCALHOST, options.http))
            .map_err(|error| busy("http", options.http, &error))?;
        let metadata = Proxy::bind(Side::Metadata, options.metadata, &instance)
            .map_err(|error| busy("metadata_rrport", options.metadata, &error))?;
        let data = Proxy::bind(Side::Data, options.data, &instance)
            .map_err(|error| busy("data_rrport", options.data, &error))?;
        let words = |error: io::Error| error.to_string();
        let ports = [
            web.local_addr().map_err(words)?.port(),
            metadata.port().map_err(words)?,
            data.port().map_err(words)?,
        ];
        let (is_ready, ready) = crossbeam_channel::bounded(1);
        let (hub, events) = Hub::new(seed, descriptor::status_item()?, is_ready, show);
        let [web_events, metadata_events, data_events] = [(); 3].map(|()| events.clone());
        let hub = spawn("hub", || hub.run())?;
        spawn("metadata", move || metadata.run(&metadata_events, show))?;
        spawn("data", move || data.run(&data_events, show))?;
        spawn("http", move || web::run(&web, &web_events, show))?;
        let [http, metadata, data] = ports;
        Ok(Self {
            http,
            metadata,
            data,
            events,
            ready,
            hub,
        })
    }

    /// What the adapter needs to know to get here.
    fn config(&self) -> Config {
        Config {
            servers: Servers::builder().host(Ipv4Addr::LOCALHOST.to_string()),
            metadata_port: self.metadata,
            data_port: self.data,
            ..Config::default()
        }
    }

    /// Tells every client goodbye. The adapters' connections last as long as what is yielded.
    fn end(self) -> impl Sized {
        // Both fail only if the hub has ended before.
        let _ = self.events.send(Event::End);
        self.hub.join().ok()
    }
}

fn spawn<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, String> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.map_err(|error| format!("no thread for {name}: {error}"))
}

fn run(options: &Options) -> Result<(), String> {
    // A log that tells that all is well is for who asks for it.
    let is_asked = options.lines || env::var_os("RUST_LOG").is_some();
    logging::start((!is_asked).then_some(log::LevelFilter::Warn));
    let words = |error: &dyn std::error::Error| error.to_string();
    let mut signals = Signals::new().map_err(|error| words(&error))?;
    let show = match options.lines {
        true => Show::Lines,
        false => Show::Notes,
    };
    let playground = Playground::start(options, show)?;
    introduce(options, &playground);
    let adapter = match options.adapter {
        true => Some(Adapter::start(playground.config()).map_err(|error| error.to_string())?),
        false => None,
    };
    let (ending, ended) = crossbeam_channel::bounded(1);
    let is_ending = Arc::new(AtomicBool::new(false));
    let (http, ready) = (playground.http, playground.ready.clone());
    if options.terminal {
        let (ending, is_ending) = (ending.clone(), is_ending.clone());
        spawn("terminal", move || {
            // Who chats need not be told that the adapter takes a moment.
            let _ = ready.recv_timeout(MOMENT);
            ending.send(terminal::run(http, &is_ending))
        })?;
    } else {
        spawn("invitation", move || {
            if ready.recv().is_ok() {
                print(&format!("Open http://127.0.0.1:{http}/ in two windows"));
            }
        })?;
    }
    spawn("signals", move || {
        loop {
            match signals.wait(None) {
                // A terminal that is closed says it in the words of a reload.
                Ok(Some(Action::Stop | Action::Reload)) => {
                    let _ = ending.try_send(Ok(())); // full: it is ending already
                }
                Ok(_) => {}
                // Nobody can ask any more.
                Err(_) => std::process::exit(1),
            }
        }
    })?;
    let outcome = ended.recv().unwrap_or(Ok(()));
    is_ending.store(true, Ordering::SeqCst);
    let connections = playground.end();
    if let Some(adapter) = adapter {
        log::debug!("{}", adapter.state());
        if !adapter.stop(DRAIN) {
            return Err("the adapter did not end in time".to_owned());
        }
    }
    drop(connections);
    print("* the playground has ended");
    outcome
}

fn introduce(options: &Options, playground: &Playground) {
    let Playground {
        http,
        metadata,
        data,
        ..
    } = playground;
    print(&format!(
        "* A chat room for development, on this machine only: http://127.0.0.1:{http}/"
    ));
    print("* Ctrl-C ends it.");
    if options.lines {
        print(&format!(
            "* Between the stand-in server (ports {metadata} and {data}) and the adapter:  → to it  ← from it"
        ));
    }
    if !options.adapter {
        print(&format!(
            "* Waiting for an adapter: chat-adapter --host 127.0.0.1 --metadata_rrport {metadata} \
             --data_rrport {data}"
        ));
    }
}
