//! The scripts kept with the fuzz targets, and whatever else a fuzzer has found worth keeping: played again here, where
//! no fuzzer is needed.

use std::fs;
use std::path::Path;

use crate::twin::harness::play;

#[test]
fn every_script_that_is_kept_plays() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds/exchange");
    let mut played = 0;
    for entry in fs::read_dir(&seeds).expect("the seeds of the fuzz target") {
        let script = fs::read(entry.expect("a seed").path()).expect("a seed");
        play(&script);
        played += 1;
    }
    assert!(played > 0, "no seed in {}", seeds.display());
}
