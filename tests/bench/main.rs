//! The bench: a load generator plays both Proxies against the release binary as a process of its
//! own, checks every message it gets back, and prints tables. Beside the adapter runs a *bare
//! relay*, the least a program can do to turn a NUM into a reply and an update; every figure is
//! also given as the ratio to it, taken in turns. (There is a second such relay, the [`floor`], which
//! makes use of what it knows of the load; and a [`plain_chat`], which tells what the kit's ways to
//! save time are worth.)
//!
//! `cargo bench -- --help` names the options. The way of a figure through the modules: [`options`]
//! → a section ([`throughput`], [`kit`], [`tls`], [`sessions`], [`servers`], [`footprint`], [`calls`], [`growth`]) →
//! [`turns`] → [`subject`], a process under measurement on its [`proxies`] → [`load`], the
//! generator, a [`flow`] of a [`script`], or one that is [`spread`] over servers, over a [`wire`] → [`stats`] → [`table`].

mod calls;
mod clients;
mod floor;
mod flow;
mod footprint;
mod goals;
mod growth;
mod kit;
mod load;
mod machine;
mod options;
mod plain_chat;
mod procfs;
mod proxies;
mod relay;
mod script;
mod servers;
mod sessions;
mod spread;
mod stats;
mod subject;
mod table;
mod throughput;
mod tls;
mod turns;
mod wire;

use std::env;
use std::io;
use std::process::ExitCode;

use goals::Goals;
use machine::Build;
use options::Options;
use subject::Program;

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let relay = match arguments.next().as_deref() {
        Some("--bare-relay") => Some(relay::run as fn(u16, u16) -> io::Result<()>),
        Some("--plain-chat") => Some(plain_chat::run as _),
        Some("--floor-relay") => Some(floor::run as _),
        _ => None,
    };
    if let Some(relay) = relay {
        let mut port = || {
            let port = arguments.next();
            port.and_then(|port| port.parse().ok()).unwrap_or(0)
        };
        // It ends when its Proxies do; how does not matter.
        let _ = relay(port(), port());
        return ExitCode::SUCCESS;
    }
    let done = match Options::parse() {
        Ok(Some(options)) => run(&options),
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => Err(io::Error::other(error)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    if options.one_core {
        machine::stay_on(&machine::cores()?[..1])?;
    }
    let (adapter, relay) = (
        Program::adapter(&options.adapter),
        Program::relay(options.floor)?,
    );
    let build = Build::of(&options.adapter)?;
    machine::print_header(&options.adapter, &build)?;
    if options.growth {
        return growth::run(options, &adapter, &relay);
    }
    let mut goals = Goals::default();
    if options.wants("throughput") {
        throughput::run(options, &adapter, &relay, &mut goals)?;
    }
    if options.wants("kit") {
        kit::run(options, &adapter, &relay)?;
    }
    if options.wants("tls") {
        tls::run(options, &adapter, &mut goals)?;
    }
    if options.wants("sessions") {
        sessions::run(options, &adapter, &relay, &mut goals)?;
        sessions::run_kept(options, &adapter)?;
    }
    if options.wants("servers") {
        servers::run(options, &adapter, &mut goals)?;
    }
    if options.wants("start") {
        footprint::run(options, &adapter, &relay, &build, &mut goals)?;
    }
    if options.wants("calls") {
        calls::run(options, &adapter, &relay)?;
    }
    goals.print();
    Ok(())
}
