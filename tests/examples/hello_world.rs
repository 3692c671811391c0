//! The "Hello World" data adapter of Lightstreamer's tutorial: an item that greets each second.
//! `cargo run --example hello-world [HOST [PORT]]` (localhost, 6661)

use chat_adapter::provider::{DataError, DataProvider, ItemEventListener};
use chat_adapter::server::{Servers, StartError};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, SystemTime};

#[derive(Default)]
pub(crate) struct Greetings {
    listener: Option<ItemEventListener>,
    wanted: Option<Sender<()>>, // the thread that greets ends when this is dropped
}

impl DataProvider for Greetings {
    fn set_listener(&mut self, listener: ItemEventListener) {
        self.listener = Some(listener);
    }

    fn subscribe(&mut self, item: &str) -> Result<(), DataError> {
        let Some(listener) = self.listener.clone().filter(|_| item == "greetings") else {
            return Err(DataError::Subscription("No such item".into()));
        };
        let (wanted, end) = channel();
        self.wanted = Some(wanted);
        std::thread::spawn(move || greet(&listener, &end));
        Ok(())
    }

    fn unsubscribe(&mut self, _item: &str) -> Result<(), DataError> {
        self.wanted = None;
        Ok(())
    }

    fn disconnected(&mut self) {
        self.wanted = None; // the server subscribes again when it is back
    }
}

fn greet(listener: &ItemEventListener, end: &Receiver<()>) {
    for message in ["Hello", "World"].into_iter().cycle() {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let _ = listener.update("greetings", false, |event| {
            event.field("message", message);
            event.field("timestamp", now.as_millis() as u64);
        }); // what cannot be sent now is replaced by what comes next
        if end.recv_timeout(Duration::from_secs(1)) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

fn main() -> Result<(), StartError> {
    env_logger::builder().parse_filters("info").init();
    let argument = |n, default: &str| std::env::args().nth(n).unwrap_or(default.into());
    let port = argument(2, "6661").parse().expect("a port");
    let servers = Servers::builder().host(argument(1, "localhost"));
    servers.data(port, Greetings::default)?.wait();
    Ok(())
}
