// How figures and times are written: Indian digit groups, India Standard Time, '-' where nothing is known.
export const NOTHING = "–";
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const IST_MS = 19800000;
const known = (value) => value !== null && value !== undefined && Number.isFinite(value);

function grouped(digits) {
  const head = digits.slice(0, -3), tail = digits.slice(-3);
  return head ? head.replace(/\B(?=(\d\d)+$)/g, ",") + "," + tail : tail;
}
export function number(value, digits = 2) {
  if (!known(value)) return NOTHING;
  const [whole, part] = Math.abs(value).toFixed(digits).split(".");
  const sign = value < 0 && Number(Math.abs(value).toFixed(digits)) !== 0 ? "−" : "";
  return sign + grouped(whole) + (part ? "." + part : "");
}
export const whole = (value) => number(value, 0);
export const signed = (value, digits = 2) => (known(value) && value > 0 ? "+" : "") + number(value, digits);
export const percent = (value, digits = 1) => known(value) ? number(100 * value, digits) + "%" : NOTHING;
// Open interest and volume as traders say them: lakh (1,00,000) and crore (1,00,00,000).
export function short(value) {
  if (!known(value)) return NOTHING;
  const size = Math.abs(value);
  if (size >= 1e10) return whole(value / 1e7) + " Cr";
  if (size >= 1e7) return number(value / 1e7, 2) + " Cr";
  if (size >= 1e5) return number(value / 1e5, 2) + " L";
  if (size >= 1e4) return number(value / 1e3, 1) + " k";
  return whole(value);
}
export const sign = (value) => !known(value) || value === 0 ? "" : value > 0 ? "good" : "bad";
// A moment (UTC ns) as chart libraries take it: Indian wall time without a zone.
export const moment = (ns) => new Date(ns / 1e6 + IST_MS).toISOString().slice(0, 19).replace("T", " ");
export const clock = (ns, seconds = false) => moment(ns).slice(11, seconds ? 19 : 16);
export const span = (minutes) => !known(minutes) ? NOTHING : minutes < 90 ? number(minutes, 0) + " min" : number(minutes / 60, 1) + " h";
export function micro(us) {
  if (!known(us)) return NOTHING;
  return us < 1000 ? number(us, us < 10 ? 1 : 0) + " µs" : us < 1e6 ? number(us / 1000, 1) + " ms" : number(us / 1e6, 1) + " s";
}
export function age(seconds) {
  if (!known(seconds)) return NOTHING;
  return seconds < 10 ? number(seconds, 1) + " s" : seconds < 120 ? whole(seconds) + " s" : whole(seconds / 60) + " min";
}
export const date = (day) => `${Number(day.slice(8))} ${MONTHS[Number(day.slice(5, 7)) - 1]}`;
// NSE|OPT|NIFTY|2025-09-02|24500|CE as a trader says it.
export function contract(id) {
  const [, kind, name, expiry, strike, right] = id.split("|");
  if (kind === "INDEX") return name;
  const text = expiry ? date(expiry) : "";
  return kind === "OPT" ? `${name} ${strike} ${right} ${text}` : `${name} FUT ${text}`;
}
// A sentence in which contracts are written as ids, as a trader says it.
export const said = (text) => text.replace(/\b[A-Z]+\|(INDEX\|\w+|OPT\|\w+\|[-\d]+\|[\d.]+\|(CE|PE)|FUT\|\w+\|[-\d]+)/g, contract).replace(/\b[A-Z]+_[A-Z_]+\b/g, words);
export const words = (text) => (text ?? "").replaceAll("_", " ").toLowerCase();
