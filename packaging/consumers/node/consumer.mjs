// Appends roomcall's records to one file a day: node consumer.mjs BROKER_URL FOLDER
// Needs the npm package mqtt. The broker gets its acknowledgement after the write.
import { appendFile } from "node:fs/promises";
import { readFileSync } from "node:fs";
import mqtt from "mqtt";

const [url, folder] = process.argv.slice(2); // mqtt://HOST:1883, mqtts://HOST:8883
const client = mqtt.connect(url, {
  clientId: "roomcall-node", clean: false, // a session that waits
  username: process.env.MQTT_USER,
  password: process.env.MQTT_USER && readFileSync(process.env.MQTT_PASSWORD_FILE, "utf8").split("\n")[0].trim(),
});
const kinds = ["sample", "event", "call", "minute"];
client.on("connect", () => client.subscribe(kinds.map((kind) => `roomcall/v1/+/+/${kind}`), { qos: 1 }));
client.on("error", (err) => console.error(err.message));

client.handleMessage = ({ topic, payload }, acknowledge) => {
  let record;
  try {
    record = JSON.parse(payload);
    if (!record.id || !/^\d{4}-\d\d-\d\dT/.test(record.ts)) throw new Error("no id or no time");
  } catch (err) {
    console.error(`not a record, skipped: ${topic}: ${err.message}`);
    return acknowledge();
  }
  appendFile(`${folder}/${record.ts.slice(0, 10)}.jsonl`, `${JSON.stringify(record)}\n`)
    .then(() => acknowledge(), (err) => { console.error(err.message); process.exit(1); });
};
