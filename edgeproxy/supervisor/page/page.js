// Asks /stats every two seconds and shows what it says; gives the orders of the form at the end.

import { bar, bytes, count, duration, line, marked, number, percent, rows, seconds, text } from "./charts.js";

const EVERY = 2000;
const PATIENCE = 5000;
const KEPT = "edgeproxy-token";
const SHOWN = 20;
const MASK = "***"; // in place of what is secret in a URL, which then is none to purge

const TIERS = { l1: "L1 memory", l2: "L2 disk", l3: "L3 Redis", stale: "Stale", collapsed: "Collapsed", origin: "Origin" };
const REASONS = {
  "uri-miss": "not stored",
  "vary-miss": "another variant stored",
  stale: "stale, revalidated",
  partial: "stored in part",
  request: "the client asked anew",
  method: "method is not GET",
  bypass: "passes by",
  miss: "not stored",
};
const KINDS = {
  url: ["URL", "https://www.example.com/page"],
  prefix: ["Beginning of the URL", "https://www.example.com/blog/"],
  host: ["Host", "www.example.com"],
  tag: ["Tag", "product-17"],
  all: ["", ""],
};

const $ = (id) => document.getElementById(id);
let token = sessionStorage.getItem(KEPT) ?? "";
let answeredAt = null;

function authorization() {
  return token ? { Authorization: `Bearer ${token}` } : {};
}

// Polling.

async function poll() {
  try {
    const answer = await fetch("/stats", { headers: authorization(), cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    if (answer.status === 401) askForToken();
    else if (answer.ok) show(await answer.json());
    else tell((await answer.json()).error);
  } catch {
    lost();
  }
}

async function keepPolling() {
  if (!document.hidden) await poll();
  setTimeout(keepPolling, EVERY);
}

function lost() {
  $("figures").classList.add("old");
  document.querySelector(".state").dataset.state = "lost";
  $("state").textContent = "no answer";
  const since = answeredAt ? ` since ${answeredAt.toLocaleTimeString()}` : "";
  tell(`The proxy does not answer${since}. Asking again every two seconds.`);
}

function tell(words) {
  const alert = $("alert");
  alert.hidden = !words;
  if (alert.textContent !== words) alert.textContent = words;
}

function askForToken() {
  const wrong = token !== "";
  token = "";
  sessionStorage.removeItem(KEPT);
  $("figures").hidden = true;
  tell(wrong ? "That is not the token." : "");
  if ($("token").hidden) {
    $("token").hidden = false;
    $("token-value").focus();
  }
}

// Showing.

function show(stats) {
  answeredAt = new Date();
  tell("");
  $("token").hidden = true;
  $("figures").hidden = false;
  $("figures").classList.remove("old");
  showState(stats);
  showNow(stats.now, stats.history);
  showWindow(stats.window, stats.stored);
  showTop(stats.top);
  showOrigins(stats.pools);
}

function showState({ health, version }) {
  const { status, workers } = health;
  document.querySelector(".state").dataset.state = status;
  $("state").textContent = `${status}, ${workers.ready} of ${workers.configured} worker${workers.configured === 1 ? "" : "s"}`;
  $("about").textContent = `${location.host} · version ${version}`;
}

function showNow(now, history) {
  $("now-requests").textContent = count(now.requests);
  $("now-bytes").textContent = bytes(now.bytes);
  $("now-hits").textContent = percent(now.hit_ratio);
  for (const name of ["p50", "p90", "p99"]) $(`now-${name}`).textContent = seconds(now.latency[name]);
  const minutes = duration(history.reduce((sum, one) => sum + one.seconds, 0));
  const lines = {
    requests: [(one) => one.requests, count, "requests a second"],
    bytes: [(one) => one.bytes, bytes, "bytes a second"],
    hit_ratio: [(one) => one.hit_ratio, percent, "hit ratio", 1],
    p99: [(one) => one.latency.p99, seconds, "99th percentile of the latency"],
  };
  for (const svg of document.querySelectorAll("[data-line]")) {
    const [of, said, name, most] = lines[svg.dataset.line];
    const values = [...history, now].map(of);
    const known = values.filter((value) => value !== null);
    const range = known.length ? `${said(Math.min(...known))} to ${said(Math.max(...known))}` : "nothing yet";
    line(svg, values, `${name} over ${minutes}: ${range}`, most);
  }
}

function showWindow(window, stored) {
  for (const place of document.querySelectorAll("[data-span]")) place.textContent = `Last ${duration(window.seconds)}`;
  $("byte-hits").textContent = percent(window.byte_hit_ratio);
  showTiers(window, stored);
  showShares("statuses", window.statuses, (status) => status, (status) => status === "5xx" ? "bad" : "");
  showShares("misses", window.misses, (reason) => REASONS[reason] ?? "other");
  const errors = Object.entries(window.errors).map(([kind, times]) => `${kind.replaceAll("_", " ")} ${count(times)}`);
  $("errors").textContent = errors.length ? `Errors: ${errors.join(", ")}` : "";
  showParts("types", window.types);
  showParts("routes", window.routes);
}

function showTiers({ tiers, evictions }, stored) {
  const all = Object.values(tiers).reduce((sum, part) => sum + part.requests, 0);
  const present = Object.keys(TIERS).filter((tier) => tiers[tier] || stored[tier]);
  const share = (tier) => (all ? (tiers[tier]?.requests ?? 0) / all : 0);
  const stack = $("tier-stack");
  stack.setAttribute("aria-label", present.map((tier) => `${TIERS[tier]} ${percent(share(tier))}`).join(", "));
  stack.replaceChildren(...present.filter(share).map((tier) => {
    const piece = document.createElement("span");
    piece.dataset.tier = tier;
    piece.style.flexGrow = share(tier);
    return piece;
  }));
  rows($("tiers"), present, (tier) => [
    marked({ class: "key", "data-tier": tier }, TIERS[tier]),
    number(count(tiers[tier]?.requests ?? 0)),
    number(percent(all ? share(tier) : null)),
    number(bytes(tiers[tier]?.bytes ?? 0)),
    number(stored[tier]?.bytes === undefined ? "" : bytes(stored[tier].bytes)),
    number(evicted(evictions[tier]), "wide-only"),
  ]);
}

function evicted(told) {
  return told ? `${count(told.number)}, median age ${seconds(told.median_age)}` : "";
}

function showShares(id, numbers, name, kind = () => "") {
  const all = Object.values(numbers).reduce((sum, value) => sum + value, 0);
  const items = Object.entries(numbers).sort(([, one], [, other]) => other - one);
  rows($(id), items, ([key, value]) => [text(name(key), kind(key)), number(count(value)), bar(value / all, "plain")]);
}

function showParts(id, parts) {
  const items = Object.entries(parts).sort(([, one], [, other]) => other.requests - one.requests).slice(0, SHOWN);
  rows($(id), items, ([name, part]) => [
    text(name),
    number(count(part.requests)),
    number(percent(part.hits / part.requests)),
    bar(part.hits / part.requests),
  ]);
}

function showTop({ seconds: span, urls }) {
  $("top-span").textContent = `Last ${duration(span)}, of all workers`;
  rows($("urls"), urls.slice(0, SHOWN), (one) => [
    address(one.url),
    number(count(one.requests)),
    number(percent(one.hits / one.requests)),
    number(bytes(one.bytes), "wide-only"),
    purgeButton(one.url),
  ]);
}

function address(url) {
  const [, host, path] = url.match(/^(\w+:\/\/[^/]*)(.*)$/s);
  return (cell) => {
    marked({ class: "host" }, path)(cell);
    cell.firstElementChild.removeAttribute("aria-hidden");
    cell.firstElementChild.textContent = host;
    cell.title = url;
  };
}

function purgeButton(url) {
  return (cell) => {
    cell.className = "n";
    if (url.includes(MASK)) {
      cell.replaceChildren();
      return;
    }
    let button = cell.firstElementChild;
    if (!button) {
      button = document.createElement("button");
      button.type = "button";
      button.className = "small";
      button.textContent = "Purge";
      button.addEventListener("click", () => suggest(button.dataset.url));
      cell.append(button);
    }
    button.dataset.url = url;
    button.setAttribute("aria-label", `Purge ${url}`);
  };
}

function showOrigins(endpoints) {
  rows($("endpoints"), endpoints, (one) => {
    const [kind, words] = state(one);
    return [
      text(`${one.pool} · ${one.address}`, "address"),
      marked({ class: `dot ${kind}` }, words, "state"),
      number(count(one.in_flight)),
      number(count(one.idle), "wide-only"),
      number(count(one.requests)),
      number(count(one.failures), one.failures ? "bad" : ""),
    ];
  });
}

function state({ workers, healthy, ejected }) {
  if (!healthy) return ["bad", "down"];
  if (ejected) return ["", ejected === workers ? "ejected" : `ejected by ${ejected} of ${workers}`];
  return healthy === workers ? ["good", "up"] : ["", `up for ${healthy} of ${workers}`];
}

// Orders.

const form = $("purge-form");
const button = $("purge-button");
const result = $("purge-result");

function suggest(url) {
  form.elements.kind.value = "url";
  changed();
  $("purge-value").value = url;
  $("purge").scrollIntoView({ block: "center" });
  button.focus({ preventScroll: true });
}

function changed() {
  const kind = form.elements.kind.value;
  const [label, example] = KINDS[kind];
  $("purge-line").hidden = kind === "all";
  $("purge-value").required = kind !== "all";
  $("purge-value").placeholder = example;
  $("purge-label").textContent = label;
  unsure();
}

function unsure() {
  button.classList.remove("sure");
  button.textContent = "Purge";
  result.textContent = "";
}

async function purge(event) {
  event.preventDefault();
  const kind = form.elements.kind.value;
  const soft = form.elements.how.value === "soft";
  if (kind === "all" && !soft && !button.classList.contains("sure")) {
    button.classList.add("sure");
    button.textContent = "Yes, forget everything";
    return;
  }
  button.disabled = true;
  const [words, good] = await order({ [kind]: kind === "all" ? true : $("purge-value").value.trim(), soft });
  button.disabled = false;
  unsure();
  result.className = good ? "" : "bad";
  result.textContent = words;
}

async function order(body) {
  try {
    const answer = await fetch("/purge", {
      method: "POST",
      headers: { "Content-Type": "application/json", ...authorization() },
      body: JSON.stringify(body),
    });
    const { purged, error, errors } = await answer.json();
    if (!answer.ok) return [error ?? errors.join("; "), false];
    return [`${purged} stored answer${purged === 1 ? "" : "s"} ${body.soft ? "marked stale" : "forgotten"}.`, true];
  } catch {
    return ["The proxy does not answer.", false];
  }
}

form.addEventListener("submit", purge);
form.addEventListener("change", changed);
$("token").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token-value").value.trim();
  sessionStorage.setItem(KEPT, token);
  $("token-value").value = "";
  poll();
});
document.addEventListener("visibilitychange", () => document.hidden || poll());
changed();
keepPolling();
