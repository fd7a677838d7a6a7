// One image, large: zoom, boxes as a list, texts of the answer, and the keys of the page.
let shownImage = null; // {number, image, views, size, view, hover}

const BIGGEST = 60;

async function openViewer(number) {
  change({ image: String(titleOf(number)) }, false);
  const [views, { image, note }] = await Promise.all([dataOf(number), thumbnailOf(number)]);
  shownImage = { number, image, views, size: drawnSize(number, views), view: null, hover: null };
  const viewer = one("#viewer");
  viewer.replaceChildren(headOf(number), stageOf(number), sideOf(number, note));
  if (!viewer.open) viewer.showModal();
  redraw();
  const href = image && hrefOf(number);
  const full = href ? await decoded(href) : null; // in the place of the thumbnail, where the file is still there
  if (full && shownImage && shownImage.number === number) {
    shownImage.image = full;
    redraw();
    one("#viewer").dataset.full = "yes";
  }
}

function closeViewer() {
  shownImage = null;
  delete one("#viewer").dataset.full;
  if (one("#viewer").open) one("#viewer").close();
  if (state.image !== "") change({ image: "" }, false);
}

function headOf(number) {
  const href = hrefOf(number);
  return make("header", {}, make("h3", {}, fileOf(number), " ", make("span", { class: "quiet" }, `${word("image", { id: titleOf(number) })}, ${sizeOf(number).join("×")} px`)),
    href && shownImage.image ? make("a", { href, target: "_blank", rel: "noopener noreferrer" }, word("open.file")) : null,
    make("button", { type: "button", onclick: () => step(-1), "aria-label": word("previous") }, "←"),
    make("button", { type: "button", onclick: () => step(1), "aria-label": word("next") }, "→"),
    make("button", { type: "button", onclick: () => zoom(1.4), "aria-label": "+" }, "+"),
    make("button", { type: "button", onclick: () => zoom(1 / 1.4), "aria-label": "−" }, "−"),
    make("button", { type: "button", id: "close", onclick: closeViewer }, word("close")));
}

function stageOf(number) {
  const parts = runs.map((name, run) => {
    const label = runs.length > 1 ? make("span", { class: "run" }, name) : null;
    if (!shownImage.views[run]) return make("div", {}, label, make("p", { class: "absent" }, word("no.run")));
    const canvas = make("canvas", { "data-run": run, role: "img", "aria-label": fileOf(number) });
    canvas.addEventListener("wheel", (event) => { event.preventDefault(); zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, event, canvas); }, { passive: false });
    canvas.addEventListener("pointermove", (event) => moved(event, canvas, run));
    return make("div", {}, label, canvas);
  });
  return make("div", { class: "stage" }, ...parts);
}

function sideOf(number, note) {
  const parts = note ? [make("p", { class: "note" }, word(note[0], note[1]))] : [];
  runs.forEach((name, run) => {
    const view = shownImage.views[run];
    if (!view) return;
    if (runs.length > 1) parts.push(make("h4", {}, name));
    parts.push(linesOf(number, run));
    const texts = [["question", view.question], ["references", view.references.join("\n")], ["response", view.response]];
    for (const [key, text] of texts) if (text) parts.push(make("h4", {}, word(key)), make("pre", { tabindex: 0 }, text));
    const values = Object.entries(view.values);
    if (values.length) parts.push(make("h4", {}, word("values")), make("table", {}, make("tbody", {}, ...values.map(([title, value]) => make("tr", {}, make("th", {}, titled(title)), make("td", {}, typeof value === "number" ? numberText(value) : value === null ? "–" : titled(String(value))))))));
    if (view.boxes.length) parts.push(boxTable(view));
  });
  return make("div", { class: "side" }, ...parts);
}

function boxTable(view) {
  const best = bestIous(view.boxes);
  const rows = view.boxes.map((found, i) => {
    const mark = make("span", { class: "mark", style: `--colour:${colourOf(found)}` });
    const what = `${word(found.predicted ? "kind.predicted" : "kind.truth")}, ${word(found.outcome)}`;
    const corners = [found.x1, found.y1, found.x2, found.y2].map((value) => value.toFixed(1)).join(", ");
    const row = make("tr", { "data-box": i, title: `[${corners}] px`, onmouseenter: () => { hover(found); }, onmouseleave: () => { hover(null); } },
      make("td", {}, mark, classOf(found.place), make("br"), make("span", { class: "quiet" }, what)),
      make("td", { class: "n" }, found.score === null ? "" : numberText(found.score, 2)), make("td", { class: "n" }, numberText(best[i], 2)));
    row.box = found;
    return row;
  });
  const head = make("tr", {}, make("th", {}, word("boxes")), make("th", { class: "n" }, word("score")), make("th", { class: "n" }, "IoU"));
  return make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows));
}

function hover(found) {
  if (!shownImage || shownImage.hover === found) return;
  shownImage.hover = found;
  all("#viewer tr[data-box]").forEach((row) => row.classList.toggle("hover", row.box === found));
  redraw();
}

function redraw() {
  if (!shownImage) return;
  const ratio = window.devicePixelRatio || 1;
  for (const canvas of all("#viewer canvas")) {
    canvas.width = Math.round(canvas.clientWidth * ratio);
    canvas.height = Math.round(canvas.clientHeight * ratio);
    shownImage.view = shownImage.view || wholeView(canvas, shownImage.size);
    const view = shownImage.views[Number(canvas.dataset.run)];
    drawImage(canvas, shownImage.image, shownImage.size, view.boxes, shownImage.view, { ratio, tags: 400, hover: shownImage.hover });
  }
}

// Zoom around the pointer, or the middle.
function zoom(factor, event, canvas = one("#viewer canvas")) {
  if (!shownImage || !canvas) return;
  const { view } = shownImage;
  const least = wholeView(canvas, shownImage.size).scale / 2;
  const scale = Math.max(least, Math.min(view.scale * factor, least * 2 * BIGGEST));
  const ratio = window.devicePixelRatio || 1;
  const [x, y] = event ? [event.offsetX * ratio, event.offsetY * ratio] : [canvas.width / 2, canvas.height / 2];
  shownImage.view = { scale, x: x - ((x - view.x) * scale) / view.scale, y: y - ((y - view.y) * scale) / view.scale };
  redraw();
}

function moved(event, canvas, run) {
  const { view, views } = shownImage;
  const ratio = window.devicePixelRatio || 1;
  if (event.buttons & 1) {
    shownImage.view = { ...view, x: view.x + event.movementX * ratio, y: view.y + event.movementY * ratio };
    redraw();
    return;
  }
  const [x, y] = [(event.offsetX * ratio - view.x) / view.scale, (event.offsetY * ratio - view.y) / view.scale];
  const under = views[run].boxes.filter((found) => !hidden(found) && found.x1 <= x && x <= found.x2 && found.y1 <= y && y <= found.y2);
  const area = (found) => (found.x2 - found.x1) * (found.y2 - found.y1);
  hover(under.length ? under.reduce((least, found) => (area(found) < area(least) ? found : least)) : null);
}

// The previous or next image of the list.
function step(by) {
  const place = chosen.indexOf(shownImage.number) + by;
  if (place < 0 || place >= chosen.length) return;
  state.page = Math.floor(place / state.size) + 1;
  openViewer(chosen[place]);
}

const KEYS = [["← →", "key.move"], ["Enter", "key.open"], ["Esc", "key.close"], ["+ − 0", "key.zoom"], ["t p l", "key.show"], ["/", "key.search"], ["?", "key.help"]];

function openHelp() {
  const rows = KEYS.flatMap(([keys, text]) => [make("dt", {}, ...keys.split(" ").flatMap((key) => [make("kbd", {}, key), " "])), make("dd", {}, word(text))]);
  const close = make("button", { type: "button", onclick: () => one("#help").close() }, word("close"));
  one("#help").replaceChildren(make("h3", {}, word("help.title")), make("dl", {}, ...rows), close);
  if (!one("#help").open) one("#help").showModal();
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=checkbox]), select, textarea")) return;
  const actions = {
    ArrowLeft: () => (shownImage ? step(-1) : one("#previous")?.click()), ArrowRight: () => (shownImage ? step(1) : one("#next")?.click()),
    "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4), 0: () => { if (shownImage) { shownImage.view = null; redraw(); } },
    t: () => hide("t"), p: () => hide("p"), l: () => hide("l"), "?": openHelp, "/": () => one("#filter-q")?.focus(),
  };
  if (!(event.key in actions)) return;
  event.preventDefault();
  actions[event.key]();
}

function hide(letter) {
  change({ hide: toggled(letter) }, false);
  redraw();
}
