"use strict";
const endpoint = JSON.parse(document.getElementById("endpoint").textContent);
const find = (id) => document.getElementById(id);
const place = "/v2/models/" + encodeURIComponent(endpoint.name) + "/infer";
/* Under the path of this page: only there a browser sends on the key that it asked for. */
const near = "/endpoints/" + encodeURIComponent(endpoint.name) + place;
const fields = [];

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function isWhole(type) { return /^U?INT/.test(type); }
function isText(type) { return type === "BYTES"; }
function isScalar(one) { return one.row_shape.length === 0 || (one.row_shape.length === 1 && one.row_shape[0] === 1); }

function control(one) {
  if (!isScalar(one)) return make("textarea", { spellcheck: false });
  const words = one.datatype === "BOOL" ? ["true", "false"] : one.allowed;
  if (words) return make("select", {}, ...words.map((word) => make("option", { value: word, textContent: word })));
  const numeric = !isText(one.datatype);
  return make("input", { type: "text", inputMode: numeric ? "decimal" : "text", spellcheck: false });
}

function hint(one) {
  const told = one.description ? [one.description] : [];
  if (!isScalar(one)) told.push("A JSON list of " + one.row_shape.map((size) => (size < 0 ? "any" : size)).join(" × ") + " values.");
  const bounds = [];
  if (one.minimum !== null) bounds.push("from " + one.minimum);
  if (one.maximum !== null) bounds.push("up to " + one.maximum);
  if (bounds.length) told.push("Allowed: " + bounds.join(" ") + ".");
  if (one.minimum_seen !== null && one.maximum_seen !== null) told.push("Seen: " + one.minimum_seen + " to " + one.maximum_seen + ".");
  return told.join(" ");
}

function field(one, number) {
  const input = control(one);
  input.id = "input-" + number;
  if (one.categories && !one.allowed && input.tagName === "INPUT") {
    input.setAttribute("list", "seen-" + number);
  }
  const label = make("label", { className: "label", htmlFor: input.id }, one.name, make("span", { className: "type", textContent: one.datatype }));
  const box = make("div", { className: "field" }, label, input);
  if (input.hasAttribute("list")) {
    box.append(make("datalist", { id: "seen-" + number }, ...one.categories.map((word) => make("option", { value: word }))));
  }
  const text = hint(one);
  if (text) {
    box.append(make("span", { className: "hint", id: "hint-" + number, textContent: text }));
    input.setAttribute("aria-describedby", "hint-" + number);
  }
  let empty = null;
  if (one.may_be_null) {
    empty = make("input", { type: "checkbox" });
    empty.addEventListener("change", () => { input.disabled = empty.checked; });
    box.append(make("label", { className: "empty" }, empty, "no value (null)"));
  }
  return { one, input, empty, box };
}

function fill() {
  for (const { one, input, empty } of fields) {
    const missing = one.example === null;
    if (empty) empty.checked = missing;
    input.disabled = Boolean(empty && missing);
    if (missing) { if (input.tagName !== "SELECT") input.value = ""; }
    else input.value = isScalar(one) ? String(one.example) : JSON.stringify(one.example);
    input.removeAttribute("aria-invalid");
  }
  say();
}

/* What a field holds, as JSON has it. What is no number is sent as it stands: the answer says why. */
function read({ one, input, empty }) {
  if (empty && empty.checked) return [null];
  const text = input.value;
  if (!isScalar(one)) {
    try { const found = JSON.parse(text); return Array.isArray(found) ? found.flat(Infinity) : [found]; }
    catch { return [text]; }
  }
  if (isText(one.datatype)) return [text];
  if (one.datatype === "BOOL") return [text === "true"];
  const number = Number(text);
  return [text.trim() === "" || !Number.isFinite(number) ? text : number];
}

/* The shape of one row: as declared, and where a dimension is open, as the value has it. */
function shape({ one, input }) {
  if (!one.row_shape.includes(-1)) return one.row_shape;
  const found = [];
  let value = null;
  try { value = JSON.parse(input.value); } catch { /* the answer says why */ }
  for (; Array.isArray(value) && found.length < one.row_shape.length; value = value[0]) found.push(value.length);
  return one.row_shape.map((size, place) => (size < 0 ? found[place] || 1 : size));
}

function body() {
  const inputs = fields.map((field) => ({
    name: field.one.name,
    shape: [1, ...shape(field)],
    datatype: field.one.datatype,
    data: read(field),
  }));
  return { inputs };
}

function told(value) { return JSON.stringify(value, null, 2).replace(/\[\s+([^\[\]{}]*?)\s+\]/g, (_, inner) => "[" + inner.replace(/,\s+/g, ", ") + "]"); }

async function send(event) {
  event.preventDefault();
  const button = find("form").querySelector("button.primary");
  const headers = { "Content-Type": "application/json" };
  if (find("key").value) headers.Authorization = "Bearer " + find("key").value;
  if (find("deployment").value) headers["servewell-deployment"] = find("deployment").value;
  button.disabled = true;
  const started = performance.now();
  try {
    const reply = await fetch(near, { method: "POST", headers, body: JSON.stringify(body()) });
    const text = await reply.text();
    show(reply, text, performance.now() - started);
  } catch (fault) {
    find("answer").replaceChildren(make("p", { className: "status bad", textContent: "No answer: " + fault.message }));
  } finally {
    button.disabled = false;
  }
}

function show(reply, text, took) {
  let found = null;
  try { found = JSON.parse(text); } catch { /* it is shown as it came */ }
  const by = reply.headers.get("servewell-deployment");
  const line = reply.status + (reply.ok ? "" : " " + (found && found.code ? found.code : "")) + " in " + took.toFixed(1) + " ms" + (by ? ", by " + by : "");
  const parts = [make("p", { className: "status " + (reply.ok ? "good" : "bad"), textContent: (reply.ok ? "✓ " : "✗ ") + line })];
  if (reply.ok && found && found.outputs) parts.push(outputs(found.outputs));
  if (!reply.ok && found && found.error) parts.push(make("p", { textContent: found.error }));
  parts.push(make("pre", { tabIndex: 0, textContent: found ? told(found) : text }));
  find("answer").replaceChildren(...parts);
  const wrong = new Set((found && found.faults ? found.faults : []).map((fault) => fault.name));
  for (const { one, input } of fields) {
    if (wrong.has(one.name)) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  }
}

function outputs(found) {
  const rows = found.map((one) => {
    const classes = (endpoint.classes[one.name] || []);
    const values = one.data.map((value, number) => (classes[number] !== undefined && one.data.length === classes.length ? classes[number] + ": " : "") + value);
    return make("tr", {}, make("th", { scope: "row", textContent: one.name }), make("td", { textContent: values.join(", ") }));
  });
  return make("div", { className: "scroll" }, make("table", {}, make("tbody", {}, ...rows)));
}

const snippets = {
  curl() {
    const json = told(body()).replaceAll("'", "'\\''");
    return "curl " + location.origin + place + " \\\n  -H \"Authorization: Bearer $SERVEWELL_KEY\" \\\n  -H \"Content-Type: application/json\" \\\n  -d '" + json + "'";
  },
  Python() {
    return [
      "import json", "import os", "from urllib.request import Request, urlopen", "",
      "request = Request(",
      "    " + JSON.stringify(location.origin + place) + ",",
      "    headers={",
      "        \"Authorization\": f\"Bearer {os.environ['SERVEWELL_KEY']}\",",
      "        \"Content-Type\": \"application/json\",",
      "    },",
      "    data=json.dumps(" + python(body(), 4) + ").encode(),",
      ")",
      "with urlopen(request) as answer:",
      "    print(json.load(answer)[\"outputs\"])",
    ].join("\n");
  },
  tritonclient() {
    const lines = body().inputs.flatMap((one, number) => {
      const shape = JSON.stringify(one.shape);
      const values = one.data.map((value) => (value === null ? (isText(one.datatype) ? "\"\"" : "np.nan") : literal(value))).join(", ");
      const type = isText(one.datatype) ? "object" : "np." + { BOOL: "bool_", FP16: "float16", FP32: "float32", FP64: "float64" }[one.datatype];
      const dtype = isWhole(one.datatype) ? "np." + one.datatype.toLowerCase() : type;
      return [
        "inputs.append(InferInput(" + JSON.stringify(one.name) + ", " + shape + ", \"" + one.datatype + "\"))",
        "inputs[" + number + "].set_data_from_numpy(np.array([" + values + "], dtype=" + dtype + ").reshape(" + shape + "))",
      ];
    });
    const secure = location.protocol === "https:" ? ", ssl=True" : "";
    return [
      "import os", "", "import numpy as np",
      "from tritonclient.http import InferenceServerClient, InferInput", "",
      "inputs = []", ...lines, "",
      "client = InferenceServerClient(\"" + location.host + "\"" + secure + ")",
      "answer = client.infer(",
      "    " + JSON.stringify(endpoint.name) + ",",
      "    inputs,",
      "    headers={\"Authorization\": f\"Bearer {os.environ['SERVEWELL_KEY']}\"},",
      ")",
      ...endpoint.outputs.map((name) => "print(answer.as_numpy(" + JSON.stringify(name) + "))"),
    ].join("\n");
  },
};

function literal(value) {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  return JSON.stringify(value);
}

function python(value, indent) {
  const pad = " ".repeat(indent);
  if (Array.isArray(value) && value.every((one) => one === null || typeof one !== "object")) return "[" + value.map(literal).join(", ") + "]";
  if (Array.isArray(value)) return "[\n" + value.map((one) => pad + "    " + python(one, indent + 4)).join(",\n") + ",\n" + pad + "]";
  if (value !== null && typeof value === "object") {
    const items = Object.entries(value).map(([name, one]) => JSON.stringify(name) + ": " + python(one, indent));
    return "{" + items.join(", ") + "}";
  }
  return literal(value);
}

let language = "curl";

function say() { find("snippet").textContent = snippets[language](); }

function choose(name, focus) {
  language = name;
  for (const tab of find("tabs").children) {
    const chosen = tab.textContent === name;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    if (chosen && focus) tab.focus();
  }
  say();
}

function step(event) {
  const names = Object.keys(snippets);
  const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!move) return;
  event.preventDefault();
  choose(names[(names.indexOf(language) + move + names.length) % names.length], true);
}

async function copy() {
  const button = find("copy");
  try { await navigator.clipboard.writeText(find("snippet").textContent); button.textContent = "Copied"; }
  catch { getSelection().selectAllChildren(find("snippet")); button.textContent = "Selected: Ctrl+C"; }
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}

find("name").textContent = endpoint.name;
const plural = endpoint.versions.length === 1 ? "version " : "versions ";
find("about").textContent = plural + endpoint.versions.join(", ") + (endpoint.ready ? ", ready" : ", not ready");
find("deployment").append(
  make("option", { value: "", textContent: "as the traffic says" }),
  ...Object.entries(endpoint.deployments).map(([name, version]) => make("option", { value: name, textContent: name + " (version " + version + ")" })),
);
endpoint.inputs.forEach((one, number) => fields.push(field(one, number)));
find("inputs").append(...fields.map((one) => one.box));
find("tabs").append(...Object.keys(snippets).map((name) => {
  const tab = make("button", { type: "button", textContent: name });
  tab.setAttribute("role", "tab");
  tab.setAttribute("aria-controls", "snippet");
  tab.addEventListener("click", () => choose(name, false));
  return tab;
}));
find("tabs").addEventListener("keydown", step);
find("paths").append(make("tbody", {}, ...endpoint.paths.map(([name, path]) => make("tr", {}, make("th", { scope: "row", textContent: name }), make("td", {}, make("code", { textContent: path }))))));
find("copy").addEventListener("click", copy);
find("form").addEventListener("submit", send);
find("form").addEventListener("reset", (event) => { event.preventDefault(); fill(); });
find("form").addEventListener("input", say);
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) find("form").requestSubmit();
});
fill();
choose("curl", false);
