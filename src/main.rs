//! `chat-adapter`: arguments → run → exit code.

use chat_adapter::cli::{self, Command};
use chat_adapter::service::Manager;
use chat_adapter::system::{Signals, Wish};
use chat_adapter::{Adapter, Config, StartError, link, logging};
use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os().skip(1)) {
        Ok(Command::Print(text)) => match io::stdout().write_all(text.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Ok(Command::Run(config)) => match run(&config) {
            Ok(code) => code,
            Err(StartError::Usage(what)) => usage(&what),
            Err(error) => {
                log::error!("cannot start: {error}");
                ExitCode::FAILURE
            }
        },
        Err(error) => usage(&error.to_string()),
    }
}

fn usage(what: &str) -> ExitCode {
    // Nobody may be there to read it, which is no reason to panic.
    let _ = writeln!(
        io::stderr(),
        "chat-adapter: {what}\nTry 'chat-adapter --help'."
    );
    ExitCode::from(2)
}

fn run(config: &Config) -> Result<ExitCode, StartError> {
    logging::start(config.log);
    let mut manager = Manager::find();
    let mut signals = Signals::new()?;
    let pulse = manager.pulse();
    let adapter = Adapter::start(&Config {
        pulse,
        ..config.clone()
    })?;
    manager.ready();
    loop {
        manager.attend(&adapter);
        match signals.wait(manager.interval())? {
            Some(Wish::State) => log::info!("{}", adapter.state()),
            Some(Wish::Reload) => manager.reloading(|| reload(&adapter)),
            Some(Wish::End) => break,
            None => {}
        }
    }
    manager.stopping();
    adapter.request_stop();
    log::info!("ending: what was answered is written out first");
    match adapter.stop(link::DRAIN) {
        true => log::info!("ended"),
        false => log::warn!("ended with messages unwritten: a Proxy did not take them"),
    }
    Ok(ExitCode::SUCCESS)
}

fn reload(adapter: &Adapter) {
    match adapter.reload() {
        Ok(()) => log::info!("reloaded: connections to come use what was read"),
        Err(problem) => log::error!("not reloaded, what was known is used on: {problem}"),
    }
}
