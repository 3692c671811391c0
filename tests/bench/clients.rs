//! The clients that chat: who each of them is, as the Proxy would tell it. Everything about a
//! client follows from its number, so that a million of them need no memory, and whoever checks an
//! update knows what it must say.

/// One client session.
#[derive(Clone, Copy)]
pub(crate) struct Client {
    /// Its number, from which all else follows; numbers up to ten million stay distinct.
    pub(crate) number: u32,
    /// How many user agents there are among all clients.
    pub(crate) agents: u32,
}

impl Client {
    /// The session id, of the form the server gives: scattered hexadecimal digits, then decimal
    /// ones. The decimal ones are the client's number.
    pub(crate) fn session(self) -> String {
        // The finishing step of SplitMix64: it scatters consecutive numbers all over 64 bits.
        let mut bits = u64::from(self.number)
            .wrapping_add(1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits ^= bits >> 31;
        format!("S{bits:016x}T{:07}", self.number)
    }

    /// The address, another one for each client. Multiplying by an odd number maps 24 bits onto
    /// themselves.
    pub(crate) fn ip(self) -> String {
        let [_, a, b, c] = (self.number.wrapping_mul(0x9e37_79b1) & 0x00ff_ffff).to_be_bytes();
        format!("81.{a}.{b}.{c}")
    }

    /// The user agent, which needs no encoding on the wire.
    pub(crate) fn agent(self) -> String {
        const SYSTEMS: [&str; 4] = [
            "Windows NT 10.0; Win64; x64",
            "X11; Linux x86_64",
            "Macintosh; Intel Mac OS X 10_15_7",
            "X11; CrOS x86_64 14541.0.0",
        ];
        let agent = self.number % self.agents;
        let (system, build) = (SYSTEMS[agent as usize % SYSTEMS.len()], agent / 4);
        format!(
            "Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/{}.0.{build:06}.0 Safari/537.36",
            100 + agent % 40
        )
    }

    /// The arguments of the NNS that opens the session.
    pub(crate) fn context(self) -> String {
        let (session, ip, agent) = (self.session(), self.ip(), self.agent());
        format!(
            "S|#|S|{session}|S|REMOTE_IP|S|{ip}|S|REMOTE_PORT|S|51234\
             |S|USER_AGENT|S|{agent}|S|LOCAL_SERVER|S|Lightstreamer HTTP Server"
        )
    }
}
