//! One room for several data connections: a message succeeds if one of them takes it.

use std::sync::Arc;

use chat_adapter::chat::{ChatData, ChatMetadata, Room};
use chat_adapter::server::local::LocalProxy;

const NOW: u64 = 1_732_348_805_123;

fn subscribed(room: &Arc<Room>, id: &str) -> LocalProxy {
    let mut proxy = LocalProxy::data_at(ChatData::new(Arc::clone(room)), || NOW);
    let lines = format!("1|DPI|S|ARI.version|S|1.9.1\n{id}|SUB|S|chat_room\n");
    proxy.send(lines.as_bytes()).expect("a good init");
    proxy.received();
    proxy
}

fn messages(proxy: &mut LocalProxy) -> usize {
    let received = proxy.received();
    let lines = received.split(|byte| *byte == b'\n');
    lines
        .filter(|line| line.windows(5).any(|part| part == b"|UD3|"))
        .count()
}

#[test]
fn one_that_takes_a_message_is_enough_whichever_it_is() {
    for full in [0, 1] {
        let room = Arc::<Room>::default();
        let metadata = ChatMetadata::new(Arc::clone(&room), jiff::tz::TimeZone::UTC);
        let mut metadata = LocalProxy::metadata(metadata);
        let mut data = ["2", "3"].map(|id| subscribed(&room, id));
        metadata
            .send(b"1|MPI|S|ARI.version|S|1.9.1\n2|NNS|S|#|S|S1\n3|NUM|S|#|S|S1|S|CHAT%7Call\n")
            .expect("good lines");
        assert!(metadata.received().ends_with(b"3|NUM|V\r\n"));
        assert_eq!(data.each_mut().map(messages), [1, 1]);

        data[full].set_update_limit(0);
        metadata
            .send(b"4|NUM|S|#|S|S1|S|CHAT%7Cone\n")
            .expect("a good line");
        assert_eq!(metadata.received(), b"4|NUM|V\r\n");
        assert_eq!(messages(&mut data[full]), 0);
        assert_eq!(messages(&mut data[1 - full]), 1);

        data[1 - full].set_update_limit(0);
        metadata
            .send(b"5|NUM|S|#|S|S1|S|CHAT%7Cnone\n")
            .expect("a good line");
        assert!(metadata.received().starts_with(b"5|NUM|EN|"));

        data[0].reconnect();
        data[1].reconnect();
        assert_eq!(room.subscribers(), 0);
    }
}
