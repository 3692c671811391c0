//! What everybody sees of the sender of a message: address and user agent, or what stands for them.

use crate::setup::{AGENT, IP, SESSION, Setup};
use crate::standin::Session;

/// What everybody sees of the sender of a message.
#[track_caller]
fn labels(session: &Session) -> (String, String) {
    let mut setup = Setup::new();
    setup.data.subscribe("chat_room");
    setup.metadata.open(session);
    let id =
        setup
            .metadata
            .send_message(session.user.as_deref(), &session.id, Some("CHAT|who am I?"));
    setup.metadata.expect_void(&id);
    let chat = setup.data.chat();
    (chat.ip, chat.nick)
}

#[test]
fn address_and_user_agent_are_those_of_the_session() {
    let label = |ip, agent| labels(&Session::new("S1", ip, agent));
    for (ip, agent) in [
        (IP, AGENT),
        ("2001:db8::7", "è|+%"),
        ("a b", "#"),
        ("$", "$"),
    ] {
        assert_eq!(label(ip, agent), (ip.to_owned(), agent.to_owned()));
    }
}

#[test]
fn other_context_and_its_order_do_not_matter() {
    let session = Session::without_context("S1")
        .with("CLIENT_VERSION", None)
        .with("USER_AGENT", Some("agent"))
        .with("", Some("nameless"))
        .with("remote_ip", Some("wrong"))
        .with("USER_AGENT_", Some("wrong"))
        .with("REMOTE_IP", Some("::1"))
        .with("X_REMOTE_IP", Some("wrong"));
    assert_eq!(labels(&session), ("::1".to_owned(), "agent".to_owned()));
}

#[test]
fn what_is_longer_than_a_label_is_cut_at_a_character() {
    let long = "è%|".repeat(1000);
    let cut = "è%|".repeat(249) + "…";
    assert_eq!(cut.len(), 999);
    let session = Session::new("S1", &long, &long);
    assert_eq!(labels(&session), (cut.clone(), cut.clone()));
    // The name of a user that stands for it, too.
    let session = Session::without_context("S1").with("REMOTE_IP", Some(IP));
    assert_eq!(labels(&session.of_user(&long)), (IP.to_owned(), cut));
}

/// The ways in which a client can fail to say something: not at all, null, empty.
fn without(name: &str) -> [Session; 3] {
    let session = Session::without_context("S1");
    [
        session.clone(),
        session.clone().with(name, None),
        session.with(name, Some("")),
    ]
}

#[test]
fn without_a_user_agent_the_nick_is_the_user() {
    for session in without("USER_AGENT") {
        let session = session.with("REMOTE_IP", Some(IP)).of_user("Ada|è");
        assert_eq!(labels(&session), (IP.to_owned(), "Ada|è".to_owned()));
    }
}

#[test]
fn without_a_user_agent_and_a_user_the_nick_is_unknown() {
    for session in without("USER_AGENT") {
        let session = session.with("REMOTE_IP", Some(IP));
        let anonymous = (IP.to_owned(), "unknown".to_owned());
        assert_eq!(labels(&session), anonymous);
        assert_eq!(labels(&session.of_user("")), anonymous);
    }
}

#[test]
fn without_an_address_it_is_unknown() {
    for session in without("REMOTE_IP") {
        let session = session.with("USER_AGENT", Some(AGENT)).of_user("Ada");
        assert_eq!(labels(&session), ("unknown".to_owned(), AGENT.to_owned()));
    }
}

#[test]
fn a_session_of_which_nothing_is_known_may_chat() {
    let session = Session::without_context("S1");
    assert_eq!(
        labels(&session),
        ("unknown".to_owned(), "unknown".to_owned())
    );
}

#[test]
fn a_user_agent_wins_over_the_user() {
    let session = Session::new("S1", IP, AGENT).of_user("Ada");
    assert_eq!(labels(&session), (IP.to_owned(), AGENT.to_owned()));
}

#[test]
fn a_session_introduced_again_is_what_it_was_called_last() {
    let mut setup = Setup::in_room();
    setup
        .metadata
        .open(&Session::new(SESSION, "2001:db8::1", "another browser"));
    setup.metadata.say(SESSION, "hi").expect("V");
    let chat = setup.data.chat();
    assert_eq!(chat.ip, "2001:db8::1");
    assert_eq!(chat.nick, "another browser");
}
