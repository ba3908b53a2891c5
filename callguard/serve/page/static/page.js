"use strict";
// Keeps the page up to date: the server sends the parts that changed; between them durations tick.
(() => {
  const SILENCE = 15; // seconds; the server says something every 5
  const connection = document.getElementById("connection");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const arrived = new Map(); // parts that wait until nobody marks text in them
  let offset = Number(document.body.dataset.now) - Date.now() / 1000; // the server's clock less ours
  let heard = Date.now();
  let lost = null;
  let met = false; // whether the server that sent this page has been heard
  let source;

  function duration(seconds) {
    seconds = Math.max(0, seconds);
    if (seconds < 9.95) return still.matches ? `${Math.round(seconds)} s` : `${seconds.toFixed(1)} s`;
    const whole = Math.round(seconds);
    if (whole < 60) return `${whole} s`;
    const minutes = Math.floor(whole / 60);
    return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  }

  function write(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  function tick() {
    const now = Date.now() / 1000 + offset;
    for (const each of document.querySelectorAll("[data-since]")) write(each, duration(now - each.dataset.since));
    for (const each of document.querySelectorAll("[data-until]")) write(each, duration(each.dataset.until - now));
  }

  function localize(root) {
    for (const each of root.querySelectorAll("[data-at]")) {
      write(each, new Date(each.dataset.at * 1000).toLocaleTimeString(undefined, { hourCycle: "h23" }));
    }
  }

  function swap() {
    const marked = getSelection();
    for (const [id, html] of arrived) {
      const part = document.getElementById(id);
      if (!marked.isCollapsed && part.contains(marked.anchorNode)) continue;
      const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
      part.innerHTML = html;
      localize(part);
      if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
      arrived.delete(id);
    }
    const title = document.querySelector("[data-title]").dataset.title;
    document.title = lost ? `? ${title}` : title;
  }

  function hear(event) {
    const said = JSON.parse(event.data);
    const same = said.run === document.body.dataset.run;
    if (met && !same) return location.reload(); // it was started anew, and its forms with it
    met ||= same;
    heard = Date.now();
    lost = null;
    offset = said.now - heard / 1000;
    for (const [id, html] of Object.entries(said.parts)) arrived.set(id, html);
    document.body.classList.remove("lost");
    write(connection, "live");
    swap();
    tick();
  }

  function lose() {
    if (lost) return;
    lost = new Date();
    document.body.classList.add("lost");
    write(connection, `disconnected since ${lost.toLocaleTimeString(undefined, { hourCycle: "h23" })}`);
    swap();
  }

  function connect() {
    source?.close();
    heard = Date.now();
    source = new EventSource(document.body.dataset.live);
    source.onmessage = hear;
    source.onerror = lose;
  }

  function look() {
    const silent = (Date.now() - heard) / 1000;
    if (silent > SILENCE) lose();
    if (silent > SILENCE || source.readyState === EventSource.CLOSED) connect();
    if (arrived.size) swap();
  }

  localize(document);
  connect();
  setInterval(look, 2000);
  setInterval(tick, still.matches ? 1000 : 100);
  document.addEventListener("visibilitychange", () => document.hidden || look());
})();
