// The frame of all pages: routes, header, theme, keys, orders.
import * as actors from "./actors.js";
import * as chain from "./chain.js";
import * as history from "./history.js";
import * as now from "./now.js";
import * as strategies from "./strategies.js";
import { redraw } from "./draw.js";
import { NOTHING, signed } from "./format.js";
import { Stream, get, order } from "./net.js";
import { ask, el, notice } from "./ui.js";

const pages = { now, chain, strategies, actors, history };
const at = (id) => document.getElementById(id);
const state = { about: null, status: null, underlying: "", page: null, stream: null, link: "", silent: new Set() };

globalThis.Plotly.register({ moduleType: "locale", name: "en-IN", dictionary: {}, format: {
  days: ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"], shortDays: ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"],
  months: ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"],
  shortMonths: ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
  periods: ["AM", "PM"], dateTime: "%a %e %b %X %Y", date: "%d/%m/%Y", time: "%H:%M:%S", decimal: ".", thousands: ",", grouping: [3, 2, 2, 2], currency: ["₹", ""],
} });
globalThis.Plotly.setPlotConfig({ locale: "en-IN" });

function show(path, push = true) {
  const name = path.replace(/^\/+/, "").split("/")[0];
  let chosen = pages[name] ? name : "now";
  if (chosen === "now" && state.about.kind === "result" && !pages[name]) chosen = "history";
  if (push && location.pathname !== "/" + chosen) window.history.pushState(null, "", "/" + chosen);
  for (const link of at("pages").children) {
    if (link.getAttribute("href") === "/" + chosen) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${chosen[0].toUpperCase()}${chosen.slice(1)} · SOS Actors`;
  const box = at("page");
  box.replaceChildren();
  const page = state.page = pages[chosen].open(box, context);
  want(page);
}
// Figures fade without a connection, and where what stands behind the server does not answer: they are old then.
function mark() {
  if (!state.link) return;
  const up = state.link === "up", cut = !up || state.silent.size > 0;
  at("link").className = "link " + (cut ? "down" : "up");
  at("link").textContent = !up ? "no connection" : cut ? "no answer" : state.about.kind === "result" ? "stored" : "live";
  document.body.classList.toggle("cut", cut);
  at("page").classList.toggle("stale", cut);
}
function want(page) {
  state.silent.clear();
  mark();
  state.stream.want(["status", ...(page.topics ?? [])], (topic, parts, changed) => {
    if (parts.error) state.silent.add(topic); else state.silent.delete(topic);
    mark();
    if (topic === "status") header(parts);
    else if (parts.error) notice(parts.error, "fail");
    else if (state.page === page) page.hear?.(topic, parts, changed);
    if (parts.status && topic === "status" && state.page === page) page.status?.(parts.status);
  });
}
// What a page may use of the frame.
const context = {
  get underlying() { return state.underlying; },
  get about() { return state.about; },
  get status() { return state.status; },
  again: () => want(state.page),
  order: (name, strategy) => give(name, strategy),
  go: (path) => show(path),
};

function header({ clock, status, error }) {
  if (error) {
    notice(error, "fail", 0);
    at("notice").dataset.standing = "1"; // until there is an answer again
    return;
  }
  state.status = status;
  at("clock").replaceChildren(clock ? clock.slice(11) : NOTHING, el("small", {}, ` IST ${clock ? clock.slice(0, 10) : ""}`));
  const mode = at("mode");
  mode.textContent = status.trading && status.trading !== "ACTIVE" ? `${status.mode} · ${status.trading}` : status.mode;
  mode.className = "badge" + (state.about.real || (status.trading && status.trading !== "ACTIVE") ? " real" : "");
  const late = status.feeds.filter((feed) => !feed.live).map((feed) => `${feed.underlying}: ${feed.detail || "no live prices"}`);
  const troubles = [...(state.about.kind === "result" ? [] : status.not_ready), ...status.differences, ...late];
  const box = at("notice");
  if (troubles.length) { box.className = ""; box.textContent = troubles.join(" · "); box.dataset.standing = "1"; }
  else if (box.dataset.standing) { box.textContent = ""; delete box.dataset.standing; }
}
const effects = {
  kill: (held) => [`Nothing is entered any more, and ${held} is closed at the market.`, "It stays so until trading is resumed."],
  flatten: (held) => [`${held[0].toUpperCase()}${held.slice(1)} is closed at the market. Strategies may enter again afterwards.`],
  stop: (held) => [`It enters nothing more, and ${held} is closed at the market.`],
  pause: () => ["Nothing new is entered; what is open is managed to its end."],
  resume: () => ["Entries are allowed again."],
  reinstate: () => ["It was taken out after failing too often. It begins anew with its first phase and may enter again; what it failed on is listed under Actors."],
};
async function give(name, strategy = "") {
  const positions = (state.status?.positions ?? []).filter((one) => !strategy || one.strategy === strategy);
  const open = positions.reduce((sum, one) => sum + (one.unrealised ?? 0), 0);
  const held = positions.length ? `${positions.length} position${positions.length > 1 ? "s" : ""} (open result ${signed(open, 0)} rupees)` : "nothing (no position is open)";
  const title = `${name[0].toUpperCase()}${name.slice(1)} ${strategy || (name === "kill" ? "" : "everything")}`.trim();
  const dangerous = ["kill", "flatten", "stop"].includes(name);
  const sure = await ask(title + "?", effects[name](held).map((text) => el("p", {}, text)), title, { danger: dangerous, focus: "#confirm" });
  if (!sure) return;
  try {
    const done = await order(name, { strategy: name === "kill" ? "" : strategy, reason: name === "kill" ? "kill switch of the dashboard" : "" });
    if (done) notice(done, "good");
  } catch (error) { notice(`${name}: ${error.message}`, "fail", 20); }
}
function theme() {
  const root = document.documentElement;
  root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
  localStorage.setItem("sos-theme", root.dataset.theme);
  redraw();
}
const keys = [["1 … 5", "Now, Chain, Strategies, Actors, History"], ["K", "kill: stop trading, close everything"], ["F", "flatten: close every position"], ["T", "light or dark"], ["Esc", "put a question away"], ["?", "this"]];
function help() {
  ask("Keys", [el("dl", { class: "facts" }, keys.map(([key, does]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, does)])),
    el("p", { class: "about" }, "Kill and flatten ask before they act. ", el("a", { href: "/docs" }, "The API"))], "Close", { alone: true });
}
function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || at("dialog").open || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  const place = "12345".indexOf(event.key);
  if (event.key === "k" || event.key === "K") give("kill");
  else if (event.key === "f" || event.key === "F") give("flatten");
  else if (event.key === "t" || event.key === "T") theme();
  else if (event.key === "?") help();
  else if (place >= 0) show(Object.keys(pages)[place]);
  else return;
  event.preventDefault();
}

async function start() {
  state.about = await get("/about");
  const picker = at("underlying");
  picker.replaceChildren(...state.about.underlyings.map((name) => el("option", { value: name }, name)));
  state.underlying = sessionStorage.getItem("sos-underlying") ?? "";
  if (!state.about.underlyings.includes(state.underlying)) state.underlying = state.about.underlyings[0];
  picker.value = state.underlying;
  picker.hidden = state.about.underlyings.length < 2;
  picker.addEventListener("change", () => { state.underlying = picker.value; sessionStorage.setItem("sos-underlying", picker.value); show(location.pathname, false); });
  const still = state.about.kind === "result";
  at("kill").hidden = at("flatten").hidden = still;
  state.stream = new Stream((how) => {
    state.link = how;
    state.silent.clear();
    mark();
  });
  at("pages").addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    show(link.getAttribute("href"));
  });
  at("theme").addEventListener("click", theme);
  at("help").addEventListener("click", help);
  at("kill").addEventListener("click", () => give("kill"));
  at("flatten").addEventListener("click", () => give("flatten"));
  addEventListener("keydown", key);
  addEventListener("popstate", () => show(location.pathname, false));
  show(location.pathname === "/" ? "" : location.pathname, location.pathname === "/");
}
start().catch((error) => notice(`The server does not answer: ${error.message}`, "fail", 0));

