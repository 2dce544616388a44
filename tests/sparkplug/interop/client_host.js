// A host on the parts of sparkplug-client: its MQTT client and its payload codec. Arguments: url group node.
// Prints what it understood, one JSON a line; the line "rebirth" on stdin asks the node for a rebirth.
const mqtt = require("mqtt");
const payloads = require("sparkplug-payload").get("spBv1.0");
const [url, group, node] = process.argv.slice(2);
const client = mqtt.connect(url, { clean: true });
client.on("connect", () => client.subscribe("spBv1.0/" + group + "/#"));
client.on("message", (topic, bytes) => {
  const kind = topic.split("/")[2];
  if (kind === "NCMD") return;
  const payload = payloads.decodePayload(bytes);
  const metrics = (payload.metrics || []).map((metric) => ({
    name: metric.name, alias: metric.alias === undefined ? null : Number(metric.alias), type: metric.type,
    value: String(metric.value).slice(0, 40), size: metric.value && metric.value.length,
  }));
  console.log(JSON.stringify({ kind, topic, seq: payload.seq === undefined ? null : Number(payload.seq), metrics }));
});
require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  if (line !== "rebirth") return;
  const payload = { timestamp: Date.now(), metrics: [
    { name: "Node Control/Rebirth", type: "Boolean", value: true, timestamp: Date.now() }] };
  client.publish("spBv1.0/" + group + "/NCMD/" + node, Buffer.from(payloads.encodePayload(payload)));
}).on("close", () => client.end(false, () => process.exit(0)));
