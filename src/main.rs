//! `chat-adapter`: arguments → run → exit code.

use chat_adapter::cli::{self, Command};
use chat_adapter::service::ServiceNotifier;
use chat_adapter::signals::{Action, Signals};
use chat_adapter::{Adapter, Config, StartError, logging, server};
use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os().skip(1)) {
        Ok(Command::Print(text)) => match io::stdout().write_all(text.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Ok(Command::Run(config)) => {
            let outcome = run(&config);
            if let Err(StartError::Other(what)) = &outcome {
                log::error!("cannot start: {what}");
            }
            logging::flush();
            match outcome {
                Ok(()) => ExitCode::SUCCESS,
                Err(StartError::Usage(what)) => usage(&what),
                Err(StartError::Other(_)) => ExitCode::FAILURE,
            }
        }
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

fn run(config: &Config) -> Result<(), StartError> {
    logging::start(config.log);
    let mut service = ServiceNotifier::from_env();
    let mut signals = Signals::new()?;
    let adapter = Adapter::start(&Config {
        heartbeat: service.heartbeat(),
        ..config.clone()
    })?;
    service.ready();
    loop {
        service.update(&adapter);
        match signals.wait(service.interval())? {
            Some(Action::LogState) => log::info!("{}", adapter.state()),
            Some(Action::Reload) => service.reloading(|| reload(&adapter)),
            Some(Action::Stop) => break,
            None => {}
        }
    }
    service.stopping();
    adapter.request_stop();
    log::info!("ending: what was answered is written out first");
    match adapter.stop(server::DRAIN) {
        true => log::info!("ended"),
        false => log::warn!("ended with messages unwritten: a Proxy did not take them"),
    }
    Ok(())
}

fn reload(adapter: &Adapter) {
    match adapter.reload() {
        Ok(()) => log::info!("reloaded: connections to come use what was read"),
        Err(problem) => log::error!("not reloaded, what was known is used on: {problem}"),
    }
}
