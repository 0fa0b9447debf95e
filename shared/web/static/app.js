/* The one script of the workbench: keys for what can be done without them, and a count of new
   tasks. Every page works without it. Single keys rest in fields and can be switched off. */
"use strict";

const switched = "closed-loop.single-keys";
const singleKeys = () => localStorage.getItem(switched) !== "off";
const find = (selector) => document.querySelector(selector);
const rows = () => [...document.querySelectorAll(".queue h2 a")];

function move(step) {
  const all = rows();
  const at = all.indexOf(document.activeElement.closest("li")?.querySelector("h2 a"));
  const next = all[Math.min(Math.max(at + step, 0), all.length - 1)];
  next?.focus();
}

/* Opens what a form is folded into and leads to its first field; it never sends anything. */
function goTo(selector) {
  const form = find(selector);
  if (!form) return;
  for (let fold = form.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  const field = form.querySelector("input:checked, input:not([type=hidden]), select, textarea, button");
  (field || form).focus();
  form.scrollIntoView({ block: "nearest" });
}

const pick = (value) => find(`form#contacts input[value=${value}]`)?.click();
const step = (n) => document.querySelectorAll(".steps > li")[n - 1]?.querySelector("button, a")?.focus();
const row = () => document.activeElement.closest(".queue > li");
const visit = (path) => { location.href = path; };

const acts = {
  j: () => move(1),
  k: () => move(-1),
  o: () => row()?.querySelector("h2 a").click(),
  u: () => visit("/"),
  m: () => (row() || document).querySelector("form[action$='/claim'] button")?.focus(),
  x: () => row()?.querySelector(".pick input")?.click(),
  a: () => goTo("form#assign"),
  c: () => goTo("form#contacts"),
  n: () => goTo("form#notes"),
  z: () => goTo("form#snooze"),
  e: () => goTo(find("form#resolve") ? "form#resolve" : "form#close"),
  "/": () => { const field = find("input[type=search]"); if (field) field.focus(); else visit("/"); },
  "?": () => sheet(),
};
const after = {
  g: { q: () => visit("/"), t: () => visit("/themes"), s: () => visit("/scores"), l: () => visit("/team") },
  c: { p: () => pick("phone"), e: () => pick("email"), i: () => pick("in_person") },
};
let waiting = null;

document.addEventListener("keydown", (event) => {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) {
    const always = { "/": sheet, k: acts["/"], Enter: () => event.target.form?.requestSubmit() }[key];
    if (always) { event.preventDefault(); always(); }
    return;
  }
  if (event.altKey) {
    const digit = event.code.match(/^Digit([1-8])$/);
    const letter = event.code.match(/^Key([A-Z])$/);
    const act = digit ? () => step(Number(digit[1])) : letter && acts[letter[1].toLowerCase()];
    if (act) { event.preventDefault(); act(); }
    return;
  }
  if (!singleKeys() || document.querySelector("dialog[open]")) return;
  if (event.target.closest("input:not([type=checkbox], [type=radio]), select, textarea, [contenteditable]")) return;
  if (event.target.matches("input[type=radio]") && !(waiting && after[waiting][key])) return;
  const act = (waiting && after[waiting][key]) || (/^[1-8]$/.test(key) ? () => step(Number(key)) : acts[key]);
  waiting = key in after && !(waiting && after[waiting][key]) ? key : null;
  if (waiting) setTimeout(() => { waiting = null; }, 2000);
  if (act) { event.preventDefault(); act(); }
});

/* The sheet of keys is a page of its own; here it opens above the one somebody works on. */
async function sheet() {
  if (find("#keys")) { find("#keys-on")?.focus(); return; }
  const answer = await fetch("/keyboard");
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const dialog = document.createElement("dialog");
  const close = page.querySelector("#keys-close");
  close.hidden = false;
  dialog.append(page.querySelector("#keys"));
  dialog.setAttribute("aria-labelledby", "keys-title");
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.querySelector("#keys-close").addEventListener("click", () => dialog.close());
  offerSwitch(dialog);
  dialog.showModal();
}

function offerSwitch(within) {
  const box = within.querySelector("#keys-on");
  if (!box) return;
  box.closest("[hidden]")?.removeAttribute("hidden");
  box.checked = singleKeys();
  box.addEventListener("change", () => localStorage.setItem(switched, box.checked ? "on" : "off"));
}

/* New tasks are counted, never put in: nothing moves under whoever reads. */
function count(news) {
  const [said, pause] = [news.querySelector("[role=status]"), news.querySelector("button")];
  const every = Number(news.dataset.every || 30) * 1000;
  news.hidden = false;
  pause.addEventListener("click", () => {
    const paused = pause.getAttribute("aria-pressed") !== "true";
    pause.setAttribute("aria-pressed", String(paused));
  });
  setInterval(async () => {
    if (pause.getAttribute("aria-pressed") === "true" || document.hidden) return;
    const answer = await fetch(news.dataset.from).catch(() => null);
    if (!answer || !answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = page.querySelector("a");
    if ((found?.textContent || "") !== said.textContent) said.replaceChildren(...(found ? [found] : []));
  }, every);
}

offerSwitch(document);
/* On a phone the views stand in a row that runs out of sight. */
find(".views [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
const news = find("#news");
if (news) count(news);
