/* The model's ONNX graph, by Transformers.js. */
let library = null, words = null, model = null, fault = "";

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

async function load(seen) {
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
  const told = ({ status, file, loaded, total }) => status === "progress" && file.endsWith("_data") && seen(loaded, total);
  words = await AutoTokenizer.from_pretrained("model");
  for (const check of data.checks) {
    const found = idsOf(check.messages).input_ids.tolist()[0].map(Number);
    if (found.length !== check.ids.length || found.some((id, place) => id !== check.ids[place])) {
      throw new Error(`this page makes other tokens of a text than the training did, at ${JSON.stringify(check.messages[check.messages.length - 1].content.slice(0, 40))}`);
    }
  }
  tell("Loading the model");
  model = await AutoModelForCausalLM.from_pretrained("model", { device: "wasm", progress_callback: told });
  return `the tokens of ${data.checks.length} texts are those of the training`;
}

function idsOf(messages) {
  return words.apply_chat_template(messages, { add_generation_prompt: true, return_dict: true });
}

async function answer(messages, temperature, signal, came) {
  const asked = idsOf(messages), length = asked.input_ids.dims[1], room = data.context - length;
  if (room < 1) throw new Error(`the question has ${length} tokens, and the model takes ${data.context}`);
  const stopped = new library.InterruptableStoppingCriteria();
  signal.addEventListener("abort", () => stopped.interrupt());
  const streamer = new library.TextStreamer(words, {
    skip_prompt: true, skip_special_tokens: true, callback_function: came.text, token_callback_function: came.token,
  });
  const made = await model.generate({
    ...asked, max_new_tokens: Math.min(data.max_tokens, room), repetition_penalty: 1, eos_token_id: data.stops, streamer,
    stopping_criteria: stopped, ...(temperature ? { do_sample: true, temperature, top_k: 40 } : { do_sample: false }),
  });
  const ids = made.tolist()[0].slice(length).map(Number);
  const end = stopped.interrupted ? "stopped" : data.stops.includes(ids[ids.length - 1]) ? "stop" : "length";
  return { end, text: words.decode(ids, { skip_special_tokens: true }), ids };
}

const ENGINE = { load: (seen) => load(seen).catch((error) => { throw fault ? new Error(fault) : error; }), answer };
