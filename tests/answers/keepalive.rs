//! When the adapter sends `KEEPALIVE`. Only facts that no slow machine can upset are tested: that
//! one comes, that none comes before its time, and what comes in which order.

use std::thread;
use std::time::{Duration, Instant};

use crate::setup::{exchange, start_adapter};
use crate::standin::{Connection, Init, Server, Side};

const SECOND: Duration = Duration::from_secs(1);
/// An interval far beyond the deadline of a test: this keepalive never comes.
const NEVER: &str = "3600000";

/// An init that is silent about keepalives.
fn plain(side: Side) -> Init {
    Init::new(side).without_hint()
}

/// The connection opens with this init, and the first keepalive takes at least this long.
#[track_caller]
fn expect_keepalive_after(arguments: &[&str], init: &Init, at_least: Duration) {
    let (_adapter, server) = start_adapter(arguments);
    let mut connection = server.listener(init.side).accept();
    connection.expect_rac();
    // Taken before the adapter can have sent its last line, so never too late.
    let start = Instant::now();
    connection.send_line(init.line());
    connection.expect(&init.answer_line().expect("not a refusal"));
    connection.expect_keepalive();
    let took = start.elapsed();
    assert!(took >= at_least, "after {took:?}, before {at_least:?}");
}

/// Opens a metadata connection with this init, and a data connection that keeps the time by
/// keepalives of its own: when so many have come on the data connection, a second or more apart, the
/// metadata connection is yielded.
#[track_caller]
fn after_seconds(arguments: &[&str], metadata: &Init, seconds: usize) -> (Connection, Server) {
    let (adapter, server) = start_adapter(arguments);
    let mut connection = server.metadata.accept();
    connection.handshake(metadata);
    let mut clock = server.data.accept();
    clock.handshake(&Init::new(Side::Data).with_hint(1000));
    for _ in 0..seconds {
        clock.expect_keepalive();
    }
    // Asked while the adapter lives; what it sent before it dies is still there to be read.
    exchange(&mut connection, &[("2000c|NSC|S|S1", "2000c|NSC|V")]);
    drop(adapter);
    (connection, server)
}

/// Runs cases beside each other, since each of them mostly waits.
fn at_once<C: Sync>(cases: &[C], run: impl Fn(&C) + Sync) {
    thread::scope(|scope| {
        for case in cases {
            scope.spawn(|| run(case));
        }
    });
}

#[track_caller]
fn expect_none(arguments: &[&str], metadata: &Init) {
    let (connection, _server) = after_seconds(arguments, metadata, 2);
    assert_eq!(connection.keepalives(), 0);
}

#[test]
fn a_hint_below_the_configured_interval_wins() {
    at_once(&[Side::Metadata, Side::Data], |side| {
        let init = Init::new(*side).with_hint(1500);
        expect_keepalive_after(&[], &init, SECOND * 3 / 2);
    });
}

#[test]
fn a_hint_above_the_configured_interval_does_not() {
    let init = Init::new(Side::Metadata).with_hint(3_600_000);
    expect_keepalive_after(&["--keepalive", "1200"], &init, Duration::from_millis(1200));
}

#[test]
fn a_hint_below_a_second_counts_as_a_second() {
    at_once(&[1, 999], |hint| {
        let init = Init::new(Side::Metadata).with_hint(*hint);
        expect_keepalive_after(&[], &init, SECOND);
    });
}

#[test]
fn a_hint_of_zero_or_less_is_no_demand() {
    at_once(&[0, -1, -1000], |hint| {
        expect_none(
            &["--keepalive", NEVER],
            &Init::new(Side::Metadata).with_hint(*hint),
        );
    });
    at_once(&[0, -1, -1000], |hint| {
        let init = Init::new(Side::Data).with_hint(*hint);
        expect_keepalive_after(&["--keepalive", "1100"], &init, Duration::from_millis(1100));
    });
}

#[test]
fn without_a_hint_the_configured_interval_stands_on_1_9() {
    at_once(&["1.9.0", "1.9.1"], |version| {
        let init = Init::offering(Side::Metadata, version).without_hint();
        expect_keepalive_after(&["--keepalive", "1300"], &init, Duration::from_millis(1300));
        expect_none(&["--keepalive", NEVER], &init);
    });
}

#[test]
fn the_default_interval_is_not_a_second_on_1_9() {
    // Ten seconds, against a clock of two.
    expect_none(&[], &plain(Side::Metadata));
}

#[test]
fn without_a_hint_an_unconfigured_adapter_keeps_1_8_alive_every_second() {
    let inits = [
        Init::offering(Side::Metadata, "1.8.3").without_hint(),
        Init::versionless(Side::Metadata),
    ];
    at_once(&inits, |init| expect_keepalive_after(&[], init, SECOND));
    // Not the default of ten seconds either: the clock counts to three before it.
    at_once(&inits, |init| {
        let (connection, _server) = after_seconds(&[], init, 3);
        assert!(connection.keepalives() >= 1);
    });
}

#[test]
fn without_a_hint_a_configured_interval_stands_on_1_8_too() {
    let inits = [
        Init::offering(Side::Metadata, "1.8.2").without_hint(),
        Init::bare(Side::Metadata),
    ];
    at_once(&inits, |init| expect_none(&["--keepalive", NEVER], init));
}

#[test]
fn configured_as_zero_there_is_none() {
    let inits = [
        plain(Side::Metadata),
        Init::new(Side::Metadata).with_hint(0),
    ];
    at_once(&inits, |init| expect_none(&["--keepalive", "0"], init));
}

#[test]
fn configured_as_zero_a_hint_still_obliges() {
    let init = Init::new(Side::Metadata).with_hint(1200);
    expect_keepalive_after(&["--keepalive", "0"], &init, Duration::from_millis(1200));
}

#[test]
fn keepalives_go_on_coming() {
    let (_adapter, server) = start_adapter(&[]);
    let mut connection = server.metadata.accept();
    connection.expect_rac();
    let init = Init::new(Side::Metadata).with_hint(1000);
    let start = Instant::now();
    connection.send_line(init.line());
    connection.expect(&init.answer_line().expect("not a refusal"));
    for nth in 1..=3 {
        connection.expect_keepalive();
        assert!(start.elapsed() >= SECOND * nth);
    }
}

#[test]
fn any_other_line_counts_as_activity() {
    let (_adapter, server) = start_adapter(&[]);
    let mut connection = server.metadata.accept();
    connection.handshake(&Init::new(Side::Metadata).with_hint(1700));
    let mut clock = server.data.accept();
    clock.handshake(&Init::new(Side::Data).with_hint(1000));
    // Somewhere in the middle of the silence …
    clock.expect_keepalive();
    let start = Instant::now();
    exchange(&mut connection, &[("2000c|NSC|S|S1", "2000c|NSC|V")]);
    // … which therefore begins anew.
    connection.expect_keepalive();
    assert!(start.elapsed() >= Duration::from_millis(1700));
}

#[test]
fn the_connections_keep_their_own_time() {
    let (_adapter, server) = start_adapter(&["--keepalive", NEVER]);
    let mut connection = server.metadata.accept();
    connection.handshake(&plain(Side::Metadata));
    let mut other = server.data.accept();
    other.handshake(&Init::new(Side::Data).with_hint(1000));
    other.expect_keepalive();
    exchange(&mut connection, &[("2000c|NSC|S|S1", "2000c|NSC|V")]);
    assert_eq!(connection.keepalives(), 0);
}
