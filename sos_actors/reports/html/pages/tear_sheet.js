"use strict";
const charts = JSON.parse(document.getElementById("charts-data").textContent);
const root = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");
root.dataset.theme = dark.matches ? "dark" : "light";

// Charts name the roles of their colours; the page's theme says what they are.
const colour = (role) => getComputedStyle(root).getPropertyValue("--" + role).trim();
const roles = new Set(["line", "good", "bad", "bad-soft", "faint"]);
function coloured(value) {
  if (Array.isArray(value)) return value.map(coloured);
  if (value === "loss-gain") return [[0, colour("bad")], [0.5, colour("card")], [1, colour("good")]];
  if (typeof value === "string") return roles.has(value) ? colour(value) : value;
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) =>
    [key, /color/i.test(key) || typeof inner === "object" ? coloured(inner) : inner]));
}
function axis(own) {
  return { gridcolor: colour("rule"), zerolinecolor: colour("faint"), linecolor: colour("rule"), automargin: true, fixedrange: true, ...own };
}
function draw() {
  for (const [name, chart] of Object.entries(charts)) {
    const layout = coloured(chart.layout);
    for (const key of Object.keys(layout)) if (/axis/.test(key)) layout[key] = axis(layout[key]);
    Plotly.react(name, coloured(chart.data), {
      margin: { l: 8, r: 8, t: 8, b: 8 }, showlegend: false, paper_bgcolor: "transparent", plot_bgcolor: "transparent",
      font: { family: "system-ui, sans-serif", size: 12, color: colour("soft") },
      hoverlabel: { bgcolor: colour("card"), bordercolor: colour("faint"), font: { color: colour("ink") } },
      ...layout, xaxis: axis(layout.xaxis), yaxis: axis(layout.yaxis),
    }, { displayModeBar: false });
  }
}
draw();
// A chart is as wide as its card, whatever made the card wider or narrower.
const watcher = new ResizeObserver((entries) => entries.forEach((entry) => Plotly.Plots.resize(entry.target)));
for (const name of Object.keys(charts)) watcher.observe(document.getElementById(name));
document.getElementById("theme").addEventListener("click", () => {
  root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
  draw();
});
dark.addEventListener("change", () => { root.dataset.theme = dark.matches ? "dark" : "light"; draw(); });

// A click on a heading sorts by its column; figures by their value, the rest as text.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, place) => head.addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") === "descending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const of = (row) => {
      const cell = row.cells[place];
      const text = cell.dataset.value ?? cell.textContent.trim();
      const number = Number(text.replace(/[,%]/g, ""));
      return text === "" || Number.isNaN(number) ? text : number;
    };
    const rows = [...table.tBodies[0].rows].map((row) => [of(row), row]);
    const order = ([a], [b]) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
    rows.sort(order);
    if (!up) rows.reverse();
    table.tBodies[0].append(...rows.map(([, row]) => row));
  }));
}
