// The state of the list of images, which the link holds; and which images it shows, in which order.
const DEFAULTS = {
  page: 1, size: runs.length > 1 ? 25 : 50, class: "", outcome: "", status: "", change: "", from: "", to: "", q: "", sort: "worst", image: "", lang: "", hide: "",
};
const SIZES = [25, 50, 100, 200];
const LOST = ["unreadable", "truncated", "missing"];
const state = { ...DEFAULTS };
const BITS = { tp: 1, fn: 2, fp: 4, unknown: 16 };

function readHash() {
  const found = new URLSearchParams(location.hash.slice(1));
  for (const [key, usual] of Object.entries(DEFAULTS)) {
    const text = found.get(key);
    const number = Number(text);
    state[key] = text === null ? usual : (typeof usual === "number" ? (Number.isInteger(number) && number > 0 ? number : usual) : text);
  }
  if (!SIZES.includes(state.size)) state.size = DEFAULTS.size;
}

function writeHash() {
  const changed = Object.entries(state).filter(([key, value]) => value !== DEFAULTS[key]);
  const text = new URLSearchParams(changed.map(([key, value]) => [key, String(value)])).toString();
  if (text !== location.hash.slice(1)) history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
}

// Texts to search in, one for each image; read once, when they are first needed.
let texts = null;
let leastIou = null;

async function readAll() {
  if (texts) return;
  const found = [];
  const ious = [];
  for (let number = 0; number < total; number += 1) {
    const views = await dataOf(number);
    const parts = [fileOf(number), String(titleOf(number)), ...index.classes[number].map((code) => classes[code >> 5])];
    for (const view of views) {
      if (view) parts.push(view.response, view.question, ...view.references, ...Object.values(view.values).map(String));
    }
    found.push(parts.join("\n").toLowerCase());
    const boxes = views[last] ? views[last].boxes : [];
    const best = bestIous(boxes);
    ious.push(boxes.flatMap((box, i) => (box.predicted ? [] : [best[i] || 0])));
  }
  texts = found;
  leastIou = ious;
}

function classFits(number, place, bit) {
  return index.classes[number].some((code) => (place < 0 || code >> 5 === place) && (bit === 0 || (code & bit) !== 0));
}

function fits(number, place, bit) {
  const status = index.statuses[lastOf("status", number)];
  if (state.status === "lost" ? !LOST.includes(status) : state.status !== "" && status !== state.status) return false;
  if (state.outcome === "clean" ? lastOf("fn", number) + lastOf("fp", number) > 0 : bit > 0 && !classFits(number, place, bit)) return false;
  if (place >= 0 && !classFits(number, place, 0)) return false;
  if (state.change !== "" && (index.change[number] & (state.change === "fixed" ? 1 : 2)) === 0) return false;
  if (state.q !== "" && !texts[number].includes(state.q.toLowerCase())) return false;
  if (state.from === "" && state.to === "") return true;
  const [from, to] = [state.from === "" ? 0 : Number(state.from), state.to === "" ? 1 : Number(state.to)];
  return leastIou[number].some((value) => value >= from && value <= to);
}

function descending(values) {
  return (a, b) => (values[b] ?? -Infinity) - (values[a] ?? -Infinity) || a - b;
}

// How two images are ordered; null for the order of the index, worst first.
function orderOf(sort) {
  const columns = index.runs[last];
  const [kind, place] = sort.split(":");
  if (kind === "name") return (a, b) => (fileOf(a) < fileOf(b) ? -1 : fileOf(a) > fileOf(b) ? 1 : a - b);
  if (kind === "fn" || kind === "fp") return descending(columns[kind]);
  if (kind === "truth") return descending(columns.truths);
  if (kind === "change") {
    const first = index.runs[0].f1;
    const fall = columns.f1.map((value, i) => (value === null || first[i] === null ? -Infinity : first[i] - value));
    return descending(fall);
  }
  const values = columns.values[Number(place)];
  if (kind === "down" && values) return descending(values);
  if (kind === "up" && values) return descending(values.map((value) => (value === null ? null : -value)));
  return null;
}

// The images that fit the filter, in the chosen order.
async function chosenImages() {
  if (state.q !== "" || state.from !== "" || state.to !== "") await readAll();
  const place = state.class === "" ? -1 : classes.indexOf(state.class);
  const bit = BITS[state.outcome] || 0;
  const found = [];
  for (let number = 0; number < total; number += 1) if (fits(number, place, bit)) found.push(number);
  if (state.sort === "best") return found.reverse();
  const order = orderOf(state.sort);
  return order ? found.sort(order) : found;
}

// The filtered list as CSV. A cell that a spreadsheet would run is quoted with an apostrophe.
function csvOf(numbers) {
  const cell = (value) => {
    const text = value === null || value === undefined ? "" : String(value);
    const safe = /^[=+@\t\r]|^-(?![\d.])/.test(text) ? `'${text}` : text;
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const names = ["status", "f1", "tp", "fn", "fp"];
  const head = ["image_id", "sample_id", "file_name", "width", "height", "fixed", "regressed"];
  for (const run of runs) head.push(...[...names, ...index.values].map((name) => (runs.length > 1 ? `${run}: ${name}` : name)));
  const rows = numbers.map((number) => {
    const sample = index.sample ? index.sample[number] : null;
    const row = [index.id[number], sample, fileOf(number), ...sizeOf(number), index.change[number] & 1, index.change[number] >> 1];
    for (const run of index.runs) {
      row.push(index.statuses[run.status[number]], ...names.slice(1).map((name) => run[name][number]), ...run.values.map((column) => column[number]));
    }
    return row;
  });
  return [head, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}
