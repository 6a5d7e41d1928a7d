// Strategies: where each one stands, what it waits for, what it made; on and off.
import { NOTHING, number, sign, signed, whole, words } from "./format.js";
import { el, empty, fill, pill, segments } from "./ui.js";

export function open(page, frame) {
  let rows = [], show = "all", search = "", by = "name";
  const box = el("div", { class: "cards", id: "strategies" });
  const find = el("input", { type: "search", placeholder: "find a strategy", "aria-label": "find a strategy", oninput: () => { search = find.value.toLowerCase(); drawAll(); } });
  const summary = el("span", { class: "about" });
  page.append(el("div", { class: "card grid" }, el("header", { class: "w12 foot" }, find,
    segments([["all", "All"], ["traded", "Traded"], ["near", "Near entry"], ["off", "Off"]], show, (chosen) => { show = chosen; drawAll(); }, "which"),
    segments([["name", "By name"], ["net", "By result"], ["phase", "By phase"]], by, (chosen) => { by = chosen; drawAll(); }, "order"), el("span", { class: "gap" }), summary)), box);

  const on = (one) => one.state !== "benched" && one.state !== "stopped" && !one.paused;
  const counted = (count, name) => `${whole(count)} ${name}${count === 1 ? "" : "s"}`;
  const progress = (one) => one.phases ? (one.phase_number - 1) / one.phases : 0;
  const result = (one) => one.net + one.unrealised;
  function chosen() {
    const kept = rows.filter((one) => (one.underlying === frame.underlying) && one.strategy.toLowerCase().includes(search) && (show === "all" || (show === "traded" && (one.trades || one.unrealised)) || (show === "near" && progress(one) >= 0.5) || (show === "off" && !on(one))));
    const order = { name: (a, b) => a.strategy.localeCompare(b.strategy), net: (a, b) => result(b) - result(a), phase: (a, b) => progress(b) - progress(a) };
    return kept.sort((a, b) => order[by](a, b) || order.name(a, b));
  }
  function drawAll() {
    const list = chosen();
    summary.textContent = `${list.length} of ${rows.filter((one) => one.underlying === frame.underlying).length}, net ${signed(list.reduce((sum, one) => sum + one.net, 0), 0)}`;
    fill(box, list.length ? list.map(strategy) : empty("None fits."));
  }
  function strategy(one) {
    const state = one.state === "benched" ? pill("benched", "bad") : one.paused ? pill("paused", "warn") : one.state === "stopped" ? pill("stopped", "bad") : one.state === "history" ? "" : pill("on", "good");
    const does = one.state === "benched" ? "reinstate" : one.paused ? "resume" : "pause";
    const switcher = one.state === "history" ? "" : el("button", { type: "button", "data-strategy": one.strategy, title: does === "reinstate" ? "it failed too often and was taken out: take it back" : "", onclick: () => frame.order(does, one.strategy) }, does[0].toUpperCase() + does.slice(1));
    const stop = one.state === "history" || !one.unrealised ? "" : el("button", { type: "button", class: "order", title: "pause it and close what it holds", onclick: () => frame.order("stop", one.strategy) }, "Stop");
    const declined = Object.entries(one.declined ?? {}).sort((a, b) => b[1] - a[1]).slice(0, 3).map(([reason, count]) => `${words(reason)} ${count}`).join(", ");
    return el("section", { class: `card strategy ${on(one) || one.state === "history" ? "" : "off"}`, "data-name": one.strategy, "data-key": one.path },
      el("header", {}, el("h2", { title: one.strategy }, one.strategy), state, stop, switcher), one.state === "history" ? "" : [steps(one), waits(one)],
      el("div", { class: "foot" }, el("span", {}, "result ", el("b", { class: sign(result(one)) }, signed(result(one), 0))), el("span", {}, counted(one.trades, "trade")), one.state === "history" ? "" : el("span", {}, counted(one.signals_today, "signal")), el("span", { class: "gap" }), declined ? el("span", { class: "clip", title: `setups that were not taken: ${declined}` }, `not taken: ${declined}`) : ""));
  }
  function steps(one) {
    if (one.stance) return el("div", { class: "steps" }, `stance: ${one.stance}`);
    if (!one.phases) return el("div", { class: "steps" }, "not started");
    const bars = Array.from({ length: one.phases }, (_, place) => el("i", { class: place + 1 < one.phase_number ? "done" : place + 1 === one.phase_number ? "here" : "" }));
    return el("div", { class: "steps", title: `phase ${one.phase_number} of ${one.phases}` }, `${one.phase_number}/${one.phases} ${words(one.phase)}`, bars, one.timeout ? `${one.bars_waited}/${one.timeout} bars` : "");
  }
  const shown = (value) => value === null || value === undefined ? NOTHING : typeof value === "number" ? number(value, Math.abs(value) < 1 ? 4 : 2) : String(value) || "not known";
  function waits(one) {
    const wait = one.waiting_for, captured = Object.entries(one.captured ?? {});
    return el("div", { class: "waits" }, wait ? [el("span", { class: "soft" }, "waits for "), el("code", {}, wait.condition), el("dl", {}, Object.entries(wait.values ?? {}).map(([name, value]) => [el("dt", {}, el("code", {}, name)), el("dd", {}, shown(value))]))]
      : el("span", { class: "soft" }, one.stance ? "acts when the stance turns" : one.met ? "all conditions of this phase held on the last bar: the next one counts" : one.phases ? "no bar yet: the first of the session decides" : ""),
    captured.length ? el("dl", {}, captured.map(([name, value]) => [el("dt", {}, `captured ${name}`), el("dd", {}, shown(value))])) : "");
  }
  return { topics: ["strategies"], hear(topic, parts) { rows = parts.strategies; drawAll(); } };
}
