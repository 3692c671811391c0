//! The Proxy in memory, line by line.

use crate::standin::Encoding;
use chat_adapter::provider::{DataProvider, MetadataProvider};
use chat_adapter::server::Disconnect;
use chat_adapter::server::local::LocalProxy;

/// What every event of these tests carries as its time.
pub(crate) const TIME: u64 = 1_732_348_800_000;

/// A metadata provider after the init of a Proxy that offers this version.
pub(crate) fn metadata(version: &str, provider: impl MetadataProvider + 'static) -> LocalProxy {
    let mut proxy = LocalProxy::metadata(provider);
    proxy.open("MPI", version);
    proxy
}

/// A data provider after the init.
pub(crate) fn data(provider: impl DataProvider + 'static) -> LocalProxy {
    let mut proxy = LocalProxy::data_at(provider, || TIME);
    proxy.open("DPI", "1.9.1");
    proxy
}

/// How strings are written when this version was agreed.
pub(crate) fn encoding(version: &str) -> Encoding {
    match version.starts_with("1.8.") {
        true => Encoding::Form,
        false => Encoding::Smart,
    }
}

/// A string as a data connection has it.
pub(crate) fn smart(text: &str) -> String {
    Encoding::Smart.encode(Some(text))
}

/// A Proxy that speaks in lines.
pub(crate) trait Lines {
    fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), Disconnect>;

    fn take_bytes(&mut self) -> Vec<u8>;

    /// The init, and its answer.
    #[track_caller]
    fn open(&mut self, method: &str, version: &str) {
        let answer = format!("1|{method}|S|ARI.version|S|{version}");
        self.say(&[&answer]);
        assert_eq!(self.lines(), [answer]);
    }

    /// Sends lines, all of which arrive with one read.
    #[track_caller]
    fn say(&mut self, lines: &[&str]) {
        let result = self.send_bytes(one_read(lines).as_bytes());
        result.expect("the connection goes on");
    }

    /// Sends lines that end the connection.
    #[track_caller]
    fn say_last(&mut self, lines: &[&str]) -> Disconnect {
        let result = self.send_bytes(one_read(lines).as_bytes());
        result.expect_err("the connection ends")
    }

    /// All lines that came since the last call.
    #[track_caller]
    fn lines(&mut self) -> Vec<String> {
        let bytes = self.take_bytes();
        let text = String::from_utf8(bytes).expect("lines are UTF-8");
        let mut lines: Vec<_> = text.split("\r\n").map(str::to_owned).collect();
        assert_eq!(lines.pop().as_deref(), Some(""), "half a line: {text:?}");
        lines
    }

    /// Sends a line, and yields all that comes back.
    #[track_caller]
    fn ask(&mut self, line: &str) -> Vec<String> {
        self.say(&[line]);
        self.lines()
    }
}

fn one_read(lines: &[&str]) -> String {
    lines.iter().flat_map(|line| [line, "\r\n"]).collect()
}

impl Lines for LocalProxy {
    fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), Disconnect> {
        self.send(bytes)
    }

    fn take_bytes(&mut self) -> Vec<u8> {
        self.received()
    }
}

/// The lines of events, as a data connection has them.
pub(crate) mod event {
    use super::TIME;

    pub(crate) fn end_of_snapshot(item: &str, id: &str) -> String {
        format!("{TIME}|EOS|S|{item}|S|{id}")
    }

    pub(crate) fn clear(item: &str, id: &str) -> String {
        format!("{TIME}|CLS|S|{item}|S|{id}")
    }

    /// An update with one field, `n`.
    pub(crate) fn update(item: &str, id: &str, value: impl ToString) -> String {
        format!("{TIME}|UD3|S|{item}|S|{id}|B|0|S|n|S|{}", value.to_string())
    }

    /// The same as a part of the snapshot.
    pub(crate) fn snapshot(item: &str, id: &str, value: impl ToString) -> String {
        update(item, id, value).replacen("|B|0", "|B|1", 1)
    }
}
