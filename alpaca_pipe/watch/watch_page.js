const EVERY = 2000; // milliseconds between two looks
const MARKS = { sealed: "✓", running: "●", "half done": "◐", "to come": "○" };
const HIGH = 200;
let shown = "", latest = null;

$("name").textContent = data.recipe;

function draw(parent, tag, how, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(how)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

const whole = (number) => number.toLocaleString("en");

function span(minutes) {
  if (minutes < 1) return `${Math.max(1, Math.round(minutes * 60))} s`;
  if (minutes < 100) return `${Math.round(minutes)} min`;
  return `${(minutes / 60).toFixed(1)} h`;
}

function figures(look) {
  const list = $("figures"), now = look.progress;
  list.replaceChildren();
  const figure = (name, value, note) => {
    const one = add(list, "div");
    add(one, "dt", "", name);
    add(add(one, "dd", "", value), "small", "", note);
  };
  if (now.total) {
    figure(`${now.unit} of ${now.stage}`, `${whole(now.done)} of ${whole(now.total)}`, now.note || "");
    figure("rate", now.a_minute ? `${now.a_minute < 100 ? now.a_minute.toFixed(1) : whole(Math.round(now.a_minute))} a minute` : "–", `as of ${now.at.slice(11, 19)} UTC`);
    figure("to go", now.eta ? `about ${span(now.eta / 60)}` : "–", "of this stage, at this rate");
  }
  if (look.money.settled) {
    const notes = [look.money.simulated && `${look.money.simulated} of it simulated: a scripted teacher`, look.money.lost && `${look.money.lost} lost (sent, outcome unknown)`, look.money.reserved && `${look.money.reserved} reserved`];
    figure("spent, all runs", look.money.settled, notes.filter(Boolean).join(", ") || (look.rehearsal ? "simulated" : "settled"));
  }
  $("progress").hidden = !now.total;
  if (now.total) $("progress").value = now.done / now.total;
}

function stages(look) {
  $("stages").replaceChildren();
  for (const stage of look.stages) {
    const line = add($("stages"), "li", stage.state.split(" ")[0]);
    add(line, "span", "mark", MARKS[stage.state] || "·");
    add(line, "span", "kind", stage.kind);
    add(line, "span", "state", stage.minutes === null ? stage.state : `${stage.state}, ${span(stage.minutes)}`);
  }
}

function rounds(look) {
  $("rounds-part").hidden = !look.rounds.length;
  if (!look.rounds.length) return;
  const bars = look.rounds.slice(-80), most = Math.max(1, ...bars.flatMap((one) => [one.seats || 0, one.accepted || 0]));
  const sum = look.rounds.reduce((total, one) => total + (one.accepted || 0), 0);
  $("rounds-note").textContent = `${whole(sum)} rows accepted in ${whole(look.rounds.length)} rounds that ended` +
    (bars.some((one) => one.seats > one.accepted) ? "; pale: requests that brought none" : "") +
    (bars.length < look.rounds.length ? `; the last ${bars.length} are shown` : "");
  const wide = $("rounds").clientWidth;
  const svg = draw($("rounds"), "svg", { viewBox: `0 0 ${wide} 120`, role: "img", "aria-labelledby": "h-rounds" });
  const step = wide / Math.max(bars.length, 12), width = Math.max(2, step * .7);
  bars.forEach((one, place) => {
    for (const [kind, count] of [["asked", one.seats || 0], ["kept", one.accepted || 0]]) {
      const high = 100 * count / most;
      draw(svg, "rect", { class: kind, x: place * step, y: 110 - high, height: high, width });
    }
  });
  $("rounds").replaceChildren(svg);
}

function loss(look) {
  const lines = Object.entries(look.curves), dots = Object.entries(look.held_out);
  const points = [...lines, ...dots].flatMap(([, some]) => some);
  $("loss-part").hidden = !points.length;
  if (!points.length) return;
  $("loss-note").textContent = "nats a token, by step" + (dots.length ? "; dots: on held-out rows" : "");
  const losses = points.map((one) => one[1]), last = Math.max(...points.map((one) => one[0]));
  const low = Math.min(...losses), high = Math.max(...losses), room = high - low || 1;
  const wide = $("loss").clientWidth;
  const x = (step) => 44 + (wide - 124) * (last > 1 ? (step - 1) / (last - 1) : 0), y = (value) => 10 + (HIGH - 40) * (high - value) / room;
  const svg = draw($("loss"), "svg", { viewBox: `0 0 ${wide} ${HIGH}`, role: "img", "aria-labelledby": "h-loss" });
  for (const value of [high, (high + low) / 2, low]) {
    draw(svg, "line", { class: "grid", x1: 44, x2: wide - 80, y1: y(value), y2: y(value) });
    draw(svg, "text", { x: 38, y: y(value) + 4, "text-anchor": "end" }, value.toFixed(room < .1 ? 3 : 2));
  }
  draw(svg, "text", { x: 44, y: HIGH - 8 }, "1");
  draw(svg, "text", { x: x(last), y: HIGH - 8, "text-anchor": "end" }, whole(last));
  let before = -99;
  for (const [name, some] of lines) {
    if (some.length > 1) draw(svg, "polyline", { class: `line ${name}`, points: some.map((one) => `${x(one[0]).toFixed(1)},${y(one[1]).toFixed(1)}`).join(" ") });
    const end = some[some.length - 1];
    draw(svg, "circle", { class: name, cx: x(end[0]), cy: y(end[1]), r: 3 });
    let at = y(end[1]) + 4;
    if (Math.abs(at - before) < 13) at = before + 13;
    before = at;
    draw(svg, "text", { class: name, x: x(end[0]) + 7, y: at }, `${name} ${end[1].toFixed(2)}`);
  }
  for (const [name, some] of dots) for (const one of some) draw(svg, "circle", { class: name, cx: x(one[0]), cy: y(one[1]), r: 3.5 });
  $("loss").replaceChildren(svg);
}

function money(look) {
  $("money-part").hidden = !look.money.settled;
  $("money").replaceChildren();
  $("caps").replaceChildren();
  if (!look.money.settled) return;
  const row = (name, note, sum, kind) => {
    const line = add($("money"), "tr", kind);
    add(line, "td", "", name);
    add(line, "td", "quiet", note);
    add(line, "td", "n", sum);
  };
  for (const line of look.money.lines) row(line.name, line.requests ? `${whole(line.requests)} answered` : "", line.shown, "");
  row("settled", "by the ledger, all runs of this recipe", look.money.settled, "total");
  for (const cap of look.money.caps) {
    const line = add($("caps"), "div");
    add(line, "span", "", `cap ${cap.name}`);
    const bar = add(line, "progress");
    bar.max = 1;
    bar.value = Math.min(1, cap.used || 0);
    bar.setAttribute("aria-label", cap.name);
    add(line, "span", "n", cap.used === null ? `of ${cap.shown}` : `${(100 * cap.used).toFixed(0)} % of ${cap.shown}`);
  }
}

function said(look) {
  $("said-part").hidden = !look.said.length;
  $("said").replaceChildren();
  for (const one of look.said) {
    const line = add($("said"), "li", one.level === "error" ? "bad" : "");
    add(line, "time", "", one.at.slice(11, 19));
    add(line, "b", "", one.stage);
    add(line, "span", "", one.sentence);
  }
}

function show(look) {
  document.body.dataset.state = look.state;
  const since = look.since ? ` · began ${look.since.slice(0, 16).replace("T", " ")} UTC` : "";
  $("headline").textContent = look.headline + since;
  document.title = `${look.progress.total ? `${Math.floor(100 * look.progress.done / look.progress.total)} % · ` : ""}${look.recipe} · ${look.headline}`;
  $("rehearsal").hidden = !look.rehearsal;
  $("report").hidden = !look.report;
  $("trouble").hidden = !look.trouble.length;
  $("trouble").replaceChildren();
  for (const one of look.trouble) add($("trouble"), "li", "", one);
  for (const part of [figures, stages, rounds, loss, money, said]) part(look);
}

async function once() {
  try {
    const reply = await fetch("/state.json", { cache: "no-store" });
    if (!reply.ok) throw new Error(`it answered ${reply.status}`);
    const look = await reply.json(), text = JSON.stringify({ ...look, at: "" });
    latest = look;
    if (text !== shown) show(look);
    shown = text;
    $("foot").textContent = `looked at ${look.at.slice(11, 19)} UTC, again every ${EVERY / 1000} s · this page only looks: closing it changes nothing`;
    $("foot").classList.remove("bad");
  } catch (error) {
    $("foot").textContent = "`alpaca-pipe watch` does not answer any more: this is what it showed last. The run itself continues without it.";
    $("foot").classList.add("bad");
  }
  setTimeout(once, EVERY);
}

addEventListener("resize", () => latest && show(latest)); // charts are drawn for the width that there is
once();
