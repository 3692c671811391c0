//! The two Proxies of the bench: they listen, take the program's connections, shake hands and
//! subscribe, in the version of the protocol that a present server speaks.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustls::{ServerConfig, ServerConnection};

use crate::wire::{Channel, PATIENCE};

/// The id of the SUB request, which every update names.
pub(crate) const SUBSCRIPTION: &str = "10000020c3e4d0462";

/// The Proxies' ends of the two connections.
pub(crate) struct Connections {
    /// Metadata requests and replies.
    pub(crate) metadata: Channel,
    /// Data requests, replies and updates.
    pub(crate) data: Channel,
}

impl Connections {
    /// Waits for so long, in which nothing is owed: a word from the program is an error, and so is
    /// its end.
    pub(crate) fn keeps_silent(&self, time: Duration) -> io::Result<()> {
        let mut events = [
            PollFd::new(&self.metadata, PollFlags::IN),
            PollFd::new(&self.data, PollFlags::IN),
        ];
        let time = Timespec {
            tv_sec: time.as_secs() as i64,
            tv_nsec: time.subsec_nanos().into(),
        };
        match poll(&mut events, Some(&time))? {
            0 => Ok(()),
            _ => Err(io::Error::other("nothing was owed, and yet something came")),
        }
    }
}

/// Two Proxies that nobody has connected to yet.
pub(crate) struct Proxies {
    metadata: TcpListener,
    data: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    /// What both call themselves.
    instance: String,
}

impl Proxies {
    /// Listens on two ports of this host that are free; `number` tells servers apart.
    pub(crate) fn listen(number: usize, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        Ok(Self {
            metadata: listen()?,
            data: listen()?,
            tls,
            instance: format!("hewbc3ikbbctyui{number}"),
        })
    }

    /// The metadata port and the data port.
    pub(crate) fn ports(&self) -> io::Result<[u16; 2]> {
        Ok([
            self.metadata.local_addr()?.port(),
            self.data.local_addr()?.port(),
        ])
    }

    /// Takes both connections, in whatever order they come, up to the reply to the subscription,
    /// and says when the second init was answered. Fails at once if that process ends instead.
    pub(crate) fn serve(&self, pid: Pid) -> io::Result<(Connections, Instant)> {
        let tls = self.tls.as_ref();
        let (metadata, data) = thread::scope(|scope| {
            let metadata = scope.spawn(|| accept(&self.metadata, pid, tls, "MPI", &self.instance));
            let data = accept(&self.data, pid, tls, "DPI", &self.instance);
            (metadata.join().expect("shaking hands does not panic"), data)
        });
        let ((metadata, metadata_ready), (mut data, data_ready)) = (metadata?, data?);
        data.say(&format!("{SUBSCRIPTION}|SUB|S|chat_room"))?;
        let snapshot = data.read_line()?;
        if !snapshot.ends_with(&format!("|EOS|S|chat_room|S|{SUBSCRIPTION}")) {
            return Err(unexpected("the end of the snapshot", &snapshot));
        }
        expect(&data.read_line()?, &format!("{SUBSCRIPTION}|SUB|V"))?;
        Ok((
            Connections { metadata, data },
            metadata_ready.max(data_ready),
        ))
    }
}

/// Takes the program's connection and shakes hands.
fn accept(
    listener: &TcpListener,
    pid: Pid,
    tls: Option<&Arc<ServerConfig>>,
    method: &str,
    instance: &str,
) -> io::Result<(Channel, Instant)> {
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    let mut events = [
        PollFd::new(listener, PollFlags::IN),
        PollFd::new(&process, PollFlags::IN),
    ];
    let patience = Timespec {
        tv_sec: PATIENCE.as_secs() as i64,
        tv_nsec: 0,
    };
    poll(&mut events, Some(&patience))?;
    if events[0].revents().is_empty() {
        return Err(io::Error::new(
            ErrorKind::TimedOut,
            format!("no connection for {method}"),
        ));
    }
    let (socket, _) = listener.accept()?;
    let tls = tls
        .map(|config| ServerConnection::new(config.clone()))
        .transpose()
        .map_err(io::Error::other)?;
    let mut channel = Channel::new(socket, tls)?;
    let hello = channel.read_line()?;
    if !hello.starts_with("1|RAC|S|") {
        return Err(unexpected("RAC", &hello));
    }
    let id = "10000010c3e4d0462";
    channel.say(&format!(
        "{id}|{method}|S|ARI.version|S|1.9.1|S|keepalive_hint.millis|S|8000\
         |S|adapters_conf.id|S|PROXY_PYTHONCHAT|S|proxy.instance_id|S|{instance}"
    ))?;
    expect(
        &channel.read_line()?,
        &format!("{id}|{method}|S|ARI.version|S|1.9.1"),
    )?;
    Ok((channel, Instant::now()))
}

fn expect(line: &str, expected: &str) -> io::Result<()> {
    if line == expected {
        Ok(())
    } else {
        Err(unexpected(expected, line))
    }
}

fn unexpected(expected: &str, line: &str) -> io::Error {
    io::Error::other(format!("expected {expected}, got “{line}”"))
}
