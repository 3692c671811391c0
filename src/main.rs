//! `chat-adapter`: arguments → run → exit code. What a run consists of is the library's.

use chat_adapter::cli::{self, Command};
use chat_adapter::service::ServiceNotifier;
use chat_adapter::signals::{self, Action, Signals};
use chat_adapter::{Adapter, Config, StartError, check, logging, server};
use crossbeam_channel::Receiver;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    signals::survive_size_limit();
    let outcome = match cli::parse(std::env::args_os().skip(1)) {
        Ok(Command::Print(text)) => return print(&text),
        Ok(Command::Check(config)) => {
            logging::start(config.log);
            let mut found = Vec::new();
            let outcome = check::check(&config, &mut found);
            let printed = print(&(found.join("\n") + "\n"));
            if outcome.is_ok() {
                logging::flush();
                return printed;
            }
            outcome
        }
        Ok(Command::Run(config)) => run(*config),
        Err(error) => Err(error),
    };
    if let Err(StartError::Other(what)) = &outcome {
        log::error!("cannot start: {what}");
    }
    logging::flush();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(StartError::Other(_)) => ExitCode::FAILURE,
        Err(StartError::Usage(what)) => {
            let text = format!("chat-adapter: {what}\nTry 'chat-adapter --help'.\n");
            // Nobody may be there to read it, which is no reason to panic.
            let _ = io::stderr().write_all(text.as_bytes());
            ExitCode::from(2)
        }
    }
}

/// Prints what was asked for, or says why that cannot be, unless nobody reads on.
fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if error.kind() != io::ErrorKind::BrokenPipe {
                let _ = writeln!(io::stderr(), "chat-adapter: cannot print: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(mut config: Config) -> Result<(), StartError> {
    logging::start(config.log);
    let mut service = ServiceNotifier::from_env();
    let mut signals = Signals::new()?;
    if let Some(heartbeat) = service.heartbeat() {
        config.servers = config.servers.heartbeat(heartbeat);
    }
    // Files may take their time, which neither signals nor the watchdog wait for.
    let starting = signals.begin("start", || Adapter::start(config))?;
    let mut adapter = None;
    let mut is_reload_wanted = false;
    let mut reloading: Option<Receiver<()>> = None;
    loop {
        let action = signals.wait(Some(service.interval()))?;
        if action == Some(Action::Stop) {
            break;
        }
        // First, since a signal may have come after it.
        if let Ok(started) = starting.try_recv() {
            adapter = Some(Arc::new(started?));
            service.ready();
        }
        match action {
            Some(Action::LogState) => {
                log::info!("{}", state(&adapter));
                for line in adapter.iter().flat_map(|adapter| adapter.details()) {
                    log::info!("{line}");
                }
            }
            Some(Action::Reload) => is_reload_wanted = true,
            Some(Action::Stop) | None => {}
        }
        if reloading.take_if(|done| !done.is_empty()).is_some() {
            service.ready();
        }
        if let Some(adapter) = &adapter {
            adapter.tick();
        }
        let is_alive = adapter.as_ref().is_none_or(|adapter| adapter.is_alive());
        service.update(is_alive, state(&adapter));
        if is_reload_wanted
            && reloading.is_none()
            && let Some(adapter) = adapter.clone()
        {
            is_reload_wanted = false;
            service.reloading();
            match signals.begin("reload", move || reload(&adapter)) {
                Ok(done) => reloading = Some(done),
                Err(error) => {
                    not_reloaded(error.into());
                    service.ready();
                }
            }
        }
    }
    service.stopping();
    // It may have come to be at the last moment.
    let adapter = adapter.or_else(|| Some(Arc::new(starting.try_recv().ok()?.ok()?)));
    let Some(adapter) = adapter else {
        log::info!("ended before it had started");
        return Ok(());
    };
    adapter.request_stop();
    log::info!("ending: what was answered is written out first");
    match adapter.stop(server::DRAIN) {
        true => log::info!("ended"),
        false => log::warn!("ended with messages unwritten: a Proxy did not take them"),
    }
    Ok(())
}

fn state(adapter: &Option<Arc<Adapter>>) -> String {
    let adapter = adapter.as_ref();
    adapter.map_or("starting".into(), |adapter| adapter.state())
}

fn reload(adapter: &Adapter) {
    match adapter.reload() {
        Ok(()) => log::info!("reloaded: connections to come use what was read"),
        Err(problem) => not_reloaded(problem),
    }
}

fn not_reloaded(problem: StartError) {
    log::error!("not reloaded, what was known is used on: {problem}");
}
