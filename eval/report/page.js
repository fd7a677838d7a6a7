// The page as a whole: curves of a class, tables that sort, the contents list, the language, and the start.
function showCurves() {
  const place = classes.indexOf(state.class);
  all(".class-filter").forEach((select) => { select.value = state.class; });
  const curves = all(".curve.one");
  curves.forEach((curve) => curve.classList.toggle("chosen", place >= 0 && Number(curve.dataset.class) === place));
  all(".plot-svg").forEach((plot) => plot.classList.toggle("chosen-one", place >= 0 && Boolean(one(".curve.one", plot))));
  const text = one("#chosen-class");
  if (!text) return;
  const drawn = curves.some((curve) => Number(curve.dataset.class) === place);
  text.textContent = place < 0 ? word("curve.one") : word(drawn ? "curve.chosen" : "curve.undefined", { name: classOf(place) });
}

function compareCells(first, second, sign) {
  if (first === "" || second === "") return (first === "") - (second === "");
  const numbers = [Number(first), Number(second)];
  return sign * (numbers.some(Number.isNaN) ? first.localeCompare(second) : numbers[0] - numbers[1]);
}

function sortBy(header) {
  const table = header.closest("table");
  const column = header.cellIndex;
  const was = header.getAttribute("aria-sort");
  const order = was ? (was === "ascending" ? "descending" : "ascending") : (column === 0 ? "ascending" : "descending");
  all("[aria-sort]", table).forEach((other) => other.removeAttribute("aria-sort"));
  header.setAttribute("aria-sort", order);
  const value = (row) => row.cells[column].dataset.sort;
  const sorted = all("tbody tr", table).sort((a, b) => compareCells(value(a), value(b), order === "ascending" ? 1 : -1));
  table.tBodies[0].append(...sorted);
}

function useLanguage(chosenLanguage) {
  speak(chosenLanguage);
  all(".class-filter").forEach((select) => select.replaceChildren(...classOptions()));
  if (total) one("#legend").replaceChildren(...legend());
}

function openLinked() {
  if (state.image === "" || !total) return;
  for (let number = 0; number < total; number += 1) {
    if (String(titleOf(number)) === state.image) { openViewer(number); return; }
  }
}

function start() {
  all(".scripted").forEach((part) => { part.hidden = false; });
  readHash();
  useLanguage(state.lang || (navigator.language.startsWith("zh") ? "zh" : "en"));
  all(".contents a").forEach((link) => link.addEventListener("click", (event) => {
    event.preventDefault(); // the part behind # is the state of the page
    document.getElementById(link.getAttribute("href").slice(1)).scrollIntoView({ behavior: "smooth" });
  }));
  one("#language").addEventListener("click", () => { state.lang = language === "zh" ? "en" : "zh"; useLanguage(state.lang); show(); });
  one("#keys").addEventListener("click", openHelp);
  all(".class-filter").forEach((select) => select.addEventListener("change", () => change({ class: select.value })));
  all(".to-class").forEach((button) => button.addEventListener("click", () => {
    change({ class: classes[Number(button.dataset.class)] });
    if (total) one("#images").scrollIntoView();
  }));
  all(".sortable thead button").forEach((button) => button.addEventListener("click", () => sortBy(button.closest("th"))));
  document.addEventListener("keydown", pressed);
  one("#viewer").addEventListener("close", closeViewer);
  window.addEventListener("resize", () => { if (shownImage) { shownImage.view = null; redraw(); } });
  window.addEventListener("hashchange", () => { if (location.hash.includes("=") || location.hash === "") { readHash(); useLanguage(state.lang || language); show(); openLinked(); } });
  show();
  openLinked();
}

start();
