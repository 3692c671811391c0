//! Networks, as `--allow` names those that may connect: an address, and how many of its bits count.
//!
//! What happens to a peer that is in none of them is not known here.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// How many bits stand before an IPv4 address that is mapped to IPv6.
const MAPPED: u32 = 96;

/// A network, written as `10.0.0.0/8` or `2001:db8::/32`; an address alone is a network of its own.
///
/// An IPv4 address that is mapped to IPv6 (`::ffff:10.0.0.1`) is the IPv4 address, wherever it stands:
/// no IPv6 network has it in it, not even `::/0`.
///
/// ```
/// use chat_adapter::server::Network;
/// let network: Network = "10.0.0.0/8".parse().unwrap();
/// assert!(network.contains("10.1.2.3".parse().unwrap()));
/// assert!(network.contains("::ffff:10.1.2.3".parse().unwrap()));
/// assert!(!network.contains("192.0.2.1".parse().unwrap()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The address, mapped to IPv6 if it is of IPv4; what does not count is zero.
    address: u128,
    /// How many bits of that count.
    prefix: u32,
}

impl Network {
    fn new(address: u128, prefix: u32) -> Network {
        let address = address & !u128::MAX.checked_shr(prefix).unwrap_or(0);
        Network { address, prefix }
    }

    /// Whether an address is in the network.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = mapped(address);
        // A network that is wider than all of IPv4 is one of IPv6.
        is_ipv4(address) == is_ipv4(self.address) && *self == Network::new(address, self.prefix)
    }
}

fn mapped(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn is_ipv4(address: u128) -> bool {
    address >> u32::BITS == 0xffff
}

/// What an error says is meant to stand behind the text that was parsed, and a colon.
impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Network, String> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let Ok(address) = address.parse::<IpAddr>() else {
            return Err("not an address, nor a network such as 10.0.0.0/8 or 2001:db8::/32".into());
        };
        let (bits, before) = match address {
            IpAddr::V4(_) => (u32::BITS, MAPPED),
            IpAddr::V6(_) => (u128::BITS, 0),
        };
        let prefix = match prefix.map(|prefix| (prefix, prefix.parse::<u32>())) {
            None => bits,
            Some((text, Ok(prefix))) if prefix <= bits && !text.starts_with('+') => prefix,
            Some(_) => return Err(format!("not a number from 0 to {bits} behind the /")),
        };
        let address = mapped(address);
        let network = Network::new(address, before + prefix);
        if network.address != address {
            let alone = Network::new(address, u128::BITS);
            return Err(format!(
                "not a network, since bits behind its prefix are set; {network} is one, and {alone} \
                 an address alone"
            ));
        }
        Ok(network)
    }
}

/// As it is parsed; without a prefix if it is an address alone.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = Ipv6Addr::from_bits(self.address);
        let before = if is_ipv4(self.address) { MAPPED } else { 0 };
        write!(f, "{}", address.to_canonical())?;
        match self.prefix {
            u128::BITS => Ok(()),
            prefix => write!(f, "/{}", prefix - before),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    fn network(text: &str) -> Network {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn addresses_are_in_it_or_not() {
        for (text, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::ffff:11.1.2.3"),
            ("10.0.0.0/8", "10.0.0.0", "a00::"),
            ("::ffff:10.0.0.0/104", "10.1.2.3", "::10.1.2.3"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("192.0.2.7", "::ffff:192.0.2.7", "::192.0.2.7"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("0.0.0.0/0", "::ffff:0.0.0.1", "::"),
            ("::ffff:0:0/96", "192.0.2.7", "2001:db8::1"),
            ("::/0", "2001:db8::1", "192.0.2.7"),
            ("::/0", "::1", "::ffff:192.0.2.7"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::"),
            ("fe80::/10", "febf::1", "fec0::1"),
        ] {
            let network = network(text);
            assert!(network.contains(inside.parse().unwrap()), "{text} {inside}");
            let outside = outside.parse().unwrap();
            assert!(!network.contains(outside), "{text} {outside}");
        }
    }

    #[test]
    fn what_is_printed_is_what_was_meant() {
        for (text, printed) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.0.0.1/32", "10.0.0.1"),
            ("10.0.0.1", "10.0.0.1"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("2001:DB8::0/32", "2001:db8::/32"),
            ("::1/128", "::1"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
        ] {
            assert_eq!(network(text).to_string(), printed);
            assert_eq!(network(printed), network(text));
        }
    }

    #[test]
    fn errors_say_what_is_wanted() {
        let not_one = "not an address, nor a network such as 10.0.0.0/8 or 2001:db8::/32";
        let no_prefix = |bits| format!("not a number from 0 to {bits} behind the /");
        let bits = |network: &str, address: &str| {
            format!(
                "not a network, since bits behind its prefix are set; {network} is one, and \
                 {address} an address alone"
            )
        };
        for (text, error) in [
            ("", not_one.to_owned()),
            ("everybody", not_one.into()),
            ("10.0.0/8", not_one.into()),
            ("10.0.0.01", not_one.into()),
            ("[::1]", not_one.into()),
            ("fe80::1%eth0", not_one.into()),
            ("10.0.0.0:80", not_one.into()),
            (" 10.0.0.0/8", not_one.into()),
            ("/8", not_one.into()),
            ("10.0.0.0/", no_prefix(32)),
            ("10.0.0.0/33", no_prefix(32)),
            ("10.0.0.0/+8", no_prefix(32)),
            ("10.0.0.0/-8", no_prefix(32)),
            ("10.0.0.0/8/8", no_prefix(32)),
            ("10.0.0.0/255.0.0.0", no_prefix(32)),
            ("10.0.0.0/4294967304", no_prefix(32)),
            ("2001:db8::/129", no_prefix(128)),
            ("10.1.0.0/8", bits("10.0.0.0/8", "10.1.0.0")),
            ("10.1.0.0/0", bits("0.0.0.0/0", "10.1.0.0")),
            ("2001:db8::1/32", bits("2001:db8::/32", "2001:db8::1")),
            ("::ffff:10.0.0.1/104", bits("10.0.0.0/8", "10.0.0.1")),
            ("::ffff:10.0.0.0/95", bits("::fffe:0:0/95", "10.0.0.0")),
        ] {
            assert_eq!(text.parse::<Network>(), Err(error), "{text}");
        }
    }

    /// Its bits from the first to the last, of IPv4 if it is that in any way.
    fn bits(address: IpAddr) -> String {
        match address.to_canonical() {
            IpAddr::V4(address) => format!("{:032b}", address.to_bits()),
            IpAddr::V6(address) => format!("{:0128b}", address.to_bits()),
        }
    }

    /// Any address; many of them are mapped, and differ in few bits.
    fn address() -> impl Strategy<Value = IpAddr> {
        let ipv4 = prop_oneof![any::<u32>(), (0..u32::BITS).prop_map(|bit| 1 << bit)];
        let ipv6 = prop_oneof![any::<u128>(), (0..u128::BITS).prop_map(|bit| 1 << bit)];
        let ipv4 = ipv4.prop_map(Ipv4Addr::from_bits);
        prop_oneof![
            ipv4.clone().prop_map(IpAddr::V4),
            ipv4.prop_map(|address| address.to_ipv6_mapped().into()),
            ipv6.prop_map(|address| Ipv6Addr::from_bits(address).into()),
        ]
    }

    proptest! {
        #[test]
        fn it_contains_what_begins_with_the_same_bits(
            one in address(), other in address(), prefix in 0..=u128::BITS
        ) {
            let own = bits(one);
            let prefix = prefix as usize % (own.len() + 1);
            let first = format!("{}{}", &own[..prefix], "0".repeat(own.len() - prefix));
            let first = match own.len() {
                32 => IpAddr::from(Ipv4Addr::from_bits(u32::from_str_radix(&first, 2).unwrap())),
                _ => Ipv6Addr::from_bits(u128::from_str_radix(&first, 2).unwrap()).into(),
            };
            // Whose first bits these are may be another family's in disguise.
            prop_assume!(bits(first).len() == own.len());
            let network = network(&format!("{first}/{prefix}"));
            prop_assert!(network.contains(one));
            let expected = bits(other);
            let expected = expected.len() == own.len() && expected[..prefix] == own[..prefix];
            prop_assert_eq!(network.contains(other), expected);
            prop_assert_eq!(network.to_string().parse(), Ok(network));
        }
    }
}
