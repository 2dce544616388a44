// An edge node and a device by sparkplug-client. Arguments: url group node device. Runs until stdin ends.
const sparkplug = require("sparkplug-client");
const [url, group, node, device] = process.argv.slice(2);
const client = sparkplug.newClient({
  serverUrl: url, username: "plant", password: "plant", groupId: group, edgeNode: node, clientId: "js-" + node,
  version: "spBv1.0", publishDeath: true,
});
const now = () => Date.now();
let births = 0;
client.on("error", (error) => { console.error(error); process.exit(1); });
client.on("birth", () => {
  client.publishNodeBirth({ timestamp: now(), metrics: [
    { name: "Node Control/Rebirth", type: "Boolean", value: false },
    { name: "template", type: "Template", value: { isDefinition: true, metrics: [
      { name: "inner", type: "Int32", value: 0 }] } },
  ] });
  client.publishDeviceBirth(device, { timestamp: now(), metrics: [
    { name: "Temperature/bearing", type: "Double", value: 60 },
    { name: "count", type: "Int32", value: -1 },
    { name: "table", type: "DataSet", value: { numOfColumns: 1, types: ["Int32"], columns: ["a"], rows: [[1], [2]] } },
  ] });
  births += 1;
  if (births === 1) setTimeout(() => send(0), 50);
});
client.on("ncmd", (payload) => {
  const asked = (payload.metrics || []).some((metric) => metric.name === "Node Control/Rebirth" && metric.value);
  if (asked) client.emit("birth");
});
function send(i) {
  if (i === 30) { console.log("sent"); return; }
  client.publishDeviceData(device, { timestamp: now(), metrics: [
    { name: "Temperature/bearing", type: "Double", value: 60 + i, timestamp: now() },
    { name: "count", type: "Int32", value: -i, timestamp: now() },
  ] });
  setTimeout(() => send(i + 1), 50);
}
process.stdin.resume();
process.stdin.on("end", () => { client.stop(); setTimeout(() => process.exit(0), 300); });
