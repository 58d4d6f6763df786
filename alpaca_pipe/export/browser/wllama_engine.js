/* llama.cpp in WebAssembly, by wllama. */
const CACHE = "alpaca-pipe-models";
let model = null;

/* The file's bytes, out of this browser's own store where it was loaded before: known there by its digest. */
async function blobOf(file, more) {
  const store = self.caches ? await caches.open(CACHE).catch(() => null) : null;
  const key = at(`${file.path}?sha256=${file.sha256}`);
  const kept = store && await store.match(key);
  if (kept) {
    more(file.bytes);
    return kept.blob();
  }
  const reply = await fetch(at(file.path));
  if (!reply.ok) throw new Error(`${file.path} is not here (${reply.status})`);
  const parts = [], reader = reply.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value);
    more(part.value.length);
  }
  const blob = new Blob(parts);
  if (blob.size !== file.bytes) throw new Error(`${file.path} is cut short: ${blob.size} bytes of ${file.bytes}`);
  if (store) {
    for (const old of await store.keys()) if (old.url.startsWith(at(file.path))) await store.delete(old);
    await store.put(key, new Response(blob)).catch(() => null);
  }
  return blob;
}

async function load(seen) {
  let loaded = 0;
  const more = (bytes) => seen(loaded += bytes, data.bytes);
  const { Wllama } = await import(at("wllama/wllama.js"));
  const blobs = [];
  for (const file of data.files) blobs.push(await blobOf(file, more));
  tell("Starting the model");
  const quiet = { debug() {}, log() {}, warn() {}, error: console.error };
  model = new Wllama({ default: at("wllama/wllama.wasm") }, { logger: quiet });
  model.setCompat({ worker: at("wllama/compat.js"), wasm: at("wllama/compat.wasm") }); // else from a CDN
  const how = { n_ctx: data.context, jinja: true };
  if (location.hash === "#cpu") how.n_gpu_layers = 0;
  await model.loadModel(blobs, how);
  const threads = model.getNumThreads();
  return `${threads} thread${threads > 1 ? "s" : ""}${how.n_gpu_layers !== 0 && model.isSupportWebGPU() ? ", WebGPU" : ""}`;
}

async function answer(messages, temperature, signal, came) {
  const stream = await model.createChatCompletion({
    messages, temperature, max_tokens: data.max_tokens, stream: true, abortSignal: signal, cache_prompt: false,
    ...(temperature ? { top_k: 40, top_p: 0.95 } : { top_k: 1 }),
  });
  let end = "";
  for await (const piece of stream) {
    const choice = piece.choices[0] || {};
    if (choice.delta && choice.delta.content) {
      came.token();
      came.text(choice.delta.content);
    }
    end = choice.finish_reason || end;
  }
  return { end };
}

const ENGINE = { load, answer };
