/* The page around the ENGINE that stands before this script:
   load(seen) readies the model and says how it did; seen(bytes, of) moves the bar;
   answer(messages, temperature, signal, came) resolves to {end, text, ids}, the last two where it knows them better than what came;
   came.token() for each token, came.text(piece) for what is to be read of them. */
const at = (path) => new URL(path, document.baseURI).href;
let ready = false, said = [], stop = null;

$("name").textContent = data.name;
$("about").textContent = `${data.about} · ${Math.round(data.bytes / 1e6)} MB`;
$("alone").hidden = data.many_turns;

function seen(bytes, of) {
  $("progress").value = bytes / of;
  tell(`Loading the model: ${Math.round(bytes / 1e6)} of ${Math.round(of / 1e6)} MB`);
}

async function start() {
  const how = await ENGINE.load(seen);
  ready = true;
  $("progress").hidden = true;
  $("question").disabled = $("send").disabled = false;
  $("question").focus();
  tell(`Ready: ${how}`);
}

async function ask(question) {
  $("hint").hidden = true;
  const turn = add($("log"), "div", "turn");
  add(turn, "div", "asked", question);
  const card = add(add(turn, "div", "answers"), "article", "");
  const text = add(card, "div", "text waits"), note = add(card, "p", "note");
  turn.scrollIntoView({ block: "end" });
  const messages = [...(data.many_turns ? said : []), { role: "user", content: question }];
  const began = performance.now();
  let first = 0, tokens = 0, end = "";
  const came = {
    token() {
      first = first || performance.now();
      tokens += 1;
    },
    text(piece) {
      text.textContent += piece;
      text.scrollIntoView({ block: "nearest" });
    },
  };
  stop = new AbortController();
  $("send").textContent = "Stop";
  try {
    const found = await ENGINE.answer(messages, Number($("temperature").value), stop.signal, came);
    if (found.ids) {
      tokens = found.ids.length;
      text.textContent = found.text;
      card.dataset.ids = found.ids.join(" ");
    }
    end = found.end;
  } catch (error) {
    end = error.name === "AbortError" ? "stopped" : `failed: ${error.message}`;
  }
  const now = performance.now(), rate = (tokens - 1) / ((now - first) / 1000);
  text.classList.remove("waits");
  const how = end === "stop" ? "" : end === "length" ? "cut off · " : `${end} · `;
  note.textContent = `${how}${tokens} tokens, the first after ${(((first || now) - began) / 1000).toFixed(1)} s, ` +
    `${rate > 0 && isFinite(rate) ? rate.toFixed(1) : "–"} a second`;
  note.classList.toggle("bad", end.startsWith("failed"));
  card.dataset.tokens = tokens;
  card.dataset.end = end;
  if (end === "stop" || end === "length") said = [...messages, { role: "assistant", content: text.textContent }];
  stop = null;
  $("send").textContent = "Ask";
  tell(`${((now - began) / 1000).toFixed(1)} s`);
}

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  if (stop) return stop.abort();
  const question = $("question").value.trim();
  if (!question || !ready) return;
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

if (typeof WebAssembly !== "object") {
  tell("This browser has no WebAssembly, in which the model runs - open the page in a current Chrome, Edge, Firefox or Safari.", true);
} else if (location.protocol === "file:") {
  tell("A page from a disk may not load a model - run `python3 -m http.server` in its folder, and open http://localhost:8000.", true);
} else {
  start().catch((error) => tell(`The model cannot be loaded: ${error.message} - reload the page; if it comes back, the browser lacks memory for it, or a file is missing.`, true));
}
