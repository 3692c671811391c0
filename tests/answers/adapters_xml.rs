//! The Adapter Set's descriptor, as the server would read it, beside what the binary does by
//! default.

use std::fs;

use roxmltree::{Document, Node, ParsingOptions};

use crate::setup::command;

fn text() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/adapters.xml"))
        .expect("adapters.xml at the top of the project")
}

fn parse(text: &str) -> Document<'_> {
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(text, options).expect("well-formed XML")
}

fn child<'a>(parent: Node<'a, 'a>, name: &str) -> Node<'a, 'a> {
    let mut found = parent.children().filter(|node| node.has_tag_name(name));
    let first = found.next();
    assert!(found.next().is_none(), "two of {name}");
    first.unwrap_or_else(|| panic!("no {name}"))
}

fn parameter<'a>(parent: Node<'a, 'a>, name: &str) -> &'a str {
    let mut found = parent
        .children()
        .filter(|node| node.has_tag_name("param") && node.attribute("name") == Some(name));
    let first = found.next().and_then(|node| node.text());
    assert!(found.next().is_none(), "two of {name}");
    first
        .unwrap_or_else(|| panic!("no parameter {name}"))
        .trim()
}

fn class<'a>(provider: Node<'a, 'a>) -> &'a str {
    child(provider, "adapter_class").text().unwrap_or("").trim()
}

#[test]
fn the_adapter_set_and_its_adapters_have_the_names_clients_and_server_know() {
    let text = text();
    let document = parse(&text);
    let root = document.root_element();
    assert_eq!(root.tag_name().name(), "adapters_conf");
    assert_eq!(root.attribute("id"), Some("PROXY_PYTHONCHAT"));
    let metadata = child(root, "metadata_provider");
    let data = child(root, "data_provider");
    assert_eq!(data.attribute("name"), Some("CHAT_ROOM"));
    for provider in [metadata, data] {
        assert_eq!(class(provider), "ROBUST_PROXY_FOR_REMOTE_ADAPTER");
        assert_eq!(
            child(provider, "classloader").text().map(str::trim),
            Some("log-enabled")
        );
    }
}

#[test]
fn its_ports_are_the_defaults_of_the_binary() {
    let text = text();
    let document = parse(&text);
    let root = document.root_element();
    let help = command().arg("--help").run().stdout;
    for (provider, option, port) in [
        ("metadata_provider", "--metadata_rrport", "8003"),
        ("data_provider", "--data_rrport", "8001"),
    ] {
        assert_eq!(parameter(child(root, provider), "request_reply_port"), port);
        let (_, after) = help.split_once(option).expect("the option in the help");
        let described = after.split("--").next().unwrap_or(after);
        assert!(described.contains(port), "{option}: {described}");
    }
}

#[test]
fn what_the_proxies_do_while_the_adapter_is_away_is_set_where_the_default_would_hurt() {
    let text = text();
    let document = parse(&text);
    let root = document.root_element();
    for (provider, name, value) in [
        ("metadata_provider", "timeout", "36000000"),
        ("data_provider", "timeout", "36000000"),
        (
            "metadata_provider",
            "connection_recovery_timeout_millis",
            "10000",
        ),
        (
            "data_provider",
            "connection_recovery_timeout_millis",
            "10000",
        ),
        (
            "metadata_provider",
            "notify_user_on_disconnection",
            "force_retry",
        ),
        ("metadata_provider", "clear_on_new_remote", "true"),
        (
            "metadata_provider",
            "close_notifications_recovery",
            "pessimistic",
        ),
        ("data_provider", "events_recovery", "leave_hole"),
        ("data_provider", "status_item", "chat_status"),
    ] {
        let set = parameter(child(root, provider), name);
        assert_eq!(set, value, "{provider}: {name}");
    }
}

#[test]
fn a_comment_names_the_basic_proxies() {
    assert!(text().contains(" PROXY_FOR_REMOTE_ADAPTER."));
}

#[test]
fn tls_and_authentication_are_there_to_be_uncommented() {
    let text = text();
    let document = parse(&text);
    for provider in ["metadata_provider", "data_provider"] {
        let provider = child(document.root_element(), provider);
        let comments: Vec<&str> = provider
            .children()
            .filter(Node::is_comment)
            .filter_map(|node| node.text())
            .filter(|comment| comment.contains("<param"))
            .collect();
        let mut names = Vec::new();
        for comment in comments {
            let (start, end) = (comment.find('<'), comment.rfind('>'));
            let block = &comment[start.expect("an element")..=end.expect("its end")];
            let block = format!("<block>{block}</block>");
            let document = parse(&block);
            for node in document.root_element().children() {
                names.extend(node.attribute("name").map(str::to_owned));
            }
        }
        for name in [
            "tls",
            "tls.keystore.type",
            "tls.keystore.keystore_file",
            "tls.keystore.keystore_password.type",
            "tls.keystore.keystore_password",
            "tls.force_client_auth",
            "auth",
            "auth.credentials.1.user",
            "auth.credentials.1.password",
        ] {
            assert!(names.iter().any(|known| known == name), "{name}: {names:?}");
        }
    }
}
