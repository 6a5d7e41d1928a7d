// History: backtests, past live days and stored days, with their trades on the charts.
import { candles, candleTrace, colour, draw, priceAxis, timeAxis } from "./draw.js";
import { clock, contract, date, moment, number, percent, sign, signed, span, whole, words } from "./format.js";
import { get } from "./net.js";
import { below, card, el, empty, fill, notice, pill, table, tile } from "./ui.js";
import { told } from "./why.js";

// Where the orders of a recorded day went, as it must be seen at a glance.
const STAGES = { live: ["real money", "bad"], paper: ["paper: simulated fills", "line"], sandbox: ["sandbox: simulated", "warn"] };
const MARKS = "▲▼ entries · ✕ exits; the list is below";
const CHOOSE = "Choose a trade of the list, on a keyboard with the arrow keys.";

export function open(page, frame) {
  const days = frame.about.days, still = frame.about.kind === "result";
  let backtests = [], recorded = [], run = still ? frame.about.runs[0] ?? "" : "", other = "", result = null, second = null, day = "", trades = [], others = [], bars = null, chosen = null, option = null, serial = 0;
  const filters = { strategy: "", regime: "", hour: "" };
  const select = (id, label, onchange) => el("select", { id, "aria-label": label, onchange });
  const runPick = select("run", "run", () => { run = runPick.value; day = ""; loadRun(); }), otherPick = select("other", "compare with", () => { other = otherPick.value; loadOther(); });
  const dayPick = select("day", "day", () => goTo(dayPick.value));
  const picks = Object.fromEntries(Object.keys(filters).map((name) => [name, select(`by-${name}`, name, () => { filters[name] = picks[name].value; chosen = null; drawDay(); })]));
  const step = (by) => { const at = Math.max(0, Math.min(dayPick.options.length - 1, dayPick.selectedIndex + by)); if (at !== dayPick.selectedIndex) goTo(dayPick.options[at].value); };
  const tiles = el("div", { class: "tiles", id: "history-tiles" }), list = el("div", { class: "scroll high", id: "history-trades" }), detail = el("div", { id: "trade" }), reasons = el("div", { id: "why" });
  const charts = Object.fromEntries(["days", "day", "trade"].map((name) => [name, el("div", { class: `chart ${name === "days" ? "low" : name === "day" ? "tall" : ""}`, id: `history-${name}` })]));
  const heading = el("h2", {}, "The day"), stage = el("span", { id: "history-stage" }), notes = el("div", { id: "history-notes" });
  const every = el("div", { class: "grid", hidden: true }, card("w12", "Every day of the run", el("small", { class: "about" }, "net result, rupees; a click opens the day"), charts.days));
  page.append(el("div", { class: "card grid" }, el("header", { class: "w12 foot" }, runPick, otherPick, el("span", { class: "steps-of-days" }, el("button", { type: "button", id: "earlier", title: "a day earlier", onclick: () => step(-1) }, "◀"), dayPick, el("button", { type: "button", id: "later", title: "a day later", onclick: () => step(1) }, "▶")), stage, el("span", { class: "gap" }), Object.values(picks)), notes),
    tiles, every,
    el("div", { class: "grid" }, el("section", { class: "card w8" }, el("header", {}, heading, el("small", { class: "about", id: "history-marks" }, MARKS)), charts.day), card("w4", "The trade", [], detail, charts.trade)),
    el("div", { class: "grid" }, card("w12", "Trades of the day", [], list)),
    el("div", { class: "grid" }, card("w12", "Why", el("small", { class: "about" }, "what the signal was made of, the plan, the orders"), reasons)));
  const fail = (error) => { notice(error.message, "fail"); return null; };
  fill(detail, empty(CHOOSE));

  const rowOf = (name) => recorded.find((one) => one.name === name);
  const isLive = () => Boolean(rowOf(run));
  // 2026-11-20 of `sandbox 2026-11-20` as the list says it.
  function liveName(one) {
    if (!one.day) return `${one.name} · cannot be read`;
    const kind = one.name.slice(0, -11);
    return `${date(one.day)} ${one.day.slice(0, 4)} · ${kind === "live" ? "real money" : kind}`;
  }
  const titled = (name) => { const one = rowOf(name); return one ? liveName(one) : name; };
  async function loadList() {
    const rows = await get("/sessions").catch(fail) ?? [];
    [backtests, recorded] = ["run", "recorded"].map((kind) => rows.filter((one) => one.kind === kind));
    const group = (label, found) => found.length ? el("optgroup", { label }, found) : "";
    const groups = () => [group("Backtests", backtests.map((one) => el("option", { value: one.name, title: one.detail }, one.name))), group("Live days", recorded.map((one) => el("option", { value: one.name, title: one.problem || one.detail }, liveName(one))))].filter(Boolean);
    const stored = days.length || !still ? [group("Stored days", [el("option", { value: "" }, still ? "prices alone" : "today and stored days")])] : [];
    runPick.replaceChildren(...(still ? [...groups(), ...stored] : [...stored, ...groups()]));
    otherPick.replaceChildren(el("option", { value: "" }, "compare with …"), ...groups());
    runPick.value = run;
    runPick.hidden = !backtests.length && !recorded.length;
    otherPick.hidden = backtests.length + recorded.length < (still ? 2 : 1);
    await loadRun();
  }
  // Another day of the same kind: of a backtest one of its days, of a live day the live day before or after it.
  function goTo(wanted) {
    const kind = run.slice(0, -11);
    const next = isLive() ? recorded.find((one) => one.day === wanted && one.name.slice(0, -11) === kind) : null;
    day = wanted;
    dayPick.value = wanted;
    if (next && next.name !== run) { run = runPick.value = next.name; loadRun(); } else { loadDay(); }
  }
  async function loadRun() {
    const mine = ++serial, row = rowOf(run);
    fill(notes);
    fill(stage);
    if (row) { fill(tiles, empty(`Reading what was recorded on ${titled(run)} …`)); fill(list); }
    let problem = "";
    const found = run ? await get("/run", { run }).catch((error) => { problem = error.message; return null; }) : null;
    if (mine !== serial || !page.isConnected) return;
    result = found;
    if (problem) return refuse(problem);
    const nets = {};
    for (const one of result?.trades ?? []) nets[one.exit_time.slice(0, 10)] = (nets[one.exit_time.slice(0, 10)] ?? 0) + one.net;
    const kind = run.slice(0, -11), past = recorded.filter((one) => one.day && one.name.slice(0, -11) === kind).map((one) => one.day).sort();
    const known = !still && frame.about.day ? [...new Set([...days, frame.about.day])].sort() : days;
    const listed = row ? past : result ? days.filter((one) => one >= result.from_date && one <= result.to_date) : known;
    const offered = listed.length ? listed : known;
    dayPick.replaceChildren(...offered.map((one) => el("option", { value: one }, nets[one] === undefined ? one : `${one}  ${signed(nets[one], 0)}`)));
    const traded = offered.filter((one) => nets[one] !== undefined);
    day = row ? row.day : offered.includes(day) ? day : traded.at(-1) ?? offered.at(-1) ?? "";
    dayPick.value = day;
    every.hidden = !result || offered.length < 2 || Boolean(row);
    if (!every.hidden) drawDays(offered, nets);
    say(row);
    await loadDay();
  }
  // What cannot be read is said where it was picked; the rest of the page is empty, not of another day.
  function refuse(problem) {
    fill(notes, el("p", { class: "warning" }, problem));
    [trades, others, bars, chosen, day, second] = [[], [], null, null, "", null];
    every.hidden = true;
    fill(tiles);
    fill(detail, empty("Choose another day or run above."));
    fill(reasons);
    fill(list, empty("Nothing of it can be shown."));
    for (const name of ["day", "trade"]) { if (charts[name].data) globalThis.Plotly.purge(charts[name]); fill(charts[name]); }
    heading.replaceChildren("The day");
  }
  function say(row) {
    const missing = [...new Set((result?.data_quality.days ?? []).flatMap((one) => row ? one.notes : []))];
    fill(notes, missing.map((text) => el("p", { class: "warning" }, text)));
    const [text, kind] = row ? STAGES[result.source] ?? [result.source, "warn"] : [];
    fill(stage, text ? pill(text, kind) : "");
  }
  async function loadDay() {
    if (!day) return fill(charts.day, empty("No day is stored: `run_actors.py ingest` brings days, `backtest --json F` makes runs, the daemon records its own."));
    const mine = ++serial, query = { day, run };
    try {
      const [found, index] = await Promise.all([get("/trades", query), get("/candles", { ...query, instrument: indexId() })]);
      if (mine !== serial) return;
      [trades, bars, chosen] = [found.filter((one) => one.underlying === frame.underlying), index, null];
    } catch (error) { return mine === serial ? refuse(error.message) : null; }
    for (const name of Object.keys(filters)) options(name);
    fill(detail, empty(CHOOSE));
    fill(reasons, empty("Choose a trade above to see why it was made."));
    if (charts.trade.data) globalThis.Plotly.purge(charts.trade);
    drawDay();
    await loadOther();
  }
  // The run to compare with: a backtest with a backtest as a whole; else day with day, of a backtest the day shown.
  async function loadOther() {
    const mine = serial, wanted = other;
    second = wanted ? await get("/run", { run: wanted }).catch(fail) : null;
    const ofDay = Boolean(second && (!result || isLive() || rowOf(wanted)));
    const [own, its] = await Promise.all([ofDay ? figures(run) : result?.summary, ofDay ? figures(wanted) : second?.summary]);
    others = second && (rowOf(wanted)?.day ?? day) === day ? await get("/trades", { day, run: wanted }).then((found) => found.filter((one) => one.underlying === frame.underlying)).catch(() => []) : [];
    if (mine !== serial || wanted !== other || !page.isConnected) return;
    drawTiles(own, its, ofDay);
    document.getElementById("history-marks").textContent = others.length ? `${MARKS} · △▽ ${titled(other)}` : MARKS;
    if (bars) drawIndex(kept());
  }
  async function figures(name) {
    const found = await get("/performance", { day: rowOf(name)?.day ?? day, run: name }).catch(() => null);
    const curve = found?.equity ?? [];
    return found ? { ...found.figures, total_return: curve.length ? curve.at(-1) / curve[0] - 1 : null, max_drawdown_fraction: null } : {};
  }
  const indexId = () => `${frame.underlying === "SENSEX" || frame.underlying === "BANKEX" ? "BSE" : "NSE"}|INDEX|${frame.underlying}`;
  const hour = (one) => clock(one.entry_ts).slice(0, 2);
  const of = { strategy: (one) => one.strategy, regime: (one) => one.regime, hour };
  function options(name) {
    const values = [...new Set(trades.map(of[name]))].sort();
    if (!values.includes(filters[name])) filters[name] = "";
    picks[name].replaceChildren(el("option", { value: "" }, `every ${name}`), ...values.map((value) => el("option", { value, selected: value === filters[name] }, name === "hour" ? `${value}:00` : name === "regime" ? words(value) : value)));
    picks[name].hidden = values.length < 2;
  }
  const kept = () => trades.filter((one) => Object.entries(filters).every(([name, value]) => !value || of[name](one) === value));
  function drawTiles(s, o, ofDay) {
    if (!s) return fill(tiles);
    const past = rowOf(other), its = !past ? other : isLive() && past.day !== day ? date(past.day) : liveName(past).split(" · ")[1];
    const pair = (name, value, write, kind = "") => tile(name, write(value(s)), kind ? sign(value(s)) : "", o ? `${its}: ${write(value(o))}` : "", o ? `${titled(other)}${ofDay && !rowOf(other) ? ` on ${date(day)}` : ""}` : "");
    const sessions = result?.assumptions.sessions?.split(", ") ?? [];
    const about = result && `${result.from_date} to ${result.to_date}, ${result.run_hash ? `run ${result.run_hash}` : `${sessions.length > 1 ? "sessions" : "session"} ${sessions.join(", ")}`}, configuration ${result.config_hash}, code ${result.code_version}`;
    fill(tiles, pair("Net", (one) => one.net, (value) => signed(value, 0), "sign"), pair("Return", (one) => one.total_return, (value) => percent(value, 2), "sign"), pair("Trades", (one) => one.trades, whole), pair("Won", (one) => one.win_rate, (value) => percent(value)),
      pair("Profit factor", (one) => one.profit_factor, number), pair("Expectancy, R", (one) => one.expectancy_r, signed, "sign"), ofDay ? "" : pair("Max drawdown", (one) => one.max_drawdown_fraction, (value) => percent(value, 2)), pair("Charges", (one) => one.charges, whole),
      !result ? "" : isLive() ? tile("Recorded", sessions.length > 1 ? `${sessions.length} sessions` : "1 session", "words", `${date(result.from_date)}, ${result.source}`, about) : tile("Run", result.run_hash.slice(0, 8), "", `${date(result.from_date)} to ${date(result.to_date)}`, about));
  }
  // As many days as have room for their names.
  function named(days) {
    const every = Math.ceil(days.length / Math.max(2, Math.floor(charts.days.clientWidth / 80)));
    return days.filter((_, place) => place % every === 0);
  }
  function drawDays(offered, nets) {
    const room = Math.max(0, (12 - offered.length) / 2);  // few days stay narrow
    draw(charts.days, () => ({
      data: [{ type: "bar", x: offered, y: offered.map((one) => nets[one] ?? 0), marker: { color: offered.map((one) => colour((nets[one] ?? 0) >= 0 ? "good" : "bad")) }, hovertemplate: "%{x}<br>%{y:,.0f}<extra></extra>" }],
      layout: { xaxis: { type: "category", range: [-0.5 - room, offered.length - 0.5 + room], tickangle: 0, tickvals: named(offered), ticktext: named(offered).map(date) }, yaxis: priceAxis({ nticks: 5 }), bargap: 0.25 },
    })).then((box) => { box.removeAllListeners?.("plotly_click"); box.on("plotly_click", (event) => goTo(event.points[0].x)); });
  }
  function drawDay() {
    const rows = kept(), net = rows.reduce((sum, one) => sum + one.net, 0);
    heading.replaceChildren(`${frame.underlying} ${day} `, rows.length ? el("span", { class: sign(net) }, signed(net, 0)) : "");
    drawIndex(rows);
    fill(list, rows.length ? table([
      ["in", (one) => clock(one.entry_ts, true), "text wide-only"], ["out", (one) => [clock(one.exit_ts, true), below(span((one.exit_ts - one.entry_ts) / 6e10))], "text"], ["held", (one) => span((one.exit_ts - one.entry_ts) / 6e10), "wide-only"], ["contract", (one) => [contract(one.instrument), below(one.strategy)], "text"], ["strategy", (one) => one.strategy, "text wide-only"], ["regime", (one) => words(one.regime), "text wide-only"],
      ["units", (one) => whole(one.quantity), "wide-only"], ["entry", (one) => number(one.entry_price), "wide-only"], ["exit", (one) => number(one.exit_price), "wide-only"], ["stop", (one) => number(one.stop), "wide-only"], ["net", (one) => signed(one.net, 0), "", (one) => sign(one.net)], ["R", (one) => signed(one.r_multiple), "wide-only", (one) => sign(one.r_multiple)], ["left by", (one) => words(one.exit_reason), "text"],
    ], rows, { row: (one) => ({ class: "pick", tabIndex: 0, "aria-selected": String(one === chosen), "data-trade": one.trade_id, "data-key": one.trade_id, onclick: () => pick(one), onkeydown: (event) => keys(event, rows) }) }) : empty(trades.length ? "No trade fits." : run ? "No trade on this day." : still ? "No run is shown: choose one above, or give one with --result." : day === frame.about.day ? "No trade was closed today." : "Prices alone: what was traded on past days is under Live days above."));
  }
  function keys(event, rows) {
    const by = { ArrowDown: 1, ArrowUp: -1, Enter: 0 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    const next = rows[Math.max(0, Math.min(rows.length - 1, rows.findIndex((one) => one.trade_id === event.currentTarget.dataset.trade) + by))];
    pick(next);
    list.querySelector(`tr[data-trade="${CSS.escape(next.trade_id)}"]`)?.focus();
  }
  function drawIndex(rows) {
    const all = candles(bars);
    if (!all.start.length) return fill(charts.day, empty("No bars of the index are stored for this day."));
    const at = (ns) => { const place = all.start.findIndex((start) => start > ns); return Math.max(0, (place < 0 ? all.start.length : place) - 1); };
    const strong = rows.map((one) => !chosen || one === chosen ? 1 : 0.25);
    draw(charts.day, () => ({
      data: [candleTrace(all, frame.underlying),
        { type: "scatter", mode: "markers", x: rows.map((one) => moment(one.entry_ts)), y: rows.map((one) => one.direction === "LONG" ? all.low[at(one.entry_ts)] : all.high[at(one.entry_ts)]), text: rows.map((one) => `${one.strategy}<br>${contract(one.instrument)}`),
          marker: { size: 11, opacity: strong, symbol: rows.map((one) => one.direction === "LONG" ? "triangle-up" : "triangle-down"), color: colour("line"), line: { width: 1, color: colour("card") } }, hovertemplate: "%{text}<extra></extra>" },
        { type: "scatter", mode: "markers", x: rows.map((one) => moment(one.exit_ts)), y: rows.map((one) => all.close[at(one.exit_ts)]), text: rows.map((one) => `${words(one.exit_reason)}, net ${signed(one.net, 0)}`),
          marker: { size: 9, opacity: strong, symbol: "x-thin", line: { width: 2, color: rows.map((one) => colour(one.net > 0 ? "good" : "bad")) } }, hovertemplate: "%{text}<extra></extra>" },
        { type: "scatter", mode: "markers", x: others.map((one) => moment(one.entry_ts)), y: others.map((one) => one.direction === "LONG" ? all.low[at(one.entry_ts)] : all.high[at(one.entry_ts)]), text: others.map((one) => `${titled(other)}<br>${one.strategy}<br>${contract(one.instrument)}, net ${signed(one.net, 0)}`),
          marker: { size: 13, symbol: others.map((one) => one.direction === "LONG" ? "triangle-up-open" : "triangle-down-open"), color: colour("violet"), line: { width: 1.6 } }, hovertemplate: "%{text}<extra></extra>" }],
      layout: { xaxis: timeAxis(), yaxis: priceAxis(), uirevision: `${run} ${day}`, shapes: chosen ? [{ type: "rect", yref: "paper", y0: 0, y1: 1, x0: moment(chosen.entry_ts), x1: moment(chosen.exit_ts), fillcolor: colour(chosen.net > 0 ? "good-soft" : "bad-soft"), line: { width: 0 }, layer: "below" }] : [] },
    })).then((box) => { box.removeAllListeners?.("plotly_click"); box.on("plotly_click", (event) => { const point = event.points[0]; if (point.curveNumber === 1 || point.curveNumber === 2) pick(rows[point.pointNumber]); }); });
  }
  async function pick(one) {
    chosen = one;
    drawDay();
    fill(detail, el("h2", {}, contract(one.instrument), " ", el("span", { class: sign(one.net) }, signed(one.net))), el("dl", { class: "facts" }, [["strategy", one.strategy], ["regime", words(one.regime)], ["held", `${clock(one.entry_ts, true)} to ${clock(one.exit_ts, true)}, ${span((one.exit_ts - one.entry_ts) / 6e10)}`],
      ["price", `${number(one.entry_price)} → ${number(one.exit_price)}, ${whole(one.quantity)} units ${words(one.side)}`], ["gross, charges", `${signed(one.gross)}, ${number(one.charges)}`], ["R", signed(one.r_multiple)], ["worst, best", `${number(one.mae)} against, ${number(one.mfe)} for, a unit`], ["left by", words(one.exit_reason)]].map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])));
    why(one);
    option = await get("/candles", { day, run, instrument: one.instrument }).catch(fail);
    if (!option || chosen !== one) return;
    const all = candles(option), from = one.entry_ts - 40 * 6e10, to = one.exit_ts + 40 * 6e10;
    const inside = all.start.map((start, place) => start >= from && start <= to ? place : -1).filter((place) => place >= 0);
    if (!inside.length) return fill(charts.trade, empty("No bars of this contract are stored."));
    if (!charts.trade.data) charts.trade.replaceChildren();
    const low = Math.min(one.stop ?? Infinity, ...inside.map((place) => all.low[place])), high = Math.max(...inside.map((place) => all.high[place])), pad = (high - low) * 0.08 || 1;
    const line = (value, role) => value === null ? [] : [{ type: "line", x0: moment(one.entry_ts), x1: moment(one.exit_ts), y0: value, y1: value, line: { color: colour(role), width: 1.4, dash: "dash" } }];
    draw(charts.trade, () => ({
      data: [candleTrace(all, "option"), { type: "scatter", mode: "lines+markers", x: [moment(one.entry_ts), moment(one.exit_ts)], y: [one.entry_price, one.exit_price], line: { color: colour(one.net > 0 ? "good" : "bad"), width: 1.5, dash: "dot" }, marker: { size: 11, symbol: [one.side === "BUY" ? "triangle-up" : "triangle-down", "x"], color: [colour("line"), colour(one.net > 0 ? "good" : "bad")] }, hovertemplate: "%{y:,.2f}<extra></extra>" }],
      layout: { shapes: [...line(one.stop, "bad"), ...line(one.target, "good")], xaxis: timeAxis({ range: [moment(from), moment(to)], nticks: 6 }), yaxis: priceAxis({ tickformat: ",.1f", range: [low - pad, high + pad] }), uirevision: one.trade_id },
    }));
  }
  async function why(one) {
    const found = await get("/why", { day, run, trade: one.trade_id }).catch(fail);
    if (chosen !== one || !reasons.isConnected) return;
    fill(reasons, found?.decision ? told(found.decision) : empty("Nothing of this decision was recorded: results written before decisions were kept say no more than the trade itself."));
  }
  loadList();
  return { topics: [] };
}
