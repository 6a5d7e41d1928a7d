// Actors: the cast as it works: who waits, who is busy, who failed, who hears whom.
import { NOTHING, age, contract, micro, number, short, sign, whole } from "./format.js";
import { get } from "./net.js";
import { card, el, empty, fill, notice, pill, table, tile } from "./ui.js";

// bar/NSE|OPT|NIFTY|2025-09-02|24500|CE as a trader says it.
const named = (path) => path.startsWith("bar/") && path.includes("|") ? `bar/${contract(path.slice(4))}` : path;
// Messages waiting in a group that fill its meter.
const FULL = 1000;
const KEPT = 60;

export function open(page, frame) {
  const rates = new Map(), closed = new Set();
  let tree = null, chosen = "", edges = [], search = "";
  const tiles = el("div", { class: "tiles" }), list = el("div", { class: "scroll high", id: "tree" }), drawer = el("div", { id: "drawer" });
  const edgeBox = el("div", { class: "scroll", id: "edges" }), letters = el("div", { class: "scroll", id: "letters" }), groups = el("div", { class: "scroll", id: "groups" });
  const find = el("input", { type: "search", placeholder: "find an actor", "aria-label": "find an actor", id: "find", oninput: () => { search = find.value.toLowerCase(); drawTree(); drawEdges(); } });
  page.append(tiles,
    el("div", { class: "grid" }, card("w8", "The cast", [el("small", { class: "about" }, "by thread; a click shows what one holds"), find], list), card("w4", "One actor", [], drawer)),
    el("div", { class: "grid" }, card("w4", "Threads and mailboxes", [], groups), card("w8", "Who tells whom", el("small", { class: "about" }, "messages handled since the start, the busiest first; senders as seen since somebody looks"), edgeBox)),
    el("div", { class: "grid" }, card("w12", "Dead letters", el("small", { class: "about" }, "messages nobody handled, or that killed their actor"), letters)));
  fill(drawer, empty(frame.about.kind === "result" ? "Nobody is on stage: what is shown here is stored." : "Click an actor."));

  const view = {
    topics: frame.about.kind === "result" ? [] : ["actors", "edges"],
    hear(topic, parts) {
      if (topic === "edges") { edges = parts.edges; return drawEdges(); }
      tree = parts.tree;
      for (const one of tree.actors) {
        const past = rates.get(one.path) ?? [];
        past.push(one.rate ?? 0);
        if (past.length > KEPT) past.shift();
        rates.set(one.path, past);
      }
      drawTiles();
      drawTree();
      drawGroups();
      drawLetters();
      if (chosen) pick(chosen, false);
    },
  };
  if (frame.about.kind === "result") fill(list, empty("Nobody is on stage: open the dashboard of a running daemon, or --demo."));

  const us = (ns) => ns === null || ns === undefined ? null : ns / 1000;
  function drawTiles() {
    const sum = (name) => tree.actors.reduce((total, one) => total + (one[name] ?? 0), 0);
    const waiting = tree.groups.reduce((total, one) => total + one.depth, 0), failures = sum("failures"), benched = tree.actors.filter((one) => one.benched).length;
    const stages = Object.entries(tree.stages);
    fill(tiles, tile("Actors", whole(tree.actors.filter((one) => one.state !== "stopped").length), "", `${tree.groups.length} threads`), tile("Messages/s", short(sum("rate")), "", `${short(sum("handled"))} in all`),
      tile("Waiting now", whole(waiting), waiting > FULL ? "bad" : "", `most ever ${whole(Math.max(0, ...tree.groups.map((one) => one.high_water)))}`),
      tile("Failures", whole(failures), failures ? "bad" : "", benched ? `${benched} benched` : `${whole(sum("restarts"))} restarts`), tile("Dead letters", whole(tree.dead_letters_total), tree.dead_letters_total ? "warn" : "", "nobody handled"),
      stages.map(([name, one]) => tile(`tick to ${name}`, micro(us(one.p50)), "", `p99 ${micro(us(one.p99))}`, "from the message that came in to this stage")));
  }
  function drawTree() {
    if (!tree) return;
    const rows = [];
    for (const group of tree.groups) {
      const cast = tree.actors.filter((one) => one.group === group.group && one.path.toLowerCase().includes(search));
      if (!cast.length) continue;
      rows.push({ group, cast });
      if (!closed.has(group.group) || search) cast.forEach((one, place) => rows.push({ one, last: place === cast.length - 1 }));
    }
    const columns = ["actor", "state", "a second", "", "handled", "p50", "p99", "last", "restarts", "failed", "dead"];
    const kinds = ["text clip", "text", "", "wide-only", "", "", "", "", "wide-only", "", ""];
    const body = rows.map(({ group, cast, one, last }) => {
      if (group) {
        const toggle = () => { if (closed.has(group.group)) closed.delete(group.group); else closed.add(group.group); drawTree(); };
        return el("tr", { class: "group pick", "data-key": `thread ${group.group}`, onclick: toggle }, el("td", { class: "text", colSpan: 3 }, `${closed.has(group.group) ? "▸" : "▾"} ${group.group} `, el("span", { class: "soft" }, `thread, ${cast.length} actor${cast.length > 1 ? "s" : ""}`)),
          el("td", { class: "text", colSpan: 8 }, el("span", { class: "soft" }, `mailbox ${whole(group.depth)}`), el("span", { class: `meter ${group.depth > FULL ? "full" : ""}` }, el("i", { share: group.depth / FULL })),
            group.handling ? el("span", { class: "warn" }, ` busy with ${group.handling} for ${age(group.handling_s)}`) : "", group.threads_given_up ? el("span", { class: "bad" }, ` ${group.threads_given_up} threads given up`) : ""));
      }
      const values = [[el("span", { class: "branch" }, last ? "└" : "├"), named(one.path)], [el("i", { class: `dot ${one.state}`, title: one.state }), one.state === "waiting" ? "" : one.state], number(one.rate, one.rate < 10 ? 1 : 0), spark(rates.get(one.path) ?? []), short(one.handled),
        micro(us(one.handle_p50_ns)), micro(us(one.handle_p99_ns)), age(one.age_s), whole(one.restarts), whole(one.failures), whole(one.dead_letters)];
      return el("tr", { class: "pick", "data-path": one.path, "data-key": one.path, tabIndex: 0, "aria-selected": String(one.path === chosen), onclick: () => pick(one.path), onkeydown: (event) => { if (event.key === "Enter") pick(one.path); } },
        values.map((value, place) => el("td", { class: `${kinds[place]} ${place >= 8 && one[["restarts", "failures", "dead_letters"][place - 8]] ? "bad" : place >= 8 ? "soft" : ""}` }, value)));
    });
    fill(list, el("table", {}, el("thead", {}, el("tr", {}, columns.map((name, place) => el("th", { class: kinds[place] }, name)))), el("tbody", {}, body)));
  }
  function spark(past) {
    const most = Math.max(1, ...past), points = past.map((value, place) => `${(place * 64 / (KEPT - 1)).toFixed(1)},${(15 - 14 * value / most).toFixed(1)}`).join(" ");
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
    svg.setAttribute("viewBox", "0 0 64 16");
    svg.setAttribute("class", "spark");
    line.setAttribute("points", points);
    svg.append(line);
    return svg;
  }
  async function pick(path, fresh = true) {
    chosen = path;
    if (fresh) drawTree();
    let found;
    try { found = await get("/actor", { path }); } catch (error) { chosen = ""; return notice(error.message, "fail"); }
    if (chosen !== path || !drawer.isConnected) return;
    const one = tree?.actors.find((actor) => actor.path === path);
    fill(drawer, el("h2", {}, path, " ", one ? pill(one.state, one.state === "benched" ? "bad" : "line") : ""),
      one ? el("dl", { class: "facts" }, facts(one).map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])) : "",
      el("h2", { class: "about" }, "What it holds"), el("div", { class: "state", id: "state" }, Object.keys(found.state).length ? Object.entries(found.state).map(([key, value]) => node(key, value, `${path} ${key}`)) : empty("It says nothing of itself.")),
      el("h2", { class: "about" }, "Its last messages, since somebody looks"), found.messages.length ? el("div", { class: "scroll low", id: "messages" }, found.messages.map((one, place) => el("details", { "data-key": `${one.at} ${one.message} ${found.messages.length - place}` }, el("summary", {}, `${one.at.slice(11)} `, el("b", {}, one.message), el("span", { class: "soft" }, ` ${Object.values(one.values).slice(0, 4).join(" · ")}`)), el("dl", { class: "facts" }, Object.entries(one.values).map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]))))) : empty("None yet: they are kept from now on."),
      el("h2", { class: "about" }, "Whom it tells"), found.tells.length ? table([["message", (edge) => edge.message, "text"], ["heard by", (edge) => edge.actor, "text"], ["seen", (edge) => whole(edge.senders[path])]], found.tells.slice(0, 60)) : empty("Nobody, since somebody looks."),
      el("h2", { class: "about" }, "What it hears"), found.hears.length ? table([["message", (hear) => hear.message, "text"], ["topics", (hear) => hear.topics.length > 1 ? `${hear.topics.length} topics` : hear.topics.filter(Boolean).join(", ") || "all", "text soft"], ["handled", (hear) => short(hear.handled)]], found.hears) : empty("Nothing."),
      found.dead_letters.map((letter) => el("details", { "data-key": "letter" + letter.at }, el("summary", { class: "bad" }, `${letter.at.slice(11)} ${letter.message}: ${letter.reason}`), letter.traceback ? el("pre", {}, letter.traceback) : "")));
  }
  function facts(one) {
    return [["kind", one.kind], ["thread", one.group], ["handled", `${whole(one.handled)} (${number(one.rate, 1)} a second)`], ["handling", `p50 ${micro(us(one.handle_p50_ns))}, p99 ${micro(us(one.handle_p99_ns))}, most ${micro(us(one.handle_max_ns))}`],
      ["waiting", `p50 ${micro(us(one.wait_p50_ns))}, p99 ${micro(us(one.wait_p99_ns))}, most ${micro(us(one.wait_max_ns))}`], ["busy in all", age(one.busy_s)], ["restarts, failures", `${one.restarts}, ${one.failures}`]];
  }
  function node(key, value, path) {
    if (value !== null && typeof value === "object") {
      const entries = Object.entries(value);
      if (!entries.length) return leaf(key, Array.isArray(value) ? "[]" : "{}");
      return el("details", { "data-key": path }, el("summary", {}, el("span", { class: "key" }, key), ` ${Array.isArray(value) ? `[${entries.length}]` : `{${entries.length}}`}`), entries.slice(0, 200).map(([name, inner]) => node(name, inner, `${path}.${name}`)));
    }
    return leaf(key, value === null ? NOTHING : typeof value === "number" && !Number.isInteger(value) ? number(value, 4) : String(value));
  }
  const leaf = (key, text) => el("div", { class: "leaf" }, el("span", { class: "key" }, `${key}: `), text);
  function drawGroups() {
    fill(groups, table([["thread", (one) => one.group, "text"], ["waiting", (one) => whole(one.depth), "", (one) => sign(one.depth > FULL ? -1 : 0)], ["most ever", (one) => whole(one.high_water)], ["merged", (one) => short(one.merged)], ["given up", (one) => whole(one.threads_given_up), "", (one) => one.threads_given_up ? "bad" : "soft"], ["busy with", (one) => one.handling || NOTHING, "text soft"]], tree.groups));
  }
  function drawEdges() {
    const rows = edges.filter((one) => !search || one.actor.toLowerCase().includes(search) || one.message.toLowerCase().includes(search)).slice(0, 150);
    const from = (one) => Object.entries(one.senders).sort((a, b) => b[1] - a[1]).slice(0, 3).map(([path]) => named(path)).join(", ") || NOTHING;
    const rate = (one) => { const actor = tree?.actors.find(({ path }) => path === one.actor); return actor?.handled ? (actor.rate ?? 0) * one.handled / actor.handled : null; };
    fill(edgeBox, rows.length ? table([["message", (one) => one.message, "text"], ["told by", from, "text soft clip"], ["heard by", (one) => named(one.actor), "text clip"], ["topics", (one) => one.topics.length > 1 ? `${one.topics.length} topics` : one.topics.filter(Boolean).map((key) => key.includes("|") ? contract(key) : key).join(", ") || NOTHING, "text soft clip"], ["handled", (one) => whole(one.handled)], ["a minute", (one) => { const now = rate(one); return now === null ? NOTHING : number(60 * now, now < 1 ? 1 : 0); }]], rows, { row: (one) => ({ class: "pick", "data-key": `${one.message} ${one.actor}`, onclick: () => pick(one.actor) }) }) : empty("Nothing was heard yet."));
  }
  function drawLetters() {
    fill(letters, tree.dead_letters.length ? table([["time", (one) => one.at.slice(11), "text"], ["actor", (one) => one.actor, "text"], ["message", (one) => one.message, "text"], ["why", (one) => one.reason, "text"], ["", (one) => one.traceback ? el("details", {}, el("summary", {}, one.traceback.trim().split("\n").at(-1)), el("pre", {}, one.traceback)) : "", "text wrap"]], tree.dead_letters) : empty("None: every message was handled."));
  }
  return view;
}
