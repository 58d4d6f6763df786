"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const at = (path) => new URL(path, document.baseURI).href;
let library = null, words = null, model = null, said = [], stop = null, fault = "";

$("name").textContent = data.name;
$("about").textContent = `${data.about} · ${Math.round(data.bytes / 1e6)} MB`;
$("alone").hidden = data.many_turns;

function tell(text, bad) {
  $("said").textContent = text;
  $("said").classList.toggle("bad", Boolean(bad));
}

function add(parent, tag, kind, text) {
  const made = document.createElement(tag);
  made.className = kind;
  made.textContent = text || "";
  parent.append(made);
  return made;
}

/* What this browser kept of earlier models at this place is let go; Transformers.js knows files by their address alone. */
async function freshStore() {
  if (!self.caches) return false;
  const prefix = `alpaca-pipe-onnx ${location.pathname} `, key = prefix + data.digest;
  for (const name of await caches.keys()) if (name.startsWith(prefix) && name !== key) await caches.delete(name);
  library.env.cacheKey = key;
  return true;
}

/* A file that is missing or cut short says so, before the runtime stumbles over it. */
async function whole(address, how) {
  const reply = await fetch(address, how);
  const file = data.files.find((one) => at(one.path) === new URL(address, document.baseURI).href);
  if (!file) return reply;
  if (!reply.ok) fault = `${file.path} is not here (${reply.status})`;
  const length = reply.headers.get("content-length");
  if (length && !reply.headers.get("content-encoding") && Number(length) !== file.bytes) {
    fault = `${file.path} is cut short: ${length} bytes of ${file.bytes}`;
  }
  if (fault) throw new Error(fault); // Transformers.js says something else instead
  return reply;
}

async function load() {
  library = await import(at("transformers/transformers.js"));
  const { env, AutoTokenizer, AutoModelForCausalLM } = library;
  env.allowRemoteModels = false;
  env.allowLocalModels = true;
  env.localModelPath = new URL("./", document.baseURI).pathname;
  env.useWasmCache = false; // it would run the runtime from a blob
  env.useBrowserCache = await freshStore().catch(() => false);
  env.fetch = whole;
  env.logLevel = library.LogLevel.ERROR;
  env.backends.onnx.wasm.wasmPaths = { mjs: at("transformers/runtime.mjs"), wasm: at("transformers/runtime.wasm") };
  const seen = (told) => {
    if (told.status !== "progress" || !told.file.endsWith("_data")) return;
    $("progress").value = told.loaded / told.total;
    tell(`Loading the model: ${Math.round(told.loaded / 1e6)} of ${Math.round(told.total / 1e6)} MB`);
  };
  words = await AutoTokenizer.from_pretrained("model");
  for (const check of data.checks) {
    const found = idsOf(check.messages).input_ids.tolist()[0].map(Number);
    if (found.length !== check.ids.length || found.some((id, place) => id !== check.ids[place])) {
      throw new Error(`this page makes other tokens of a text than the training did, at ${JSON.stringify(check.messages[check.messages.length - 1].content.slice(0, 40))}`);
    }
  }
  tell("Loading the model");
  model = await AutoModelForCausalLM.from_pretrained("model", { device: "wasm", progress_callback: seen });
  $("progress").hidden = true;
  $("question").disabled = $("send").disabled = false;
  $("question").focus();
  tell(`Ready: the tokens of ${data.checks.length} texts are those of the training`);
}

function idsOf(messages) {
  return words.apply_chat_template(messages, { add_generation_prompt: true, return_dict: true });
}

async function ask(question) {
  $("hint").hidden = true;
  const turn = add($("log"), "div", "turn");
  add(turn, "div", "asked", question);
  const card = add(add(turn, "div", "answers"), "article", "");
  const text = add(card, "div", "text waits"), note = add(card, "p", "note");
  turn.scrollIntoView({ block: "end" });
  const messages = [...(data.many_turns ? said : []), { role: "user", content: question }];
  const temperature = Number($("temperature").value), began = performance.now();
  let first = 0, tokens = 0, end = "";
  stop = new library.InterruptableStoppingCriteria();
  stop.abort = stop.interrupt;
  $("send").textContent = "Stop";
  try {
    const asked = idsOf(messages), length = asked.input_ids.dims[1], room = data.context - length;
    if (room < 1) throw new Error(`the question has ${length} tokens, and the model takes ${data.context}`);
    const streamer = new library.TextStreamer(words, {
      skip_prompt: true,
      skip_special_tokens: true,
      callback_function(piece) {
        text.textContent += piece;
        text.scrollIntoView({ block: "nearest" });
      },
      token_callback_function() {
        first = first || performance.now();
        tokens += 1;
      },
    });
    const made = await model.generate({
      ...asked, max_new_tokens: Math.min(data.max_tokens, room), repetition_penalty: 1, eos_token_id: data.stops, streamer,
      stopping_criteria: stop, ...(temperature ? { do_sample: true, temperature, top_k: 40 } : { do_sample: false }),
    });
    const ids = made.tolist()[0].slice(length).map(Number);
    tokens = ids.length;
    text.textContent = words.decode(ids, { skip_special_tokens: true });
    card.dataset.ids = ids.join(" ");
    end = stop.interrupted ? "stopped" : data.stops.includes(ids[ids.length - 1]) ? "stop" : "length";
  } catch (error) {
    end = `failed: ${error.message}`;
  }
  const seconds = (performance.now() - began) / 1000, rate = (tokens - 1) / ((performance.now() - first) / 1000);
  text.classList.remove("waits");
  const how = end === "stop" ? "" : end === "length" ? "cut off · " : `${end} · `;
  note.textContent = `${how}${tokens} tokens, the first after ${(((first || performance.now()) - began) / 1000).toFixed(1)} s, ` +
    `${rate > 0 && isFinite(rate) ? rate.toFixed(1) : "–"} a second`;
  note.classList.toggle("bad", end.startsWith("failed"));
  card.dataset.tokens = tokens;
  card.dataset.end = end;
  if (end === "stop" || end === "length") said = [...messages, { role: "assistant", content: text.textContent }];
  stop = null;
  $("send").textContent = "Ask";
  tell(`${seconds.toFixed(1)} s`);
}

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  if (stop) return stop.abort();
  const question = $("question").value.trim();
  if (!question || !model) return;
  $("question").value = "";
  ask(question);
});
$("question").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    if (!stop) $("ask").requestSubmit();
  }
});
$("new").addEventListener("click", () => {
  said = [];
  document.querySelectorAll(".turn").forEach((turn) => turn.remove());
  $("hint").hidden = false;
});
$("theme").addEventListener("click", () => {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme || (dark ? "dark" : "light");
  document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
});

if (typeof WebAssembly !== "object") {
  tell("This browser has no WebAssembly, in which the model runs - open the page in a current Chrome, Edge, Firefox or Safari.", true);
} else if (location.protocol === "file:") {
  tell("A page from a disk may not load a model - run `python3 -m http.server` in its folder, and open http://localhost:8000.", true);
} else {
  load().catch((error) => tell(`The model cannot be loaded: ${fault || error.message} - reload the page; if it comes back, the browser lacks memory for it, or a file is missing.`, true));
}
