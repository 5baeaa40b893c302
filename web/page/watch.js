// What watches over the intake: alarms and sources. It is loaded before page.js, whose
// helpers it uses when it is called.
"use strict";

async function alarms() {
  const list = await call("GET", "/alarms?all=true&limit=100");
  draw("alarms", list, () => [
    head("Alarms", "What is wrong, until its cause is gone. The newest first."),
    rows(list.items, "No alarm was ever raised.", (a) => el("div", { class: "row" },
      a.ended ? status("closed", "over") : el("span", { class: "status bad" }, el("i", { "aria-hidden": "true" }, "!"), a.acknowledged ? "seen" : "open"),
      el("span", { class: "main" }, alarmTitle(a)), age(a.since),
      el("span", { class: "more" }, a.message),
      el("span", { class: "more" }, [a.id, "since " + stamp(a.since), a.count > 1 && "raised " + a.count + " times", a.ended && "over " + stamp(a.ended),
        a.acknowledged && "seen by " + a.acknowledged.by + (a.acknowledged.note ? ": " + a.acknowledged.note : "")].filter(Boolean).join(" · ")),
      !a.ended && !a.acknowledged && a.id ? el("span", { class: "more" }, seenButton(a)) : "")),
  ]);
  return 5000;
}

function alarmTitle(a) { return a.kind.replaceAll("_", " ") + (a.subject ? ": " + a.subject : ""); }

function seenButton(a) {
  const button = el("button", { type: "button", onclick: async () => {
    button.disabled = true;
    try {
      await call("POST", "/alarms/" + a.id + "/acknowledge", {});
    } catch (err) {
      button.replaceWith(el("span", { class: "error", role: "alert" }, err.message));
      return;
    }
    shown = "";
    await look();
  } }, "I have seen it");
  return button;
}

// alarmBar shows, above every view, what is wrong and nobody has seen yet, and
// counts it in the navigation. Who may not read alarms sees none.
let alarmsShown = "";

async function alarmBar() {
  const list = await call("GET", "/alarms").catch(() => ({ items: [] }));
  const fresh = list.items.filter((a) => !a.acknowledged);
  document.getElementById("wrong").textContent = fresh.length || "";
  const text = JSON.stringify(fresh.map((a) => [a.kind, a.subject, a.message]));
  if (text === alarmsShown) return;
  alarmsShown = text;
  const bar = document.getElementById("alarms");
  bar.hidden = fresh.length === 0;
  const most = 3;
  bar.replaceChildren(...fresh.slice(0, most).map((a) => el("p", {}, el("strong", {}, alarmTitle(a)), " ", a.message)),
    el("p", {}, el("a", { href: "/alarms" }, fresh.length > most ? "All " + fresh.length + " alarms" : "Alarms")));
}

// sources shows how every source does, the troubled ones first.
async function sources() {
  const all = await call("GET", "/sources");
  const order = ["down", "silent", "flooding", "working"];
  const list = all.sources.slice().sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state) || (a.name < b.name ? -1 : 1));
  draw("sources", [list, all.waiting.events, Math.floor(all.oldest_waiting_seconds)], () => [
    head("Sources", all.oldest_waiting_seconds >= 1 ? all.waiting_for + " for " + span(all.oldest_waiting_seconds * 1000) + "." : "Nothing waits to be stored."),
    rows(list, "No source is configured. docs/sources.md says how.", (s) => el("div", { class: "row" },
      el("span", { class: "status " + (s.state === "working" ? "good" : "bad") }, el("i", { "aria-hidden": "true" }, s.state === "working" ? "✓" : "!"), s.state),
      el("span", { class: "main" }, s.name), s.last_event ? age(s.last_event) : el("span", { class: "age" }, "never"),
      s.problem ? el("span", { class: "more" }, s.problem) : "",
      el("span", { class: "more" }, [s.type, perMinute(s), s.today.received + " today", s.today.unread && s.today.unread + " unread", s.today.refused && s.today.refused + " refused or lost",
        s.waiting.events && s.waiting.events + " wait", s.behind && s.behind.amount && s.behind.amount + " " + s.behind.unit + " behind"].filter(Boolean).join(" · ")))),
  ]);
  return 5000;
}

function perMinute(s) {
  const n = (v) => v >= 10 ? Math.round(v) : Number(v.toPrecision(2));
  return n(s.per_minute) + " a minute" + (s.usual_per_minute === undefined ? "" : ", usually " + n(s.usual_per_minute));
}
