# ruff: noqa: T201
"""A host by mqtt-spb-wrapper. Arguments: host port group node. Prints what it understood, one JSON a line."""

import json
import sys
import threading

from mqtt_spb_wrapper import MqttSpbEntityScada

host, port, group, node = sys.argv[1:]
lock = threading.Lock()


def say(kind, topic, payload):
    metrics = payload.get("metrics", []) if isinstance(payload, dict) else []
    found = [
        {
            "name": m.get("name"),
            "alias": m.get("alias"),
            "value": repr(m.get("value"))[:40],
            "type": m.get("datatype"),
        }
        for m in metrics
    ]
    with lock:
        print(json.dumps({"kind": kind, "topic": str(topic), "metrics": found}), flush=True)


app = MqttSpbEntityScada(group, "scada")
app.on_message = lambda topic, payload: say(topic.message_type, topic, payload)
assert app.connect(host, int(port), skip_death=True)
for line in sys.stdin:
    if line.strip() == "rebirth":
        app.send_command("Node Control/Rebirth", True, node)
app.disconnect(skip_death_publish=True)
