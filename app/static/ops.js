// The console works without this. It follows what is going on, adds keys, and tells times in the reader's own zone.
"use strict";

const EVERY = 3000; // ms between two looks at what is going on
let paused = false;
let key = ""; // the "g" that was pressed a moment ago
let here = -1; // the row that j and k have reached

document.addEventListener("DOMContentLoaded", () => {
  dress(document);
  const button = document.querySelector("[data-pause]");
  if (button && document.querySelector("[data-live]")) {
    button.hidden = false;
    button.addEventListener("click", pause);
  }
  document.addEventListener("keydown", press);
});

function dress(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    time.title = `${new Date(time.dateTime).toLocaleString(undefined, { timeZoneName: "short" })} · ${time.title}`;
  }
  for (const button of root.querySelectorAll("[data-copy]")) {
    button.hidden = !navigator.clipboard;
    button.addEventListener("click", () => copy(button));
  }
  for (const all of root.querySelectorAll("[data-all]")) {
    all.hidden = false;
    all.addEventListener("change", () => { for (const box of boxes()) box.checked = all.checked; });
  }
  for (const box of root.querySelectorAll('input[name="ids"]')) box.addEventListener("click", range);
  for (const part of root.querySelectorAll("[data-live]")) setTimeout(() => refresh(part), EVERY);
}

function boxes() { return [...document.querySelectorAll('input[name="ids"]')]; }

// Shift-click selects all between the last one and this one.
let last = null;
function range(event) {
  const all = boxes();
  if (event.shiftKey && last !== null) {
    const [from, to] = [all.indexOf(last), all.indexOf(event.target)].sort((a, b) => a - b);
    for (const box of all.slice(from, to + 1)) box.checked = event.target.checked;
  }
  last = event.target;
}

async function copy(button) {
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
  const before = button.textContent;
  button.textContent = "Copied";
  announce("Copied");
  setTimeout(() => { button.textContent = before; }, 1500);
}

function pause() {
  paused = !paused;
  document.querySelector("[data-pause]").textContent = paused ? "Go on" : "Pause";
  announce(paused ? "Paused" : "Refreshing");
}

// The server alone renders: fetch the page again and take this part out of it. Not while nobody looks, nor while a row
// is selected or something is being typed: nothing moves under a pointer.
async function refresh(part) {
  if (!part.isConnected) return;
  const again = () => setTimeout(() => refresh(part), EVERY);
  if (paused || document.hidden || boxes().some((box) => box.checked)) { again(); return; }
  let fresh = null, trouble = "No answer";
  try {
    const answer = await fetch(part.dataset.live || location.href, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(10000) });
    if (answer.redirected) trouble = "You are signed out: load the page again to sign in";
    else if (answer.ok) { fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(part.id); trouble = ""; }
    else if (answer.status === 503) trouble = "The database does not answer";
  } catch { /* no answer at all, or it broke off */ }
  if (!part.isConnected) return;
  tellStale(part, trouble);
  const typing = part.contains(document.activeElement) && document.activeElement.matches("input, textarea, select");
  if (fresh === null || typing) { again(); return; }
  const focused = part.contains(document.activeElement) ? document.activeElement.textContent : null;
  const before = sayings(part);
  part.replaceWith(fresh);
  if (focused) [...fresh.querySelectorAll("a, button")].find((one) => one.textContent === focused)?.focus();
  for (const [name, text] of sayings(fresh)) if (before.get(name) !== text) announce(text);
  dress({ querySelectorAll: (what) => [...(fresh.matches(what) ? [fresh] : []), ...fresh.querySelectorAll(what)] });
}

// What cannot be asked any more stays, greyed, with the time of the last answer.
let answered = new Date();
function tellStale(part, trouble) {
  let note = document.getElementById("stale");
  part.classList.toggle("stale", Boolean(trouble));
  if (!trouble) { answered = new Date(); note?.remove(); return; }
  if (note === null) {
    note = document.createElement("p");
    note.id = "stale";
    note.className = "banner attention";
    note.setAttribute("role", "status");
    document.getElementById("main").prepend(note);
  }
  const text = `${trouble}. What stands here is what was known at ${answered.toLocaleTimeString()}.`;
  if (note.textContent !== text) note.textContent = text;
}

function sayings(part) {
  return new Map([...part.querySelectorAll("[data-announce]")].map((one) => [one.dataset.announce, one.textContent.trim()]));
}

function announce(text) { document.getElementById("announce").textContent = text; }

// Keys. None of them acts: they move, select and open.
function press(event) {
  if (event.metaKey || event.ctrlKey || event.altKey || event.target.matches("input:not([type=checkbox]), textarea, select") || document.querySelector("dialog[open]")) return;
  if (key === "g") {
    key = "";
    const link = document.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
    if (link) { event.preventDefault(); location.assign(link.href); }
    return;
  }
  const does = { "/": filter, j: () => move(1), k: () => move(-1), x: select, Enter: open, R: replay, p: () => document.querySelector("[data-pause]:not([hidden])")?.click(), "?": () => document.getElementById("keys")?.showModal(), g: () => { key = "g"; setTimeout(() => { key = ""; }, 1500); } }[event.key];
  if (!does) return;
  if (event.key === "Enter" && event.target.matches("a, button, input, summary")) return;
  if (does() !== false) event.preventDefault();
}

function filter() { const field = document.querySelector("[data-filter]"); if (!field) return false; field.focus(); field.select(); }

function rows() { return [...document.querySelectorAll("[data-row]")]; }

function move(step) {
  const all = rows();
  if (!all.length) return false;
  all[here]?.classList.remove("here");
  here = Math.min(Math.max(here + step, 0), all.length - 1);
  all[here].classList.add("here");
  all[here].scrollIntoView({ block: "nearest" });
  announce(all[here].querySelector("[data-open]")?.textContent ?? `Row ${here + 1}`);
}

function select() { const box = rows()[here]?.querySelector('input[type="checkbox"]'); if (!box) return false; box.checked = !box.checked; announce(box.checked ? "Selected" : "Not selected"); }

// To the forecast, which is a page of its own; where a button would act at once, only as far as the button.
function replay() {
  const box = rows()[here]?.querySelector('input[name="ids"]');
  if (box && !boxes().some((one) => one.checked)) box.checked = true;
  const way = boxes().some((one) => one.checked) ? "[data-replay-selected]" : "[data-replay]";
  const to = document.querySelector(way);
  if (!to) return false;
  if (to.form?.method === "post") to.focus(); else to.click();
}

function open() { const link = rows()[here]?.querySelector("[data-open]"); if (!link) return false; location.assign(link.href); }
