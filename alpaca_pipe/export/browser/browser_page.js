"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const at = (path) => new URL(path, document.baseURI).href;
const CACHE = "alpaca-pipe-models";
let model = null, said = [], stop = null;

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

/* The file's bytes, out of this browser's own store where it was loaded before: known there by its digest. */
async function blobOf(file, seen) {
  const store = self.caches ? await caches.open(CACHE).catch(() => null) : null;
  const key = at(`${file.path}?sha256=${file.sha256}`);
  const kept = store && await store.match(key);
  if (kept) {
    seen(file.bytes);
    return kept.blob();
  }
  const reply = await fetch(at(file.path));
  if (!reply.ok) throw new Error(`${file.path} is not here (${reply.status})`);
  const parts = [], reader = reply.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value);
    seen(part.value.length);
  }
  const blob = new Blob(parts);
  if (blob.size !== file.bytes) throw new Error(`${file.path} is cut short: ${blob.size} bytes of ${file.bytes}`);
  if (store) {
    for (const old of await store.keys()) if (old.url.startsWith(at(file.path))) await store.delete(old);
    await store.put(key, new Response(blob)).catch(() => null);
  }
  return blob;
}

async function load() {
  let loaded = 0;
  const seen = (bytes) => {
    loaded += bytes;
    $("progress").value = loaded / data.bytes;
    tell(`Loading the model: ${Math.round(loaded / 1e6)} of ${Math.round(data.bytes / 1e6)} MB`);
  };
  const { Wllama } = await import(at("wllama/wllama.js"));
  const blobs = [];
  for (const file of data.files) blobs.push(await blobOf(file, seen));
  tell("Starting the model");
  const quiet = { debug() {}, log() {}, warn() {}, error: console.error };
  const made = new Wllama({ default: at("wllama/wllama.wasm") }, { logger: quiet });
  made.setCompat({ worker: at("wllama/compat.js"), wasm: at("wllama/compat.wasm") }); // else from a CDN
  const how = { n_ctx: data.context, jinja: true };
  if (location.hash === "#cpu") how.n_gpu_layers = 0;
  await made.loadModel(blobs, how);
  model = made;
  $("progress").hidden = true;
  $("question").disabled = $("send").disabled = false;
  $("question").focus();
  const threads = made.getNumThreads();
  tell(`Ready: ${threads} thread${threads > 1 ? "s" : ""}${how.n_gpu_layers !== 0 && made.isSupportWebGPU() ? ", WebGPU" : ""}`);
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
  stop = new AbortController();
  $("send").textContent = "Stop";
  try {
    const stream = await model.createChatCompletion({
      messages, temperature, max_tokens: data.max_tokens, stream: true, abortSignal: stop.signal, cache_prompt: false,
      ...(temperature ? { top_k: 40, top_p: 0.95 } : { top_k: 1 }),
    });
    for await (const piece of stream) {
      const choice = piece.choices[0] || {};
      if (choice.delta && choice.delta.content) {
        first = first || performance.now();
        tokens += 1;
        text.textContent += choice.delta.content;
        text.scrollIntoView({ block: "nearest" });
      }
      end = choice.finish_reason || end;
    }
  } catch (error) {
    end = error.name === "AbortError" ? "stopped" : `failed: ${error.message}`;
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
  load().catch((error) => tell(`The model cannot be loaded: ${error.message} - reload the page; if it comes back, the browser lacks memory for it, or a file is missing.`, true));
}
