// What watches over the intake: alarms. It is loaded before page.js, whose
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
