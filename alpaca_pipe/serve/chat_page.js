const votes = {};
let key = new URLSearchParams(location.hash.slice(1)).get("key") || sessionStorage.getItem("key") || "";
let said = []; // what both are shown: the answer that was voted for counts, else the tuned one
let stop = null;

$("name").textContent = data.tuned;
$("about").textContent = data.about;
$("alone").hidden = data.many_turns;
$("beside-tool").hidden = $("blind-tool").hidden = !data.base;
$("votes-hint").hidden = !data.votes;

async function post(path, body, signal) {
  const headers = { "Content-Type": "application/json", ...(key ? { Authorization: `Bearer ${key}` } : {}) };
  const reply = await fetch(path, { method: "POST", headers, body: JSON.stringify(body), signal });
  if (reply.ok) return reply;
  if (reply.status === 401) $("keys").hidden = false;
  const found = await reply.json().catch(() => ({}));
  throw new Error((found.error && found.error.message) || found.detail || `status ${reply.status}`);
}

/* The events of a stream, as JSON. */
async function* events(reply) {
  const reader = reply.body.getReader(), decoder = new TextDecoder();
  let rest = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const lines = (rest + decoder.decode(part.value, { stream: true })).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith("data: ") && line !== "data: [DONE]") yield JSON.parse(line.slice(6));
    }
  }
}

async function answer(model, card, messages) {
  const text = add(card, "div", "text waits"), note = add(card, "p", "note");
  const temperature = Number($("temperature").value), began = performance.now();
  let first = 0, tokens = 0, end = "";
  try {
    const how = { model, messages, temperature, max_tokens: 512, stream: true };
    for await (const piece of events(await post("/v1/chat/completions", how, stop.signal))) {
      if (piece.error) throw new Error(piece.error.message);
      const choice = (piece.choices || [])[0] || {};
      if (choice.delta && choice.delta.content) {
        first = first || performance.now();
        tokens += 1;
        text.textContent += choice.delta.content;
        card.scrollIntoView({ block: "nearest" });
      }
      end = choice.finish_reason || end;
    }
    if (!end) end = "failed: the answer broke off";
  } catch (error) {
    end = error.name === "AbortError" ? "stopped" : `failed: ${error.message}`;
  }
  text.classList.remove("waits");
  const rate = (tokens - 1) / ((performance.now() - first) / 1000);
  note.textContent = (end === "stop" ? "" : end === "length" ? "cut off · " : `${end} · `) +
    `${tokens} tokens${rate > 0 && isFinite(rate) ? `, ${rate.toFixed(0)} a second` : ""}`;
  note.classList.toggle("bad", end.startsWith("failed"));
  card.dataset.end = end;
  return { model, text: text.textContent, whole: end === "stop" || end === "length" };
}

async function ask(question) {
  $("hint").hidden = true;
  const beside = $("beside").checked, blind = beside && $("blind").checked;
  document.body.classList.toggle("two", beside);
  const models = beside ? [data.tuned, data.base] : [data.tuned];
  if (blind && Math.random() < 0.5) models.reverse();
  const turn = add($("log"), "div", "turn");
  add(turn, "div", "asked", question);
  const cards = add(turn, "div", "answers"), system = $("system").value.trim();
  const messages = [...(data.many_turns ? said : []), { role: "user", content: question }];
  const names = models.map((model) => (model === data.tuned ? "tuned" : "base"));
  stop = new AbortController();
  $("send").textContent = "Stop";
  const asked = models.map((model, place) => {
    const card = add(cards, "article", "");
    if (beside) add(card, "p", "who", blind ? "AB"[place] : names[place]);
    return answer(model, card, system ? [{ role: "system", content: system }, ...messages] : messages)
      .then((found) => ({ ...found, card }));
  });
  turn.scrollIntoView({ block: "end" });
  const found = await Promise.all(asked);
  const tuned = found.find((one) => one.model === data.tuned);
  if (tuned.whole) said = [...messages, { role: "assistant", content: tuned.text }];
  stop = null;
  $("send").textContent = "Ask";
  tell("system text");
  if (beside && data.votes && found.every((one) => one.whole)) offer(turn, found, names, blind, system, messages);
  else if (blind) reveal(found, names);
  turn.dataset.done = "yes";
}

function reveal(found, names) {
  found.forEach((one, place) => { one.card.querySelector(".who").textContent = `${"AB"[place]}: ${names[place]}`; });
}

function offer(turn, found, names, blind, system, prompt) {
  const bar = add(turn, "div", "votes");
  const side = (place) => (blind ? "AB"[place] : names[place]);
  const tuned = found.find((one) => one.model === data.tuned);
  const same = found[0].text === found[1].text;
  if (same) bar.append("the same answer: ");
  const choices = [["good", same ? "good" : "both good"], ["bad", same ? "bad" : "both bad"]];
  if (!same) choices.unshift(["a", `${side(0)} is better`], ["b", `${side(1)} is better`]);
  for (const [vote, label] of choices) {
    const button = add(bar, "button", "tool", label);
    button.type = "button";
    button.dataset.vote = vote;
    button.addEventListener("click", async () => {
      bar.querySelectorAll("button").forEach((one) => { one.disabled = true; });
      const [a, b] = found.map(({ model, text }) => ({ model, text }));
      try {
        await post("/votes", { prompt, system, a, b, vote, blind });
      } catch (error) {
        bar.querySelectorAll("button").forEach((one) => { one.disabled = false; });
        tell(`The vote was not kept: ${error.message}`, true);
        return;
      }
      const better = found["ab".indexOf(vote)];
      if (better) {
        better.card.classList.add("picked");
        const last = said[said.length - 1];
        if (last && last.content === tuned.text) said = [...prompt, { role: "assistant", content: better.text }];
      }
      if (blind) reveal(found, names);
      const name = vote === "a" ? names[0] : vote === "b" ? names[1] : `both ${vote}`;
      votes[name] = (votes[name] || 0) + 1;
      bar.replaceChildren();
      bar.textContent = `kept: ${name} · so far ${Object.entries(votes).map(([who, count]) => `${who} ${count}`).join(", ")}`;
      $("question").focus();
    });
  }
}

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  if (stop) return stop.abort();
  const question = $("question").value.trim();
  if (!question) return;
  $("question").value = "";
  ask(question);
});
for (const id of ["question", "system", "key"]) {
  $(id).addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (id === "question" && !stop) $("ask").requestSubmit();
    if (id === "key") $("keys").requestSubmit();
  });
}
$("more").addEventListener("submit", (event) => event.preventDefault());
$("keys").addEventListener("submit", (event) => {
  event.preventDefault();
  key = $("key").value.trim();
  sessionStorage.setItem("key", key);
  $("keys").hidden = true;
});
$("beside").addEventListener("change", () => {
  if (!$("beside").checked) $("blind").checked = false;
});
$("blind").addEventListener("change", () => {
  if ($("blind").checked) $("beside").checked = true;
});
$("new").addEventListener("click", () => {
  said = [];
  document.querySelectorAll(".turn").forEach((turn) => turn.remove());
  $("hint").hidden = false;
});
$("question").focus();
