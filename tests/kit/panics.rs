//! A panic in an adapter ends the process: half an adapter would look alive and serve nobody.
//!
//! Each test starts itself again as the process that ends.

use crate::proxy::{self, Lines};
use crate::standin::{Init, Server, Side};
use chat_adapter::provider::{
    DataError, DataProvider, ItemEventListener, MetadataError, MetadataProvider, Parameters,
};
use chat_adapter::server::Servers;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::{env, thread};

/// Tells a test that it is the process, and which Proxy to connect to.
const PROCESS: &str = "KIT_PANICS";

const SIGABRT: i32 = 6;

/// Ended with the test that started it.
struct Process(Child);

impl Process {
    fn start(test: &str, proxy: &str) -> Process {
        let child = Command::new(env::current_exe().expect("this program"))
            .args([test, "--exact", "--nocapture"])
            .env(PROCESS, proxy)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Process(child.expect("itself"))
    }

    fn signal(&mut self) -> Option<i32> {
        self.0.wait().expect("its end").signal()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill(); // it has ended
        let _ = self.0.wait();
    }
}

struct Broken;

impl MetadataProvider for Broken {
    fn notify_user(
        &mut self,
        _user: Option<&str>,
        _password: Option<&str>,
        _http_headers: &Parameters<'_>,
    ) -> Result<(), MetadataError> {
        panic!("broken");
    }
}

#[test]
fn a_panic_in_a_provider_ends_the_process() {
    if let Ok(proxy) = env::var(PROCESS) {
        let (host, port) = proxy.rsplit_once(' ').expect("host and port");
        let servers = Servers::builder().host(host);
        let running = servers.metadata(port.parse().expect("a port"), || Broken);
        return running.expect("a thread").wait();
    }
    let server = Server::start();
    let proxy = format!("{} {}", server.metadata.host(), server.metadata.port());
    let mut process = Process::start("panics::a_panic_in_a_provider_ends_the_process", &proxy);
    let mut proxy = server.meet_metadata(&Init::new(Side::Metadata));
    proxy.connection.send_line("2|NUS|S|user|S|password");
    proxy.connection.expect_closed();
    assert_eq!(process.signal(), Some(SIGABRT));
}

struct Feed(Arc<OnceLock<ItemEventListener>>);

impl DataProvider for Feed {
    fn set_listener(&mut self, listener: ItemEventListener) {
        self.0.set(listener).expect("once");
    }

    fn subscribe(&mut self, _item: &str) -> Result<(), DataError> {
        Ok(())
    }

    fn unsubscribe(&mut self, _item: &str) -> Result<(), DataError> {
        Ok(())
    }
}

#[test]
fn half_an_event_is_never_followed_by_another() {
    if env::var(PROCESS).is_err() {
        let test = "panics::half_an_event_is_never_followed_by_another";
        assert_eq!(Process::start(test, "none").signal(), Some(SIGABRT));
        return;
    }
    let listener = Arc::new(OnceLock::new());
    let mut proxy = proxy::data(Feed(Arc::clone(&listener)));
    proxy.ask("2|SUB|S|a");
    let listener = listener.get().expect("a listener").clone();
    let other = listener.clone();
    let panicked = thread::spawn(move || {
        let _ = other.update("a", false, |_event| panic!("half an event"));
    });
    panicked.join().expect_err("it panics");
    // It ends here.
    let _ = listener.update("a", false, |event| {
        event.field("n", 1);
    });
}
