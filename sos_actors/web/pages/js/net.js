// Talking to the server: questions, orders, and the stream of changes.
import { ask, el, notice } from "./ui.js";

const API = "/api/v1";
const kept = "sos-token";
const token = () => sessionStorage.getItem(kept) ?? "";

export async function askToken(why) {
  const given = await ask("Token", [
    el("p", { class: "about" }, why + " The token stands in the file tokens/web of the daemon's home folder. It is kept until this tab is closed."),
    el("input", { type: "password", id: "token", autocomplete: "off", required: true, "aria-label": "token" }),
  ], "Use it", { focus: "#token", answer: (form) => form.querySelector("#token").value.trim() });
  if (given) sessionStorage.setItem(kept, given);
  return given;
}
const headers = () => token() ? { Authorization: `Bearer ${token()}` } : {};

export async function get(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const tail = given.length ? "?" + new URLSearchParams(given) : "";
  const response = await fetch(API + path + tail, { headers: headers() });
  if (response.status === 401 && await askToken("Reading needs the token here.")) return get(path, query);
  const body = await response.json();
  if (!response.ok) throw new Error(body.error ?? response.statusText);
  return body;
}
// An order; the server may ask for a second confirmation (real money). Gives what was done, null when it was not.
export async function order(name, args) {
  if (!token() && !await askToken("Orders need the token.")) return null;
  const response = await fetch(`${API}/control/${name}`, {
    method: "POST", headers: { ...headers(), "X-SOS-Control": "1", "Content-Type": "application/json" }, body: JSON.stringify(args),
  });
  const body = await response.json();
  if (response.status === 401) {
    sessionStorage.removeItem(kept);
    return await askToken("That was not the token.") ? order(name, args) : null;
  }
  if (response.status === 409 && body.confirm) {
    const sure = await ask("Real money", [el("p", {}, body.error)], "Yes, " + name, { danger: true });
    return sure ? order(name, { ...args, confirm: body.confirm }) : null;
  }
  if (!response.ok) throw new Error(body.error ?? response.statusText);
  return body.done;
}
// One stream a page: `want` names topics; `hear(topic, parts, changed)` is called with all parts and the changed ones' names.
export class Stream {
  constructor(onState) {
    this.onState = onState;
    this.topics = [];
    this.parts = new Map();
    this.numbers = new Map();
    this.wait = 500;
    this.open();
  }
  want(topics, hear) {
    this.hear = hear;
    this.topics = topics;
    for (const name of [...this.parts.keys()]) if (!topics.includes(name)) this.drop(name);
    for (const name of topics) if (this.parts.has(name)) hear(name, this.parts.get(name), Object.keys(this.parts.get(name)));
    this.say();
  }
  drop(name) { this.parts.delete(name); this.numbers.delete(name); }
  say() { if (this.socket?.readyState === 1) this.socket.send(JSON.stringify({ topics: this.topics })); }
  open() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const offered = token() ? ["sos.v1", "sos.token." + token()] : ["sos.v1"];
    const socket = this.socket = new WebSocket(`${scheme}//${location.host}${API}/stream`, offered);
    socket.onopen = () => { this.wait = 500; this.parts.clear(); this.numbers.clear(); this.onState("up"); this.say(); };
    socket.onmessage = (event) => this.take(JSON.parse(event.data));
    socket.onclose = () => {
      this.onState("down");
      setTimeout(() => this.open(), this.wait);
      this.wait = Math.min(this.wait * 2, 8000);
    };
  }
  take(message) {
    if (message.error) return notice(message.error, "fail");
    const { topic, number, whole, parts } = message;
    if (!this.topics.includes(topic)) return;
    if (!whole && this.numbers.get(topic) !== number - 1) return this.socket.close(); // a gap: begin anew, whole
    this.numbers.set(topic, number);
    const all = whole ? parts : { ...this.parts.get(topic), ...parts };
    this.parts.set(topic, all);
    this.hear?.(topic, all, Object.keys(parts));
  }
}
