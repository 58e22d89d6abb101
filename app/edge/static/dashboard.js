// The dashboard. Everything that came from anybody is put on the page as text (textContent), never as HTML.
"use strict";

const $ = (id) => document.getElementById(id);
const KEY = "gearbox-key";
const EVERY_MS = 4000;
let since = "today";
let timer = 0;

function node(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined && text !== null) made.textContent = String(text);
  return made;
}

function usd(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  const places = size === 0 || size >= 100 ? 2 : size >= 1 ? 3 : size >= 0.01 ? 4 : 6;
  return (value < 0 ? "−$" : "$") + size.toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: places });
}

const count = (value) => Number(value).toLocaleString("en");
const percent = (value) => (value * 100).toFixed(Math.abs(value) < 0.1 ? 1 : 0) + " %";
const seconds = (value) => (value < 1 ? Math.round(value * 1000) + " ms" : value.toFixed(1) + " s");

async function ask(path) {
  const key = sessionStorage.getItem(KEY);
  const reply = await fetch(path, { headers: key ? { authorization: "Bearer " + key } : {}, cache: "no-store" });
  if (reply.status === 401) throw new Error("key");
  if (!reply.ok) throw new Error("status " + reply.status);
  return reply.json();
}

async function refresh() {
  clearTimeout(timer);
  try {
    const query = "since=" + encodeURIComponent(since);
    const [summary, latest] = await Promise.all([
      ask("/v1/dashboard/summary?" + query),
      ask("/v1/dashboard/requests?limit=50&" + query),
    ]);
    $("gate").hidden = true;
    $("main").hidden = false;
    $("forget").hidden = !sessionStorage.getItem(KEY);
    show(summary);
    list(latest.data);
    status("live", "on");
  } catch (error) {
    if (error.message === "key") return gate();
    status("not reached, trying again", "off");
  }
  timer = setTimeout(refresh, EVERY_MS);
}

function status(text, className) {
  $("live").textContent = text;
  $("live").className = "live " + className;
}

function gate() {
  $("wrong").textContent = sessionStorage.getItem(KEY) ? "This Gearbox does not know that key." : "";
  sessionStorage.removeItem(KEY);
  $("main").hidden = true;
  $("forget").hidden = true;
  $("gate").hidden = false;
  status("waiting for a key", "");
  $("key").focus();
}

function show(told) {
  const total = told.total;
  $("scope").textContent = told.team === null ? "all teams" : "team " + told.team;
  $("spent").textContent = usd(total.spent_usd);
  $("spent-note").textContent = "always " + (told.ladder[told.ladder.length - 1] || "top") + ": " + usd(total.always_top_usd);
  $("saved").textContent = usd(total.saved_usd);
  $("saved").className = "figure " + (total.saved_usd < 0 ? "bad" : total.saved_usd > 0 ? "good" : "");
  const share = total.always_top_usd > 0 ? percent(total.saved_usd / total.always_top_usd) + " of always top" : "";
  const second = total.saved_against_second_usd;
  $("saved-note").textContent = share + (second === null || !total.requests ? "" : "; " + usd(second) + " against always " + told.second);
  $("requests").textContent = count(total.requests);
  $("requests-note").textContent = total.failed ? count(total.failed) + " got no answer" : total.requests ? "all answered" : "";
  $("judging").textContent = usd(total.judge_usd);
  $("judging-note").textContent = total.spent_usd > 0 ? percent(total.judge_usd / total.spent_usd) + " of what was spent" : "";
  $("words").textContent = told.judge_words.join(" ");
  tiers(told);
  chart(told);
}

function tiers(told) {
  const found = new Map(told.tiers.map((line) => [line.name, line]));
  const names = [...told.ladder, ...[...found.keys()].filter((name) => name && !told.ladder.includes(name)), ...(found.has("") ? [""] : [])];
  const most = Math.max(1, ...told.tiers.map((line) => line.requests));
  $("tiers").replaceChildren(...names.map((name) => {
    const requests = found.get(name)?.requests || 0;
    const row = node("div", name ? "tier" : "tier none");
    const track = node("div", "track");
    if (requests) {
      const fill = node("div", "fill");
      fill.style.width = (100 * requests) / most + "%";
      track.append(fill);
    }
    const share = told.total.requests ? " · " + percent(requests / told.total.requests) : "";
    row.append(node("span", "name", name || "no answer"), track, node("span", "count", count(requests) + share));
    return row;
  }));
}

function svg(tag, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// Every hour or day of the span has its place, whether or not anything happened in it.
function places(told) {
  const hour = told.by_time === "hour";
  const step = hour ? 3600e3 : 86400e3;
  const first = Math.floor(Date.parse(told.since) / step) * step;
  const found = new Map(told.times.map((line) => [line.name, line]));
  const made = [];
  for (let at = first; at < Date.parse(told.until); at += step) {
    const iso = new Date(at).toISOString();
    const name = hour ? iso.slice(0, 13) + ":00Z" : iso.slice(0, 10);
    made.push({ at, line: found.get(name), label: hour ? String(new Date(at).getHours()).padStart(2, "0") : iso.slice(5, 10) });
  }
  return made;
}

function chart(told) {
  const wide = 720, high = 320, left = 78, bottom = 24, top = 10;
  const bars = places(told);
  const most = Math.max(1e-9, ...told.times.map((line) => Math.max(line.spent_usd, line.always_top_usd)));
  const drawn = svg("svg", { viewBox: `0 0 ${wide} ${high}`, role: "img", "aria-label": "Spent and always top over time" });
  const y = (value) => top + (high - top - bottom) * (1 - value / most);
  for (const part of [0, 0.5, 1]) {
    drawn.append(svg("line", { x1: left, x2: wide, y1: y(most * part), y2: y(most * part) }));
    drawn.append(svg("text", { x: left - 8, y: y(most * part) + 4, "text-anchor": "end" }, part ? usd(most * part) : "0"));
  }
  const step = (wide - left) / Math.max(bars.length, 8), thick = Math.min(step * 0.36, 26), every = Math.ceil(bars.length / 12);
  bars.forEach((bar, place) => {
    const x = left + step * (place + 0.5);
    if (bar.line) {
      const group = svg("g", {});
      group.append(svg("title", {}, `${bar.line.name}: spent ${usd(bar.line.spent_usd)}, always top ${usd(bar.line.always_top_usd)}, ${bar.line.requests} requests`));
      group.append(svg("rect", { class: "spent-bar", x: x - thick - 1, y: y(bar.line.spent_usd), width: thick, height: Math.max(y(0) - y(bar.line.spent_usd), 1), rx: 2 }));
      group.append(svg("rect", { class: "top-bar", x: x + 1, y: y(bar.line.always_top_usd), width: thick, height: Math.max(y(0) - y(bar.line.always_top_usd), 1), rx: 2 }));
      drawn.append(group);
    }
    if (place % every === 0) drawn.append(svg("text", { x, y: high - 6, "text-anchor": "middle" }, bar.label));
  });
  $("chart").replaceChildren(drawn);
}

const MARK = { valid: "✓", invalid: "✕", error: "!", abstained: "?", unjudged: "·" };

function chips(attempts) {
  const made = node("div", "chips");
  attempts.forEach((attempt, place) => {
    if (place) made.append(node("span", "arrow", "→"));
    const chip = node("span", "chip " + (attempt.verdict in MARK ? attempt.verdict : ""), attempt.tier + " " + (MARK[attempt.verdict] || ""));
    chip.title = attempt.verdict || "";
    made.append(chip);
  });
  if (!attempts.length) made.append(node("span", "arrow", "–"));
  return made;
}

function money(value) {
  const cell = node("td", "num", usd(value));
  if (value > 0) cell.classList.add("good-text");
  if (value < 0) cell.classList.add("bad-text");
  return cell;
}

function list(rows) {
  $("empty").hidden = rows.length > 0;
  const held = document.activeElement?.dataset?.id;
  $("rows").replaceChildren(...rows.map((row) => {
    const made = node("tr");
    made.tabIndex = 0;
    made.dataset.id = row.id;
    const at = new Date(row.created_at);
    const time = node("td", "", at.toLocaleTimeString("en-GB"));
    time.title = at.toLocaleString() + " · team " + row.team + " · key " + row.key_id;
    const tried = node("td");
    tried.append(chips(row.attempts));
    const asked = node("td", "asked", row.asked_model);
    asked.title = row.asked_model + " by " + row.policy;
    made.append(time, asked, tried, node("td", "why", row.why), node("td", "num", usd(row.cost_usd)), money(row.saved_usd), node("td", "num", seconds(row.latency_s)));
    made.addEventListener("click", () => story(row.id));
    made.addEventListener("keydown", (event) => { if (event.key === "Enter") story(row.id); });
    return made;
  }));
  if (held) [...$("rows").children].find((row) => row.dataset.id === held)?.focus();
}

function facts(pairs) {
  const made = node("dl", "facts");
  for (const [name, value] of pairs) {
    const box = node("div");
    box.append(node("dt", "", name), node("dd", "", value));
    made.append(box);
  }
  return made;
}

function table(heads, rows) {
  const made = node("table"), head = node("tr"), body = node("tbody");
  heads.forEach((name) => head.append(node("th", "", name)));
  rows.forEach((cells) => {
    const row = node("tr");
    cells.forEach((cell) => {
      const td = node("td");
      td.append(cell instanceof Node ? cell : document.createTextNode(cell === null || cell === undefined ? "–" : String(cell)));
      row.append(td);
    });
    body.append(row);
  });
  const top = node("thead");
  top.append(head);
  made.append(top, body);
  const wrapped = node("div", "scroll");
  wrapped.append(made);
  return wrapped;
}

async function story(id) {
  let told;
  try {
    told = await ask("/v1/decisions/" + encodeURIComponent(id));
  } catch (error) {
    return error.message === "key" ? gate() : status("that story could not be read", "off");
  }
  const parts = [node("p", "rationale", told.rationale)];
  parts.push(facts([
    ["asked for", told.asked_model], ["policy", told.policy], ["team · key", told.team + " · " + told.key_id],
    ["cost", usd(told.cost_usd)], ["late cost", usd(told.late_cost_usd)], ["always top", usd(told.baseline_usd)], ["saved", usd(told.saved_usd)],
    ["took", seconds(told.latency_s)], ["overhead", (told.overhead_s * 1000).toFixed(1) + " ms"],
    ...Object.entries(told.tags || {}).map(([name, value]) => ["tag " + name, value]),
  ]));
  if (told.question) parts.push(node("h2", "", "Question"), node("blockquote", "", told.question));
  parts.push(node("h2", "", "Tried"), table(["tier", "model", "P(valid)", "became", "by", "cost", "why", "reason"], told.attempts.map((each) => [
    each.tier, each.model, each.p_valid === null ? "–" : each.p_valid.toFixed(2), chips([{ tier: each.verdict || "–", verdict: each.verdict }]),
    each.verdict_by || "nobody", usd(each.cost_usd), each.why, each.reason || each.error,
  ])));
  if (told.nearby.length) parts.push(node("h2", "", "What neighbouring settings would have done"), table(["setting", "starts", "answers", "cost", "why"], told.nearby.map((each) => [
    each.setting + " " + each.value, each.start_tier, (each.tier || "nobody") + (each.exact ? "" : "?"), each.cost_usd === null ? "–" : (each.exact ? "" : "about ") + usd(each.cost_usd), each.changes ? each.why : "the same way",
  ])));
  const near = told.evidence.neighbours || [];
  if (near.length) parts.push(node("h2", "", "Similar past questions"), table(["request", "similarity", "how right each model was"], near.map((each) => [
    each.id, each.similarity.toFixed(3), Object.entries(each.labels).map(([model, right]) => model + " " + right).join(", ") || "no label",
  ])));
  if (told.labels.length) parts.push(node("h2", "", "What it taught"), table(["tier", "model", "correct", "source", "by"], told.labels.map((each) => [
    each.tier, each.model, each.correct, each.source + (each.in_force ? "" : " (replaced)"), each.by,
  ])));
  $("story-title").textContent = told.id;
  $("story-body").replaceChildren(...parts);
  if (!$("story").open) $("story").showModal();
  $("story").scrollTop = 0;
}

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("[data-since]").forEach((button) => button.addEventListener("click", () => {
    since = button.dataset.since;
    document.querySelectorAll("[data-since]").forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
    refresh();
  }));
  $("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem(KEY, $("key").value.trim());
    $("key").value = "";
    refresh();
  });
  $("forget").addEventListener("click", () => { sessionStorage.removeItem(KEY); gate(); });
  $("close").addEventListener("click", () => $("story").close());
  $("story").addEventListener("click", (event) => { if (event.target === $("story")) $("story").close(); });
  refresh();
});
