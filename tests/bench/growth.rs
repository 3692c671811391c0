//! How cost grows with the work: the same figures along four axes, each with everything else held
//! still.

use std::io;

use crate::machine;
use crate::options::Options;
use crate::script::Text;
use crate::subject::Program;
use crate::table::whole;
use crate::throughput::SESSIONS;
use crate::turns::{self, Case};

/// Prints one table for each axis.
pub(crate) fn run(options: &Options, adapter: &Program, relay: &Program) -> io::Result<()> {
    let still = Case {
        text: Text::Plain(64),
        window: 256,
        sessions: SESSIONS,
    };
    let print = |axis: &str, cases: &[Case], name: fn(&Case) -> String| -> io::Result<()> {
        let measured = turns::take(&[adapter, relay], cases, options.rounds, options.span)?;
        println!(
            "{}",
            turns::throughput_table(axis, "bare relay", &measured, name)
        );
        Ok(())
    };

    println!("### Growth with outstanding messages (64 B, 16 sessions)\n");
    let cases = [1, 2, 4, 16, 64, 256, 1024, 4096].map(|window| Case { window, ..still });
    print("outstanding", &cases, |case| whole(case.window as f64))?;

    println!("### Growth with the length of the text (256 outstanding, 16 sessions)\n");
    let cases = [16, 64, 256, 1024, 4096].map(|length| Case {
        text: Text::Plain(length),
        ..still
    });
    print("bytes", &cases, |case| match case.text {
        Text::Plain(length) | Text::Escaped(length) => whole(length as f64),
    })?;

    println!("### Growth with sessions (64 B, 256 outstanding)\n");
    let cases = [1, 16, 256, 4096, 65_536].map(|sessions| Case { sessions, ..still });
    print("sessions", &cases, |case| whole(f64::from(case.sessions)))?;

    let cores = machine::cores()?;
    for count in 1..=cores.len() {
        println!("### Growth with cores: {count} (64 B, 16 sessions)\n");
        machine::stay_on(&cores[..count])?;
        let cases = [256, 4096].map(|window| Case { window, ..still });
        print("outstanding", &cases, |case| whole(case.window as f64))?;
    }
    Ok(())
}
