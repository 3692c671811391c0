//! The server's turns, one by one: clients and adapters are played by hand, time passes when a test says so.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{ClientId, Effect, Peer, Server};
use crate::ari::Side;
use crate::codec::Encoding;

const CREATE: &str = "create_session\r\nLS_adapter_set=PROXY_PYTHONCHAT&LS_cid=x";

/// A server with adapters that answer everything but messages by themselves.
struct Setup {
    server: Server,
    now: Instant,
    /// What each client was told since it was last asked for.
    told: HashMap<ClientId, String>,
    /// What adapters were asked: id, method and arguments.
    asked: Vec<(String, String, String)>,
    /// Whether the adapters answer.
    answers: bool,
    others: Vec<Effect>,
}

impl Setup {
    fn new() -> Self {
        let mut setup = Self::without_adapter();
        setup.server.adapter_up(Side::Metadata, Encoding::Smart);
        setup.server.adapter_up(Side::Data, Encoding::Smart);
        setup
    }

    fn without_adapter() -> Self {
        let now = Instant::now();
        Self {
            server: Server::new(
                "Test, 1 of 1".to_owned(),
                7,
                now,
                Some("chat_status".to_owned()),
            ),
            now,
            told: HashMap::new(),
            asked: Vec::new(),
            answers: true,
            others: Vec::new(),
        }
    }

    /// Carries out what is to be done, until there is nothing left.
    fn settle(&mut self) {
        loop {
            let effects = self.server.take_effects();
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                match effect {
                    Effect::Tell(client, lines) => {
                        self.told.entry(client).or_default().push_str(&lines);
                    }
                    Effect::Ask(side, line) => self.adapter(side, &line),
                    other => self.others.push(other),
                }
            }
        }
    }

    fn adapter(&mut self, side: Side, line: &str) {
        let mut parts = line.splitn(3, '|').map(str::to_owned);
        let mut part = || parts.next().unwrap_or_default();
        let (id, method, arguments) = (part(), part(), part());
        let items: Vec<&str> = arguments.split('|').skip(1).step_by(2).collect();
        let names = |text: &str| {
            let names = text.split(' ').filter(|name| !name.is_empty());
            names.fold(String::new(), |list, name| list + "|S|" + name)
        };
        let properties = |items: &[&str]| {
            let each = |item: &&str| match *item {
                "chat_room" => "|I|30|D|0.0|M|D",
                _ => "|I|0|D|0.0|M|RMDC",
            };
            items.iter().map(each).collect::<String>()
        };
        let result = match method.as_str() {
            "NUS" => "|D|0.0|B|0".to_owned(),
            "GIS" => names(items[1]),
            "GSC" => names(items[2]),
            "GIT" => properties(&items),
            "GUI" => properties(&items[1..]),
            _ => "|V".to_owned(),
        };
        if self.answers && method != "NUM" {
            if method == "SUB" {
                let end = format!("1|EOS|S|{}|S|{id}", items[0]);
                self.server.adapter_line(side, &end);
            }
            self.server
                .adapter_line(side, &format!("{id}|{method}{result}"));
        }
        self.asked.push((id, method, arguments));
    }

    fn join(&mut self, client: ClientId) {
        let peer = Peer {
            ip: "127.0.0.1".to_owned(),
            port: 4711,
            agent: Some("Tester/1.0".to_owned()),
        };
        self.server.joined(client, peer);
    }

    fn frame(&mut self, client: ClientId, frame: &str) -> String {
        self.server.frame(client, frame);
        self.told(client)
    }

    /// What a client was told since it was last asked for.
    fn told(&mut self, client: ClientId) -> String {
        self.settle();
        self.told.remove(&client).unwrap_or_default()
    }

    /// A client with an open session.
    fn client(&mut self, client: ClientId) {
        self.join(client);
        assert!(self.frame(client, CREATE).starts_with("CONOK,"));
    }

    /// The same, in the room.
    fn guest(&mut self, client: ClientId) {
        self.client(client);
        assert!(self.subscribe(client, 1, "").contains("EOS,1,1"));
    }

    fn subscribe(&mut self, client: ClientId, number: u64, more: &str) -> String {
        self.frame(
            client,
            &format!(
                "control\r\nLS_reqId=1&LS_op=add&LS_subId={number}&LS_mode=DISTINCT&LS_group=chat_room\
                 &LS_schema=message%20IP&LS_data_adapter=CHAT_ROOM&LS_snapshot=true{more}"
            ),
        )
    }

    fn update(&mut self, text: &str) {
        let id = self.last("SUB").0;
        let line = format!("1|UD3|S|chat_room|S|{id}|B|0|S|IP|S|127.0.0.1|S|message|S|{text}");
        self.server.adapter_line(Side::Data, &line);
    }

    /// The last request of a method.
    #[track_caller]
    fn last(&self, method: &str) -> (String, String) {
        let asked = self.asked.iter().rev().find(|(_, m, _)| m == method);
        let (id, _, arguments) = asked.expect("such a request");
        (id.clone(), arguments.clone())
    }

    /// The methods asked since the last time.
    fn methods(&mut self) -> String {
        self.settle();
        let asked = std::mem::take(&mut self.asked);
        let methods: Vec<String> = asked.into_iter().map(|(_, method, _)| method).collect();
        methods.join(" ")
    }

    /// Answers the oldest message that has no answer, and says its text.
    #[track_caller]
    fn answer(&mut self, result: &str) -> String {
        self.settle();
        let at = self.asked.iter().position(|(_, method, _)| method == "NUM");
        let (id, _, arguments) = self.asked.remove(at.expect("a message"));
        self.server
            .adapter_line(Side::Metadata, &format!("{id}|NUM|{result}"));
        arguments.rsplit('|').next().unwrap_or_default().to_owned()
    }
}

#[test]
fn a_session_opens_when_the_adapter_welcomes_it() {
    let mut setup = Setup::new();
    setup.join(1);
    let told = setup.frame(1, &format!("{CREATE}&LS_user=ann&LS_password=p%7Cw"));
    let id = told[6..].split(',').next().unwrap();
    assert_eq!(
        told,
        format!(
            "CONOK,{id},50000,5000,*\r\nSERVNAME,Test%2C 1 of 1\r\nCLIENTIP,127.0.0.1\r\n\
             CONS,unlimited\r\n"
        )
    );
    assert_eq!(
        setup.last("NUS").1,
        "S|ann|S|p%7Cw|S|user-agent|S|Tester/1.0"
    );
    assert_eq!(
        setup.last("NNS").1,
        format!(
            "S|ann|S|{id}|S|REMOTE_IP|S|127.0.0.1|S|REMOTE_PORT|S|4711|S|USER_AGENT|S|Tester/1.0"
        )
    );
    assert_eq!(setup.others, [Effect::Probe(1, Duration::from_secs(5))]);
    assert_eq!(setup.methods(), "NUS NNS");
    setup.server.left(1);
    setup.settle();
    assert_eq!(setup.last("NSC").1, format!("S|{id}"));
}

#[test]
fn a_client_names_its_keepalive_within_limits() {
    for (wanted, given) in [("700", 700), ("1", 500), ("999999", 30_000), ("x", 5_000)] {
        let mut setup = Setup::new();
        setup.join(1);
        let told = setup.frame(1, &format!("{CREATE}&LS_keepalive_millis={wanted}"));
        assert!(told.contains(&format!(",50000,{given},*")), "{told}");
        assert_eq!(
            setup.others,
            [Effect::Probe(1, Duration::from_millis(given))]
        );
    }
}

#[test]
fn sessions_are_refused_with_the_right_code() {
    let mut setup = Setup::new();
    setup.join(1);
    for other in [
        "create_session\r\nLS_adapter_set=DEMO",
        "create_session\r\nLS_cid=x",
    ] {
        let told = setup.frame(1, other);
        assert!(
            told.starts_with("CONERR,2,") && told.contains("PROXY_PYTHONCHAT"),
            "{told}"
        );
    }
    assert_eq!(setup.methods(), "");
    setup.answers = false;
    for (method, result, told) in [
        ("NUS", "EA|not you", "CONERR,1,not you\r\n"),
        ("NUS", "EC|log|-7|go%2C away", "CONERR,-7,go%2C away\r\n"),
        ("NUS", "E|oops", "CONERR,66,oops\r\n"),
        ("NNS", "EN|not now", "CONERR,66,not now\r\n"),
    ] {
        assert_eq!(setup.frame(1, CREATE), "");
        if method == "NNS" {
            let id = setup.last("NUS").0;
            setup
                .server
                .adapter_line(Side::Metadata, &format!("{id}|NUS|D|0.0|B|0"));
            setup.settle();
        }
        let id = setup.last(method).0;
        setup
            .server
            .adapter_line(Side::Metadata, &format!("{id}|{method}|{result}"));
        assert_eq!(setup.told(1), told);
    }
    // A session that was never opened is not closed either.
    setup.server.left(1);
    assert!(!setup.methods().contains("NSC"));
}

#[test]
fn a_session_is_bound_to_its_connection() {
    let mut setup = Setup::new();
    setup.join(1);
    let told = setup.frame(1, CREATE);
    let id = told[6..].split(',').next().unwrap().to_owned();
    let bind = format!("bind_session\r\nLS_session={id}");
    assert_eq!(setup.frame(1, &bind), told);
    setup.join(2);
    assert!(setup.frame(2, &bind).starts_with("CONERR,20,"));
    assert!(
        setup
            .frame(2, &format!("{bind}&LS_recovery_from=3"))
            .starts_with("CONERR,4,")
    );
    let foreign = format!("control\r\nLS_session={id}&LS_reqId=1&LS_op=delete&LS_subId=1");
    assert!(setup.frame(2, &foreign).starts_with("REQERR,1,20,"));
}

#[test]
fn the_first_subscriber_opens_the_item_and_the_last_one_closes_it() {
    let mut setup = Setup::new();
    setup.client(1);
    setup.client(2);
    setup.methods();
    assert_eq!(
        setup.subscribe(1, 1, ""),
        "REQOK,1\r\nSUBOK,1,1,2\r\nCONF,1,unlimited,filtered\r\nEOS,1,1\r\n"
    );
    assert_eq!(setup.methods(), "GIS GSC GIT GUI SUB");
    setup.subscribe(2, 5, "");
    setup.subscribe(2, 6, "&LS_ack=false&LS_requested_max_frequency=unfiltered");
    assert_eq!(setup.methods(), "GIS GSC GIT GUI GIS GSC GIT GUI");
    setup.server.left(1);
    let delete = "control\r\nLS_reqId=9&LS_op=delete&LS_subId=";
    assert_eq!(
        setup.frame(2, &format!("{delete}5")),
        "REQOK,9\r\nUNSUB,5\r\n"
    );
    assert_eq!(setup.methods(), "NSC");
    setup.frame(2, &format!("{delete}6"));
    assert_eq!(setup.methods(), "USB");
    assert!(
        setup
            .frame(2, &format!("{delete}6"))
            .starts_with("REQERR,9,19,")
    );
}

#[test]
fn a_newcomer_gets_as_much_history_as_it_wants() {
    let mut setup = Setup::new();
    setup.guest(1);
    for n in 0..40 {
        setup.update(&format!("m{n}"));
    }
    assert_eq!(setup.told(1).lines().count(), 40);
    setup.client(2);
    let told = setup.subscribe(2, 1, "");
    assert!(
        told.contains("filtered\r\nU,1,1,m10|127.0.0.1\r\nU,1,1,m11|\r\n"),
        "{told}"
    );
    assert!(told.ends_with("U,1,1,m39|\r\nEOS,1,1\r\n"));
    let more = |wanted: &str, number: u64, setup: &mut Setup| {
        let frame = format!(
            "control\r\nLS_reqId=1&LS_op=add&LS_subId={number}&LS_mode=DISTINCT&LS_group=chat_room\
             &LS_schema=message&LS_data_adapter=CHAT_ROOM{wanted}"
        );
        let told = setup.frame(2, &frame);
        told.lines().filter(|line| line.starts_with("U,")).count()
    };
    assert_eq!(more("&LS_snapshot=3", 2, &mut setup), 3);
    assert_eq!(more("&LS_snapshot=false", 3, &mut setup), 0);
    assert_eq!(more("", 4, &mut setup), 0);
    // Who wants no past is not told that it ends.
    assert!(!setup.told(2).contains("EOS"));
}

#[test]
fn history_that_the_adapter_sends_is_for_those_who_want_it() {
    let mut setup = Setup::new();
    setup.answers = false;
    setup.join(1);
    setup.answers = true;
    setup.frame(1, CREATE);
    setup.subscribe(1, 1, "");
    setup.frame(
        1,
        "control\r\nLS_reqId=2&LS_op=add&LS_subId=2&LS_mode=RAW&LS_group=other&LS_schema=f\
         &LS_data_adapter=CHAT_ROOM&LS_snapshot=true",
    );
    let id = setup.last("SUB").0;
    let update = format!("1|UD3|S|other|S|{id}|B|1|S|f|S|past");
    setup.server.adapter_line(Side::Data, &update);
    assert_eq!(setup.told(1), "");
    setup
        .server
        .adapter_line(Side::Data, &update.replace("|B|1", "|B|0"));
    assert_eq!(setup.told(1), "U,2,1,past\r\n");
    setup
        .server
        .adapter_line(Side::Data, &format!("1|CLS|S|other|S|{id}"));
    assert_eq!(setup.told(1), "CS,2,1\r\n");
}

#[test]
fn values_that_did_not_change_are_left_out() {
    let mut setup = Setup::new();
    setup.guest(1);
    for text in ["a", "a", "#", "$", "a%7Cb"] {
        setup.update(text);
    }
    assert_eq!(
        setup.told(1),
        "U,1,1,a|127.0.0.1\r\nU,1,1,|\r\nU,1,1,#|\r\nU,1,1,$|\r\nU,1,1,a%7Cb|\r\n"
    );
}

#[test]
fn subscriptions_are_refused_with_the_right_code() {
    let mut setup = Setup::new();
    setup.guest(1);
    let add = |more: &str| {
        format!("control\r\nLS_reqId=3&LS_op=add&LS_subId=2&LS_group=chat_room&LS_schema=f&{more}")
    };
    let here = "LS_data_adapter=CHAT_ROOM";
    for (frame, code) in [
        (add("LS_mode=DISTINCT"), 17),
        (add("LS_mode=DISTINCT&LS_data_adapter=QUOTES"), 17),
        (add(&format!("{here}&LS_mode=MERGE")), 24),
        (add(&format!("{here}&LS_mode=RAW")), 24),
        (add(&format!("{here}&LS_mode=x")), 67),
        (add(here), 67),
        (add(&format!("{here}&LS_mode=DISTINCT&LS_snapshot=x")), 67),
        (
            add(&format!("{here}&LS_mode=DISTINCT")).replace("subId=2", "subId=1"),
            67,
        ),
        (
            add(&format!("{here}&LS_mode=DISTINCT")).replace("LS_subId=2&", ""),
            67,
        ),
        (
            add(&format!("{here}&LS_mode=DISTINCT")).replace("chat_room", "%20"),
            21,
        ),
        (
            add(&format!("{here}&LS_mode=DISTINCT")).replace("schema=f", "schema=%20"),
            23,
        ),
    ] {
        let told = setup.frame(1, &frame);
        assert!(
            told.starts_with(&format!("REQERR,3,{code},")),
            "{frame}: {told}"
        );
    }
    setup.answers = false;
    for (result, told) in [
        ("EI|no such group", "REQERR,3,21,no such group\r\n"),
        ("EC|log|-4|not for you", "REQERR,3,-4,not for you\r\n"),
        ("E|oops", "REQERR,3,66,oops\r\n"),
        (
            "I|3",
            "REQERR,3,66,not a list of strings: [\"I\"%2C \"3\"]\r\n",
        ),
    ] {
        setup.frame(1, &add(&format!("{here}&LS_mode=DISTINCT")));
        let id = setup.last("GIS").0;
        setup
            .server
            .adapter_line(Side::Metadata, &format!("{id}|GIS|{result}"));
        assert_eq!(setup.told(1), told);
    }
}

#[test]
fn a_subscription_may_be_gone_before_the_adapter_has_answered() {
    let mut setup = Setup::new();
    setup.client(1);
    setup.answers = false;
    setup.subscribe(1, 1, "");
    let first = setup.last("GIS").0;
    assert_eq!(
        setup.frame(1, "control\r\nLS_op=delete&LS_subId=1"),
        "UNSUB,1\r\n"
    );
    setup.subscribe(1, 1, "");
    let second = setup.last("GIS").0;
    setup.answers = true;
    setup
        .server
        .adapter_line(Side::Metadata, &format!("{first}|GIS|S|chat_room"));
    assert_eq!(setup.told(1), "");
    setup
        .server
        .adapter_line(Side::Metadata, &format!("{second}|GIS|S|chat_room"));
    assert!(setup.told(1).starts_with("REQOK,1\r\nSUBOK,1,1,2\r\n"));
    setup.server.left(1);
    assert!(setup.methods().ends_with("USB NSC"));
}

fn message(text: &str, more: &str) -> String {
    format!("msg\r\nLS_reqId=4&LS_message={text}{more}")
}

#[test]
fn messages_have_their_outcome() {
    let mut setup = Setup::new();
    setup.guest(1);
    for (n, (result, told)) in [
        ("V", "MSGDONE,*,~,\r\n"),
        (
            "EN|Session lost! Please, reload.",
            "MSGFAIL,*,~,34,Session lost! Please%2C reload.\r\n",
        ),
        ("EC|log|-3|for you", "MSGFAIL,*,~,-3,for you\r\n"),
        ("E|oops", "MSGFAIL,*,~,35,oops\r\n"),
    ]
    .iter()
    .enumerate()
    {
        let number = format!("&LS_msg_prog={n}");
        assert_eq!(
            setup.frame(1, &message("CHAT%7Chi", &number)),
            "REQOK,4\r\n"
        );
        assert_eq!(setup.answer(result), "CHAT%7Chi");
        assert_eq!(setup.told(1), told.replace('~', &n.to_string()));
    }
}

#[test]
fn a_client_may_do_without_acknowledgement_and_outcome() {
    let mut setup = Setup::new();
    setup.guest(1);
    for (more, acknowledged, told) in [
        ("&LS_outcome=false&LS_ack=false", "", ""),
        ("&LS_outcome=false", "REQOK,4\r\n", ""),
        ("&LS_msg_prog=3&LS_ack=false", "", "MSGFAIL,*,3,34,no\r\n"),
        (
            "&LS_msg_prog=4&LS_sequence=UNORDERED_MESSAGES",
            "REQOK,4\r\n",
            "MSGFAIL,*,4,34,no\r\n",
        ),
    ] {
        assert_eq!(setup.frame(1, &message("x", more)), acknowledged);
        setup.answer("EN|no");
        assert_eq!(setup.told(1), told);
    }
    assert_eq!(
        setup.frame(1, &message("", "&LS_msg_prog=5")),
        "REQOK,4\r\n"
    );
    assert_eq!(setup.answer("V"), "$");
}

#[test]
fn malformed_messages_are_refused() {
    let mut setup = Setup::new();
    setup.guest(1);
    for (frame, told) in [
        (
            "msg\r\nLS_reqId=4&LS_msg_prog=1",
            "REQERR,4,67,LS_message is missing",
        ),
        (
            "msg\r\nLS_message=x&LS_msg_prog=y",
            "ERROR,67,LS_msg_prog is not a number",
        ),
        (
            "msg\r\nLS_reqId=4&LS_message=x",
            "REQERR,4,67,LS_msg_prog is missing",
        ),
        (
            "msg\r\nLS_reqId=4&LS_message=%zz",
            "REQERR,4,67,not a parameter and its value",
        ),
        ("gsm\r\nLS_reqId=4", "REQERR,4,65,there is no request"),
        ("", "ERROR,65,there is no request"),
        (
            "control\r\nLS_op=dance&LS_reqId=1",
            "REQERR,1,65,there is no operation",
        ),
        ("control", "ERROR,67,LS_op is missing"),
    ] {
        let answer = setup.frame(1, frame);
        assert!(answer.starts_with(told), "{frame}: {answer}");
    }
    setup.join(2);
    assert!(
        setup
            .frame(2, &message("x", "&LS_msg_prog=1"))
            .starts_with("REQERR,4,20,")
    );
    assert_eq!(setup.frame(2, "heartbeat\r\n\r\n"), "");
    assert_eq!(setup.frame(2, "wsok"), "WSOK\r\n");
    assert_eq!(setup.methods().matches("NUM").count(), 0);
}

#[test]
fn a_sequence_goes_one_by_one_in_the_order_of_its_numbers() {
    let mut setup = Setup::new();
    setup.guest(1);
    let sequence = |n: u64| {
        message(
            &format!("m{n}"),
            &format!("&LS_msg_prog={n}&LS_sequence=s&LS_ack=false"),
        )
    };
    setup.methods();
    for n in [2, 1, 3] {
        assert_eq!(setup.frame(1, &sequence(n)), "");
    }
    for n in 1..=3 {
        assert_eq!(
            setup
                .asked
                .iter()
                .filter(|(_, method, _)| method == "NUM")
                .count(),
            1
        );
        assert_eq!(setup.answer("V"), format!("m{n}"));
        assert_eq!(setup.told(1), format!("MSGDONE,s,{n},\r\n"));
    }
    assert!(setup.frame(1, &sequence(2)).starts_with("MSGFAIL,s,2,32,"));
    setup.frame(1, &sequence(6));
    assert!(setup.frame(1, &sequence(6)).starts_with("MSGFAIL,s,6,33,"));
}

#[test]
fn a_sequence_does_not_wait_for_ever() {
    let mut setup = Setup::new();
    setup.guest(1);
    assert_eq!(setup.server.deadline(), None);
    setup.frame(
        1,
        &message(
            "late",
            "&LS_msg_prog=4&LS_sequence=s&LS_ack=false&LS_max_wait=2000",
        ),
    );
    let deadline = setup.now + Duration::from_secs(2);
    assert_eq!(setup.server.deadline(), Some(deadline));
    setup.server.tick(deadline - Duration::from_millis(1));
    assert_eq!(setup.told(1), "");
    setup.server.tick(deadline);
    assert_eq!(setup.told(1), "MSGFAIL,s,3,39,3\r\n");
    assert_eq!(setup.server.deadline(), None);
    assert_eq!(setup.answer("V"), "late");
    assert_eq!(setup.told(1), "MSGDONE,s,4,\r\n");
}

#[test]
fn without_an_adapter_everything_is_refused_and_nothing_hangs() {
    let mut setup = Setup::without_adapter();
    setup.join(1);
    assert_eq!(
        setup.frame(1, CREATE),
        "CONERR,6,The Remote Adapter is not connected\r\n"
    );
    setup.server.adapter_up(Side::Metadata, Encoding::Smart);
    setup.client(1);
    // Without data adapter a subscription stands, and is silent.
    let told = setup.subscribe(1, 1, "");
    assert!(
        told.contains("SUBOK,1,1,2") && !told.contains("EOS"),
        "{told}"
    );
    setup.server.adapter_up(Side::Data, Encoding::Smart);
    assert_eq!(setup.told(1), "EOS,1,1\r\n");
    setup.server.adapter_down(Side::Metadata);
    assert_eq!(
        setup.frame(1, &message("x", "&LS_msg_prog=1")),
        "REQOK,4\r\nMSGFAIL,*,1,34,The Remote Adapter is not connected\r\n"
    );
    assert!(
        setup
            .subscribe(1, 2, "")
            .starts_with("REQERR,1,66,The Remote Adapter")
    );
}

#[test]
fn an_adapter_that_is_lost_leaves_nobody_waiting() {
    let mut setup = Setup::new();
    setup.guest(1);
    setup.frame(1, &message("x", "&LS_msg_prog=1"));
    for n in 1..=3 {
        setup.frame(1, &message("y", &format!("&LS_msg_prog={n}&LS_sequence=s")));
    }
    setup.server.adapter_down(Side::Metadata);
    let lost = |name, n| format!("MSGFAIL,{name},{n},34,The Remote Adapter is not connected\r\n");
    assert_eq!(
        setup.told(1),
        [lost("*", 1), lost("s", 1), lost("s", 2), lost("s", 3)].concat()
    );
    setup.methods();
    setup.server.adapter_up(Side::Metadata, Encoding::Smart);
    setup.frame(1, &message("z", "&LS_msg_prog=4&LS_sequence=s"));
    assert_eq!(setup.answer("V"), "z");
    assert_eq!(setup.told(1), "MSGDONE,s,4,\r\n");
}

#[test]
fn the_next_adapter_is_told_what_the_last_one_may_have_missed() {
    let mut setup = Setup::new();
    setup.guest(1);
    setup.guest(2);
    setup.update("before");
    setup.told(1);
    let old = setup.last("SUB").0;
    let session = setup.last("NNS").1.split('|').nth(3).unwrap().to_owned();
    setup.server.adapter_down(Side::Metadata);
    setup.server.adapter_down(Side::Data);
    setup.server.left(2);
    setup.methods();
    setup.server.adapter_up(Side::Metadata, Encoding::Smart);
    setup.server.adapter_up(Side::Data, Encoding::Smart);
    setup.settle();
    assert_eq!(setup.last("NSC").1, format!("S|{session}"));
    let new = setup.last("SUB").0;
    assert_ne!(new, old);
    assert_eq!(setup.methods(), "NSC SUB");
    // What is known of the past stays; stragglers of the old subscription are not told.
    let straggler = format!("1|UD3|S|chat_room|S|{old}|B|0|S|message|S|straggler");
    setup.server.adapter_line(Side::Data, &straggler);
    assert_eq!(setup.told(1), "");
    setup.server.adapter_line(
        Side::Data,
        &straggler.replace(&old, &new).replace("straggler", "after"),
    );
    assert_eq!(setup.told(1), "U,1,1,after|#\r\n");
    setup.client(3);
    assert!(
        setup
            .subscribe(3, 1, "")
            .contains("U,1,1,before|127.0.0.1\r\nU,1,1,after|#\r\nEOS")
    );
    // A close that was confirmed is not said again.
    setup.server.adapter_down(Side::Metadata);
    setup.methods();
    setup.server.adapter_up(Side::Metadata, Encoding::Smart);
    assert_eq!(setup.methods(), "");
}

#[test]
fn a_close_that_was_not_answered_is_said_again() {
    let mut setup = Setup::new();
    setup.guest(1);
    setup.answers = false;
    setup.server.left(1);
    setup.settle();
    let close = setup.last("NSC");
    setup.server.adapter_down(Side::Metadata);
    setup.methods();
    setup.server.adapter_up(Side::Metadata, Encoding::Smart);
    setup.settle();
    let again = setup.last("NSC");
    assert_eq!(again.1, close.1);
    assert_ne!(again.0, close.0);
    assert_eq!(setup.methods(), "NSC");
}

#[test]
fn a_session_that_was_opening_when_the_adapter_was_lost_is_refused() {
    let mut setup = Setup::new();
    setup.join(1);
    setup.answers = false;
    setup.frame(1, CREATE);
    let id = setup.last("NUS").0;
    setup
        .server
        .adapter_line(Side::Metadata, &format!("{id}|NUS|D|0.0|B|0"));
    assert_eq!(setup.methods(), "NUS NNS");
    setup.server.adapter_down(Side::Metadata);
    assert!(setup.told(1).starts_with("CONERR,6,"));
    setup.server.adapter_up(Side::Metadata, Encoding::Smart);
    assert_eq!(setup.methods(), "NSC");
}

#[test]
fn a_long_queue_without_an_adapter_is_no_deep_recursion() {
    let mut setup = Setup::new();
    setup.guest(1);
    let mut frame = "msg".to_owned();
    for n in (1..=20_000).rev() {
        let _ = write!(
            frame,
            "\r\nLS_message=x&LS_msg_prog={n}&LS_sequence=s&LS_ack=false"
        );
    }
    assert_eq!(setup.frame(1, &frame), "");
    setup.server.adapter_down(Side::Metadata);
    assert_eq!(setup.told(1).lines().count(), 20_000);
}

#[test]
fn a_session_may_be_destroyed() {
    let mut setup = Setup::new();
    setup.guest(1);
    setup.guest(2);
    setup.methods();
    setup.others.clear();
    assert_eq!(
        setup.frame(1, "control\r\nLS_reqId=2&LS_op=destroy"),
        "REQOK,2\r\nEND,31,destroyed by the client\r\n"
    );
    assert_eq!(
        setup.frame(2, "control\r\nLS_op=destroy&LS_close_socket=true"),
        ""
    );
    assert_eq!(setup.others, [Effect::HangUp(2)]);
    assert_eq!(setup.methods(), "NSC USB NSC");
    // The connection may be used for another.
    assert!(setup.frame(1, CREATE).starts_with("CONOK"));
    setup.server.end();
    assert_eq!(setup.methods(), "NUS NNS NSC");
    assert!(setup.server.is_idle());
}

#[test]
fn requests_about_limits_are_answered_though_there_are_none() {
    let mut setup = Setup::new();
    setup.guest(1);
    for (frame, told) in [
        (
            "control\r\nLS_reqId=2&LS_op=constrain&LS_requested_max_bandwidth=3",
            "REQOK,2\r\nCONS,unlimited\r\n",
        ),
        (
            "control\r\nLS_reqId=2&LS_op=force_rebind",
            "REQOK,2\r\nLOOP,0\r\n",
        ),
        (
            "control\r\nLS_reqId=2&LS_op=reconf&LS_subId=1",
            "REQOK,2\r\nCONF,1,unlimited,filtered\r\n",
        ),
    ] {
        assert_eq!(setup.frame(1, frame), told);
    }
    let unknown = "control\r\nLS_reqId=2&LS_op=reconf&LS_subId=7";
    assert!(setup.frame(1, unknown).starts_with("REQERR,2,19,"));
}

#[test]
fn an_adapter_s_nonsense_is_noted_and_survived() {
    let mut setup = Setup::new();
    setup.guest(1);
    for (side, line) in [
        (Side::Data, "garbage"),
        (Side::Data, "1|UD3|S|chat_room"),
        (Side::Metadata, "77|NUM|V"),
        (Side::Metadata, "1|EOS|S|chat_room|S|1"),
        (Side::Data, "1|FAL|E|done for"),
    ] {
        setup.others.clear();
        setup.server.adapter_line(side, line);
        setup.settle();
        assert!(matches!(&setup.others[..], [Effect::Note(_)]), "{line}");
    }
    setup.update("still here");
    assert_eq!(setup.told(1), "U,1,1,still here|127.0.0.1\r\n");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    /// Whatever comes, in whatever order, the server stands.
    #[test]
    fn nothing_brings_the_server_down(
        steps in prop::collection::vec((0_u8..9, 0_u64..3, "[a-zA-Z_=&%|,#$^0-9\r\n]{0,30}"), 1..40)
    ) {
        let mut setup = Setup::new();
        for (kind, client, noise) in steps {
            match kind {
                0 => setup.join(client),
                1 => drop(setup.frame(client, CREATE)),
                2 => drop(setup.subscribe(client, u64::from(noise.len() < 15), &noise)),
                3 => drop(setup.frame(client, &message(&noise, "&LS_msg_prog=1&LS_sequence=s"))),
                4 => drop(setup.frame(client, &noise)),
                5 => setup.server.left(client),
                6 => setup.server.adapter_line(Side::Data, &noise),
                7 => setup.server.adapter_down(if client == 0 { Side::Data } else { Side::Metadata }),
                _ => setup.server.adapter_up(if client == 0 { Side::Data } else { Side::Metadata }, Encoding::Smart),
            }
            setup.settle();
            if let Some(deadline) = setup.server.deadline() {
                setup.server.tick(deadline);
            }
        }
    }
}

/// Subscribes to the item of the data connection.
fn watch(setup: &mut Setup, client: ClientId, mode: &str) -> String {
    let frame = format!(
        "control\r\nLS_reqId=9&LS_op=add&LS_subId=9&LS_group=chat_status&LS_schema=status\
         &LS_data_adapter=CHAT_ROOM&LS_mode={mode}&LS_snapshot=true"
    );
    setup.frame(client, &frame)
}

#[test]
fn the_status_item_tells_of_the_data_connection_in_all_its_states() {
    let mut setup = Setup::without_adapter();
    setup.server.adapter_up(Side::Metadata, Encoding::Smart);
    setup.client(1);
    let subscribed = "REQOK,9\r\nSUBOK,9,1,1\r\nCONF,9,unlimited,filtered\r\n";
    assert_eq!(
        watch(&mut setup, 1, "MERGE"),
        format!("{subscribed}U,9,1,connecting\r\n")
    );
    setup.server.adapter_up(Side::Data, Encoding::Smart);
    assert_eq!(setup.told(1), "U,9,1,connected\r\n");
    setup.server.adapter_down(Side::Metadata);
    assert_eq!(setup.told(1), "");
    setup.server.adapter_down(Side::Data);
    assert_eq!(setup.told(1), "U,9,1,reconnecting\r\n");
    setup.server.adapter_up(Side::Metadata, Encoding::Smart);
    setup.client(2);
    assert_eq!(
        watch(&mut setup, 2, "MERGE"),
        format!("{subscribed}U,9,1,reconnecting\r\n")
    );
    // There is no past in this mode, and what is to come is the same.
    setup.client(3);
    assert_eq!(watch(&mut setup, 3, "RAW"), subscribed);
    setup.server.adapter_up(Side::Data, Encoding::Smart);
    for client in [1, 2, 3] {
        assert_eq!(setup.told(client), "U,9,1,connected\r\n");
    }
}

#[test]
fn only_the_metadata_adapter_is_asked_about_the_status_item() {
    let mut setup = Setup::new();
    setup.client(1);
    setup.methods();
    watch(&mut setup, 1, "MERGE");
    assert_eq!(setup.methods(), "GIS GSC GIT GUI");
    setup.server.adapter_down(Side::Data);
    setup.server.adapter_up(Side::Data, Encoding::Smart);
    setup.frame(1, "control\r\nLS_reqId=10&LS_op=delete&LS_subId=9");
    setup.server.adapter_down(Side::Data);
    assert_eq!(setup.methods(), "");
    assert_eq!(setup.told(1), "");
}

#[test]
fn the_status_item_is_had_in_its_modes_only() {
    let mut setup = Setup::new();
    setup.client(1);
    for mode in ["DISTINCT", "COMMAND"] {
        let told = watch(&mut setup, 1, mode);
        assert!(told.starts_with("REQERR,9,24,"), "{mode}: {told}");
    }
}

#[test]
fn a_proxy_without_a_status_item_asks_the_adapter_for_it() {
    let mut setup = Setup::new();
    setup.server = Server::new("Test".to_owned(), 7, setup.now, None);
    setup.server.adapter_up(Side::Metadata, Encoding::Smart);
    setup.server.adapter_up(Side::Data, Encoding::Smart);
    setup.client(1);
    setup.methods();
    let told = watch(&mut setup, 1, "RAW");
    assert!(told.starts_with("REQOK,9\r\nSUBOK,9,1,1\r\n"), "{told}");
    assert_eq!(setup.methods(), "GIS GSC GIT GUI SUB");
}
