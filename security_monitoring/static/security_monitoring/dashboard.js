/* Keeps the dashboard fresh in place. Without it, every link works by loading the page. */
"use strict";

(() => {
  const EVERY_MS = 30000;
  // An unattended page must not keep its session alive for ever.
  const UNATTENDED_MS = 15 * 60 * 1000;

  const bar = document.querySelector(".sd-live");
  const pause = document.querySelector(".sd-pause");
  const updated = document.querySelector(".sd-updated");
  let attendedAt = Date.now();
  let paused = false;
  let asking = null;

  const dashboard = () => document.getElementById("security-dashboard");
  if (!dashboard() || !dashboard().dataset.refresh || !bar) return;
  bar.hidden = false;

  const say = (text) => { updated.textContent = text; };
  const nowText = () => new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });

  async function load(slug) {
    if (asking) asking.abort();
    asking = new AbortController();
    const address = new URL(dashboard().dataset.refresh, location.href);
    address.searchParams.set("window", slug);
    let text;
    try {
      const answer = await fetch(address, { signal: asking.signal, credentials: "same-origin", redirect: "manual", cache: "no-store" });
      // A redirect leads to the sign-in page: the session has ended.
      if (!answer.ok) throw new Error(String(answer.status));
      text = await answer.text();
    } catch (failure) {
      if (failure.name !== "AbortError") say("Not refreshed. Reload the page to sign in again.");
      return false;
    }
    put(text);
    say(`Updated ${nowText()}`);
    return true;
  }

  function put(text) {
    const fresh = new DOMParser().parseFromString(text, "text/html").getElementById("security-dashboard");
    if (!fresh) return;
    // What the reader opened stays open, and the keyboard stays where it was.
    const open = [...dashboard().querySelectorAll("details[open]")].map(owner);
    const focused = pathTo(document.activeElement);
    dashboard().replaceWith(document.adoptNode(fresh));
    for (const details of dashboard().querySelectorAll("details")) {
      if (open.includes(owner(details))) details.open = true;
    }
    const again = focused && dashboard().querySelector(focused);
    if (again) again.focus({ preventScroll: true });
  }

  const owner = (element) => element.closest("section")?.id ?? "";

  function pathTo(element) {
    if (!element || !dashboard().contains(element)) return null;
    const steps = [];
    for (let at = element; at !== dashboard(); at = at.parentElement) {
      steps.unshift(`:nth-child(${[...at.parentElement.children].indexOf(at) + 1})`);
    }
    return steps.length ? `#security-dashboard > ${steps.join(" > ")}` : null;
  }

  async function show(slug, remember) {
    if (await load(slug)) {
      if (remember) history.pushState({ window: slug }, "", `?window=${encodeURIComponent(slug)}`);
    } else if (remember && !asking?.signal.aborted) {
      location.assign(`?window=${encodeURIComponent(slug)}`);
    }
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-window]");
    if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    show(link.dataset.window, true);
  });

  window.addEventListener("popstate", () => {
    load(new URL(location.href).searchParams.get("window") ?? "24h");
  });

  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Resume" : "Pause";
    if (paused) say("Paused"); else load(dashboard().dataset.window);
  });

  for (const kind of ["pointerdown", "keydown", "scroll"]) {
    window.addEventListener(kind, () => { attendedAt = Date.now(); }, { passive: true });
  }

  const isWatched = () => !paused && !document.hidden && Date.now() - attendedAt < UNATTENDED_MS;
  setInterval(() => { if (isWatched()) load(dashboard().dataset.window); }, EVERY_MS);
  document.addEventListener("visibilitychange", () => { if (isWatched()) load(dashboard().dataset.window); });
  say(`Updated ${nowText()}`);
})();
