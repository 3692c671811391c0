//! Lines that a connection must survive: those that get no answer, and those that get an error.

use crate::proxy::Proxy;
use crate::random::Random;
use crate::requests::Due;

/// A line beyond the limit, in bytes.
const TOO_LONG: usize = (4 << 20) + 100;

/// Bytes of whole lines that nobody answers.
pub(crate) fn unanswered(random: &mut Random) -> Vec<u8> {
    let known: [&[u8]; 9] = [
        b"\r\n",
        b"\n  \n",
        b"KEEPALIVE\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"17|XYZ|S|what\r\n",
        b"18|num|S|#|S|S1|S|CHAT%7Cx\n",
        b"19||S|a\r\n",
        b"\xef\xbb\xbf20\r\n",
        b"21|RAC|S|user|S|x\r\n",
    ];
    if random.chance(70) {
        return random.pick(&known).to_vec();
    }
    let length = random.between(1, 300);
    let mut noise: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
    // With a method among them it would be a request.
    noise.retain(|byte| *byte != b'|');
    noise.push(b'\n');
    noise
}

/// The arguments of a request with this method that cannot be understood.
pub(crate) fn malformed(random: &mut Random, method: &str) -> Vec<u8> {
    let common: [&[u8]; 5] = [b"|S|%", b"|S|%zz|S|#", b"|I|3", b"|S", b"|S|\xff\xfe"];
    match method {
        "NUM" if random.chance(40) => b"|S|#|S|S1|S|CHAT%7C\xff".to_vec(),
        "GIS" | "SUB" | "USB" if random.chance(20) => Vec::new(),
        "MDA" | "MSA" | "MDC" => b"|S|%".to_vec(),
        _ => random.pick(&common).to_vec(),
    }
}

/// A request that is too long a line.
pub(crate) fn too_long(proxy: &mut Proxy<'_>, method: &'static str) -> Vec<u8> {
    let mut arguments = vec![b'x'; TOO_LONG];
    arguments[..3].copy_from_slice(b"|S|");
    proxy.request(method, &arguments, Due::Error("E"))
}
