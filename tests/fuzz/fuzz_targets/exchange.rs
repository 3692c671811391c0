//! A whole exchange of both sides as a state machine: a script (`twin::script` says how it is written) is played
//! to the library and to the twin, and every byte that comes out is compared.

#![no_main]

#[path = "../../properties/twin/mod.rs"]
mod twin;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|script: &[u8]| twin::harness::play(script));
