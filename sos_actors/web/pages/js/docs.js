// The API's own page: what may be asked, out of /openapi.json.
import { el } from "./ui.js";

const name = (schema) => {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  if (schema.anyOf) return schema.anyOf.map(name).join(" or ");
  if (schema.type === "array") return `list of ${name(schema.items) || "anything"}`;
  if (schema.type === "object") return schema.additionalProperties ? "object" : "object";
  return schema.type ?? (schema.const !== undefined ? JSON.stringify(schema.const) : "anything");
};
function fields(schema) {
  if (!schema?.properties) return [];
  return el("table", {}, el("tbody", {}, Object.entries(schema.properties).map(([key, inner]) => el("tr", {}, el("td", { class: "text" }, el("code", {}, key)), el("td", { class: "text soft" }, name(inner))))));
}
function route(path, method, about, components) {
  const gives = about.responses["200"].content["application/json"].schema;
  const inner = gives.$ref ?? gives.items?.$ref;
  const takes = about.parameters ?? [];
  const body = about.requestBody?.content["application/json"].schema;
  return el("details", { class: "card route" }, el("summary", {}, el("span", { class: `pill ${method === "get" ? "line" : "bad"}` }, method.toUpperCase()), el("code", {}, path), el("span", { class: "soft" }, about.summary)),
    takes.length ? el("dl", { class: "facts" }, takes.map((one) => [el("dt", {}, el("code", {}, one.name), one.in === "header" ? " (header)" : ""), el("dd", {}, one.description ?? JSON.stringify(one.schema.const ?? ""))])) : "",
    body ? [el("p", { class: "soft" }, "takes ", name(body)), fields(components[name(body)])] : "",
    el("p", { class: "soft" }, "gives ", name(gives)), inner ? fields(components[inner.split("/").at(-1)]) : "");
}
const described = await (await fetch("/openapi.json")).json();
document.getElementById("page").append(
  el("p", { class: "about" }, "Questions are GET and need no token on this machine. Orders are POST, with the headers Authorization: Bearer TOKEN and X-SOS-Control: 1. Changes come over the WebSocket /api/v1/stream: send {\"topics\": [\"status\"]}."),
  ...Object.entries(described.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, about]) => route(path, method, about, described.components.schemas))));
