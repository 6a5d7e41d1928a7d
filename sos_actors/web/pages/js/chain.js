// Chain: every strike of the nearest expiry, and what the chain as a whole says, at any minute of the day.
import { colour, draw, timeAxis } from "./draw.js";
import { moment, number, percent, short, sign, signed, whole, words } from "./format.js";
import { get } from "./net.js";
import { card, el, empty, fill, notice, segments, tile } from "./ui.js";

const BUILDUP = { "Long Buildup": ["LB", "b1"], "Short Covering": ["SC", "b2"], "Short Buildup": ["SB", "b3"], "Long Unwinding": ["LU", "b4"] };
const FIELDS = [["oi_change", "OI change"], ["oi", "OI"], ["iv", "IV"], ["volume", "Volume"], ["gamma", "Gamma exposure"]];
const ABOUT = { oi_change: "units over chain.oi_change_minutes", oi: "units", iv: "a year; out of the money where both", volume: "units a minute", gamma: "rupees of the index dealers must trade for a point, calls less puts" };
// Strikes either side of the money in the table, until all are asked for.
const NEAR = 10;

export function open(page, frame) {
  let chain = null, series = null, minute = "", field = "oi_change", right = "BOTH", all = false, heatAt = 0, day = "", asked = 0;
  const stored = frame.about.kind === "result";
  const tiles = el("div", { class: "tiles" }), tableBox = el("div", { class: "scroll high", id: "chain-table" });
  const when = el("small", { class: "about", id: "chain-at" }), slider = el("input", { type: "range", min: 0, max: 0, value: 0, id: "minute", "aria-label": "minute of the day", oninput: () => slide() });
  const live = el("button", { type: "button", id: "newest", onclick: () => { minute = ""; slider.value = slider.max; if (stored) load(); else { frame.again(); } } }, stored ? "Last" : "Live");
  const days = el("select", { id: "chain-day", "aria-label": "day", hidden: frame.about.days.length < 2, onchange: () => { day = days.value; minute = ""; reload(); } }, [...frame.about.days].reverse().map((one) => el("option", { value: one }, one)));
  const more = el("button", { type: "button", onclick: () => { all = !all; more.textContent = all ? "Near the money" : "All strikes"; drawTable(); } }, "All strikes");
  const charts = Object.fromEntries(["smile", "profile", "heat"].map((name) => [name, el("div", { class: `chart ${name === "heat" ? "tall" : "mid"}`, id: `${name}-chart` })]));
  const about = el("small", { class: "about" }, ABOUT[field]);
  page.append(tiles,
    el("div", { class: "card grid" }, el("header", { class: "w12 foot" }, days, el("b", {}, "Minute"), slider, when, live)),
    el("div", { class: "grid" }, card("w12", "Option chain", [legend(), more], tableBox)),
    el("div", { class: "grid" }, card("w6", "IV smile", el("small", { class: "about" }, "out of the money: puts below, calls above"), charts.smile), card("w6", "Open interest by strike", [], charts.profile)),
    el("div", { class: "grid" }, card("w12", "Heat map, strike × time", [about, segments([["BOTH", "Both"], ["CE", "Calls"], ["PE", "Puts"]], right, (chosen) => { right = chosen; heat(); }, "right"),
      segments(FIELDS, field, (chosen) => { field = chosen; about.textContent = ABOUT[chosen]; heat(); }, "figure")], charts.heat)));

  const view = {
    topics: stored ? [] : [`chain ${frame.underlying}`],
    hear(topic, parts, changed) {
      if (day && day !== frame.about.day) return;
      if (changed.includes("series")) take(parts.series);
      if (!minute && parts.chain) { chain = parts.chain; drawAll(); }
      if (!parts.chain) fill(tableBox, empty("No chain is known yet: the first comes with the first minute."));
    },
  };
  if (stored) { days.value = day = frame.about.day; reload(); }

  function named() { return { underlying: frame.underlying, day }; }
  async function reload() {
    try {
      take(await get("/chain/series", named()));
      if (!series.ts.length) return fill(tableBox, empty(`No chain of ${frame.underlying} is stored for ${day}: choose another day.`));
      await load();
      await heat();
    } catch (error) { notice(error.message, "fail"); }
  }
  async function load() {
    const number = ++asked;
    try {
      const found = await get("/chain", { ...named(), at: minute });
      if (number === asked) { chain = found; drawAll(); }
    } catch (error) { notice(error.message, "fail"); }
  }
  function take(found) {
    const atEnd = slider.value === slider.max;
    series = found;
    slider.max = Math.max(0, series.ts.length - 1);
    if (atEnd && !minute) slider.value = slider.max;
    if (series.ts.length && (series.ts.at(-1) !== heatAt)) { heatAt = series.ts.at(-1); if (!stored) heat(); }
  }
  function slide() {
    const place = Number(slider.value);
    minute = place === Number(slider.max) && !stored ? "" : moment(series.ts[place]).slice(11, 16);
    if (minute) load(); else frame.again();
  }
  function drawAll() {
    when.textContent = `${chain.at.slice(0, 16)} IST · expiry ${chain.expiry} (${number(chain.days_to_expiry, 2)} days)${minute ? " · stored minute" : ""}${chain.missing.length ? " · not known: " + chain.missing.map(words).join(", ") : ""}`;
    live.disabled = !minute;
    drawTiles();
    drawTable();
    drawSmile();
    drawProfile();
  }
  function drawTiles() {
    const f = chain.figures;
    fill(tiles,
      tile("Spot", number(f.spot), "", `fwd ${number(f.forward)}`, "below: the forward"), tile("PCR", number(f.pcr), "", `${signed(f.pcr_velocity, 3)} a minute`), tile("PCR by volume", number(f.pcr_volume), "", `by ΔOI ${number(f.pcr_oi_change)}`),
      tile("ATM IV", percent(f.atm_iv), "", f.iv_rank === null ? `skew ${signed(f.iv_skew === null ? null : 100 * f.iv_skew, 1)}` : `rank ${number(f.iv_rank, 0)}`), tile("Straddle", number(f.straddle, 1), "", `strike ${whole(f.atm_strike)}`),
      tile("Max pain", whole(f.max_pain), "", f.spot && f.max_pain ? `${signed(f.max_pain - f.spot, 0)} from spot` : ""), tile("Call wall", whole(f.oi_wall_above), "bad", `call OI ${short(f.ce_oi)}`), tile("Put wall", whole(f.oi_wall_below), "good", `put OI ${short(f.pe_oi)}`),
      tile("Gamma exp.", short(f.gamma_exposure), sign(f.gamma_exposure), f.gamma_flip === null ? "Rs for 1 %, no flip near" : `Rs for 1 %, flips at ${whole(f.gamma_flip)}`, "rupees of the index dealers must sell when it rises 1 %"), tile("Regime", words(f.regime), "words", f.smart_trend || "trend not known"),
    );
  }
  function drawTable() {
    const f = chain.figures, money = chain.strikes.indexOf(f.atm_strike);
    const places = chain.strikes.map((_, place) => place).filter((place) => all || money < 0 || Math.abs(place - money) <= NEAR);
    const most = Math.max(1, ...places.flatMap((place) => [chain.calls[place].oi ?? 0, chain.puts[place].oi ?? 0]));
    const load = (row, side) => el("span", {}, el("i", { share: (row.oi ?? 0) / most }), short(row.oi));
    const mark = (row) => { const [text, kind] = BUILDUP[row.buildup] ?? ["", ""]; return el("b", { class: kind, title: row.buildup }, text); };
    const greek = (name, digits) => [name[0], (row) => number(row[name[1]], digits)];
    const columns = [["", mark, "wide-only"], ["OI", (row, side) => load(row, side), "load"], ["ΔOI", (row) => short(row.oi_change), (row) => sign(row.oi_change)], ["Volume", (row) => short(row.volume), "wide-only"],
      ["IV", (row) => percent(row.iv), "wide-only"], [...greek(["Δ", "delta"], 2), "wide-only"], [...greek(["Γ", "gamma"], 4), "wide-only"], [...greek(["Θ/day", "theta"], 1), "wide-only"], [...greek(["Vega", "vega"], 1), "wide-only"], ["Price", (row) => number(row.price)]];
    const heads = (list) => list.map(([name, , kind]) => el("th", { class: typeof kind === "string" ? kind : "" }, name));
    const cells = (list, row, side, itm) => list.map(([name, cell, kind]) => el("td", { class: `${side} ${itm ? "itm" : ""} ${typeof kind === "function" ? kind(row) : kind ?? ""} ${name === "Price" ? "strong" : ""}` }, cell(row, side)));
    const mirrored = [...columns].reverse();
    const span = innerWidth <= 760 ? columns.filter(([, , kind]) => kind !== "wide-only").length : columns.length;
    const note = (strike) => [[f.max_pain, "MP"], [f.oi_wall_above, "CW"], [f.oi_wall_below, "PW"]].filter(([at]) => at === strike).map(([, text]) => el("span", { class: "mark", title: { MP: "max pain", CW: "call wall", PW: "put wall" }[text] }, text));
    const body = places.map((place) => {
      const strike = chain.strikes[place];
      return el("tr", { class: strike === f.atm_strike ? "atm" : "", "data-key": String(strike) }, cells(columns, chain.calls[place], "call", strike < f.spot), el("td", { class: "strike" }, whole(strike), note(strike)), cells(mirrored, chain.puts[place], "put", strike > f.spot));
    });
    fill(tableBox, el("table", { class: "chain" }, el("thead", {}, el("tr", {}, el("th", { colSpan: span }, "Calls"), el("th", { class: "strike" }, ""), el("th", { colSpan: span }, "Puts")), el("tr", {}, heads(columns), el("th", { class: "strike" }, "Strike"), heads(mirrored))), el("tbody", {}, body)));
  }
  function near() {
    const money = chain.strikes.indexOf(chain.figures.atm_strike);
    return chain.strikes.map((strike, place) => [strike, place]).filter(([, place]) => money < 0 || Math.abs(place - money) <= 20);
  }
  const uprights = () => [[chain.figures.spot, "spot", "line"], [chain.figures.max_pain, "max pain", "violet"]].filter(([at]) => at !== null).map(([at, name, role], place) => [
    { type: "line", yref: "paper", y0: 0, y1: 1, x0: at, x1: at, line: { color: colour(role), width: 1, dash: "dot" } },
    { yref: "paper", y: 1 - 0.09 * place, yanchor: "top", x: at, xanchor: "left", text: name, showarrow: false, font: { size: 10, color: colour(role) } }]);
  function drawSmile() {
    const money = chain.figures.atm_strike;
    if (![...chain.puts, ...chain.calls].some((row) => row.iv !== null)) {
      if (charts.smile.data) globalThis.Plotly.purge(charts.smile);
      return fill(charts.smile, empty("No volatility is known at this minute: in the last one before expiry there is none."));
    }
    if (!charts.smile.data) charts.smile.replaceChildren();
    const curve = (side, rows, role, name) => ({ type: "scatter", mode: "lines+markers", name, x: rows.map(([strike]) => strike), y: rows.map(([, place]) => side[place].iv), line: { color: colour(role), width: 1.6 }, marker: { size: 4 }, hovertemplate: `%{x:,.0f} ${name} %{y:.1%}<extra></extra>` });
    draw(charts.smile, () => {
      const lines = uprights();
      return { data: [curve(chain.puts, near().filter(([strike]) => money === null || strike <= money), "good", "puts"), curve(chain.calls, near().filter(([strike]) => money === null || strike >= money), "bad", "calls")],
        layout: { shapes: lines.map(([shape]) => shape), annotations: lines.map(([, text]) => text), showlegend: true, legend: { orientation: "h", x: 0, y: -0.12, yanchor: "top" }, xaxis: { tickformat: ",.0f", nticks: 6 }, yaxis: { tickformat: ".1%", nticks: 6 } } };
    });
  }
  function drawProfile() {
    const rows = near(), [size, unit] = scale(Math.max(0, ...rows.flatMap(([, place]) => [chain.calls[place].oi, chain.puts[place].oi])));
    const bars = (side, role, name) => ({ type: "bar", name, x: rows.map(([strike]) => strike), y: rows.map(([, place]) => side[place].oi === null ? null : side[place].oi / size), marker: { color: colour(role), opacity: 0.75 }, hovertemplate: `%{x:,.0f} ${name} %{y:,.2f}${unit}<extra></extra>` });
    draw(charts.profile, () => {
      const lines = uprights();
      return { data: [bars(chain.calls, "bad", "calls"), bars(chain.puts, "good", "puts")],
        layout: { barmode: "group", bargap: 0.15, shapes: lines.map(([shape]) => shape), annotations: lines.map(([, text]) => text), showlegend: true, legend: { orientation: "h", x: 0, y: -0.12, yanchor: "top" }, xaxis: { tickformat: ",.0f", nticks: 6 }, yaxis: { ticksuffix: unit, nticks: 5 } } };
    });
  }
  async function heat() {
    let found;
    try { found = await get("/chain/heat", { ...named(), field, right }); } catch (error) { return notice(error.message, "fail"); }
    if (found.field !== field || found.right !== right || !found.ts.length || !charts.heat.isConnected) return;
    const flat = found.values.flat().filter((value) => value !== null).map(Math.abs).sort((a, b) => a - b);
    const top = flat.length ? flat[Math.floor(flat.length * 0.985)] || flat.at(-1) : 1;
    const bottom = field === "iv" && flat.length ? flat[Math.floor(flat.length * 0.01)] : 0;
    const [size, unit] = field === "iv" ? [1, ""] : scale(top);
    const both = field === "oi_change" || (field === "gamma" && right === "BOTH");
    draw(charts.heat, () => ({
      data: [
        { type: "heatmap", x: found.ts.map(moment), y: found.strikes, z: found.values.map((row) => row.map((value) => value === null ? null : value / size)), zmin: both ? -top / size : bottom / size, zmax: top / size, zmid: both ? 0 : undefined, hoverongaps: false,
          colorscale: both ? [[0, colour("bad")], [0.5, colour("card")], [1, colour("good")]] : [[0, colour("card")], [0.5, colour("line")], [1, colour("violet")]],
          colorbar: { thickness: 10, outlinewidth: 0, tickformat: field === "iv" ? ".0%" : "", ticksuffix: unit, len: 0.9 }, hovertemplate: `%{x}<br>%{y:,.0f}: %{z:${field === "iv" ? ".1%" : ",.2f"}}${unit}<extra></extra>` },
        { type: "scatter", mode: "lines", x: found.ts.map(moment), y: found.spot, line: { color: colour("ink"), width: 1.4 }, hoverinfo: "skip" },
      ],
      layout: { xaxis: timeAxis({ nticks: 14, showgrid: false }), yaxis: { tickformat: ",.0f", nticks: 12, showgrid: false }, uirevision: field },
    }));
  }
  return view;
}
// What figures of this size are counted in on an axis: crore, lakh or thousand.
function scale(top) {
  return top >= 1e7 ? [1e7, " Cr"] : top >= 1e5 ? [1e5, " L"] : top >= 1e4 ? [1e3, " k"] : [1, ""];
}
function legend() {
  return el("span", { class: "legend" }, Object.entries(BUILDUP).map(([name, [text, kind]]) => el("span", {}, el("b", { class: kind }, text), " ", name.toLowerCase())), el("span", { title: "minutes set in config.yaml; not the change since yesterday's close" }, "ΔOI over chain.oi_change_minutes"));
}
