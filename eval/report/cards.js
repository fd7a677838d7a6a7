// The toolbar, a page of cards, and the pager.
let chosen = [];
let drawing = 0; // which list is being drawn: an older one stops

const option = (value, text) => make("option", { value }, text);

function selector(key, label, options) {
  const select = make("select", { id: `filter-${key}`, onchange: () => { change({ [key]: select.value }); } }, ...options);
  select.value = state[key];
  if (select.selectedIndex < 0) select.value = DEFAULTS[key];
  return make("label", {}, `${label} `, select);
}

function classOptions() {
  return [option("", word("class.all")), ...classes.map((name, place) => option(name, classOf(place)))];
}

function sortOptions() {
  const found = ["worst", "best", "name", "fn", "fp", "truth"].map((key) => option(key, word(`sort.${key}`)));
  if (runs.length > 1) found.push(option("change", word("sort.change")));
  index.values.forEach((name, place) => {
    found.push(option(`up:${place}`, word("sort.up", { name: titled(name) })), option(`down:${place}`, word("sort.down", { name: titled(name) })));
  });
  return found;
}

function box(letter, text) {
  const input = make("input", { type: "checkbox", id: `show-${letter}`, onchange: () => { change({ hide: toggled(letter) }, false); } });
  input.checked = !state.hide.includes(letter);
  return make("label", {}, input, ` ${text}`);
}

const toggled = (letter) => (state.hide.includes(letter) ? state.hide.replace(letter, "") : state.hide + letter);

function range(key) {
  const attributes = { type: "number", id: `filter-${key}`, min: 0, max: 1, step: 0.05, value: state[key], "aria-label": word("iou.title") };
  return make("input", { ...attributes, onchange: (event) => { change({ [key]: event.target.value }); } });
}

function toolbar() {
  const search = make("input", { type: "search", id: "filter-q", placeholder: word("search"), "aria-label": word("search"), value: state.q });
  let timer = 0;
  search.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => change({ q: search.value }), 180); });
  const outcomeKeys = ["tp", "fn", "fp", "clean", ...(boxBits() & BITS.unknown ? ["unknown"] : [])];
  const statuses = [option("", word("status.any")), ...index.statuses.map((name) => option(name, titled(name))), option("lost", word("status.lost"))];
  const withBoxes = classes.length > 0;
  return [
    withBoxes ? selector("class", word("class"), classOptions()) : null,
    withBoxes ? selector("outcome", word("outcome"), [option("", word("outcome.any")), ...outcomeKeys.map((key) => option(key, word(`outcome.${key}`)))]) : null,
    selector("status", word("status"), statuses),
    runs.length > 1 ? selector("change", word("change"), ["any", "fixed", "regressed"].map((key) => option(key === "any" ? "" : key, word(`change.${key}`)))) : null,
    withBoxes ? make("label", { title: word("iou.title") }, `${word("iou")} `, range("from"), "–", range("to")) : null,
    search,
    selector("sort", word("sort"), sortOptions()),
    ...(withBoxes ? [box("t", word("show.truth")), box("p", word("show.predictions")), box("l", word("show.labels"))] : []),
    make("button", { type: "button", id: "reset", onclick: () => { change({ ...DEFAULTS, lang: state.lang }); } }, word("reset")),
    make("button", { type: "button", id: "csv", title: word("csv.title"), onclick: saveCsv }, word("csv")),
    make("output", { id: "shown", class: "quiet" }),
  ].filter(Boolean);
}

function saveCsv() {
  const link = make("a", { href: URL.createObjectURL(new Blob(["\ufeff", csvOf(chosen)], { type: "text/csv" })), download: "images.csv" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

const LEGEND = [ // words, outcome, whether a prediction, bits of which one must be there
  ["legend.truth", "true_positive", false, 9], ["legend.missed", "false_negative", false, 10], ["legend.found", "true_positive", true, 9],
  ["legend.wrong", "false_positive", true, 12], ["legend.other", "crowd", false, 8], ["legend.unknown", "unknown_label", true, 16],
];

// Which outcomes there are in the last run, as bits.
const boxBits = () => index.classes.flat().reduce((bits, code) => bits | (code & 31), 0);

function legend() {
  const bits = boxBits();
  return LEGEND.filter((row) => bits & row[3]).map(([key, outcome, predicted]) => {
    const canvas = make("canvas", { width: 84, height: 44, style: "width:42px;height:22px", class: "swatch" });
    const found = { outcome, predicted };
    const context = canvas.getContext("2d");
    context.fillStyle = "#4a4f55";
    context.fillRect(0, 0, 84, 44);
    strokeBox(context, [10, 9, 64, 26], found, 2, false, false);
    return make("li", {}, canvas, word(key));
  });
}

function linesOf(number, run, named = false) {
  const columns = index.runs[run];
  const status = index.statuses[columns.status[number]];
  const parts = runs.length > 1 && named ? [`${runs[run]}: `] : [];
  if (columns.f1[number] !== null) parts.push(make("b", {}, `F1 ${numberText(columns.f1[number], 2)}`), ` ${columns.tp[number]} TP ${columns.fn[number]} FN ${columns.fp[number]} FP `);
  index.values.slice(0, 2).forEach((name, place) => {
    const value = columns.values[place][number];
    if (value !== null) parts.push(make("b", {}, `${titled(name)} ${numberText(value)}`), " ");
  });
  if (status !== "ok") parts.push(make("span", { class: `status ${status}` }, titled(status)));
  return make("div", { class: "line" }, ...parts);
}

function cardOf(number) {
  const canvases = runs.map((_, run) => (index.runs[run].status[number] === null
    ? make("div", { class: "absent" }, word("no.run")) : make("canvas", { "data-run": run })));
  const button = make("button", { type: "button", "aria-label": fileOf(number), onclick: () => { openViewer(number); } }, make("div", { class: "views" }, ...canvases));
  const gains = [["fixed", 1], ["regressed", 2]].filter(([, bit]) => index.change[number] & bit);
  return make("article", { class: "card", "data-number": number }, button,
    make("div", { class: "name", title: fileOf(number) }, fileOf(number).slice(commonFolder), " ", make("span", { class: "quiet" }, `${titleOf(number)}`)),
    ...runs.map((_, run) => (index.runs[run].status[number] === null ? null : linesOf(number, run, true))),
    runs.length > 1 && gains.length ? make("div", {}, ...gains.map(([key]) => make("span", { class: `tagged ${key}` }, `${word(`change.${key}`)} `))) : null);
}

async function fillCard(card, number) {
  const [views, { image, note }] = await Promise.all([dataOf(number), thumbnailOf(number)]);
  const size = drawnSize(number, views);
  const ratio = Math.min(2, window.devicePixelRatio || 1);
  for (const canvas of all("canvas", card)) {
    canvas.width = Math.round((canvas.clientWidth || 214) * ratio);
    canvas.height = Math.round((canvas.clientHeight || 160) * ratio);
    const view = views[Number(canvas.dataset.run)];
    drawImage(canvas, image, size, view ? view.boxes : [], wholeView(canvas, size), { ratio, tags: 4, font: 9.5 });
    canvas.dataset.drawn = image ? "image" : "blank";
  }
  all(".said", card).forEach((part) => part.remove());
  const text = views[last] || views.find(Boolean);
  if (text && text.question) card.append(make("div", { class: "said say" }, text.question));
  const truth = text && text.references.length ? ` (${word("truth")}: ${text.references.join(" / ")})` : "";
  if (text && (text.question || !text.boxes.length) && text.response) card.append(make("div", { class: "said say quiet" }, `${text.response}${truth}`));
  if (note && note[0] !== "no.images") card.append(make("div", { class: "said note" }, word(note[0], note[1])));
}

function pager(pages) {
  const turn = (step) => { change({ page: Math.max(1, Math.min(pages, state.page + step)) }, false); one("#images").scrollIntoView(); };
  const size = make("select", { id: "page-size", onchange: () => { change({ size: Number(size.value), page: 1 }); } }, ...SIZES.map((count) => option(count, count)));
  size.value = state.size;
  return [
    make("button", { type: "button", id: "previous", disabled: state.page <= 1, onclick: () => turn(-1) }, `← ${word("previous")}`),
    make("span", { id: "page" }, word("page", { page: state.page, pages })),
    make("button", { type: "button", id: "next", disabled: state.page >= pages, onclick: () => turn(1) }, `${word("next")} →`),
    size,
  ];
}

async function showImages() {
  const turn = ++drawing;
  delete one("#cards").dataset.ready;
  if (state.q !== "" && !texts) one("#shown").value = word("searching");
  const found = await chosenImages();
  if (turn !== drawing) return;
  chosen = found;
  const pages = Math.max(1, Math.ceil(chosen.length / state.size));
  state.page = Math.min(state.page, pages);
  const numbers = chosen.slice((state.page - 1) * state.size, state.page * state.size);
  one("#shown").value = word(index.sample ? "shown.rows" : "shown", { shown: chosen.length.toLocaleString("en"), total: total.toLocaleString("en") });
  one("#nothing-shown").hidden = chosen.length > 0;
  one("#pager").replaceChildren(...pager(pages));
  const cards = numbers.map(cardOf);
  one("#cards").replaceChildren(...cards);
  for (const [place, card] of cards.entries()) {
    await fillCard(card, numbers[place]);
    if (turn !== drawing) return;
  }
  one("#cards").dataset.ready = "yes";
}

// Change the state, the link and the page. A filter starts at page 1 again.
function change(changes, first = true) {
  Object.assign(state, first ? { page: 1 } : {}, changes);
  show();
}

function show() {
  writeHash();
  if (total) {
    const focus = document.activeElement && document.activeElement.id;
    if (focus !== "filter-q") one("#toolbar").replaceChildren(...toolbar());
    if (focus && focus !== "filter-q" && document.getElementById(focus)) document.getElementById(focus).focus();
    showImages();
  }
  showCurves();
}
