//! One stand-in server on its threads: its ports, its Proxies, its hub, its door for clients. It knows nothing of other
//! servers beside it.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crossbeam_channel::Sender;

use crate::ari::Side;
use crate::descriptor;
use crate::hub::{Event, Hub, Invite, Outbox};
use crate::proxy::Proxy;
use crate::server::Server;
use crate::show::Show;
use crate::web;

/// The ports of a server, which are taken and not served yet.
pub(crate) struct Ports {
    seed: u64,
    web: TcpListener,
    proxies: [Proxy; 2],
    /// Of the page and of both Proxies, the metadata one first.
    numbers: [u16; 3],
}

impl Ports {
    /// Takes these ports of 127.0.0.1, 0 for any: of the page and of both Proxies, the metadata one first.
    pub(crate) fn take([http, metadata, data]: [u16; 3]) -> Result<Self, String> {
        let seed = RandomState::new().hash_one(0);
        let instance = format!("{seed:016x}");
        let busy = |option: &str, port: u16, error: &io::Error| {
            format!(
                "cannot listen on 127.0.0.1:{port}: {error}; choose another port with --{option} \
                 (is there another playground, or a Lightstreamer Server?)"
            )
        };
        let web = TcpListener::bind((Ipv4Addr::LOCALHOST, http))
            .map_err(|error| busy("http", http, &error))?;
        let proxies = [
            Proxy::bind(Side::Metadata, metadata, &instance)
                .map_err(|error| busy("metadata_rrport", metadata, &error))?,
            Proxy::bind(Side::Data, data, &instance)
                .map_err(|error| busy("data_rrport", data, &error))?,
        ];
        let words = |error: io::Error| error.to_string();
        let numbers = [
            web.local_addr().map_err(words)?.port(),
            proxies[0].port().map_err(words)?,
            proxies[1].port().map_err(words)?,
        ];
        Ok(Self {
            seed,
            web,
            proxies,
            numbers,
        })
    }
}

/// A server that runs.
pub(crate) struct StandIn {
    pub(crate) http: u16,
    pub(crate) metadata: u16,
    pub(crate) data: u16,
    events: Sender<Event>,
    hub: JoinHandle<[Option<Outbox<String>>; 2]>,
}

impl StandIn {
    /// Serves these ports; `name` is what clients are told of the server.
    pub(crate) fn start(
        ports: Ports,
        name: String,
        invite: Option<Invite>,
        show: Show,
    ) -> Result<Self, String> {
        let Ports {
            seed,
            web,
            proxies: [metadata, data],
            numbers,
        } = ports;
        let server = Server::new(name, seed, Instant::now(), descriptor::status_item()?);
        let (hub, events) = Hub::new(server, invite, show);
        let [web_events, metadata_events, data_events] = [(); 3].map(|()| events.clone());
        let hub = spawn("hub", || hub.run())?;
        spawn("metadata", move || metadata.run(&metadata_events, show))?;
        spawn("data", move || data.run(&data_events, show))?;
        spawn("http", move || web::run(&web, &web_events, show))?;
        let [http, metadata, data] = numbers;
        Ok(Self {
            http,
            metadata,
            data,
            events,
            hub,
        })
    }

    /// Where its page is.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.http)
    }

    /// Tells every client goodbye, which takes a moment.
    pub(crate) fn begin_end(&self) {
        // Fails only if the hub has ended before.
        let _ = self.events.send(Event::End);
    }

    /// Awaits that. The adapters' connections last as long as what is yielded.
    pub(crate) fn end(self) -> impl Sized {
        self.begin_end();
        self.hub.join().ok()
    }
}

/// A thread of this name.
pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, String> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.map_err(|error| format!("no thread for {name}: {error}"))
}
