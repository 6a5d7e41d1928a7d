// Elements without HTML strings: what comes from outside is only ever text.
export function el(tag, given = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "share") made.style.setProperty("--share", String(Math.max(0, Math.min(1, value))));
    else if (name === "class") made.className = value;
    else if (name in made && name !== "list") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}
export const tile = (name, value, kind = "", below = "", about = "") =>
  el("div", { class: "tile", title: [about, below].filter(Boolean).join("; ") || undefined }, el("span", {}, name), el("b", { class: kind }, value), el("small", {}, below));
export const card = (width, title, extra, ...body) =>
  el("section", { class: `card ${width}` }, el("header", {}, el("h2", {}, title), extra ?? []), ...body);
export const pill = (text, kind = "") => el("span", { class: `pill ${kind}` }, text);
// A second line of a cell, where a phone has no room for a column of its own.
export const below = (text) => text ? el("small", { class: "phone-only soft" }, text) : "";
export const empty = (text) => el("p", { class: "empty" }, text);

// columns: [heading, cell(row) -> text or element, class, class of a row's cell]
export function table(columns, rows, options = {}) {
  const head = el("tr", {}, columns.map(([name, , kind]) => el("th", { class: kind ?? "" }, name)));
  const body = rows.map((row) => {
    const line = el("tr", options.row?.(row) ?? {});
    for (const [, cell, kind, by] of columns) line.append(el("td", { class: [kind, by?.(row)].filter(Boolean).join(" ") }, cell(row)));
    return line;
  });
  return el("table", { class: options.class ?? "" }, el("thead", {}, head), el("tbody", {}, body));
}
// Put new content in. What is already there and says the same stays, so that a click is not lost while figures change,
// nor a focus, a scrolled place or an opened detail. Rows that react to clicks carry data-key: theirs is their identity.
export function fill(box, ...content) {
  reconcile(box, content.flat(9).filter(Boolean).map((one) => typeof one === "string" ? document.createTextNode(one) : one));
}
function reconcile(box, fresh) {
  const keyed = new Map([...box.children].filter((one) => one.dataset?.key).map((one) => [one.dataset.key, one]));
  let at = box.firstChild;
  for (const next of fresh) {
    const key = next.dataset?.key;
    const old = key ? keyed.get(key) : at && !at.dataset?.key ? at : null;
    if (!old) { box.insertBefore(next, at); continue; }
    if (old !== at) box.insertBefore(old, at);
    else at = at.nextSibling;
    merge(old, next);
  }
  while (at) { const gone = at; at = at.nextSibling; gone.remove(); }
}
function merge(old, next) {
  if (old.isEqualNode(next)) return;
  if (old.nodeName !== next.nodeName || ["BUTTON", "SELECT", "INPUT"].includes(old.nodeName)) return old.replaceWith(next);
  if (old.nodeType === 3) { old.data = next.data; return; }
  for (const { name } of [...old.attributes]) if (!next.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  for (const { name, value } of next.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  if (next.style?.cssText !== old.style?.cssText) old.style.cssText = next.style.cssText;
  reconcile(old, [...next.childNodes]);
}
export function segments(choices, chosen, onPick, label = "") {
  const box = el("div", { class: "segments", role: "group", "aria-label": label });
  for (const [value, text] of choices) {
    box.append(el("button", { type: "button", "aria-pressed": String(value === chosen), onclick: () => {
      for (const one of box.children) one.setAttribute("aria-pressed", String(one.dataset.value === value));
      onPick(value);
    }, }, text));
    box.lastChild.dataset.value = value;
  }
  return box;
}
const dialogBox = () => document.getElementById("dialog");
// A question with buttons; gives what `answer` gives for the button pressed, null when it was put away.
export function ask(title, body, act, options = {}) {
  const box = dialogBox();
  if (box.open) return Promise.resolve(null);
  return new Promise((resolve) => {
    let result = null;
    const yes = el("button", { class: options.danger ? "danger" : "", id: "confirm", value: "yes" }, act);
    const no = el("button", { id: "cancel", value: "no", formNoValidate: true }, "Cancel");
    const form = el("form", { method: "dialog", onsubmit: (event) => {
      if (event.submitter === yes || event.submitter === null) result = options.answer ? options.answer(form) : true;
    }, }, el("h2", {}, title), ...body, el("div", { class: "buttons" }, options.alone ? [] : no, yes));
    box.replaceChildren(form);
    // The event of a question put away just before may come only now, while this one is open: it is not ours.
    const closed = () => { if (box.open) return; box.removeEventListener("close", closed); resolve(result); };
    box.addEventListener("close", closed);
    box.showModal();
    (options.focus ? form.querySelector(options.focus) : options.danger ? no : yes).focus();
  });
}
let noticeTimer = 0;
export function notice(text, kind = "", seconds = 8) {
  const box = document.getElementById("notice");
  box.className = kind;
  box.textContent = text;
  clearTimeout(noticeTimer);
  if (text && seconds) noticeTimer = setTimeout(() => { box.textContent = ""; }, seconds * 1000);
}
