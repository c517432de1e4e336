// Checks discovery configs: node check.mjs CONFIGS RETAINED SAMPLES. The allowed keys
// are those of Home Assistant's device discovery, MQTT sensor and binary sensor.
import { readFileSync } from "node:fs";
import assert from "node:assert/strict";

const lines = (name) => readFileSync(name, "utf8").split("\n").filter((l) => l !== "");
const [configs, samples] = [process.argv[2], process.argv[4]].map((f) => lines(f).map((l) => JSON.parse(l)));
const topics = new Map(lines(process.argv[3]).map((l) => l.split("\t")));

const only = (object, keys, where) => {
  for (const key of Object.keys(object)) assert(keys.includes(key), `${where} has the unknown key ${key}`);
};
const common = ["platform", "unique_id", "name", "expire_after", "value_template", "device_class"];
const keys = {
  sensor: [...common, "state_class", "unit_of_measurement", "options", "suggested_display_precision"],
  binary_sensor: [...common, "payload_on", "payload_off"],
};
const units = { data_rate: ["kbit/s"], duration: ["ms", "min"] };

// render does what Home Assistant does with the one form of template that we use.
function render(template, value) {
  const m = /^\{\{ value_json\.([a-z_]+) \| default\(none\) \}\}$/.exec(template);
  assert(m, `unexpected template ${template}`);
  return { key: m[1], value: value[m[1]] === undefined ? "None" : String(value[m[1]]) };
}

function checkComponent(key, c, interval, ids) {
  only(c, keys[c.platform] ?? [], key);
  assert(!ids.has(c.unique_id), `unique_id ${c.unique_id} twice`);
  ids.add(c.unique_id);
  assert(c.name && c.value_template);
  assert(c.expire_after >= 3 * interval, `${key} expires after ${c.expire_after} s`);
  if (c.device_class in units) assert(units[c.device_class].includes(c.unit_of_measurement), `${key}: unit ${c.unit_of_measurement}`);
  if (c.device_class === "enum") assert(c.options.length > 1 && !c.state_class && !c.unit_of_measurement);
}

let values = 0, unknown = 0;
const seen = new Set(), ids = new Set();
for (const config of configs) {
  only(config, ["device", "origin", "availability", "state_topic", "qos", "components"], "the config");
  only(config.device, ["identifiers", "name", "manufacturer"], "device");
  assert(config.device.identifiers.length && config.device.name && config.origin.name);
  assert.equal(topics.get(config.availability[0].topic), "online");
  assert(topics.has(config.state_topic), `nothing is retained on ${config.state_topic}`);
  for (const [key, c] of Object.entries(config.components)) {
    checkComponent(key, c, 1, ids);
    for (const sample of samples) {
      const r = render(c.value_template, sample);
      assert.equal(r.key, key);
      if (r.value === "None") { unknown++; continue; }
      values++;
      seen.add(key);
      if (c.options) assert(c.options.includes(r.value), `${key} is ${r.value}`);
      else if (c.platform === "binary_sensor") assert([c.payload_on, c.payload_off].includes(r.value));
      else if (c.state_class) assert(Number.isFinite(Number(r.value)), `${key} is ${r.value}`);
    }
  }
  for (const key of Object.keys(config.components)) assert(seen.has(key), `no sample has ${key}`);
}
console.log(`ok homeassistant ${configs.length} retained configs, ${ids.size} entities, ${values} values of ${samples.length} samples, ${unknown} absent ones unknown`);
