// English and Chinese: the page is written in English, and every text that can change has the other in data-zh.
let language = "en";

function word(key, places = {}) {
  const text = (setup.words[key] || [key, key])[language === "zh" ? 1 : 0];
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in places ? String(places[name]) : whole));
}

// A title, a status or a word of the data in the language of the page.
const titled = (text) => (language === "zh" && setup.titles[text]) || text;

function swap(element, other, read, write) {
  const attribute = `data-zh${other}`;
  if (!element.hasAttribute(`data-en${other}`)) element.setAttribute(`data-en${other}`, read());
  write(language === "zh" ? element.getAttribute(attribute) : element.getAttribute(`data-en${other}`));
}

function speak(chosen) {
  language = chosen === "zh" ? "zh" : "en";
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  all("[data-zh]").forEach((part) => swap(part, "", () => part.textContent, (text) => { part.textContent = text; }));
  all("[data-zh-label]").forEach((part) => {
    swap(part, "-label", () => part.getAttribute("aria-label"), (text) => part.setAttribute("aria-label", text));
  });
  const button = one("#language");
  button.textContent = language === "zh" ? "English" : "中文";
  button.lang = language === "zh" ? "en" : "zh";
}

// An element: text is only ever set as text.
function make(tag, attributes = {}, ...inside) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...inside.filter((part) => part !== null && part !== undefined));
  return element;
}

const numberText = (value, digits = 3) => (value === null || value === undefined ? "–"
  : (Number.isInteger(value) && digits === 3 ? String(value) : value.toFixed(digits)).replace("-", "−"));
