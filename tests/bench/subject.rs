//! A program under measurement: started as a process of its own against the two Proxies of the
//! bench, and killed when dropped. It is the adapter, plain or over TLS, a relay, or the plain chat.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustls::ServerConfig;

use crate::clients::Client;
use crate::load::{self, Sample, Span};
use crate::procfs;
use crate::proxies::{Connections, Proxies};
use crate::script::Script;

/// A program that can be started any number of times.
#[derive(Clone)]
pub(crate) struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
    /// What precedes a port in the arguments.
    ports: [&'static [&'static str]; 2],
    tls: Option<Arc<ServerConfig>>,
    tracer: Vec<OsString>,
}

impl Program {
    /// The adapter, as a user starts it.
    pub(crate) fn adapter(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            arguments: ["--log", "warn"].map(OsString::from).to_vec(),
            ports: [
                &["--host", "127.0.0.1", "--metadata_rrport"],
                &["--data_rrport"],
            ],
            tls: None,
            tracer: Vec::new(),
        }
    }

    /// The bare relay, or the one that looks nothing up.
    pub(crate) fn relay(floor: bool) -> io::Result<Self> {
        match floor {
            true => Self::itself(&["--floor-relay"]),
            false => Self::itself(&["--bare-relay"]),
        }
    }

    /// The plain chat.
    pub(crate) fn plain_chat() -> io::Result<Self> {
        Self::itself(&["--plain-chat"])
    }

    /// This executable, in the part that the argument names.
    fn itself(part: &'static [&'static str]) -> io::Result<Self> {
        Ok(Self {
            path: std::env::current_exe()?,
            arguments: Vec::new(),
            ports: [part, &[]],
            tls: None,
            tracer: Vec::new(),
        })
    }

    /// The same program over TLS, trusting the certificate in that file.
    pub(crate) fn over_tls(mut self, config: Arc<ServerConfig>, certificate: &Path) -> Self {
        self.arguments
            .extend(["--tls".into(), "--tls-ca".into(), certificate.into()]);
        self.tls = Some(config);
        self
    }

    /// The same program, which keeps its sessions in that file.
    pub(crate) fn keeping(mut self, file: &Path) -> Self {
        self.arguments.extend(["--state".into(), file.into()]);
        self
    }

    /// The same program, started by another that watches it and writes a report when it has ended.
    pub(crate) fn under(mut self, tracer: &[&str], report: &Path) -> Self {
        self.tracer = tracer.iter().map(OsString::from).collect();
        self.tracer
            .extend(["-o".into(), report.into(), self.path.clone().into()]);
        self
    }

    fn command(&self, ports: [u16; 2]) -> Command {
        let mut command = match self.tracer.split_first() {
            Some((tracer, arguments)) => {
                let mut command = Command::new(tracer);
                // It would say that the program was killed.
                command.args(arguments).stderr(Stdio::null());
                command
            }
            None => Command::new(&self.path),
        };
        for (option, port) in self.ports.iter().zip(ports) {
            command.args(*option).arg(port.to_string());
        }
        command.args(&self.arguments);
        command
    }
}

/// A running program with its connections.
pub(crate) struct Subject {
    // Before the connections, so that it is gone when they close and does not try to get them back.
    process: Process,
    name: String,
    /// The connections, open and subscribed.
    pub(crate) connections: Connections,
    /// From just before the process was made to the second of the two init replies.
    pub(crate) ready: Duration,
}

impl Subject {
    /// Starts the program and brings it to where it relays. [`ErrorKind::Unsupported`] says that it
    /// rejected its arguments.
    pub(crate) fn start(program: &Program) -> io::Result<Self> {
        let proxies = Proxies::listen(0, program.tls.clone())?;
        let mut command = program.command(proxies.ports()?);
        let begun = Instant::now();
        let child = command.spawn()?;
        let mut process = Process {
            child,
            traced: !program.tracer.is_empty(),
        };
        match proxies.serve(pid(process.child.id())?) {
            Ok((connections, ready)) => Ok(Self {
                process,
                name: program.path.display().to_string(),
                connections,
                ready: ready - begun,
            }),
            Err(error) => Err(match process.child.try_wait()? {
                None => error,
                Some(status) => {
                    let kind = if status.code() == Some(2) {
                        ErrorKind::Unsupported
                    } else {
                        ErrorKind::Other
                    };
                    io::Error::new(kind, format!("{} ended: {status}", program.path.display()))
                }
            }),
        }
    }

    /// The process id of the program itself.
    pub(crate) fn pid(&self) -> io::Result<u32> {
        self.process.program()
    }

    /// Keeps so many requests outstanding for that long, and measures.
    pub(crate) fn measure(
        &mut self,
        script: &Script,
        window: usize,
        span: Span,
    ) -> io::Result<Sample> {
        let pid = self.pid()?;
        load::measure(&mut self.connections, pid, script, window, span)
            .map_err(|error| self.blame(error))
    }

    /// Waits for so long, in which it must say nothing.
    pub(crate) fn keeps_silent(&self, time: Duration) -> io::Result<()> {
        self.connections
            .keeps_silent(time)
            .map_err(|error| self.blame(error))
    }

    /// Sends that many requests, so many outstanding at a time, and takes all answers.
    pub(crate) fn send(&mut self, script: &Script, window: usize, count: usize) -> io::Result<()> {
        load::send(&mut self.connections, script, window, count).map_err(|error| self.blame(error))
    }

    fn blame(&self, error: io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("{}: {error}", self.name))
    }

    /// Opens the sessions of those clients.
    pub(crate) fn open(&mut self, clients: &[Client]) -> io::Result<()> {
        let script = Script::opening(clients.iter().copied());
        self.send(&script, 256, clients.len())
    }

    /// Ends a traced program, so that its tracer reports, and waits for the tracer.
    pub(crate) fn end_traced(mut self) -> io::Result<()> {
        kill_process(pid(self.pid()?)?, Signal::KILL)?;
        self.process.child.wait()?;
        Ok(())
    }
}

/// The adapter with several servers.
pub(crate) struct Cluster {
    // Before the connections, for the same reason.
    process: Process,
    /// The connections of each, open and subscribed.
    pub(crate) servers: Vec<Connections>,
}

impl Cluster {
    /// Starts the adapter with so many servers, and brings it to where it relays.
    pub(crate) fn start(adapter: &Program, count: usize) -> io::Result<Self> {
        let mut command = Command::new(&adapter.path);
        command.args(&adapter.arguments);
        let mut proxies = Vec::new();
        for number in 0..count {
            let server = Proxies::listen(number, adapter.tls.clone())?;
            let [metadata, data] = server.ports()?;
            command.args(["--host", &format!("127.0.0.1:{metadata}:{data}")]);
            proxies.push(server);
        }
        let process = Process {
            child: command.spawn()?,
            traced: false,
        };
        let pid = pid(process.child.id())?;
        let serve = |server: &Proxies| Ok(server.serve(pid)?.0);
        let servers = proxies.iter().map(serve).collect::<io::Result<_>>()?;
        Ok(Self { process, servers })
    }

    /// The process id of the adapter.
    pub(crate) fn pid(&self) -> io::Result<u32> {
        self.process.program()
    }
}

/// A process that does not outlive its owner.
struct Process {
    child: Child,
    /// Whether the child is a tracer and the program a child of it.
    traced: bool,
}

impl Process {
    fn program(&self) -> io::Result<u32> {
        if !self.traced {
            return Ok(self.child.id());
        }
        let traced = procfs::children(self.child.id())?;
        traced
            .first()
            .copied()
            .ok_or_else(|| io::Error::other("the tracer has no child"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.traced
            && let Ok(pid) = self.program().and_then(pid)
        {
            let _ = kill_process(pid, Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pid(number: u32) -> io::Result<Pid> {
    Pid::from_raw(number as i32).ok_or_else(|| ErrorKind::NotFound.into())
}
