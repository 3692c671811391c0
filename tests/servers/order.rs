//! One order for all servers, however many of them send at once.

use crate::cluster::{Proxies, called};
use std::thread;

const SERVERS: usize = 3;

/// So many messages each server sends.
const MESSAGES: usize = 400;

#[test]
fn all_servers_see_one_order() {
    let (_adapter, _servers, proxies) = called(SERVERS);
    let orders: Vec<Vec<String>> = thread::scope(|scope| {
        let readers: Vec<_> = proxies
            .into_iter()
            .map(|proxies| {
                let session = proxies.session();
                let Proxies {
                    server,
                    mut metadata,
                    mut data,
                } = proxies;
                scope.spawn(move || {
                    // Several with each write, so that a read of the adapter brings several.
                    for batch in 0..MESSAGES / 4 {
                        let lines: Vec<_> = (0..4)
                            .map(|n| {
                                let text = format!("CHAT|{server} {}", batch * 4 + n);
                                let arguments = [None, Some(&*session), Some(&*text)];
                                metadata.compose("NUM", &arguments)
                            })
                            .collect();
                        let (ids, lines): (Vec<_>, Vec<_>) = lines.into_iter().unzip();
                        metadata.connection.send_lines(lines);
                        for id in ids {
                            metadata.expect_void(&id);
                        }
                    }
                });
                scope.spawn(move || {
                    let all = 0..SERVERS * MESSAGES;
                    all.map(|_| data.chat().message).collect()
                })
            })
            .collect();
        let all = readers.into_iter();
        all.map(|reader| reader.join().expect("no panic")).collect()
    });
    for order in &orders[1..] {
        let differs = order.iter().zip(&orders[0]).position(|(a, b)| a != b);
        assert_eq!(differs, None, "from there on the orders differ");
    }
    // Of each server alone it is the order in which they were sent.
    for server in ["one", "two", "three"] {
        let sent = (0..MESSAGES).map(|n| format!("{server} {n}"));
        let of_server = |text: &&String| text.starts_with(&format!("{server} "));
        let came = orders[0].iter().filter(of_server);
        assert!(came.eq(&sent.collect::<Vec<_>>()), "{server}");
    }
}
