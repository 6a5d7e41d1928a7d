// Why a trade was made: phases with the values their conditions saw, the plan, the orders and what became of them.
import { NOTHING, contract, number, percent, whole, words } from "./format.js";
import { el, pill, table } from "./ui.js";

const time = (text) => text ? text.slice(11, 19) : NOTHING;
const shown = (value) => value === null || value === undefined ? NOTHING : typeof value === "number" ? (Number.isInteger(value) ? whole(value) : number(value, Math.abs(value) < 1 ? 4 : 2)) : value === true ? "yes" : value === false ? "no" : String(value) || "not known";
const facts = (rows) => el("dl", { class: "facts" }, rows.filter(([, value]) => value !== undefined && value !== null).map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
const pairs = (values) => el("dl", { class: "seen" }, Object.entries(values).map(([name, value]) => [el("dt", {}, el("code", {}, name)), el("dd", {}, shown(value))]));

function phase(one, place) {
  return el("section", { class: "passed" },
    el("h3", {}, el("i", {}, String(place + 1)), words(one.phase), el("small", { class: "about" }, `passed at ${time(one.at)}`)),
    one.conditions.map(({ condition, values }) => el("div", { class: "held" }, el("code", {}, condition), pairs(values))),
    Object.keys(one.captured).length ? el("div", { class: "held" }, el("span", { class: "soft" }, "captured"), pairs(one.captured)) : "");
}
export function told({ signal, phases, plan, orders }) {
  const level = (value) => value === undefined ? NOTHING : number(value);
  return el("div", { class: "why" },
    el("section", {}, el("h3", {}, "Phases"), phases.length ? phases.map(phase) : el("p", { class: "empty" }, "Its phases were not recorded.")),
    el("section", {},
      el("h3", {}, "Signal ", signal.direction ? pill(words(signal.direction), signal.direction === "LONG" ? "good" : "bad") : ""),
      facts([["given", time(signal.at)], ["index entry", level(signal.entry)], ["stop, target", `${level(signal.stop)}, ${level(signal.target)}`], ["regime", words(signal.regime)], ["buys", words(signal.selection)], ["size factor", signal.quantity_mod && number(signal.quantity_mod)]]),
      el("h3", {}, "Plan"),
      plan.instrument ? facts([["contract", contract(plan.instrument)], ["units", `${whole(plan.quantity)}${plan.lots ? ` (${whole(plan.lots)} lots)` : ""}`], ["entry", level(plan.entry)], ["stop, target", `${level(plan.stop)}, ${level(plan.target)}`], ["at risk, rupees", whole(plan.risk)],
        ["bid, ask", plan.bid && `${level(plan.bid)}, ${level(plan.ask)}${plan.ask ? ` (${percent((plan.ask - plan.bid) / plan.ask, 2)})` : ""}`], ["delta", plan.delta && number(plan.delta)], ["score", plan.score && number(plan.score)]]) : el("p", { class: "empty" }, "No plan was recorded.")),
    el("section", {}, el("h3", {}, "Orders and fills"), orders.length ? table([
      ["sent", (one) => time(one.at), "text"], ["order", (one) => `${words(one.role)}, ${words(one.side)} ${words(one.order_type)}`, "text"], ["units", (one) => whole(one.quantity)],
      ["price", (one) => number(one.price ?? one.trigger ?? null)], ["filled", (one) => one.fills.length ? one.fills.map((fill) => el("div", { title: time(fill.at) }, `${whole(fill.quantity)} at ${number(fill.price)}`)) : el("span", { class: "soft" }, "not"), "text"]], orders) : el("p", { class: "empty" }, "No order was recorded.")));
}
