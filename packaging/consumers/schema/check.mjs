// Checks the AsyncAPI document and the JSON Schemas with the parsers that others use:
// node check.mjs FOLDER RECORDS. FOLDER has asyncapi.json and KIND.json of each kind, as
// `roomcall schema` prints them; RECORDS has a payload on each line. Then it makes
// TypeScript and Python models of the document. NODE_MODULES has @asyncapi/parser,
// @asyncapi/modelina, ajv and ajv-formats.
import { createRequire } from "node:module";
import { readFileSync, readdirSync } from "node:fs";
import assert from "node:assert/strict";

const require = createRequire(process.env.NODE_MODULES + "/");
const { Parser } = require("@asyncapi/parser");
const Ajv = require("ajv/dist/2020").default;
const formats = require("ajv-formats").default;
const [folder, records] = process.argv.slice(2);

const read = (name) => readFileSync(`${folder}/${name}`, "utf8");
const { document, diagnostics } = await new Parser().parse(read("asyncapi.json"));
const errors = diagnostics.filter((d) => d.severity === 0);
assert(document && errors.length === 0, `asyncapi.json: ${JSON.stringify(errors.slice(0, 3))}`);
for (const d of diagnostics.filter((d) => d.severity === 1)) console.error(`warning: asyncapi.json ${d.path.join(".")}: ${d.message}`);

// What MQTT needs to know is in the bindings.
for (const op of document.operations().all()) {
  const mqtt = op.bindings().get("mqtt")?.value();
  assert(mqtt && mqtt.qos === 1 && typeof mqtt.retain === "boolean", `${op.id()} has no binding for MQTT`);
}

const { TypeScriptGenerator, PythonGenerator } = require("@asyncapi/modelina");
const wanted = ["Sample", "State", "Stream", "Event", "Call", "Minute", "Birth", "Health", "ViewZoom", "ViewVolc", "ViewTrtc"];
for (const generator of [new TypeScriptGenerator({ modelType: "interface" }), new PythonGenerator()]) {
  const models = new Map((await generator.generate(document)).map((m) => [m.modelName, m.result]));
  for (const name of wanted) assert(models.get("Roomcall" + name)?.length > 100, `no model of ${name}`);
}

const ajv = new Ajv({ strict: true, allErrors: true });
formats(ajv);
const kinds = new Map();
for (const name of readdirSync(folder)) {
  if (name === "asyncapi.json") continue;
  const schema = JSON.parse(read(name));
  assert.equal(schema.$schema, "https://json-schema.org/draft/2020-12/schema");
  kinds.set(name.replace(".json", "").replace("view_", "view/"), { check: ajv.compile(schema), count: 0, keys: new Set(), schema });
}

let bad = 0, refused = 0;
for (const line of readFileSync(records, "utf8").split("\n")) {
  if (!line.startsWith("{")) continue;
  const payload = JSON.parse(line);
  const kind = kinds.get(/^roomcall\.(.*)\/1\.0$/.exec(payload.schema)?.[1]);
  assert(kind, `no schema for ${payload.schema}`);
  kind.count++;
  Object.keys(payload).forEach((k) => kind.keys.add(k));
  if (!kind.check(payload) && bad++ < 5) console.error(payload.id ?? payload.schema, ajv.errorsText(kind.check.errors));
  // The schemas also reject wrong payloads: one without schema, one whose v is a text.
  if (kind.count === 1) {
    const { schema: _, ...headless } = payload;
    for (const wrong of [headless, { ...payload, v: "1" }]) if (!kind.check(wrong)) refused++;
  }
}
assert.equal(bad, 0, `${bad} payloads do not fit their schema`);
for (const [name, kind] of kinds) assert(kind.count > 0, `no payload of kind ${name}`);
assert.equal(refused, 2 * kinds.size, "a schema accepts a wrong payload");
const total = [...kinds.values()].reduce((n, k) => n + k.count, 0);
console.log(`ok schema AsyncAPI ${document.version()} with ${document.channels().all().length} channels parsed, models made of it, ${kinds.size} schemas compiled, ${total} payloads fit`);
