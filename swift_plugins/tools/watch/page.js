"use strict";
// Texts of the model, the source and the server are set as text, never as HTML.
const EVERY_MS = 500;
const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);
const number = (value, unit = "") => (value === null || value === undefined ? "-" : `${value}${unit}`);
const clock = (row) => row.at.slice(11, 19);
const verdictOf = (row) => row.verdict || "none";

function fill(id, rows) {
  byId(id).replaceChildren(...rows.map((cells) => {
    const line = document.createElement("tr");
    line.append(...cells.map(([text, style]) => {
      const cell = document.createElement("td");
      cell.textContent = text;
      if (style) cell.className = style;
      return cell;
    }));
    return line;
  }));
}

function drawBoxes(row) {
  const [width, height] = row.size_wh;
  byId("view").setAttribute("viewBox", `0 0 ${width} ${height}`);
  const frame = byId("frame");
  frame.setAttribute("width", width);
  frame.setAttribute("height", height);
  const address = `frame/${row.frame}.jpg`;
  if (frame.getAttribute("href") !== address) frame.setAttribute("href", address);
  byId("boxes").replaceChildren(...(row.boxes || []).flatMap(({ label, box_xyxy_px: [x1, y1, x2, y2] }) => {
    const [under, box] = ["under", "box"].map((kind) => {
      const rect = document.createElementNS(SVG, "rect");
      Object.entries({ class: kind, x: x1, y: y1, width: x2 - x1, height: y2 - y1 }).forEach(([name, value]) => rect.setAttribute(name, value));
      return rect;
    });
    const text = document.createElementNS(SVG, "text");
    Object.entries({ x: x1, y: Math.max(y1 - 3, height / 30), "font-size": height / 30 }).forEach(([name, value]) => text.setAttribute(name, value));
    text.textContent = label;
    return [under, box, text];
  }));
}

function show(state) {
  byId("source").textContent = `${state.source}, model ${state.model}`;
  byId("question").textContent = state.question;
  const latency = state.latency_ms;
  byId("latency-last").textContent = number(latency.last, " ms");
  byId("latency-median").textContent = number(latency.median, " ms");
  byId("latency-p95").textContent = number(latency.p95, " ms");
  byId("fps").textContent = number(state.is_running ? state.frames_per_s : null);
  const late = state.alarms.undelivered ? `, ${state.alarms.undelivered} not delivered` : "";
  byId("alarms").textContent = `${state.alarms.raised}${late}`;
  const problems = Object.entries(state.problems).map(([where, text]) => `${where}: ${text}`);
  if (!state.is_running) problems.push("The run has ended.");
  byId("problems").hidden = !problems.length;
  byId("problems").textContent = problems.join("\n");
  if (state.latest) {
    drawBoxes(state.latest);
    byId("verdict").textContent = verdictOf(state.latest);
    byId("verdict").className = verdictOf(state.latest);
    byId("answer").textContent = state.latest.answer || state.latest.error || "";
  }
  fill("counts", Object.entries(state.counts).map(([name, count]) => [[count, "short"], [name]]));
  fill("raised", state.raised.map((alarm) => [[clock(alarm), "short"], [alarm.frame, "short"], [alarm.answer]]));
  fill("history", state.history.map((row) => [
    [row.frame, "short"], [clock(row), "short"], [verdictOf(row), verdictOf(row)], [number(row.latency_ms), "short"], [row.answer || row.error || ""],
  ]));
  document.body.dataset.ready = "1";
}

async function refresh() {
  try {
    show(await (await fetch("state.json")).json());
  } catch {
    byId("problems").hidden = false;
    byId("problems").textContent = "No connection to groundswift watch.";
  }
  setTimeout(refresh, EVERY_MS);
}

refresh();
