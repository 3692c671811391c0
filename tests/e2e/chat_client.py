"""The official Python client, driven line by line: commands come in on stdin, what happens goes out on stdout, both as
JSON. It knows nothing of the tests.

Commands: {"say": text}, {"send": raw message, "sequence": name or null}, {"subscribe": id, "group": items}, {"unsubscribe": id}, {"end": true}.
"""

import json
import sys
import threading

from lightstreamer.client import (
    ClientListener,
    ClientMessageListener,
    LightstreamerClient,
    Subscription,
    SubscriptionListener,
)

FIELDS = ["message", "raw_timestamp", "timestamp", "IP", "nick"]
output = threading.Lock()


def tell(kind, **what):
    with output:
        print(json.dumps({"kind": kind, **what}), flush=True)


class Connection(ClientListener):
    def onStatusChange(self, status):
        tell("status", status=status)

    def onServerError(self, code, message):
        tell("error", code=code, text=message)


class Room(SubscriptionListener):
    def __init__(self, name):
        self.name = name

    def onItemUpdate(self, update):
        fields = {field: update.getValue(at + 1) for at, field in enumerate(FIELDS)}
        tell("update", room=self.name, snapshot=update.isSnapshot(), **fields)

    def onEndOfSnapshot(self, item, position):
        tell("snapshot end", room=self.name, item=item)

    def onSubscription(self):
        tell("subscribed", room=self.name)

    def onUnsubscription(self):
        tell("unsubscribed", room=self.name)

    def onSubscriptionError(self, code, message):
        tell("refused", room=self.name, code=code, text=message)


class Outcome(ClientMessageListener):
    def onProcessed(self, message, response=None):
        tell("outcome", message=message, outcome="processed")

    def onDeny(self, message, code, error):
        tell("outcome", message=message, outcome="denied", code=code, text=error)

    def onError(self, message):
        tell("outcome", message=message, outcome="error")

    def onDiscarded(self, message):
        tell("outcome", message=message, outcome="discarded")

    def onAbort(self, message, sent):
        tell("outcome", message=message, outcome="aborted")


def main(address):
    client = LightstreamerClient(address, "PROXY_PYTHONCHAT")
    client.addListener(Connection())
    client.connect()
    rooms = {}
    for line in sys.stdin:
        command = json.loads(line)
        if "say" in command:
            client.sendMessage("CHAT|" + command["say"], None, -1, Outcome(), False)
        elif "send" in command:
            client.sendMessage(command["send"], command["sequence"], -1, Outcome(), False)
        elif "subscribe" in command:
            name = command["subscribe"]
            room = Subscription("DISTINCT", None, None)
            room.setItemGroup(command["group"])
            room.setFieldSchema(" ".join(FIELDS))
            room.setDataAdapter("CHAT_ROOM")
            room.setRequestedSnapshot("yes")
            room.addListener(Room(name))
            rooms[name] = room
            client.subscribe(room)
        elif "unsubscribe" in command:
            client.unsubscribe(rooms.pop(command["unsubscribe"]))
        elif "end" in command:
            break
    client.disconnect()


main(sys.argv[1])
