//! What a metadata provider is given: arguments in their places, null where it means something,
//! parameters, lists of names, and when it is told that a read is served.

use crate::feed::{Calls, Feed, update};
use crate::proxy::{self, Lines, event};
use chat_adapter::provider::{
    Connection, DataError, DataProvider, ItemEventListener, MetadataError, MetadataProvider, Mode,
    Names, Parameters, Text,
};
use chat_adapter::server::Disconnect;
use chat_adapter::server::local::LocalProxy;
use std::sync::{Arc, Mutex};

/// Notes every call with all it was given.
#[derive(Default)]
struct Notes(Calls);

fn pairs(parameters: &Parameters<'_>) -> String {
    format!("{:?}", parameters.iter().collect::<Vec<_>>())
}

impl MetadataProvider for Notes {
    fn initialize(
        &mut self,
        connection: &Connection,
        parameters: &Parameters<'_>,
    ) -> Result<(), MetadataError> {
        let name = connection.name();
        self.0
            .note(format!("initialize {name} {}", pairs(parameters)));
        Ok(())
    }

    fn notify_user(
        &mut self,
        user: Option<&str>,
        password: Option<&str>,
        http_headers: &Parameters<'_>,
    ) -> Result<(), MetadataError> {
        let headers = pairs(http_headers);
        self.0.note(format!("user {user:?} {password:?} {headers}"));
        Ok(())
    }

    fn notify_user_with_principal(
        &mut self,
        user: Option<&str>,
        password: Option<&str>,
        http_headers: &Parameters<'_>,
        client_principal: Option<&str>,
    ) -> Result<(), MetadataError> {
        let headers = pairs(http_headers);
        self.0.note(format!(
            "principal {client_principal:?} {user:?} {password:?} {headers}"
        ));
        Ok(())
    }

    fn get_allowed_max_bandwidth(&mut self, user: Option<&str>) -> f64 {
        self.0.note(format!("bandwidth {user:?}"));
        0.0
    }

    fn notify_new_session(
        &mut self,
        user: Option<&str>,
        session_id: &str,
        client_context: &Parameters<'_>,
    ) -> Result<(), MetadataError> {
        let context = pairs(client_context);
        self.0
            .note(format!("session {user:?} {session_id:?} {context}"));
        Ok(())
    }

    fn get_session_time_to_live(&mut self, user: Option<&str>, session_id: &str) -> i32 {
        self.0.note(format!("time to live {user:?} {session_id:?}"));
        0
    }

    fn notify_session_close(&mut self, session_id: &str) -> Result<(), MetadataError> {
        self.0.note(format!("close {session_id:?}"));
        Ok(())
    }

    fn get_items(
        &mut self,
        user: Option<&str>,
        session_id: &str,
        group: &str,
        _items: &mut Names<'_>,
    ) -> Result<(), MetadataError> {
        self.0
            .note(format!("items {user:?} {session_id:?} {group:?}"));
        Ok(())
    }

    fn get_schema(
        &mut self,
        user: Option<&str>,
        session_id: &str,
        group: &str,
        schema: &str,
        _fields: &mut Names<'_>,
    ) -> Result<(), MetadataError> {
        self.0.note(format!(
            "schema {user:?} {session_id:?} {group:?} {schema:?}"
        ));
        Ok(())
    }

    fn mode_may_be_allowed(&mut self, item: &str, mode: Mode) -> bool {
        self.0.note(format!("mode {item:?} {mode:?}"));
        mode == Mode::Raw
    }

    fn get_allowed_buffer_size(&mut self, user: Option<&str>, item: &str) -> i32 {
        self.0.note(format!("buffer {user:?} {item:?}"));
        0
    }

    fn notify_user_message(
        &mut self,
        user: Option<&str>,
        session_id: &str,
        message: Text<'_>,
    ) -> Result<(), MetadataError> {
        let message = message.decode();
        self.0
            .note(format!("message {user:?} {session_id:?} {message:?}"));
        Ok(())
    }

    fn requests_served(&mut self) {
        self.0.note("served");
    }

    fn disconnected(&mut self) {
        self.0.note("disconnected");
    }
}

#[test]
fn every_argument_arrives_in_its_place_and_null_as_none_where_it_means_something() {
    let notes = Notes::default();
    let calls = notes.0.clone();
    let mut proxy = proxy::metadata("1.9.1", notes);
    calls.take();
    for (request, expected) in [
        (
            "NUS|S|u|S|p|S|host|S|a b|S|cookie|S|#",
            &[
                r#"user Some("u") Some("p") [("host", Some("a b")), ("cookie", None)]"#,
                r#"bandwidth Some("u")"#,
            ][..],
        ),
        ("NUS|S|#|S|#", &["user None None []", "bandwidth None"]),
        (
            "NUS|S|$|S|$",
            &[r#"user Some("") Some("") []"#, r#"bandwidth Some("")"#],
        ),
        (
            "NUA|S|u|S|p|S|CN=me|S|host|S|a",
            &[
                r#"principal Some("CN=me") Some("u") Some("p") [("host", Some("a"))]"#,
                r#"bandwidth Some("u")"#,
            ],
        ),
        (
            "NUA|S|#|S|#|S|#",
            &["principal None None None []", "bandwidth None"],
        ),
        (
            "NNS|S|u|S|S1|S|REMOTE_IP|S|192.0.2.7|S|USER_AGENT|S|#",
            &[
                r#"session Some("u") "S1" [("REMOTE_IP", Some("192.0.2.7")), ("USER_AGENT", None)]"#,
                r#"time to live Some("u") "S1""#,
            ],
        ),
        ("NSC|S|S1", &[r#"close "S1""#]),
        ("NSC|S|#", &[r#"close """#]),
        ("GIS|S|u|S|g|S|S1", &[r#"items Some("u") "S1" "g""#]),
        ("GIS|S|#|S|#|S|#", &[r#"items None "" """#]),
        (
            "GSC|S|u|S|g|S|s|S|S1",
            &[r#"schema Some("u") "S1" "g" "s""#],
        ),
        ("GSC|S|#|S|#|S|#|S|#", &[r#"schema None "" "" """#]),
        (
            "GIT|S|#",
            &[
                r#"mode "" Raw"#,
                r#"mode "" Merge"#,
                r#"mode "" Distinct"#,
                r#"mode "" Command"#,
            ],
        ),
        (
            "GUI|S|u|S|a|S|#",
            &[r#"buffer Some("u") "a""#, r#"buffer Some("u") """#],
        ),
        ("GUI|S|#|S|a", &[r#"buffer None "a""#]),
        (
            "NUM|S|u|S|S1|S|50%25 %2B",
            &[r#"message Some("u") "S1" Some("50% +")"#],
        ),
        ("NUM|S|#|S|#|S|#", &[r#"message None "" None"#]),
        ("NUM|S|#|S|S1|S|$", &[r#"message None "S1" Some("")"#]),
    ] {
        proxy.say(&[&format!("7|{request}")]);
        assert_eq!(calls.take(), [expected, &["served"]].concat(), "{request}");
    }
}

#[test]
fn what_is_malformed_never_reaches_the_provider() {
    let notes = Notes::default();
    let calls = notes.0.clone();
    let mut proxy = proxy::metadata("1.9.1", notes);
    calls.take();
    for request in [
        "NUS|S|u",
        "NNS|S|u|S|#",
        "NUM|S|u|S|S1|I|5",
        "GIS|S|%",
        "NSC|",
    ] {
        let answers = proxy.ask(&format!("7|{request}"));
        let method = &request[..3];
        let [answer] = &answers[..] else {
            panic!("{answers:?}")
        };
        assert!(answer.starts_with(&format!("7|{method}|E|")), "{answer}");
        assert_eq!(calls.take(), ["served"]);
    }
}

#[test]
fn the_init_hands_over_its_parameters() {
    let notes = Notes::default();
    let calls = notes.0.clone();
    let mut proxy = LocalProxy::metadata(notes);
    proxy
        .say(&["1|MPI|S|ARI.version|S|1.9.1|S|proxy.instance_id|S|a%3Ab|S|my:own|S|#|S|my:own|S|"]);
    assert_eq!(
        calls.take(),
        [
            concat!(
                r#"initialize metadata [("ARI.version", Some("1.9.1")), "#,
                r#"("proxy.instance_id", Some("a:b")), ("my:own", None), ("my:own", Some(""))]"#
            ),
            "served"
        ]
    );
    proxy.reconnect();
    // The oldest Proxies say nothing.
    proxy.say(&["1|MPI"]);
    let expected = ["disconnected", "initialize metadata []", "served"];
    assert_eq!(calls.take(), expected);
}

/// Looks parameters up by their names.
struct Lookup(Calls);

impl MetadataProvider for Lookup {
    fn notify_user(
        &mut self,
        _user: Option<&str>,
        _password: Option<&str>,
        http_headers: &Parameters<'_>,
    ) -> Result<(), MetadataError> {
        for name in ["a", "b b", "c", "A", ""] {
            self.0
                .note(format!("{name:?} {:?}", http_headers.get(name)));
        }
        Ok(())
    }
}

#[test]
fn a_parameter_is_found_by_its_name_and_the_last_one_counts() {
    let calls = Calls::default();
    let mut proxy = proxy::metadata("1.8.3", Lookup(calls.clone()));
    let headers = "S|a|S|1|S|b+b|S|x%7Cy|S|c|S|3|S|a|S|%C3%A8|S|c|S|#|S|#|S|nameless";
    proxy.ask(&format!("7|NUS|S|u|S|p|{headers}"));
    assert_eq!(
        calls.take(),
        [
            r#""a" Some("è")"#,
            r#""b b" Some("x|y")"#,
            r#""c" None"#,
            r#""A" None"#,
            r#""" None"#
        ]
    );
}

/// Answers every group and schema with what its name says.
struct Lists;

impl Lists {
    fn fill(list: &str, names: &mut Names<'_>) {
        assert!(names.is_empty());
        match list {
            "none" => {}
            "added" => {
                names.add("a b").add("").add("#").add("c|d è+%");
            }
            "mixed" => {
                names.split(" one  two ").add("three").split("");
            }
            other => panic!("{other}"),
        }
        assert_eq!(names.is_empty(), list == "none");
    }
}

impl MetadataProvider for Lists {
    fn get_items(
        &mut self,
        _user: Option<&str>,
        _session_id: &str,
        group: &str,
        items: &mut Names<'_>,
    ) -> Result<(), MetadataError> {
        Lists::fill(group, items);
        Ok(())
    }

    fn get_schema(
        &mut self,
        _user: Option<&str>,
        _session_id: &str,
        _group: &str,
        schema: &str,
        fields: &mut Names<'_>,
    ) -> Result<(), MetadataError> {
        Lists::fill(schema, fields);
        Ok(())
    }
}

#[test]
fn items_and_fields_are_lists_of_names() {
    for version in ["1.8.3", "1.9.1"] {
        let mut proxy = proxy::metadata(version, Lists);
        let encoding = proxy::encoding(version);
        for (list, names) in [
            ("none", &[][..]),
            ("added", &["a b", "", "#", "c|d è+%"]),
            ("mixed", &["one", "two", "three"]),
        ] {
            let strings = names.iter().map(|name| encoding.encode(Some(name)));
            let strings: String = strings.map(|name| format!("|S|{name}")).collect();
            let asked = proxy.ask(&format!("7|GIS|S|u|S|{list}|S|S1"));
            assert_eq!(asked, [format!("7|GIS{strings}")]);
            let asked = proxy.ask(&format!("8|GSC|S|u|S|g|S|{list}|S|S1"));
            assert_eq!(asked, [format!("8|GSC{strings}")]);
        }
    }
}

#[test]
fn requests_served_comes_once_for_each_read() {
    let notes = Notes::default();
    let calls = notes.0.clone();
    let mut proxy = proxy::metadata("1.9.1", notes);
    calls.take();
    proxy.say(&["2|NSC|S|S1", "3|NSC|S|S2", "4|NSC|S|S3"]);
    assert_eq!(proxy.lines(), ["2|NSC|V", "3|NSC|V", "4|NSC|V"]);
    let closes = |ids: &[&str]| {
        let calls = ids.iter().map(|id| format!("close {id:?}"));
        calls.chain(["served".into()]).collect::<Vec<_>>()
    };
    assert_eq!(calls.take(), closes(&["S1", "S2", "S3"]));
    // Half a line is not served yet.
    proxy.send(b"5|NSC|S|S4\r\n6|NSC|S|S").expect("it goes on");
    assert_eq!(calls.take(), closes(&["S4"]));
    proxy.send(b"5").expect("it goes on");
    assert_eq!(calls.take(), [""; 0]);
    proxy.send(b"\r\n").expect("it goes on");
    assert_eq!(calls.take(), closes(&["S5"]));
    // What came before the end of a connection is answered.
    let end = proxy.say_last(&["7|NSC|S|S6", "0|CLOSE|S|reason|S|enough", "8|NSC|S|S7"]);
    assert!(matches!(end, Disconnect::CloseRequest { .. }), "{end:?}");
    assert_eq!(calls.take(), closes(&["S6"]));
    assert_eq!(proxy.lines(), ["5|NSC|V", "6|NSC|V", "7|NSC|V"]);
    proxy.reconnect();
    assert_eq!(calls.take(), ["disconnected"]);
}

/// Sends each message to an item, all that came with one read together.
struct Publisher {
    listener: ItemEventListener,
    data: Arc<Mutex<LocalProxy>>,
    left: Calls,
}

impl MetadataProvider for Publisher {
    fn notify_user_message(
        &mut self,
        _user: Option<&str>,
        _session_id: &str,
        message: Text<'_>,
    ) -> Result<(), MetadataError> {
        let staged = self.listener.stage("a", false, |event| {
            event.field("n", message);
        });
        staged.map_err(|unsent| MetadataError::Notification(unsent.to_string()))
    }

    fn requests_served(&mut self) {
        let received = || self.data.lock().expect("no panic").lines();
        assert_eq!(
            received(),
            [""; 0],
            "what is staged does not leave by itself"
        );
        self.listener.flush();
        for line in received() {
            self.left.note(line);
        }
    }
}

#[test]
fn what_is_staged_for_the_messages_of_a_read_leaves_before_their_replies() {
    let (feed, handle) = Feed::new();
    let mut data = proxy::data(feed);
    data.ask("2|SUB|S|a");
    let left = Calls::default();
    let publisher = Publisher {
        listener: handle.listener().clone(),
        data: Arc::new(Mutex::new(data)),
        left: left.clone(),
    };
    let mut proxy = proxy::metadata("1.9.1", publisher);
    proxy.say(&["2|NUM|S|#|S|S1|S|one", "3|NUM|S|#|S|S1|S|two %7C"]);
    // The provider saw them leave within `requests_served`.
    let events = ["one", "two %7C"].map(|text| event::update("a", "2", text));
    assert_eq!(left.take(), events);
    assert_eq!(proxy.lines(), ["2|NUM|V", "3|NUM|V"]);
}

/// One adapter with two sides: a message goes to everybody.
#[derive(Clone, Default)]
struct Echo(Arc<Mutex<Option<ItemEventListener>>>);

impl MetadataProvider for Echo {
    fn notify_user_message(
        &mut self,
        _user: Option<&str>,
        _session_id: &str,
        message: Text<'_>,
    ) -> Result<(), MetadataError> {
        let text = message.strip_prefix("SAY|");
        let text = text.ok_or(MetadataError::Notification("what?".into()))?;
        let listener = self.0.lock().expect("no panic");
        let listener = listener.as_ref().expect("it was set");
        let sent = listener.update("a", false, |event| {
            event.field("n", text);
        });
        sent.map_err(|unsent| MetadataError::Notification(unsent.to_string()))
    }
}

impl DataProvider for Echo {
    fn set_listener(&mut self, listener: ItemEventListener) {
        *self.0.lock().expect("no panic") = Some(listener);
    }

    fn subscribe(&mut self, item: &str) -> Result<(), DataError> {
        let listener = self.0.lock().expect("no panic").clone();
        update(&listener.expect("it was set"), item, 0).expect("it is open");
        Ok(())
    }

    fn unsubscribe(&mut self, _item: &str) -> Result<(), DataError> {
        Ok(())
    }
}

#[test]
fn a_message_becomes_an_event_whatever_the_versions_of_the_two_connections() {
    for version in ["1.8.3", "1.9.1"] {
        let echo = Echo::default();
        let mut data = proxy::data(echo.clone());
        let mut metadata = proxy::metadata(version, echo);
        let encoding = proxy::encoding(version);
        let unsent = encoding.encode(Some("nobody is subscribed"));
        let hi = encoding.encode(Some("SAY|hi"));
        let asked = metadata.ask(&format!("2|NUM|S|u|S|S1|S|{hi}"));
        assert_eq!(asked, [format!("2|NUM|EN|{unsent}")]);
        data.ask("2|SUB|S|a");
        for text in ["hi", "", "#", "$", "50% + a|b\r\nè 😀", " "] {
            let message = encoding.encode(Some(&format!("SAY|{text}")));
            let asked = metadata.ask(&format!("3|NUM|S|u|S|S1|S|{message}"));
            assert_eq!(asked, ["3|NUM|V"]);
            assert_eq!(data.lines(), [event::update("a", "2", proxy::smart(text))]);
        }
        let what = encoding.encode(Some("what?"));
        assert_eq!(
            metadata.ask("4|NUM|S|u|S|S1|S|#"),
            [format!("4|NUM|EN|{what}")]
        );
    }
}
