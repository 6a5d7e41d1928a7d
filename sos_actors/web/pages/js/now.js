// Now: what the market does, what we hold, what we did, at a glance.
import { candles, candleTrace, colour, draw, merged, priceAxis, timeAxis } from "./draw.js";
import { NOTHING, clock, contract, moment, number, percent, said, sign, signed, whole, words } from "./format.js";
import { below, card, el, empty, fill, pill, table, tile } from "./ui.js";

const BULL = { COMPLETE_BULLISH: "good", BULLISH: "good", SIDEWAYS_BULLISH: "good", COMPLETE_BEARISH: "bad", BEARISH: "bad", SIDEWAYS_BEARISH: "bad" };
const TREND = { "Long Buildup": "good", "Short Covering": "good", "Short Buildup": "bad", "Long Unwinding": "bad" };
const last = (list) => list?.length ? list.at(-1) : null;
// How much of the day the charts show at first: the last hours, wide enough to read each candle.
const SHOWN_MS = 2.25 * 3600e3, LEAST_MS = 40 * 60e3;

export function open(page, frame) {
  const parts = {}, still = frame.about.kind === "result";
  let option = "", status = frame.status;
  const tiles = el("div", { class: "tiles", id: "tiles" });
  const picker = el("select", { id: "contract", "aria-label": "contract", onchange: () => { option = picker.value; view.topics = topics(); frame.again(); } });
  const charts = Object.fromEntries(["index", "option", "equity", "pcr"].map((name) => [name, el("div", { class: `chart ${name === "index" || name === "option" ? "" : "low"}`, id: `${name}-chart` })]));
  const boxes = Object.fromEntries(["positions", "trades", "signals", "events"].map((name) => [name, el("div", { class: "scroll", id: name })]));
  const title = el("h2", {}, frame.underlying);
  const indexCard = el("section", { class: "card w6" }, el("header", {}, title, el("small", { class: "about" }, "▲▼ entries · ✕ exits · dotted: levels")), charts.index);
  page.append(tiles,
    el("div", { class: "grid" }, indexCard, card("w6", "Option", picker, charts.option)),
    el("div", { class: "grid" }, card("w8", "Positions", [], boxes.positions), card("w4", still ? "Account" : "Account today", el("small", { class: "about" }, "equity, rupees"), charts.equity)),
    el("div", { class: "grid" }, card("w3", "PCR, velocity", [], charts.pcr),
      card("w9", still ? "Trades" : "Trades today", [], boxes.trades)),
    el("div", { class: "grid" }, card("w9", "Signals", el("small", { class: "about" }, "newest first, with why not"), boxes.signals), card("w3", "Events", [], boxes.events)));

  const topics = () => [`now ${frame.underlying}${option ? " " + option : ""}`];
  const view = {
    topics: topics(),
    hear(topic, all, changed) {
      Object.assign(parts, all);
      if (!option && all.traded?.length) { option = all.traded[0]; view.topics = topics(); frame.again(); return; }
      const has = (...names) => names.some((name) => changed.includes(name));
      if (has("traded")) pickers();
      if (has("index", "index_forming", "figures", "performance", "series")) drawTiles();
      if (has("index", "index_forming", "structure", "trades", "figures")) drawIndex();
      if (has("option", "option_forming", "trades", "open")) drawOption();
      if (has("performance")) drawEquity();
      if (has("series")) drawPcr();
      if (has("trades")) drawTrades();
      if (has("signals")) drawSignals();
      if (has("events")) drawEvents();
      drawPositions();
    },
    status(now) { status = now; drawPositions(); drawTiles(); drawEvents(); },
  };

  function pickers() {
    const held = new Set((status?.positions ?? []).map((one) => one.instrument));
    picker.replaceChildren(...parts.traded.map((id) => el("option", { value: id, selected: id === option }, contract(id) + (held.has(id) ? " · held" : ""))));
    if (!parts.traded.includes(option) && option) picker.prepend(el("option", { value: option, selected: true }, contract(option)));
    picker.hidden = !parts.traded.length;
  }
  function price() { return parts.index_forming?.[4] ?? last(parts.index?.close) ?? null; }
  function drawTiles() {
    const figures = parts.figures ?? {}, bars = parts.index, result = parts.performance?.figures ?? {};
    const first = bars?.open[0] ?? null, at = price(), move = first === null || at === null ? null : at - first;
    const unrealised = status?.positions.reduce((sum, one) => sum + (one.unrealised ?? 0), 0) ?? null;
    const curve = parts.performance?.equity ?? [];
    const today = curve.length ? (status?.equity ?? last(curve)) - curve[0] : null;
    fill(tiles,
      tile(frame.underlying, number(at), sign(move), move === null ? "" : `${signed(move, Math.abs(move) < 100 ? 1 : 0)}, ${signed(100 * move / first)}% from open`, "last price; change from the day's open"),
      tile("Day's result", signed(today, 0), sign(today), today === null ? "no mark yet" : `${signed(100 * today / curve[0])}%`, "with what is open marked to market; part of the day's first equity"),
      tile("Open result", signed(unrealised, 0), sign(unrealised), `${status?.positions.length ?? 0} held, gross`, "before charges"),
      tile("Closed, net", signed(result.net, 0), sign(result.net), result.trades ? `${result.trades}, ${percent(result.win_rate, 0)} won` : "no trades yet"),
      tile("Regime", words(figures.regime) || NOTHING, `words ${BULL[figures.regime] ?? ""}`, ""),
      tile("Smart trend", figures.smart_trend || NOTHING, `words ${TREND[figures.smart_trend] ?? ""}`, "price × OI"),
      tile("PCR", number(figures.pcr), "", `${signed(figures.pcr_velocity, 3)} a minute`, "puts over calls by open interest; its change over the configured minutes, stated a minute"),
      tile("ATM IV", percent(figures.atm_iv), "", `skew ${signed(figures.iv_skew === null ? null : 100 * (figures.iv_skew ?? NaN), 1)}`, "points of volatility"),
      tile("ATM straddle", number(figures.straddle, 1), "", `strike ${whole(figures.atm_strike)}`),
      tile("Max pain", whole(figures.max_pain), "", `walls ${whole(figures.oi_wall_below)}–${whole(figures.oi_wall_above)}`, "below: the walls of open interest under and over the price"),
    );
  }
  function range(bars) {
    const end = last(bars.start);
    if (!end) return undefined;
    const from = Math.max(end / 1e6 - SHOWN_MS, Math.min(bars.start[0] / 1e6, end / 1e6 - LEAST_MS));
    return [moment(from * 1e6 - 60e9), moment(end + 6 * 60e9)];
  }
  function visible(bars) {
    const from = last(bars.start) / 1e6 - SHOWN_MS;
    const places = bars.start.map((start, place) => start / 1e6 >= from ? place : -1).filter((place) => place >= 0);
    return [Math.min(...places.map((place) => bars.low[place])), Math.max(...places.map((place) => bars.high[place]))];
  }
  function drawIndex() {
    const bars = candles(parts.index, parts.index_forming);
    if (!bars.start.length) return fill(charts.index, empty(still ? "No bars of the index are stored for this day." : "No bar of the index yet: the first comes at the end of the session's first minute."));
    if (!charts.index.data) charts.index.replaceChildren();
    title.replaceChildren(frame.underlying, " ", el("span", { class: sign(price() - parts.index?.open[0]) }, number(price())));
    draw(charts.index, () => {
      const [low, high] = visible(bars), pad = Math.max((high - low) * 0.12, 1), s = parts.structure ?? {}, f = parts.figures ?? {};
      const inside = (value) => value !== null && value !== undefined && value > low - 2 * pad && value < high + 2 * pad ? value : null;
      const wanted = [[inside(s.hurdle_above), "hurdle", "bad", "dash"], [inside(s.hurdle_below), "hurdle", "good", "dash"], [inside(s.opening_high), "opening high", "soft"], [inside(s.opening_low), "opening low", "soft"],
        [inside(f.oi_wall_above), "call wall", "bad"], [inside(f.oi_wall_below), "put wall", "good"], [inside(f.max_pain), "max pain", "violet"], [inside(s.prev_close), "previous close", "faint"]];
      const kept = wanted.map(([value]) => value).filter((value) => value !== null);
      return {
        data: [candleTrace(bars, frame.underlying), ...marks(bars)],
        layout: { ...merged(wanted, (Math.max(high, ...kept) - Math.min(low, ...kept)) * 0.05), xaxis: timeAxis({ range: range(bars) }), yaxis: priceAxis({ range: [Math.min(low, ...kept) - pad, Math.max(high, ...kept) + pad] }), uirevision: "index" },
      };
    });
  }
  // Trades on the index: where they began and ended, at the index's price of that minute.
  function marks(bars) {
    const at = (ns) => {
      let place = bars.start.findIndex((start) => start > ns) - 1;
      if (place < 0) place = ns >= bars.start[0] ? bars.start.length - 1 : 0;
      return place;
    };
    const trades = (parts.trades ?? []).filter((one) => one.underlying === frame.underlying);
    const open = (parts.open ?? []).filter((one) => one.underlying === frame.underlying);
    const all = [...trades, ...open];
    const entry = (one) => one.direction === "LONG" ? bars.low[at(one.entry_ts)] : bars.high[at(one.entry_ts)];
    return [
      { type: "scatter", mode: "markers", x: all.map((one) => moment(one.entry_ts)), y: all.map(entry), cliponaxis: false,
        marker: { size: 10, symbol: all.map((one) => one.direction === "LONG" ? "triangle-up" : "triangle-down"), color: colour("line"), line: { width: 1, color: colour("card") } },
        text: all.map((one) => `${one.strategy}<br>${contract(one.instrument)}`), hovertemplate: "%{text}<extra></extra>" },
      { type: "scatter", mode: "markers", x: trades.map((one) => moment(one.exit_ts)), y: trades.map((one) => bars.close[at(one.exit_ts)]),
        marker: { size: 8, symbol: "x-thin", line: { width: 2, color: trades.map((one) => colour(one.net > 0 ? "good" : "bad")) } },
        text: trades.map((one) => `${words(one.exit_reason)}: ${one.strategy}<br>net ${signed(one.net, 0)}`), hovertemplate: "%{text}<extra></extra>" },
    ];
  }
  function drawOption() {
    const bars = candles(parts.option, parts.option_forming);
    if (!bars.start.length || parts.option?.instrument !== option) return fill(charts.option, ...(charts.option.data ? [] : [empty(option ? "No bars of this contract yet." : "Nothing traded or at the money yet.")]));
    if (!charts.option.data) charts.option.replaceChildren();
    draw(charts.option, () => {
      const [low, high] = visible(bars), pad = Math.max((high - low) * 0.12, 0.5);
      const trades = (parts.trades ?? []).filter((one) => one.instrument === option);
      const open = (parts.open ?? []).filter((one) => one.instrument === option);
      const held = (status?.positions ?? []).filter((one) => one.instrument === option);
      const wanted = held.flatMap((one) => [[one.stop, "stop", "bad", "dash"], [one.target, "target", "good", "dash"], [one.entry, "entry", "line", "dash"]]);
      const kept = wanted.map(([value]) => value).filter((value) => value !== null && value !== undefined);
      const lines = trades.map((one) => ({ type: "line", x0: moment(one.entry_ts), y0: one.entry_price, x1: moment(one.exit_ts), y1: one.exit_price, line: { color: colour(one.net > 0 ? "good" : "bad"), width: 1.5, dash: "dot" } }));
      const stops = trades.flatMap((one) => [[one.stop, "bad"], [one.target, "good"]].filter(([value]) => value).map(([value, role]) => ({ type: "line", x0: moment(one.entry_ts), x1: moment(one.exit_ts), y0: value, y1: value, line: { color: colour(role), width: 1 } })));
      const made = merged(wanted, (Math.max(high, ...kept) - Math.min(low, ...kept)) * 0.05);
      const entered = [...trades, ...open];
      return {
        data: [candleTrace(bars, contract(option)),
          { type: "scatter", mode: "markers", x: entered.map((one) => moment(one.entry_ts)), y: entered.map((one) => one.entry_price), text: entered.map((one) => one.strategy),
            marker: { size: 11, symbol: entered.map((one) => one.side === "BUY" ? "triangle-up" : "triangle-down"), color: colour("line"), line: { width: 1, color: colour("card") } }, hovertemplate: "%{text}<br>in at %{y:,.2f}<extra></extra>" },
          { type: "scatter", mode: "markers", x: trades.map((one) => moment(one.exit_ts)), y: trades.map((one) => one.exit_price), text: trades.map((one) => `${words(one.exit_reason)}, net ${signed(one.net, 0)}`),
            marker: { size: 9, symbol: "x-thin", line: { width: 2.5, color: trades.map((one) => colour(one.net > 0 ? "good" : "bad")) } }, hovertemplate: "out at %{y:,.2f}<br>%{text}<extra></extra>" }],
        layout: { shapes: [...made.shapes, ...lines, ...stops], annotations: made.annotations, xaxis: timeAxis({ range: range(bars) }),
          yaxis: priceAxis({ tickformat: ",.1f", range: [Math.min(low, ...kept) - pad, Math.max(high, ...kept) + pad] }), uirevision: option },
      };
    });
  }
  function drawEquity() {
    const { ts = [], equity = [] } = parts.performance ?? {};
    if (!ts.length) return fill(charts.equity, empty(still ? "This result holds no trade on this day, so the account did not move." : "The account is marked once it trades."));
    if (!charts.equity.data) charts.equity.replaceChildren();
    draw(charts.equity, () => {
      const begin = equity[0], end = last(equity), role = end >= begin ? "good" : "bad";
      return {
        data: [{ type: "scatter", mode: "lines", x: [ts[0], last(ts)].map(moment), y: [begin, begin], line: { color: colour("faint"), width: 1, dash: "dot" }, hoverinfo: "skip" },
          { type: "scatter", mode: "lines", x: ts.map(moment), y: equity, line: { color: colour(role), width: 1.8, shape: "hv" }, fill: "tonexty", fillcolor: colour(role + "-soft"), hovertemplate: "%{x}<br>%{y:,.0f}<extra></extra>" }],
        layout: { xaxis: timeAxis(), yaxis: priceAxis({ range: around([...equity, begin]), nticks: 5 }) },
      };
    });
  }
  function around(values) {
    const low = Math.min(...values), high = Math.max(...values), pad = Math.max((high - low) * 0.1, 500);
    return [low - pad, high + pad];
  }
  function drawPcr() {
    const { ts = [], series = {} } = parts.series ?? {};
    if (!ts.length) return;
    draw(charts.pcr, () => ({
      data: [
        { type: "bar", x: ts.map(moment), y: series.pcr_velocity, yaxis: "y2", marker: { color: series.pcr_velocity.map((value) => colour(value > 0 ? "good" : "bad")), opacity: 0.45 }, hovertemplate: "velocity %{y:.3f}<extra></extra>" },
        { type: "scatter", mode: "lines", x: ts.map(moment), y: series.pcr, line: { color: colour("line"), width: 1.8 }, hovertemplate: "%{x}<br>PCR %{y:.2f}<extra></extra>" },
      ],
      layout: { bargap: 0, xaxis: timeAxis({ nticks: 6 }), yaxis: { side: "right", tickformat: ".2f", nticks: 5 }, yaxis2: { overlaying: "y", side: "left", showgrid: false, tickformat: ".3~f", nticks: 4 } },
    }));
  }
  function drawPositions() {
    const rows = status?.positions ?? [];
    if (!rows.length) return fill(boxes.positions, empty(still ? "Nothing is held: this is a day that is over." : status && !status.ready ? `Nothing is held, and nothing is entered now: ${status.not_ready.join("; ")}.` : "Nothing is held."));
    fill(boxes.positions, table([
      ["contract", (one) => [contract(one.instrument), below(one.strategy), below(`in ${number(one.entry)}, stop ${number(one.stop)}, target ${number(one.target)}`)], "text"], ["strategy", (one) => one.strategy, "text clip wide-only"], ["units", (one) => whole(one.quantity)],
      ["entry", (one) => number(one.entry), "wide-only"], ["now", (one) => number(one.price)], ["stop", (one) => number(one.stop), "wide-only"], ["target", (one) => number(one.target), "wide-only"],
      ["result", (one) => signed(one.unrealised, 0), "", (one) => sign(one.unrealised)],
      ["", (one) => frame.about.kind === "result" ? "" : el("button", { type: "button", title: "close this strategy's positions", onclick: (event) => { event.stopPropagation(); frame.order("flatten", one.strategy); } }, "Close")],
    ], rows, { row: (one) => ({ class: "pick", "data-key": `${one.strategy} ${one.instrument}`, onclick: () => { option = one.instrument; view.topics = topics(); frame.again(); } }) }));
  }
  function drawTrades() {
    const rows = [...(parts.trades ?? [])].reverse();
    if (!rows.length) return fill(boxes.trades, empty(still ? "No trade was closed on this day." : "No trade was closed today."));
    fill(boxes.trades, table([
      ["in", (one) => clock(one.entry_ts), "text wide-only"], ["out", (one) => clock(one.exit_ts), "text"], ["contract", (one) => [contract(one.instrument), below(one.strategy), below(`${whole(one.quantity)} at ${number(one.entry_price)}, out at ${number(one.exit_price)}`)], "text"], ["strategy", (one) => one.strategy, "text wide-only"], ["units", (one) => whole(one.quantity), "wide-only"],
      ["entry", (one) => number(one.entry_price), "wide-only"], ["exit", (one) => number(one.exit_price), "wide-only"], ["net", (one) => signed(one.net, 0), "", (one) => sign(one.net)],
      ["R", (one) => signed(one.r_multiple), "wide-only", (one) => sign(one.r_multiple)], ["left by", (one) => words(one.exit_reason), "text"],
    ], rows, { row: (one) => ({ class: "pick", "data-key": one.trade_id, title: "show on the chart", onclick: () => { option = one.instrument; view.topics = topics(); frame.again(); } }) }));
  }
  function drawSignals() {
    const rows = parts.signals ?? [];
    if (!rows.length) return fill(boxes.signals, empty(still ? "A result keeps no signals but those of its trades; open one on the History page to see why it was made." : "No strategy has given a signal today."));
    fill(boxes.signals, table([
      ["time", (one) => clock(one.ts), "text"], ["strategy", (one) => [one.strategy, below(one.detail)], "text wrap-phone"], ["", (one) => one.direction ? pill(words(one.direction), one.direction === "LONG" ? "good" : "bad") : "", "text"],
      ["entry", (one) => number(one.entry), "wide-only"], ["stop", (one) => number(one.stop), "wide-only"], ["target", (one) => number(one.target), "wide-only"],
      ["outcome", (one) => pill(words(one.outcome), one.outcome === "entered" ? "good" : one.outcome === "under way" ? "line" : "warn"), "text"], ["why", (one) => one.detail, "text soft wrap wide-only"],
    ], rows));
  }
  function drawEvents() {
    const told = (status?.events ?? []).map((one) => ({ at: one.at.slice(-8, -3), who: one.who, what: one.what }));
    // What this life of the daemon told, and before it what the day's earlier ones did.
    const before = (parts.events ?? []).filter((one) => !told.length || moment(one.ts) < status.started).map((one) => ({ at: clock(one.ts), who: one.who, what: one.what }));
    const rows = [...told, ...before];
    fill(boxes.events, rows.length ? table([["time", (one) => one.at, "text"], ["what", (one) => one.what.startsWith(one.who) ? said(one.what) : [el("span", { class: "soft" }, said(one.who) + " "), said(one.what)], "text wrap"]], rows) : empty(still ? "A result keeps no events." : "Nothing happened worth telling."));
  }
  return view;
}
