// The pages work without this. It copies, follows what is going on, and keeps the admin's session fresh.
"use strict";

const EVERY = 2000; // ms between two looks at what is going on

document.addEventListener("DOMContentLoaded", () => {
  forgetToken();
  dress(document);
  setInterval(follow, EVERY);
  if (document.querySelector("[data-bounce]")) bounce();
  if (inAdmin()) followInside();
});

// A session token in the address was good once; it belongs neither into bookmarks nor into the history.
function forgetToken() {
  const here = new URL(location.href);
  for (const name of ["id_token", "bounced", "hmac", "session", "timestamp"]) here.searchParams.delete(name);
  if (here.href !== location.href && !document.querySelector("[data-bounce]")) history.replaceState(null, "", here);
}

function dress(root) {
  for (const button of root.querySelectorAll("[data-copy]")) {
    button.hidden = !navigator.clipboard;
    button.addEventListener("click", () => copy(button));
  }
}

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent);
  } catch { // the admin's frame may forbid it: mark it, so that two keys do the rest
    getSelection().selectAllChildren(source);
    source.focus();
    toast("Marked. Press Ctrl+C or ⌘C to copy.");
    return;
  }
  const before = button.textContent;
  button.textContent = "Copied";
  announce("Copied");
  setTimeout(() => { button.textContent = before; }, 1500);
}

// What is going on is rendered by the server alone: fetch the page again and take these parts out of it.
let following = false;

async function follow() {
  const parts = [...document.querySelectorAll("[data-live]")].filter((part) => !beingTypedIn(part));
  if (following || document.hidden || parts.length === 0) return;
  following = true;
  try {
    for (const address of new Set(parts.map((part) => part.dataset.live))) {
      const answer = await fetch(address || location.href, { headers: { Accept: "text/html" } });
      if (!answer.ok) continue;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of parts) if (part.dataset.live === address) swap(part, fresh.getElementById(part.id));
    }
  } catch { /* a neighbour is away for a moment; look again */ }
  following = false;
}

function beingTypedIn(part) {
  return part.contains(document.activeElement) && document.activeElement.matches("input, textarea, select");
}

function swap(part, fresh) {
  if (!part.isConnected || fresh === null || beingTypedIn(part)) return;
  const focused = part.contains(document.activeElement) ? document.activeElement.textContent : null;
  const said = sayings(part);
  part.replaceWith(fresh);
  if (focused) [...fresh.querySelectorAll("a, button")].find((one) => one.textContent === focused)?.focus();
  for (const [name, text] of sayings(fresh)) if (said.get(name) !== text) announce(text);
  dress(fresh);
}

function sayings(part) {
  return new Map([...part.querySelectorAll("[data-announce]")].map((one) => [one.dataset.announce, one.textContent.trim()]));
}

function announce(text) {
  document.getElementById("announce").textContent = text;
}

function toast(text) {
  announce(text);
  const box = document.getElementById("announce");
  box.className = "toast";
  setTimeout(() => { box.className = "visually-hidden"; }, 6000);
}

// Inside Shopify's admin App Bridge adds a fresh session token to every fetch, which works where cookies do not.
function inAdmin() {
  return "embedded" in document.documentElement.dataset && window.shopify !== undefined;
}

async function bounce() {
  if (!window.shopify?.idToken) return;
  const back = new URL(location.href);
  back.searchParams.set("id_token", await window.shopify.idToken());
  back.searchParams.set("bounced", "1");
  location.replace(back);
}

function followInside() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (!link || !plain || link.target || link.origin !== location.origin) return;
    if (link.hasAttribute("download")) { event.preventDefault(); save(link); return; }
    if (link.hash && link.pathname === location.pathname && link.search === location.search) return;
    event.preventDefault();
    visit(link.href, {});
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    event.preventDefault();
    const sent = new URLSearchParams(new FormData(form, event.submitter));
    if (form.method === "post") { visit(form.action, { method: "POST", body: sent }); return; }
    const address = new URL(form.action);
    address.search = sent;
    visit(address.href, {});
  });
  window.addEventListener("popstate", () => visit(location.href, {}, false));
}

// The browser's own download would bring neither cookie nor token.
async function save(link) {
  const answer = await fetch(link.href).catch(() => null);
  if (!answer?.ok) { visit(link.href, {}); return; }
  const file = document.createElement("a");
  file.href = URL.createObjectURL(await answer.blob());
  file.download = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition"))?.[1] ?? "";
  file.click();
  setTimeout(() => URL.revokeObjectURL(file.href), 60_000);
}

async function visit(address, how, remember = true) {
  document.body.setAttribute("aria-busy", "true");
  const answer = await fetch(address, how).catch(() => null);
  document.body.removeAttribute("aria-busy");
  if (!(answer?.headers.get("Content-Type") || "").includes("text/html")) { failed(address, how); return; }
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.title = fresh.title;
  document.body.replaceWith(fresh.body);
  if (remember) history.pushState(null, "", answer.url);
  dress(document);
  document.getElementById("main")?.focus();
  window.scrollTo(0, 0);
}

// No page came. An address is left to the browser; what was sent is not, for it would be asked for like an address.
function failed(address, how) {
  if (how.method === "POST") toast("That did not reach the app. Nothing was changed; try again in a moment.");
  else location.assign(address);
}
