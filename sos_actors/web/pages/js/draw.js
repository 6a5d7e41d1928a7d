// Charts: one look for all, colours by role from the theme.
import { clock, moment } from "./format.js";

const root = document.documentElement;
export const colour = (role) => getComputedStyle(root).getPropertyValue("--" + role).trim();
const watcher = new ResizeObserver((entries) => entries.forEach(({ target }) => {
  if (target.isConnected && target.data && target.clientWidth) globalThis.Plotly.Plots.resize(target);
}));
const drawn = new Set();

function axis(own = {}) {
  return { gridcolor: colour("rule"), zerolinecolor: colour("faint"), linecolor: colour("rule"), automargin: true, ...own };
}
// `make` gives { data, layout }; it is called again when the theme changes.
export function draw(box, make) {
  box.remake = make;
  drawn.add(box);
  watcher.observe(box);
  const { data, layout } = make();
  const axes = Object.fromEntries(Object.entries(layout).filter(([key]) => /^[xy]axis/.test(key)).map(([key, own]) => [key, axis(own)]));
  return globalThis.Plotly.react(box, data, {
    margin: { l: 4, r: 4, t: 6, b: 4 }, showlegend: false, paper_bgcolor: "transparent", plot_bgcolor: "transparent",
    font: { family: "system-ui, sans-serif", size: 11, color: colour("soft") }, dragmode: "pan", uirevision: box.id || "keep",
    hoverlabel: { bgcolor: colour("card"), bordercolor: colour("faint"), font: { color: colour("ink"), size: 12 } },
    xaxis: axis(), yaxis: axis(), ...layout, ...axes,
  }, { displayModeBar: false, responsive: false, scrollZoom: false, doubleClick: "reset" });
}
export function redraw() {
  for (const box of [...drawn]) {
    if (box.isConnected) draw(box, box.remake);
    else { drawn.delete(box); watcher.unobserve(box); globalThis.Plotly.purge(box); }
  }
}
// Candles of columns, with the bar being built behind them.
export function candles(columns, forming) {
  const bars = columns ? { start: [...columns.start], open: [...columns.open], high: [...columns.high], low: [...columns.low], close: [...columns.close] }
    : { start: [], open: [], high: [], low: [], close: [] };
  if (forming && (!bars.start.length || forming[0] > bars.start.at(-1))) {
    ["start", "open", "high", "low", "close"].forEach((name, place) => bars[name].push(forming[place]));
  }
  return bars;
}
// Bars that hold one price each (a chain's) are points of a line, not candles.
export function candleTrace(bars, name) {
  if (bars.start.length && bars.high.every((high, place) => high === bars.low[place])) {
    return { type: "scatter", mode: "lines+markers", name, x: bars.start.map(moment), y: bars.close, line: { color: colour("faint"), width: 1.4 }, marker: { size: 4, color: colour("soft") }, hoverinfo: "x+y" };
  }
  return {
    type: "candlestick", name, x: bars.start.map(moment), open: bars.open, high: bars.high, low: bars.low, close: bars.close,
    increasing: { line: { color: colour("good"), width: 1 }, fillcolor: colour("good") },
    decreasing: { line: { color: colour("bad"), width: 1 }, fillcolor: colour("bad") }, hoverinfo: "x+y",
  };
}
// A level across the chart with its name at the right edge.
export function level(value, name, role, dash = "dot") {
  if (value === null || value === undefined) return { shapes: [], annotations: [] };
  return {
    shapes: [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: value, y1: value, line: { color: colour(role), width: 1, dash }, layer: "below" }],
    annotations: [{ xref: "paper", x: 1, xanchor: "right", y: value, yanchor: "bottom", text: name, showarrow: false, font: { size: 10, color: colour(role) } }],
  };
}
export function levels(...found) {
  return { shapes: found.flatMap((one) => one.shapes), annotations: found.flatMap((one) => one.annotations) };
}
// Of levels so near that their names would cover one another one carries all names.
export function merged(wanted, gap) {
  const sorted = wanted.filter(([value]) => value !== null && value !== undefined).sort((a, b) => a[0] - b[0]);
  const out = [];
  for (const [value, name, role, dash] of sorted) {
    const last = out.at(-1);
    if (last && value - last.top < gap) { if (!last.name.split(" · ").includes(name)) last.name += " · " + name; last.top = value; last.lines.push([value, role, dash]); }
    else out.push({ top: value, name, role, lines: [[value, role, dash]] });
  }
  return levels(...out.flatMap((one) => one.lines.map(([value, role, dash], place) => {
    const made = level(value, one.name, one.role, dash);
    return place === one.lines.length - 1 ? made : { shapes: made.shapes, annotations: [] };
  })));
}
export const timeAxis = (extra = {}) => ({ type: "date", tickformat: "%H:%M", rangeslider: { visible: false }, hoverformat: "%H:%M", nticks: innerWidth < 760 ? 5 : 9, ...extra });
export const priceAxis = (extra = {}) => ({ side: "right", tickformat: ",.0f", nticks: 7, ...extra });
export { clock };
