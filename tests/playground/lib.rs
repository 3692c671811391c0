//! The playground: a chat room on this machine in one command, to see the adapter do its job without a Lightstreamer
//! Server. A stand-in server or several, the real adapter, and a page to chat on; a development tool, bound to the loopback
//! interface.
//!
//! The way of a message: [`client`] reads a WebSocket frame that [`web`] let in → [`hub`], the one thread of the
//! [`server`], which takes it apart with [`tlcp`] and puts [`ari`] lines together → [`proxy`] writes them to the
//! adapter, and what it answers comes back the same way. [`stand_in`] holds that together for one server; servers have
//! nothing in common but the adapter. [`show`] prints what passes, [`terminal`] chats without a browser.

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
mod stand_in;
mod terminal;
#[cfg(test)]
mod tests;
mod tlcp;
#[path = "../standin/uninterrupted.rs"]
mod uninterrupted;
mod web;

use std::env;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use chat_adapter::server::{DRAIN, Servers};
use chat_adapter::signals::{Action, Signals};
use chat_adapter::{Adapter, Config, logging};
use crossbeam_channel::Receiver;

use hub::Invite;
use options::{HELP, Options};
use show::{Show, What, print};
use stand_in::{Ports, StandIn, spawn};

/// The names that clients know the adapters by.
const ADAPTER_SET: &str = "PROXY_PYTHONCHAT";
const DATA_ADAPTER: &str = "CHAT_ROOM";

/// How long the terminal waits for the adapter before it says that there is none.
const MOMENT: Duration = Duration::from_secs(1);

/// Runs it with the arguments of the process.
pub fn main() -> ExitCode {
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

/// The stand-in servers.
struct Playground {
    servers: Vec<StandIn>,
    /// Receives once: as soon as each server has an adapter.
    ready: Receiver<()>,
}

impl Playground {
    /// Takes the ports and serves them.
    fn start(options: &Options, what: What) -> Result<Self, String> {
        let ports = options.ports()?.into_iter().map(Ports::take);
        let ports = ports.collect::<Result<Vec<_>, _>>()?;
        let count = ports.len();
        let (is_ready, ready) = crossbeam_channel::bounded(1);
        // Each server tells of its adapter for itself; the last one of them counts.
        let waiting = Arc::new(AtomicUsize::new(count));
        let servers = (1..).zip(ports).map(|(number, ports)| {
            let (waiting, is_ready) = (Arc::clone(&waiting), is_ready.clone());
            let invite: Invite = Box::new(move || {
                if waiting.fetch_sub(1, Ordering::SeqCst) == 1 {
                    let _ = is_ready.send(()); // nobody there: nobody to tell
                }
            });
            let (name, server) = match count {
                1 => ("Playground stand-in".to_owned(), None),
                _ => (format!("Server {number} of {count}"), Some(number)),
            };
            StandIn::start(ports, name, Some(invite), Show { what, server })
        });
        let servers = servers.collect::<Result<_, _>>()?;
        Ok(Self { servers, ready })
    }

    /// What the adapter needs to know to get here.
    fn config(&self) -> Config {
        let servers = self.servers.iter();
        let servers = servers.fold(Servers::builder(), |all, one| {
            all.host_with_ports(Ipv4Addr::LOCALHOST.to_string(), one.metadata, one.data)
        });
        Config {
            servers,
            ..Config::default()
        }
    }

    /// What the program's command line is for the same.
    fn command(&self) -> String {
        if let [only] = self.servers.as_slice() {
            return format!(
                "chat-adapter --host 127.0.0.1 --metadata_rrport {} --data_rrport {}",
                only.metadata, only.data
            );
        }
        let hosts = self.servers.iter();
        let hosts = hosts.map(|one| format!(" --host 127.0.0.1:{}:{}", one.metadata, one.data));
        format!("chat-adapter{}", hosts.collect::<String>())
    }

    /// Tells every client goodbye. The adapters' connections last as long as what is yielded.
    fn end(self) -> impl Sized {
        self.servers.iter().for_each(StandIn::begin_end);
        self.servers
            .into_iter()
            .map(StandIn::end)
            .collect::<Vec<_>>()
    }
}

/// What to do next, once there is an adapter: as many windows as servers, and two at the least.
fn invitation(urls: &[String]) -> String {
    const NUMBERS: [&str; 8] = [
        "two", "three", "four", "five", "six", "seven", "eight", "nine",
    ];
    let windows = NUMBERS[urls.len().max(2) - 2];
    format!("Open {} in {windows} windows", list(urls))
}

/// Texts as people name them.
fn list(texts: &[String]) -> String {
    match texts {
        [texts @ .., last] if !texts.is_empty() => format!("{} and {last}", texts.join(", ")),
        _ => texts.concat(),
    }
}

fn run(options: &Options) -> Result<(), String> {
    // A log that tells that all is well is for who asks for it.
    let is_asked = options.lines || env::var_os("RUST_LOG").is_some();
    logging::start((!is_asked).then_some(log::LevelFilter::Warn));
    let words = |error: &dyn std::error::Error| error.to_string();
    let mut signals = Signals::new().map_err(|error| words(&error))?;
    let what = match options.lines {
        true => What::Lines,
        false => What::Notes,
    };
    let playground = Playground::start(options, what)?;
    introduce(options, &playground);
    let adapter = match options.adapter {
        true => Some(Adapter::start(playground.config()).map_err(|error| error.to_string())?),
        false => None,
    };
    let (ending, ended) = crossbeam_channel::bounded(1);
    let is_ending = Arc::new(AtomicBool::new(false));
    let ready = playground.ready.clone();
    if options.terminal {
        let (http, ending, is_ending) = (
            playground.servers[0].http,
            ending.clone(),
            is_ending.clone(),
        );
        spawn("terminal", move || {
            // Who chats need not be told that the adapter takes a moment.
            let _ = ready.recv_timeout(MOMENT);
            ending.send(terminal::run(http, &is_ending))
        })?;
    } else {
        let urls: Vec<_> = playground.servers.iter().map(StandIn::url).collect();
        spawn("invitation", move || {
            if ready.recv().is_ok() {
                print(&invitation(&urls));
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
    let each =
        |of: fn(&StandIn) -> String| -> Vec<String> { playground.servers.iter().map(of).collect() };
    let (room, servers) = match playground.servers.len() {
        1 => (String::new(), "server"),
        count => (format!(" over {count} servers"), "servers"),
    };
    print(&format!(
        "* A chat room{room} for development, on this machine only: {}",
        list(&each(StandIn::url))
    ));
    print("* Ctrl-C ends it.");
    if options.lines {
        let ports = each(|one| format!("{} and {}", one.metadata, one.data)).join(", ");
        print(&format!(
            "* Between the stand-in {servers} (ports {ports}) and the adapter:  → to it  ← from it"
        ));
    }
    if !options.adapter {
        print(&format!(
            "* Waiting for an adapter: {}",
            playground.command()
        ));
    }
}
