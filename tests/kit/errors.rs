//! Every kind of error from every method of a provider: what goes out is what the protocol allows
//! for that method (sections 2, 3, 6 and 7), and everything else is a plain `E`.

use crate::feed::{Feed, update};
use crate::proxy::{self, Lines, encoding, event};
use crate::standin::Encoding;
use chat_adapter::provider::{
    Connection, DataError, DataProvider, ItemEventListener, MetadataError, MetadataProvider, Names,
    Parameters, Text, Unsent,
};
use chat_adapter::server::Disconnect;
use chat_adapter::server::local::LocalProxy;

/// What the server's log is told, with everything that either encoding escapes.
const MESSAGE: &str = "50% + a|b\r\nè #";

/// Requests of the metadata connection that may be refused, and what for.
const METADATA: [(&str, &str, &[&str]); 7] = [
    ("NUS", "S|user|S|password", &["EA", "ER", "EC"]),
    ("NUA", "S|user|S|password|S|CN=me", &["EA", "ER", "EC"]),
    ("NNS", "S|user|S|S1", &["EN", "EC", "EX"]),
    ("NSC", "S|S1", &["EN"]),
    ("GIS", "S|user|S|group|S|S1", &["EI"]),
    ("GSC", "S|user|S|group|S|schema|S|S1", &["EI", "ES"]),
    ("NUM", "S|user|S|S1|S|hi", &["EN", "EC"]),
];

/// Requests of the data connection, and what they may be refused for.
const DATA: [(&str, &[&str]); 2] = [("SUB", &["EU", "EF"]), ("USB", &["EU", "EF"])];

/// A metadata provider that refuses everything with one error.
struct Refusal(MetadataError);

impl Refusal {
    fn refuse(&self) -> Result<(), MetadataError> {
        Err(self.0.clone())
    }
}

impl MetadataProvider for Refusal {
    fn notify_user(
        &mut self,
        _user: Option<&str>,
        _password: Option<&str>,
        _http_headers: &Parameters<'_>,
    ) -> Result<(), MetadataError> {
        self.refuse()
    }

    fn notify_new_session(
        &mut self,
        _user: Option<&str>,
        _session_id: &str,
        _client_context: &Parameters<'_>,
    ) -> Result<(), MetadataError> {
        self.refuse()
    }

    fn notify_session_close(&mut self, _session_id: &str) -> Result<(), MetadataError> {
        self.refuse()
    }

    fn get_items(
        &mut self,
        _user: Option<&str>,
        _session_id: &str,
        _group: &str,
        items: &mut Names<'_>,
    ) -> Result<(), MetadataError> {
        // What was added before an error is not sent.
        items.add("one").split("two three");
        self.refuse()
    }

    fn get_schema(
        &mut self,
        _user: Option<&str>,
        _session_id: &str,
        _group: &str,
        _schema: &str,
        fields: &mut Names<'_>,
    ) -> Result<(), MetadataError> {
        fields.add("one");
        self.refuse()
    }

    fn notify_user_message(
        &mut self,
        _user: Option<&str>,
        _session_id: &str,
        _message: Text<'_>,
    ) -> Result<(), MetadataError> {
        self.refuse()
    }
}

/// The same, of the init.
struct NotReady<E>(E);

impl MetadataProvider for NotReady<MetadataError> {
    fn initialize(
        &mut self,
        _connection: &Connection,
        _parameters: &Parameters<'_>,
    ) -> Result<(), MetadataError> {
        Err(self.0.clone())
    }

    fn requests_served(&mut self) {
        panic!("there were no requests");
    }

    fn disconnected(&mut self) {
        panic!("it never was connected");
    }
}

impl DataProvider for NotReady<DataError> {
    fn initialize(
        &mut self,
        _connection: &Connection,
        _parameters: &Parameters<'_>,
    ) -> Result<(), DataError> {
        Err(self.0.clone())
    }

    fn set_listener(&mut self, _listener: ItemEventListener) {}

    fn subscribe(&mut self, _item: &str) -> Result<(), DataError> {
        panic!("there are no subscriptions");
    }

    fn unsubscribe(&mut self, _item: &str) -> Result<(), DataError> {
        panic!("there are no subscriptions");
    }

    fn disconnected(&mut self) {
        panic!("it never was connected");
    }
}

fn credits(code: i32, user_message: Option<&str>) -> MetadataError {
    MetadataError::Credits {
        code,
        message: MESSAGE.into(),
        user_message: user_message.map(Into::into),
    }
}

fn conflict(code: i32, user_message: Option<&str>, session_id: &str) -> MetadataError {
    MetadataError::ConflictingSession {
        code,
        message: MESSAGE.into(),
        user_message: user_message.map(Into::into),
        session_id: session_id.into(),
    }
}

/// Every kind with its letters, and what follows the message where the kind may be given.
fn metadata_errors(encoding: Encoding) -> Vec<(MetadataError, &'static str, String)> {
    let text = |text| encoding.encode(Some(text));
    let plain = |kind: fn(String) -> MetadataError| kind(MESSAGE.into());
    vec![
        (plain(MetadataError::Provider), "EM", String::new()),
        (plain(MetadataError::Access), "EA", String::new()),
        (
            plain(MetadataError::ResourceUnavailable),
            "ER",
            String::new(),
        ),
        (plain(MetadataError::Items), "EI", String::new()),
        (plain(MetadataError::Schema), "ES", String::new()),
        (plain(MetadataError::Notification), "EN", String::new()),
        (plain(MetadataError::Other), "E", String::new()),
        (
            credits(-7, Some("no | more")),
            "EC",
            format!("|-7|{}", text("no | more")),
        ),
        (credits(0, None), "EC", "|0|#".into()),
        (credits(-1, Some("")), "EC", "|-1|$".into()),
        // What is above zero is the server's own.
        (credits(5, None), "EC", "|0|#".into()),
        (credits(i32::MIN, None), "EC", "|-2147483648|#".into()),
        (
            conflict(-7, Some("twice, è"), "S|2"),
            "EX",
            format!("|-7|{}|{}", text("twice, è"), text("S|2")),
        ),
        (conflict(1, None, "S2"), "EX", "|0|#|S2".into()),
    ]
}

fn data_errors() -> [(DataError, &'static str); 4] {
    [
        (DataError::Provider(MESSAGE.into()), "ED"),
        (DataError::Subscription(MESSAGE.into()), "EU"),
        (DataError::Failure(MESSAGE.into()), "EF"),
        (DataError::Other(MESSAGE.into()), "E"),
    ]
}

#[test]
fn every_error_of_a_metadata_provider_goes_out_as_its_method_allows() {
    for version in ["1.8.3", "1.9.1"] {
        let encoding = encoding(version);
        let message = encoding.encode(Some(MESSAGE));
        for (error, letters, rest) in metadata_errors(encoding) {
            let mut proxy = proxy::metadata(version, Refusal(error.clone()));
            for (method, arguments, allowed) in METADATA {
                let answer = match allowed.contains(&letters) {
                    true => format!("7|{method}|{letters}|{message}{rest}"),
                    false => format!("7|{method}|E|{message}"),
                };
                let asked = proxy.ask(&format!("7|{method}|{arguments}"));
                assert_eq!(asked, [answer], "{error:?} of {method}, {version}");
            }
            // The connection goes on; what no provider is asked is no error.
            assert_eq!(proxy.ask("8|NTC|S|S1"), ["8|NTC|V"]);
        }
    }
}

#[test]
fn an_error_without_a_text_still_has_its_token() {
    for version in ["1.8.3", "1.9.1"] {
        let nothing = MetadataError::Notification(String::new());
        let mut proxy = proxy::metadata(version, Refusal(nothing));
        assert_eq!(proxy.ask("7|NSC|S|S1"), ["7|NSC|EN|$"]);
    }
}

#[test]
fn a_metadata_provider_that_refuses_the_init_ends_the_connection() {
    for version in ["1.8.3", "1.9.1"] {
        // The opening has one encoding, whatever is agreed.
        let message = Encoding::Form.encode(Some(MESSAGE));
        for (error, letters, _) in metadata_errors(Encoding::Form) {
            let mut proxy = LocalProxy::metadata(NotReady(error.clone()));
            let letters = if letters == "EM" { "EM" } else { "E" };
            for _ in 0..2 {
                let init = format!("1|MPI|S|ARI.version|S|{version}");
                match proxy.say_last(&[&init, "2|NSC|S|S1"]) {
                    Disconnect::Refused(why) => assert_eq!(why, MESSAGE),
                    other => panic!("{error:?}: {other:?}"),
                }
                assert_eq!(proxy.lines(), [format!("1|MPI|{letters}|{message}")]);
                proxy.reconnect(); // where it is asked again
            }
        }
    }
}

#[test]
fn a_data_provider_that_refuses_the_init_ends_the_connection() {
    let message = Encoding::Form.encode(Some(MESSAGE));
    for (error, letters) in data_errors() {
        let mut proxy = LocalProxy::data(NotReady(error.clone()));
        let letters = if letters == "ED" { "ED" } else { "E" };
        for _ in 0..2 {
            match proxy.say_last(&["1|DPI|S|ARI.version|S|1.9.1", "2|SUB|S|an item"]) {
                Disconnect::Refused(why) => assert_eq!(why, MESSAGE),
                other => panic!("{error:?}: {other:?}"),
            }
            assert_eq!(proxy.lines(), [format!("1|DPI|{letters}|{message}")]);
            proxy.reconnect();
        }
    }
}

#[test]
fn every_error_of_a_data_provider_goes_out_as_its_method_allows() {
    let message = Encoding::Smart.encode(Some(MESSAGE));
    for (error, letters) in data_errors() {
        let (to_subscribe, to_unsubscribe) = (error.clone(), error.clone());
        let (feed, handle) = Feed::new();
        let mut proxy = proxy::data(
            feed.on_subscribe(move |_, item| match item {
                "refused" => Err(to_subscribe.clone()),
                _ => Ok(()),
            })
            .on_unsubscribe(move |_, _| Err(to_unsubscribe.clone())),
        );
        for (method, allowed) in DATA {
            let letters = if allowed.contains(&letters) {
                letters
            } else {
                "E"
            };
            let item = if method == "SUB" { "refused" } else { "taken" };
            if method == "USB" {
                let lines = proxy.ask("6|SUB|S|taken");
                assert_eq!(lines, [&event::end_of_snapshot("taken", "6"), "6|SUB|V"]);
            }
            let lines = proxy.ask(&format!("7|{method}|S|{item}"));
            assert_eq!(lines, [format!("7|{method}|{letters}|{message}")]);
            // Refused or ended with an error: the item is not subscribed to.
            assert_eq!(handle.update(item, 1), Err(Unsent::NotSubscribed));
        }
    }
}

#[test]
fn what_was_sent_before_a_subscription_was_refused_stands_before_the_error() {
    let (feed, handle) = Feed::new();
    let mut proxy = proxy::data(feed.on_subscribe(|listener, item| {
        update(listener, item, 1).expect("it is open");
        Err(DataError::Failure("broken".into()))
    }));
    assert_eq!(
        proxy.ask("2|SUB|S|a"),
        [
            event::end_of_snapshot("a", "2"),
            event::update("a", "2", 1),
            "2|SUB|EF|broken".into()
        ]
    );
    assert_eq!(handle.update("a", 2), Err(Unsent::NotSubscribed));
}

#[test]
fn an_error_says_its_text() {
    for (error, _, _) in metadata_errors(Encoding::Smart) {
        assert_eq!(error.to_string(), MESSAGE);
    }
    for (error, _) in data_errors() {
        assert_eq!(error.to_string(), MESSAGE);
    }
}
