//! One order for all servers, however many of them send at once.

use crate::cluster::{Proxies, called};
use std::thread;

/// So many there are, so that a message takes its time to be handed to all.
const SERVERS: usize = 8;

/// So many messages each server sends, and so many with each write.
const MESSAGES: usize = 300;
const AT_ONCE: usize = 50;

#[test]
fn all_servers_see_one_order() {
    let (_adapter, _servers, proxies) = called(SERVERS);
    let names: Vec<_> = proxies.iter().map(|it| it.server.clone()).collect();
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
                    let requests = (0..MESSAGES).map(|n| {
                        let text = format!("CHAT|{server} {n}");
                        metadata.compose("NUM", &[None, Some(&*session), Some(&*text)])
                    });
                    let (ids, lines): (Vec<_>, Vec<_>) = requests.unzip();
                    // Nobody waits for an answer: what is said on all servers is said at one time.
                    for lines in lines.chunks(AT_ONCE) {
                        metadata.connection.send_lines(lines);
                    }
                    for id in ids {
                        metadata.expect_void(&id);
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
    for server in names {
        let sent = (0..MESSAGES).map(|n| format!("{server} {n}"));
        let of_server = |text: &&String| text.starts_with(&format!("{server} "));
        let came = orders[0].iter().filter(of_server);
        assert!(came.eq(&sent.collect::<Vec<_>>()), "{server}");
    }
}
