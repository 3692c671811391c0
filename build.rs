//! Link arguments of the static executable, which is to be small above all.
//!
//! A panic aborts, so nothing ever unwinds: the tables for it, a fifteenth of the file, are left
//! out. Equal functions are merged and relocations packed, which the linker that Rust brings for
//! this target can do.

use std::path::Path;
use std::{env, fs, io};

const NO_UNWIND_TABLES: &str = "SECTIONS { /DISCARD/ : { *(.eh_frame) } }\nINSERT AFTER .text;\n";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    let features = env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    let is_static = features.split(',').any(|feature| feature == "crt-static");
    if is_static
        && is("CARGO_CFG_TARGET_ARCH", "x86_64")
        && is("CARGO_CFG_TARGET_ENV", "gnu")
        && is("PROFILE", "release")
    {
        let script =
            Path::new(&env::var("OUT_DIR").unwrap_or_default()).join("no-unwind-tables.ld");
        fs::write(&script, NO_UNWIND_TABLES)?;
        let script = script.display();
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{script},--no-eh-frame-hdr");
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all,-z,pack-relative-relocs");
    }
    Ok(())
}
