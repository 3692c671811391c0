//! Whole exchanges: every request gets the one answer that is due, every line that comes out is well-formed ARI, and
//! each message goes where it must.

use proptest::prelude::*;

use crate::generate::{cases, script};
use crate::twin::harness::play;

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn the_library_and_its_twin_write_the_same(script in script()) {
        play(&script);
    }
}

#[test]
fn a_message_leaves_under_the_subscription_of_its_moment() {
    play(
        b"T1732348805123\n\
          M1|NNS|S|#|S|S1|S|REMOTE_IP|S|192.0.2.7|S|USER_AGENT|S|Mozilla/5.0\n\
          M2|NUM|S|#|S|S1|S|CHAT%7Ctoo early\n\
          D10|SUB|S|chat_room\n\
          M3|NUM|S|#|S|S1|S|CHAT%7C50%25 %2B a%7Cb\n\
          M4|NUM|S|#|S|S2|S|CHAT%7Cwho?\n\
          D11|USB|S|chat_room\n\
          D12|SUB|S|chat_room\n\
          M5|NUM|S|#|S|S1|S|CHAT%7Cagain\n\
          L\n\
          M6|NUM|S|#|S|S1|S|CHAT%7Cgone\n",
    );
}

#[test]
fn events_beyond_the_room_there_is_are_refused() {
    play(
        b"F300\n\
          M1|NNS|S|#|S|S1|S|REMOTE_IP|S|192.0.2.7\n\
          D10|SUB|S|chat_room\n\
          M2|NUM|S|#|S|S1|S|CHAT%7Cone\n\
          M3|NUM|S|#|S|S1|S|CHAT%7Ctwo\n\
          M4|NUM|S|#|S|S1|S|CHAT%7Cthree\n\
          ;\n\
          M5|NUM|S|#|S|S1|S|CHAT%7Cfour\n",
    );
}

#[test]
fn room_is_used_to_the_byte() {
    let open = "T1732348805123\nM1|NNS|S|#|S|S1|S|REMOTE_IP|S|192.0.2.7\nD10|SUB|S|chat_room\n";
    let text = "x".repeat(60);
    for room in 0..500 {
        // The third takes more bytes in the event than its request shows.
        let messages: String = [&text, &text, "a+b %7C"]
            .iter()
            .map(|text| format!("M2|NUM|S|#|S|S1|S|CHAT%7C{text}\n"))
            .collect();
        play(format!("{open}F{room}\n{messages}").as_bytes());
    }
}

#[test]
fn the_clock_may_change_its_length_while_nothing_is_taken() {
    play(
        b"T1732348805123\n\
          M1|NNS|S|#|S|S1|S|REMOTE_IP|S|192.0.2.7\n\
          M1|NNS|S|#|S|S2|S|REMOTE_IP|S|192.0.2.8\n\
          D10|SUB|S|chat_room\n\
          M2|NUM|S|#|S|S2|S|CHAT%7Cone\n\
          ;\n\
          F0\n\
          T5\n\
          M3|NUM|S|#|S|S1|S|CHAT%7Cno room\n\
          ;\n\
          F1000\n\
          T1732348805124\n\
          M4|NUM|S|#|S|S1|S|CHAT%7Ctwo\n",
    );
}

#[test]
fn a_session_that_is_opened_anew_has_its_new_label() {
    play(
        b"T1732348805123\n\
          M1|NNS|S|#|S|S1|S|REMOTE_IP|S|192.0.2.7\n\
          D10|SUB|S|chat_room\n\
          M2|NUM|S|#|S|S1|S|CHAT%7Cone\n\
          M3|NUM|S|#|S|S1|S|CHAT%7Ctwo\n\
          M4|NNS|S|#|S|S1|S|REMOTE_IP|S|192.0.2.8\n\
          M5|NUM|S|#|S|S1|S|CHAT%7Cthree\n\
          M6|NSC|S|S1\n\
          M7|NUM|S|#|S|S1|S|CHAT%7Cfour\n\
          M8|NNS|S|#|S|S1\n\
          M9|NUM|S|#|S|S1|S|CHAT%7Cfive\n\
          O9b\n\
          Ma|NUM|S|#|S|S1|S|CHAT%7Csix\n",
    );
}

#[test]
fn a_data_connection_that_breaks_takes_no_event() {
    play(
        b"T1732348805123\n\
          M1|NNS|S|#|S|S1|S|REMOTE_IP|S|192.0.2.7\n\
          D10|SUB|S|chat_room\n\
          M2|NUM|S|#|S|S1|S|CHAT%7Cone\n\
          ;\n\
          X\n\
          M3|NUM|S|#|S|S1|S|CHAT%7Cno one\n",
    );
}

#[test]
fn a_line_that_ends_the_connection_is_left_out_however_it_ends() {
    play(b"D1f|DPI\r\nM2|CLOSE\r\nM3|GIS|S|#|S|a|S|S1\r\n");
}
