//! Proxies with a `remote_host` (section 9 of the protocol): they open the TCP connection, and the
//! adapter still speaks first. It must not know what is said then.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Instant;

use socket2::{Domain, SockAddr, Socket, Type};

use super::DEADLINE;
use super::connection::Connection;
use super::handshake::{Agreement, Init, Side};
use super::listener::Listener;
use super::proxy::{DataProxy, MetadataProxy};
use super::uninterrupted::uninterrupted;

/// The two ports on which an adapter is to listen, held for as long as the value lives: nobody else is given their
/// numbers, whether the adapter runs or not.
pub(crate) struct RemoteHost {
    metadata: Listener,
    data: Listener,
}

impl RemoteHost {
    /// Two ports of 127.0.0.1.
    pub(crate) fn new() -> Self {
        Self::at(Ipv4Addr::LOCALHOST.into()).expect("two ports of 127.0.0.1")
    }

    /// Two ports of an address of this host; `None` where the machine has not got it. The unspecified one stands for
    /// all of them: that of the loopback interface is connected to.
    pub(crate) fn at(address: IpAddr) -> Option<Self> {
        Some(Self {
            metadata: Listener::bind_closed_at("metadata", address)?,
            data: Listener::bind_closed_at("data", address)?,
        })
    }

    /// Two ports that are held on 127.0.0.1 and on `::1`, if there is one.
    pub(crate) fn localhost() -> Self {
        let [metadata, data] = ["metadata", "data"].map(|name| {
            let mut listener = Listener::bind_localhost(name);
            listener.close();
            listener
        });
        Self { metadata, data }
    }

    /// Where the Proxies of this side connect to.
    pub(crate) fn address(&self, side: Side) -> SocketAddr {
        let mut address = match side {
            Side::Metadata => self.metadata.address(),
            Side::Data => self.data.address(),
        };
        match address.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        address
    }

    /// The arguments by which an adapter listens there.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["--listen".to_owned(), self.metadata.host().to_string()];
        arguments.extend(self.ports());
        arguments
    }

    /// Those of them that name the ports.
    pub(crate) fn ports(&self) -> Vec<String> {
        vec![
            "--metadata_rrport".to_owned(),
            self.metadata.port().to_string(),
            "--data_rrport".to_owned(),
            self.data.port().to_string(),
        ]
    }

    /// Opens a connection, which must succeed: the adapter listens.
    #[track_caller]
    pub(crate) fn connect(&self, side: Side) -> Connection {
        self.caller(side).connect()
    }

    /// One that is yet to connect, for everything unusual.
    pub(crate) fn caller(&self, side: Side) -> Caller {
        Caller {
            name: side.name().to_owned(),
            to: self.address(side),
            from: None,
            receive_buffer: None,
        }
    }

    /// Connects a Proxy Metadata Adapter.
    #[track_caller]
    pub(crate) fn meet_metadata(&self, init: &Init) -> MetadataProxy {
        self.caller(Side::Metadata).meet_metadata(init)
    }

    /// Connects a Proxy Data Adapter.
    #[track_caller]
    pub(crate) fn meet_data(&self, init: &Init) -> DataProxy {
        self.caller(Side::Data).meet_data(init)
    }
}

/// A Proxy that is yet to connect.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    name: String,
    to: SocketAddr,
    from: Option<IpAddr>,
    receive_buffer: Option<usize>,
}

impl Caller {
    /// Connects from this address of this host.
    pub(crate) fn from(self, address: impl Into<IpAddr>) -> Self {
        let from = Some(address.into());
        Self { from, ..self }
    }

    /// Connects to this address instead, on the same port.
    pub(crate) fn to(self, address: impl Into<IpAddr>) -> Self {
        let to = SocketAddr::new(address.into(), self.to.port());
        Self { to, ..self }
    }

    /// Has a receive buffer of about this size, in bytes, so that it is felt soon when nobody reads.
    pub(crate) fn with_receive_buffer(self, bytes: usize) -> Self {
        let receive_buffer = Some(bytes);
        Self {
            receive_buffer,
            ..self
        }
    }

    /// Opens the connection.
    ///
    /// # Errors
    /// The system's, when nobody listens.
    pub(crate) fn try_connect(&self) -> std::io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(self.to), Type::STREAM, None)?;
        if let Some(bytes) = self.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        if let Some(from) = self.from {
            socket.bind(&SockAddr::from(SocketAddr::new(from, 0)))?;
        }
        socket.connect_timeout(&SockAddr::from(self.to), DEADLINE)?;
        Ok(socket.into())
    }

    /// Opens the connection, which must succeed.
    #[track_caller]
    pub(crate) fn connect(&self) -> Connection {
        match self.try_connect() {
            Ok(stream) => Connection::over_tcp(&self.name, stream),
            Err(error) => panic!("cannot connect to the {} port: {error}", self.name),
        }
    }

    /// Connects a Proxy Metadata Adapter.
    #[track_caller]
    pub(crate) fn meet_metadata(&self, init: &Init) -> MetadataProxy {
        let mut connection = self.connect();
        let Agreement { encoding, .. } = connection.handshake(init);
        MetadataProxy::new(connection, encoding)
    }

    /// Connects a Proxy Data Adapter.
    #[track_caller]
    pub(crate) fn meet_data(&self, init: &Init) -> DataProxy {
        let mut connection = self.connect();
        let Agreement { encoding, .. } = connection.handshake(init);
        DataProxy::new(connection, encoding)
    }

    /// Connects as anybody else, sends these bytes, and yields all that comes until the end, however it ends.
    #[track_caller]
    pub(crate) fn stranger(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.try_connect().expect("somebody who listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("a deadline");
        let _ = stream.write_all(bytes); // it may be closed already
        let (mut came, mut chunk) = (Vec::new(), [0; 4096]);
        let deadline = Instant::now() + DEADLINE;
        while Instant::now() < deadline {
            match uninterrupted(|| stream.read(&mut chunk)) {
                Ok(0) => return came,
                Ok(count) => came.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return came,
                Err(error) => panic!("no end of the connection: {error}; came: {came:?}"),
            }
        }
        panic!("no end of the connection; came: {came:?}")
    }
}
