# ruff: noqa: T201
"""An edge node and a device by mqtt-spb-wrapper. Arguments: host port group node device."""

# Runs until stdin ends.

import sys
import time

from mqtt_spb_wrapper import MqttSpbEntityDevice, MqttSpbEntityEdgeNode

host, port, group, node, device = sys.argv[1:]
edge = MqttSpbEntityEdgeNode(group, node)
edge.data.set_value("uptime", 1)
machine = MqttSpbEntityDevice(group, node, device)
machine.data.set_value("Temperature/bearing", 60.0)
machine.data.set_value("rms", 0.0)
assert edge.connect(host, int(port))
edge.publish_birth()
assert machine.connect(host, int(port))
machine.publish_birth()
for i in range(30):
    time.sleep(0.05)
    machine.data.set_value("Temperature/bearing", 60.0 + i)
    machine.data.set_value("rms", i / 10)
    machine.publish_data()
print("sent", flush=True)
sys.stdin.read()
machine.disconnect()
edge.disconnect()
