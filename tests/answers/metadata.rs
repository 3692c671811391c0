//! The metadata requests, each with its answer to the byte.

use crate::setup::{Setup, exchange, expect_error};
use crate::standin::{Encoding, Session};

#[track_caller]
fn answered(script: &[(&str, &str)]) {
    exchange(&mut Setup::new().metadata.connection, script);
}

#[test]
fn nus_welcomes_everybody() {
    answered(&[
        ("1c|NUS|S|#|S|#", "1c|NUS|D|0.0|B|0"),
        ("2c|NUS|S|$|S|$", "2c|NUS|D|0.0|B|0"),
        ("3c|NUS|S|user|S|password", "3c|NUS|D|0.0|B|0"),
        (
            "4c|NUS|S|user|S|pass%7Cword|S|host|S|localhost:8080|S|user-agent|S|Mozilla/5.0 (X11)",
            "4c|NUS|D|0.0|B|0",
        ),
        ("5c|NUS|S||S|", "5c|NUS|D|0.0|B|0"),
    ]);
}

#[test]
fn nua_welcomes_everybody_with_a_certificate() {
    answered(&[
        ("1c|NUA|S|#|S|#|S|#", "1c|NUA|D|0.0|B|0"),
        (
            "2c|NUA|S|user|S|pwd|S|CN=client, O=è|S|host|S|localhost|S|x|S|#",
            "2c|NUA|D|0.0|B|0",
        ),
    ]);
}

#[test]
fn nns_remembers_whatever_the_context() {
    answered(&[
        ("1c|NNS|S|#|S|S1", "1c|NNS|V"),
        (
            "2c|NNS|S|user|S|S2|S|REMOTE_IP|S|192.0.2.7|S|CLIENT_TYPE|S|#|S|USER_AGENT|S|a%2Bb c",
            "2c|NNS|V",
        ),
        (
            "3c|NNS|S|#|S|S3|S|REMOTE_IP|S|#|S|USER_AGENT|S|$",
            "3c|NNS|V",
        ),
    ]);
}

#[test]
fn nns_of_a_known_session_is_harmless() {
    answered(&[
        ("1c|NNS|S|#|S|S1|S|REMOTE_IP|S|::1", "1c|NNS|V"),
        ("2c|NNS|S|#|S|S1|S|REMOTE_IP|S|::1", "2c|NNS|V"),
    ]);
}

#[test]
fn nsc_of_known_unknown_and_forgotten_sessions_is_a_success() {
    answered(&[
        ("1c|NNS|S|#|S|S1", "1c|NNS|V"),
        ("2c|NSC|S|S1", "2c|NSC|V"),
        ("3c|NSC|S|S1", "3c|NSC|V"),
        ("4c|NSC|S|never seen", "4c|NSC|V"),
        ("5c|NSC|S|$", "5c|NSC|V"),
        ("6c|NSC|S|", "6c|NSC|V"),
    ]);
}

#[test]
fn a_session_may_be_opened_again_after_its_close() {
    let mut setup = Setup::new();
    setup.data.subscribe("chat_room");
    for agent in ["first", "second"] {
        setup.metadata.open(&Session::new("S1", "::1", agent));
        setup.metadata.say("S1", "hello").expect("V");
        assert_eq!(setup.data.chat().nick, agent);
        setup.metadata.close_session("S1");
    }
}

#[test]
fn gis_answers_the_group_as_a_list_of_names() {
    answered(&[
        ("1c|GIS|S|#|S|chat_room|S|S1", "1c|GIS|S|chat_room"),
        ("2c|GIS|S|user|S|a b|S|S1", "2c|GIS|S|a|S|b"),
        ("3c|GIS|S|#|S|  a   b  c |S|S1", "3c|GIS|S|a|S|b|S|c"),
        ("4c|GIS|S|#|S|a+b%20c|S|S1", "4c|GIS|S|a|S|b|S|c"),
        // Only spaces separate.
        ("5c|GIS|S|#|S|a\tb,c|S|S1", "5c|GIS|S|a\tb,c"),
        ("6c|GIS|S|#|S|a%0Ab|S|S1", "6c|GIS|S|a%0Ab"),
        // Names are strings like all others.
        (
            "7c|GIS|S|#|S|a%7Cb %2B %25 è|S|S1",
            "7c|GIS|S|a%7Cb|S|%2B|S|%25|S|è",
        ),
        ("8c|GIS|S|#|S|# $ ##|S|S1", "8c|GIS|S|%23|S|%24|S|##"),
        ("9c|GIS|S|#|S|%23|S|S1", "9c|GIS|S|%23"),
        ("ac|GIS|S|#|S|a a|S|S1", "ac|GIS|S|a|S|a"),
    ]);
}

#[test]
fn gis_of_nothing_is_an_items_error() {
    let mut setup = Setup::new();
    for group in ["#", "$", "", " ", "+", "   ", "%20"] {
        let connection = &mut setup.metadata.connection;
        connection.send_line(format!("1c|GIS|S|#|S|{group}|S|S1"));
        expect_error(connection, "1c|GIS|EI", Encoding::Smart);
    }
}

#[test]
fn gsc_answers_the_schema_as_a_list_of_names() {
    answered(&[
        (
            "1c|GSC|S|#|S|chat_room|S|IP nick message timestamp raw_timestamp|S|S1",
            "1c|GSC|S|IP|S|nick|S|message|S|timestamp|S|raw_timestamp",
        ),
        ("2c|GSC|S|#|S|chat_room|S|  a   b |S|S1", "2c|GSC|S|a|S|b"),
        (
            "3c|GSC|S|#|S|chat_room|S|a+%23 $|S|S1",
            "3c|GSC|S|a|S|%23|S|%24",
        ),
        ("4c|GSC|S|#|S|any group|S|è%7C|S|S1", "4c|GSC|S|è%7C"),
    ]);
}

#[test]
fn gsc_of_nothing_is_a_schema_error() {
    let mut setup = Setup::new();
    for schema in ["#", "$", "", " ", "+", "   ", "%20"] {
        let connection = &mut setup.metadata.connection;
        connection.send_line(format!("1c|GSC|S|#|S|chat_room|S|{schema}|S|S1"));
        expect_error(connection, "1c|GSC|ES", Encoding::Smart);
    }
}

#[test]
fn git_of_the_room_keeps_thirty_and_is_distinct_only() {
    answered(&[
        ("1c|GIT|S|chat_room", "1c|GIT|I|30|D|0.0|M|D"),
        ("2c|GIT|S|chat%5Froom", "2c|GIT|I|30|D|0.0|M|D"),
    ]);
}

#[test]
fn git_of_other_items_allows_everything() {
    answered(&[
        ("1c|GIT|S|stock", "1c|GIT|I|0|D|0.0|M|RMDC"),
        ("2c|GIT|S|chat_room ", "2c|GIT|I|0|D|0.0|M|RMDC"),
        ("3c|GIT|S|Chat_Room", "3c|GIT|I|0|D|0.0|M|RMDC"),
        // The item that a Proxy serves by itself, and has to have in MERGE or RAW.
        ("5c|GIT|S|chat_status", "5c|GIT|I|0|D|0.0|M|RMDC"),
        (
            "4c|GIT|S|a|S|chat_room|S|b",
            "4c|GIT|I|0|D|0.0|M|RMDC|I|30|D|0.0|M|D|I|0|D|0.0|M|RMDC",
        ),
    ]);
}

#[test]
fn gui_sets_no_limits() {
    answered(&[
        ("1c|GUI|S|#|S|chat_room", "1c|GUI|I|0|D|0.0|M|D"),
        ("2c|GUI|S|user|S|stock", "2c|GUI|I|0|D|0.0|M|RMDC"),
        ("5c|GUI|S|user|S|chat_status", "5c|GUI|I|0|D|0.0|M|RMDC"),
        (
            "3c|GUI|S|user|S|stock|S|chat_room|S|chat_room",
            "3c|GUI|I|0|D|0.0|M|RMDC|I|0|D|0.0|M|D|I|0|D|0.0|M|D",
        ),
        // The user is no item.
        ("4c|GUI|S|chat_room|S|x", "4c|GUI|I|0|D|0.0|M|RMDC"),
    ]);
}

#[test]
fn git_and_gui_of_no_item_are_answered_by_their_name_alone() {
    answered(&[
        ("1c|GIT", "1c|GIT"),
        ("2c|GIT|", "2c|GIT"),
        ("3c|GUI|S|#", "3c|GUI"),
        ("4c|GUI|S|user", "4c|GUI"),
    ]);
}

#[test]
fn git_and_gui_of_a_thousand_items() {
    let items = "|S|chat_room".repeat(1000);
    answered(&[
        (
            &format!("1c|GIT{items}"),
            &format!("1c|GIT{}", "|I|30|D|0.0|M|D".repeat(1000)),
        ),
        (
            &format!("2c|GUI|S|#{items}"),
            &format!("2c|GUI{}", "|I|0|D|0.0|M|D".repeat(1000)),
        ),
    ]);
}

#[test]
fn table_notifications_are_accepted_though_not_asked_for() {
    answered(&[
        (
            "1c|NNT|S|user|S|S1|I|1|M|D|S|chat_room|S|IP nick message|I|1|I|1|S|#",
            "1c|NNT|V",
        ),
        (
            "2c|NTC|S|S1|I|1|M|D|S|chat_room|S|IP nick message|I|1|I|1|S|#",
            "2c|NTC|V",
        ),
    ]);
}

#[test]
fn push_notification_requests_are_accepted() {
    answered(&[
        ("1c|MDA|S|user|S|S1|P|A|S|app|S|token", "1c|MDA|V"),
        (
            "2c|MSA|S|user|S|S1|I|1|M|M|S|group|S|schema|I|1|I|1|P|G|S|app|S|token|S|#|S|text",
            "2c|MSA|V",
        ),
        ("3c|MDC|S|user|S|S1|P|A|S|app|S|old|S|new", "3c|MDC|V"),
    ]);
}

#[test]
fn further_arguments_are_ignored() {
    answered(&[
        ("1c|NUS|S|u|S|p|S|a|S|b|S|c|S|d|S|e|S|f", "1c|NUS|D|0.0|B|0"),
        ("2c|NSC|S|S1|S|more", "2c|NSC|V"),
        (
            "3c|GIS|S|#|S|chat_room|S|S1|S|more|S|#",
            "3c|GIS|S|chat_room",
        ),
        ("4c|GSC|S|#|S|g|S|IP|S|S1|I|5|B|1", "4c|GSC|S|IP"),
    ]);
}
