//! A provider without a single method of its own answers as the official kits do.

use crate::proxy::{self, Lines, encoding};
use chat_adapter::provider::{
    DataError, DataProvider, ItemEventListener, MetadataError, MetadataProvider, Mode, Parameters,
};

struct Everybody;
impl MetadataProvider for Everybody {}

#[test]
fn every_request_has_a_default_answer() {
    for version in ["1.8.3", "1.9.1"] {
        let mut proxy = proxy::metadata(version, Everybody);
        for (request, answer) in [
            ("NUS|S|user|S|password", "NUS|D|0.0|B|0"),
            ("NUS|S|#|S|#|S|host|S|localhost", "NUS|D|0.0|B|0"),
            ("NUA|S|user|S|password|S|CN=me", "NUA|D|0.0|B|0"),
            ("NNS|S|user|S|S1|S|REMOTE_IP|S|192.0.2.7", "NNS|V"),
            ("NSC|S|S1", "NSC|V"),
            ("NSC|S|S1", "NSC|V"),
            ("GIS|S|user|S|one two|S|S1", "GIS|S|one|S|two"),
            ("GIS|S|user|S|+one++two+|S|S1", "GIS|S|one|S|two"),
            ("GIS|S|user|S|$|S|S1", "GIS"),
            ("GSC|S|user|S|one|S|a b c|S|S1", "GSC|S|a|S|b|S|c"),
            ("GSC|S|user|S|one|S|#|S|S1", "GSC"),
            ("GIT|S|one", "GIT|I|0|D|0.0|M|RMDC"),
            ("GIT|S|one|S|two", "GIT|I|0|D|0.0|M|RMDC|I|0|D|0.0|M|RMDC"),
            ("GUI|S|user|S|one", "GUI|I|0|D|0.0|M|RMDC"),
            (
                "GUI|S|#|S|one|S|two",
                "GUI|I|0|D|0.0|M|RMDC|I|0|D|0.0|M|RMDC",
            ),
            ("NNT|S|user|S|S1", "NNT|V"),
            ("NTC|S|S1", "NTC|V"),
            ("MDA|S|user|S|S1|P|A|S|app|S|token", "MDA|V"),
            ("MSA|S|user|S|S1", "MSA|V"),
            ("MDC|S|user|S|S1|P|A|S|app|S|token|S|token2", "MDC|V"),
        ] {
            let asked = proxy.ask(&format!("7|{request}"));
            assert_eq!(asked, [format!("7|{answer}")], "{request}, {version}");
        }
        let asked = proxy.ask("7|NUM|S|user|S|S1|S|hi");
        let why = encoding(version).encode(Some("Messages are not supported"));
        assert_eq!(asked, [format!("7|NUM|EC|{why}|0|#")]);
    }
}

/// A provider that has an opinion of everything.
struct Limits {
    time_to_live: i32,
    frequency: f64,
}

impl MetadataProvider for Limits {
    fn get_allowed_max_bandwidth(&mut self, user: Option<&str>) -> f64 {
        if user.is_some() { 12.5 } else { 0.1 }
    }

    fn get_session_time_to_live(&mut self, user: Option<&str>, session_id: &str) -> i32 {
        assert_eq!((user, session_id), (Some("user"), "S1"));
        self.time_to_live
    }

    fn mode_may_be_allowed(&mut self, item: &str, mode: Mode) -> bool {
        match item {
            "one" => matches!(mode, Mode::Merge | Mode::Command),
            _ => mode == Mode::Distinct,
        }
    }

    fn is_mode_allowed(&mut self, user: Option<&str>, item: &str, mode: Mode) -> bool {
        user.is_some() && item == "one" && mode == Mode::Raw
    }

    fn get_distinct_snapshot_length(&mut self, item: &str) -> i32 {
        if item == "one" { 30 } else { -1 }
    }

    fn get_min_source_frequency(&mut self, item: &str) -> f64 {
        if item == "one" { self.frequency } else { 2.0 }
    }

    fn get_allowed_buffer_size(&mut self, user: Option<&str>, item: &str) -> i32 {
        if user.is_some() && item == "one" {
            5
        } else {
            0
        }
    }

    fn get_allowed_max_item_frequency(&mut self, user: Option<&str>, item: &str) -> f64 {
        if user.is_some() && item == "one" {
            self.frequency
        } else {
            3.0
        }
    }
}

#[test]
fn what_a_provider_answers_instead_is_what_the_proxy_gets() {
    let mut proxy = proxy::metadata(
        "1.9.1",
        Limits {
            time_to_live: 60,
            frequency: 0.25,
        },
    );
    for (request, answer) in [
        ("NUS|S|user|S|password", "NUS|D|12.5|B|0"),
        ("NUA|S|#|S|#|S|CN=me", "NUA|D|0.1|B|0"),
        ("NNS|S|user|S|S1", "NNS|I|60"),
        ("GIT|S|one|S|two", "GIT|I|30|D|0.25|M|MC|I|-1|D|2.0|M|D"),
        ("GUI|S|user|S|one|S|two", "GUI|I|5|D|0.25|M|R|I|0|D|3.0|M|$"),
        ("GUI|S|#|S|one", "GUI|I|0|D|3.0|M|$"),
    ] {
        let asked = proxy.ask(&format!("7|{request}"));
        assert_eq!(asked, [format!("7|{answer}")], "{request}");
    }
}

#[test]
fn what_is_no_limit_is_none() {
    for time_to_live in [0, -1, i32::MIN] {
        for frequency in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut proxy = proxy::metadata(
                "1.9.1",
                Limits {
                    time_to_live,
                    frequency,
                },
            );
            assert_eq!(proxy.ask("7|NNS|S|user|S|S1"), ["7|NNS|V"]);
            assert_eq!(proxy.ask("7|GIT|S|one"), ["7|GIT|I|30|D|0.0|M|MC"]);
            assert_eq!(proxy.ask("7|GUI|S|user|S|one"), ["7|GUI|I|5|D|0.0|M|R"]);
        }
    }
}

/// Refuses whoever does not say the word.
struct Word;

impl MetadataProvider for Word {
    fn notify_user(
        &mut self,
        user: Option<&str>,
        password: Option<&str>,
        http_headers: &Parameters<'_>,
    ) -> Result<(), MetadataError> {
        assert_eq!(http_headers.get("host").as_deref(), Some("localhost"));
        match (user, password) {
            (Some("user"), Some("word")) => Ok(()),
            _ => Err(MetadataError::Access("no".into())),
        }
    }
}

#[test]
fn a_login_with_a_certificate_is_asked_like_one_without() {
    let mut proxy = proxy::metadata("1.9.1", Word);
    for (request, answer) in [
        ("NUS|S|user|S|word|S|host|S|localhost", "NUS|D|0.0|B|0"),
        ("NUS|S|user|S|#|S|host|S|localhost", "NUS|EA|no"),
        ("NUA|S|user|S|word|S|#|S|host|S|localhost", "NUA|D|0.0|B|0"),
        ("NUA|S|user|S|#|S|CN=user|S|host|S|localhost", "NUA|EA|no"),
    ] {
        let asked = proxy.ask(&format!("7|{request}"));
        assert_eq!(asked, [format!("7|{answer}")], "{request}");
    }
}

/// A data provider with no more than it must have.
struct Nothing;

impl DataProvider for Nothing {
    fn set_listener(&mut self, _listener: ItemEventListener) {}

    fn subscribe(&mut self, _item: &str) -> Result<(), DataError> {
        Ok(())
    }

    fn unsubscribe(&mut self, _item: &str) -> Result<(), DataError> {
        Ok(())
    }
}

#[test]
fn a_data_provider_has_no_snapshot_by_default() {
    let mut proxy = proxy::data(Nothing);
    let eos = proxy::event::end_of_snapshot("a", "2");
    assert_eq!(proxy.ask("2|SUB|S|a"), [&eos, "2|SUB|V"]);
    assert_eq!(proxy.ask("3|USB|S|a"), ["3|USB|V"]);
    proxy.reconnect();
    proxy.open("DPI", "1.9.1");
    assert_eq!(proxy.ask("2|SUB|S|a"), [&eos, "2|SUB|V"]);
}
