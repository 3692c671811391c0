//! Sessions that outlive the adapter: what a restart keeps, what it must not keep, and what is wrong
//! with a file that cannot keep them.

#[path = "../tls/files.rs"]
#[allow(dead_code, reason = "the files are those of another test binary")]
mod files;
#[path = "../answers/setup.rs"]
#[allow(dead_code, reason = "the helpers are those of another test binary")]
mod setup;
#[path = "../standin/mod.rs"]
mod standin;

mod damaged;
mod kept;
mod refused;
mod unwritable;

use files::Files;
use setup::command;
use standin::{Adapter, DEADLINE, DataProxy, Init, MetadataProxy, Server, Session, Side};
use std::fs;
use std::time::Instant;

const LOST: &str = "Session lost! Please reload the browser page(s).";

/// A server that outlives adapters, and the file by which sessions do.
struct Scene {
    server: Server,
    files: Files,
}

impl Scene {
    fn new() -> Scene {
        let (server, files) = (Server::start(), Files::new());
        Scene { server, files }
    }

    fn path(&self) -> String {
        self.files.path("sessions")
    }

    fn journal(&self) -> String {
        fs::read_to_string(self.path()).unwrap_or_default()
    }

    fn start(&self) -> Adapter {
        let command = command().args(self.server.arguments());
        command.args(["--state", &self.path()]).start()
    }

    /// Takes an adapter in; somebody is in the room.
    fn meet(&self) -> (MetadataProxy, DataProxy) {
        self.meet_as(&Init::new(Side::Metadata))
    }

    fn meet_as(&self, init: &Init) -> (MetadataProxy, DataProxy) {
        let metadata = self.server.meet_metadata(init);
        let mut data = self.server.meet_data(&Init::new(Side::Data));
        data.subscribe("chat_room");
        (metadata, data)
    }
}

fn session(id: &str) -> Session {
    Session::new(id, "192.0.2.7", "Mozilla/5.0 (X11; Linux x86_64)")
}

/// What a message of that session gets.
fn say(metadata: &mut MetadataProxy, id: &str) -> Result<(), String> {
    let outcome = metadata.say(id, "still here?");
    outcome.map_err(|error| error.message)
}

/// Ends an adapter as a service manager does.
fn end(adapter: Adapter) {
    adapter.signal("TERM");
    let exit = adapter.wait();
    assert_eq!(exit.code(), 0, "{exit}");
}

/// Looks again and again, since nothing tells of a file's changes.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < DEADLINE, "not within time: {what}");
        std::thread::yield_now();
    }
}
