// The page: approvals, runs and cases, over the API and nothing else. Every text
// from outside is put in as text, never as HTML.
"use strict";

const main = document.getElementById("main");
const bar = document.getElementById("bar");
let me = null;
let timer = 0;       // of the next look
let stream = null;   // of the run that is watched
let shown = "";      // what the page shows, as text: an unchanged answer redraws nothing

// el makes an element. Attributes that begin with "on" are listeners.
function el(name, attributes, ...children) {
  const e = document.createElement(name);
  for (const [k, v] of Object.entries(attributes || {})) {
    if (v === undefined || v === false) continue;
    if (k.startsWith("on")) e.addEventListener(k.slice(2), v);
    else e.setAttribute(k, v === true ? "" : v);
  }
  for (const c of children.flat()) if (c !== null && c !== undefined && c !== "") e.append(c);
  return e;
}

class Problem extends Error {
  constructor(status, p) {
    super(p.detail || p.title || "the server answered " + status);
    this.status = status;
    this.request = p.request_id;
  }
}

async function call(method, path, body) {
  let res;
  try {
    res = await fetch("/api" + path, {
      method, headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Problem(0, { detail: "The server does not answer. What is shown may be old." });
  }
  const data = res.status === 204 ? null : await res.json().catch(() => ({}));
  if (!res.ok) throw new Problem(res.status, data || {});
  return data;
}

const marks = {
  pending: ["○", "", "pending"], running: ["◐", "live", "running"], waiting: ["‖", "warn", "waiting"], succeeded: ["✓", "good", "succeeded"],
  failed: ["✕", "bad", "failed"], timed_out: ["◷", "bad", "timed out"], denied: ["⊘", "bad", "denied"], cancelled: ["▪", "", "cancelled"],
  skipped: ["→", "", "skipped"], open: ["○", "live", "open"], closed: ["✓", "", "closed"],
};

function status(s, extra) {
  const [glyph, tone, word] = marks[s] || ["·", "", s];
  return el("span", { class: "status " + tone }, el("i", { "aria-hidden": "true" }, glyph), extra ? word + ", " + extra : word);
}

function stamp(t) { return t ? t.slice(0, 10) + " " + t.slice(11, 19) + " UTC" : ""; }

function span(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return s + " s";
  if (s < 3600) return Math.floor(s / 60) + " min";
  if (s < 172800) return Math.floor(s / 3600) + " h " + Math.floor(s % 3600 / 60) + " min";
  return Math.floor(s / 86400) + " d";
}

function age(t) { return el("time", { datetime: t, title: stamp(t), class: "age" }, span(Date.now() - Date.parse(t))); }

function facts(pairs) {
  const dl = el("dl");
  for (const [name, value] of pairs) {
    if (value === undefined || value === null || value === "" || value.length === 0) continue;
    dl.append(el("dt", {}, name), el("dd", {}, value));
  }
  return dl;
}

function json(v) { return v === undefined ? "" : el("span", { class: "mono" }, JSON.stringify(v)); }

function link(path, text) { return text ? el("a", { href: path + text }, text) : ""; }

function head(title, sub) { return [el("h1", {}, title), el("p", { class: "sub" }, sub)]; }

function rows(items, none, row) {
  if (items.length === 0) return el("p", { class: "note" }, none);
  return el("ul", { class: "rows" }, items.map((x) => el("li", {}, row(x))));
}

// draw puts a view on the page, unless it is what stands there already: whoever
// reads or types is not disturbed.
function draw(key, data, build) {
  const text = key + JSON.stringify(data);
  if (text === shown) return;
  shown = text;
  main.replaceChildren(...build().flat());
}

function offline(err) {
  const live = document.getElementById("live");
  live.textContent = err ? "○ no connection" : "● live";
  live.title = err ? err.message : "";
}

// views, each with how often it looks again, in ms.

async function approvals() {
  const [mine, all] = await Promise.all([call("GET", "/approvals?mine=true&limit=100"), call("GET", "/approvals?limit=100")]);
  count(mine.items.length);
  const others = all.items.filter((a) => !a.mine);
  draw("approvals", [mine, all], () => [
    head("Approvals", mine.items.length === 0 ? "Nothing waits for you." : mine.items.length + " wait for you."),
    mine.items.map(card),
    others.length ? [el("h2", {}, "Others are asked"), rows(others, "", (a) => el("a", { class: "row", href: "/approvals/" + a.id },
      status("waiting"), el("span", { class: "main" }, a.title), age(a.asked), el("span", { class: "more" }, asks(a) + " · " + a.playbook + " · " + a.run)))] : "",
  ]);
  return 3000;
}

function asks(a) { return a.asks.map((q) => q.need + " of " + q.people.join(", ")).join("; "); }

function card(a) {
  const error = el("p", { class: "error", role: "alert" });
  const note = el("input", { "aria-label": "Note for the record", placeholder: "Note for the record", maxlength: "5000" });
  const acts = el("div", { class: "acts" });
  const say = async (verb, body) => {
    error.textContent = "";
    acts.querySelectorAll("button").forEach((b) => { b.disabled = true; });
    try {
      await call("POST", "/approvals/" + a.id + "/" + verb, { ...body, note: note.value });
      shown = "";
      await look();
    } catch (err) {
      error.textContent = err.message;
      acts.querySelectorAll("button").forEach((b) => { b.disabled = false; });
    }
  };
  acts.append(el("span", { class: "left" }, a.until ? span(Date.parse(a.until) - Date.now()) + " left, then it is " + silence(a) : ""));
  if (a.state === "open" && a.mine) acts.append(...buttons(a, say));
  return el("article", { class: "card" },
    el("p", { class: "sub" }, [a.id, a.playbook, a.run, a.case].filter(Boolean).join(" · ")),
    el("h2", {}, a.title),
    facts([
      ["Why", a.text === a.title ? "" : a.text], ["What", a.action && a.action + (a.connection ? " on " + a.connection : "")],
      ["On what", (a.targets || []).map((t) => t.kind + " " + t.value).join("\n")], ["With", json(a.inputs)],
      ["How it is taken back", a.action ? a.undo || "It cannot be taken back." : ""], ["Asked by", a.rule], ["Who must say yes", asks(a)],
      ["Started by", a.by], ["Run", link("/runs/", a.run)], ["Case", link("/cases/", a.case)],
      ["Frozen as", a.hash && el("span", { class: "mono" }, a.hash.slice(0, 16) + "…")],
      ["Answers", (a.answers || []).map((g) => stamp(g.at) + " " + g.by + ": " + (g.value !== undefined ? JSON.stringify(g.value) : g.yes ? "yes" : "no") + (g.note ? " — " + g.note : "")).join("\n")],
      ["Ended", a.state === "closed" ? a.result : ""],
    ]),
    a.state === "open" && a.mine ? el("div", { class: "acts" }, note) : "", acts, error);
}

function silence(a) {
  if (a.veto) return "a yes";
  return a.default !== undefined ? JSON.stringify(a.default) : "a no";
}

function buttons(a, say) {
  if (a.kind === "approval") {
    return [el("button", { type: "button", class: "no", onclick: () => say("deny", {}) }, "Deny"),
      el("button", { type: "button", class: "first", onclick: () => say("approve", { hash: a.hash }) }, "Approve")];
  }
  if (a.kind === "outcome") {
    return [el("button", { type: "button", onclick: () => say("answer", { value: "not_done" }) }, "It was not done"),
      el("button", { type: "button", class: "first", onclick: () => say("answer", { value: "done" }) }, "It was done")];
  }
  if ((a.options || []).length) {
    return a.options.map((o) => el("button", { type: "button", onclick: () => say("answer", { value: o }) }, o));
  }
  const text = el(a.form ? "textarea" : "input", { "aria-label": "Your answer", placeholder: a.form ? "Answer as JSON" : "Your answer", rows: "3" });
  return [text, el("button", { type: "button", class: "first", onclick: () => {
    let value = text.value;
    if (a.form) {
      try { value = JSON.parse(value); } catch { /* the server says what is wrong with a text */ }
    }
    say("answer", { value });
  } }, "Answer")];
}

async function approval(id) {
  const a = await call("GET", "/approvals/" + id);
  draw("approval", a, () => [head("Approval", a.state === "closed" ? status("closed", a.result) : a.id), card(a)]);
  return 5000;
}

// named says what a run is of: an undo has no version.
function named(r) { return r.undoes ? "Undo of " + r.undoes : r.playbook + (r.version ? " v" + r.version : " (draft)"); }

async function runs() {
  const list = await call("GET", "/runs?limit=100");
  draw("runs", list, () => [
    head("Runs", "The newest first."),
    rows(list.items, "No playbook has run yet. Publish one: riposte playbook publish FILE", (r) => el("a", { class: "row", href: "/runs/" + r.id },
      status(r.status, r.paused ? "paused" : r.waiting), el("span", { class: "main" }, named(r)), age(r.started),
      el("span", { class: "more" }, [r.id, r.by && "by " + r.by, r.case, r.error && r.error.code + ": " + r.error.message].filter(Boolean).join(" · ")))),
  ]);
  return 2000;
}

async function run(id) {
  const r = await call("GET", "/runs/" + id);
  draw("run", r, () => [
    head(named(r), r.id),
    facts([
      ["Status", status(r.status, r.paused ? "paused" : r.waiting)], ["Error", r.error && (r.error.step ? r.error.step + ": " : "") + r.error.code + ": " + r.error.message],
      ["Started", stamp(r.started) + (r.by ? " by " + r.by : "")], ["Ended", stamp(r.ended)], ["Case", link("/cases/", r.case)], ["Alert", r.alert],
      ["Called by", link("/runs/", r.parent)], ["Retries", link("/runs/", r.from)], ["Inputs", json(r.inputs)], ["Outputs", json(r.outputs)],
    ]),
    el("h2", {}, "Steps"),
    el("table", {}, el("thead", {}, el("tr", {}, ["Step", "Status", "What"].map((t) => el("th", {}, t)), el("th", { class: "wide" }, "Result"))),
      el("tbody", {}, (r.steps || []).map((s) => el("tr", {}, el("td", {}, s.step), el("td", { class: "nw" }, status(s.status)),
        el("td", {}, (s.action || s.verb) + (s.connection ? " on " + s.connection : "") + (s.attempts > 1 ? ", try " + s.attempts : "")),
        el("td", { class: "wide" }, s.error ? s.error.code + ": " + s.error.message : s.taken ? "went " + s.taken : s.answer !== undefined ? (s.by || "") + " said " + JSON.stringify(s.answer) : json(s.output)))))),
  ]);
  follow(r);
  return 0;
}

// follow watches a run until it has ended. Events only say that there is
// something new: the run itself is read again.
function follow(r) {
  if (stream || r.ended) return;
  stream = new EventSource("/api/runs/" + r.id + "/events?after=" + r.last_event);
  let due = 0;
  const again = () => { clearTimeout(due); due = setTimeout(look, 150); };
  for (const kind of ["run", "step"]) stream.addEventListener(kind, again);
  stream.addEventListener("end", () => { hush(); again(); });
  stream.onerror = () => {
    if (stream && stream.readyState === EventSource.CLOSED) { hush(); again(); return; } // it had ended before
    offline(new Error("The live connection broke; trying again."));
  };
  stream.onopen = () => offline(null);
}

function hush() {
  if (stream) stream.close();
  stream = null;
}

async function cases() {
  const list = await call("GET", "/cases?limit=100");
  draw("cases", list, () => [
    head("Cases", "The last changed first."),
    rows(list.items, "No case is there yet. An alert or a playbook opens one.", (c) => el("a", { class: "row", href: "/cases/" + c.id },
      status(c.status, c.severity), el("span", { class: "main" }, c.title), age(c.updated),
      el("span", { class: "more" }, [c.id, c.owner || "nobody's", c.alert_count + " alerts", c.open_tasks + " open tasks", c.verdict && c.verdict.replaceAll("_", " ")].filter(Boolean).join(" · ")))),
  ]);
  return 5000;
}

async function oneCase(id) {
  const [c, first] = await Promise.all([call("GET", "/cases/" + id), call("GET", "/cases/" + id + "/timeline?limit=500")]);
  const timeline = first.items;
  for (let next = first.next_cursor; next;) {
    const page = await call("GET", "/cases/" + id + "/timeline?limit=500&cursor=" + encodeURIComponent(next));
    timeline.push(...page.items);
    next = page.next_cursor;
  }
  timeline.reverse();
  draw("case", [c, timeline], () => [
    head(c.title, c.id),
    facts([
      ["Status", status(c.status, c.severity)], ["Verdict", c.verdict && c.verdict.replaceAll("_", " ") + (c.reason ? ": " + c.reason : "")], ["Owner", c.owner],
      ["Summary", c.summary], ["Tags", (c.tags || []).join(", ")], ["Opened", stamp(c.opened)], ["Closed", stamp(c.closed)], ["Alerts", (c.alerts || []).join(", ")],
      ["Seen", (c.observables || []).map((o) => o.type + " " + o.value + (o.verdict ? ", " + o.verdict : "")).join("\n")],
      ["Tasks", (c.tasks || []).map((t) => (t.status === "done" ? "✓ " : "○ ") + t.title + (t.assignee ? ", " + t.assignee : "")).join("\n")],
    ]),
    el("h2", {}, "Timeline, the newest first"),
    rows(timeline, "Nothing has happened yet.", (e) => el("div", { class: "row" }, el("span", { class: "age" }, e.time.slice(11, 19) + " UTC"),
      el("span", {}, e.text), el("span", { class: "age wide" }, stamp(e.time).slice(0, 10)),
      el("span", { class: "more" }, e.by, e.run ? " · " : "", link("/runs/", e.run)))),
  ]);
  return 4000;
}

function count(n) { document.getElementById("waiting").textContent = n || ""; }

function signIn(message) {
  hush();
  bar.hidden = document.getElementById("alarms").hidden = true;
  alarmsShown = "";
  shown = "";
  document.title = "Sign in · Riposte";
  const error = el("p", { class: "error", role: "alert" }, message || "");
  const name = el("input", { id: "name", autocomplete: "username", required: true, maxlength: "64" });
  const password = el("input", { id: "password", type: "password", autocomplete: "current-password", required: true, maxlength: "1024" });
  const button = el("button", { class: "first" }, "Sign in");
  main.replaceChildren(el("form", { class: "signin", onsubmit: async (e) => {
    e.preventDefault();
    button.disabled = true;
    error.textContent = "";
    try {
      me = await call("POST", "/session", { name: name.value, password: password.value });
      await look();
    } catch (err) {
      error.textContent = err.status === 401 ? "Name or password is wrong." : err.message;
      button.disabled = false;
      password.focus();
    }
  } }, el("h1", {}, el("img", { src: "/mark.svg", alt: "", width: "24", height: "24" }), "Riposte"),
  el("label", { for: "name" }, "Name"), name, el("label", { for: "password" }, "Password"), password, button, error));
  name.focus();
}

// look shows what the address names and looks again in a while.
async function look() {
  clearTimeout(timer);
  const [, section = "", id = ""] = location.pathname.split("/");
  const view = { approvals: id ? approval : approvals, runs: id ? run : runs, cases: id ? oneCase : cases, alarms, sources }[section];
  if (!view) {
    history.replaceState(null, "", "/approvals");
    return look();
  }
  let next = 5000;
  try {
    me = me || await call("GET", "/me");
    bar.hidden = false;
    document.getElementById("who").textContent = me.title || me.name;
    for (const a of document.querySelectorAll("#nav a")) a.toggleAttribute("aria-current", a.pathname === "/" + section);
    document.title = (id ? decodeURIComponent(id) : section[0].toUpperCase() + section.slice(1)) + " · Riposte";
    const path = location.pathname;
    next = await view(encodeURIComponent(decodeURIComponent(id)));
    if (path !== location.pathname) return;
    offline(null);
    alarmBar();
    if (section !== "approvals" || id) call("GET", "/approvals?mine=true&limit=100").then((l) => count(l.items.length), () => {});
  } catch (err) {
    if (err.status === 401) { me = null; return signIn(""); }
    offline(err.status === 0 ? err : null);
    if (err.status !== 0 || shown === "") {
      shown = "";
      main.replaceChildren(el("p", { class: "error", role: "alert" }, err.message, err.request && err.status >= 500 ? " (request " + err.request + ")" : ""));
    }
  }
  // Whoever types is not disturbed.
  const typing = () => /^(INPUT|TEXTAREA)$/.test(document.activeElement?.tagName) && document.activeElement.value;
  if (next) timer = setTimeout(function again() { if (typing()) timer = setTimeout(again, next); else look(); }, next);
}

function go(path) {
  hush();
  shown = "";
  history.pushState(null, "", path);
  main.focus({ preventScroll: true });
  window.scrollTo(0, 0);
  look();
}

document.addEventListener("click", (e) => {
  const a = e.target.closest("a");
  if (!a || a.origin !== location.origin || a.hash || e.metaKey || e.ctrlKey || e.shiftKey || e.button !== 0) return;
  e.preventDefault();
  go(a.pathname);
});
window.addEventListener("popstate", () => { hush(); shown = ""; look(); });
document.getElementById("out").addEventListener("click", async () => {
  try { await call("DELETE", "/session"); } catch { /* it is over all the same */ }
  me = null;
  signIn("");
});
look();
