// What the page is made from: setup and index, and chunks of images that are parsed, or fetched from a server, when they are shown.
const one = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const setup = JSON.parse(one("#setup").textContent);
const { index, runs, classes, outcomes } = setup;
const total = index ? index.id.length : 0;
const PREDICTED = 8;
const STRIDE = 7; // numbers of a box
const chunks = new Map();
const wait = (ms) => new Promise((done) => { setTimeout(done, ms); });

async function embedded(id) {
  for (;;) {
    const part = document.getElementById(id);
    const loaded = document.readyState !== "loading";
    if (part && (part.nextSibling || loaded)) return JSON.parse(part.textContent);
    if (loaded) return null;
    await wait(15);
  }
}

async function fetched(id) {
  const answer = await fetch(`chunk/${id}.json`);
  return answer.ok ? answer.json() : null;
}

function chunk(kind, number) {
  const id = `${kind}${number}`;
  if (!chunks.has(id)) chunks.set(id, setup.served ? fetched(id) : embedded(id));
  return chunks.get(id);
}

// A flat list of numbers as boxes.
function boxesOf(flat) {
  const boxes = [];
  for (let i = 0; i < flat.length; i += STRIDE) {
    const [code, place, x1, y1, x2, y2, score] = flat.slice(i, i + STRIDE);
    boxes.push({ predicted: code >= PREDICTED, outcome: outcomes[code % PREDICTED], place, x1, y1, x2, y2, score });
  }
  return boxes;
}

// Of an image: its data in each run, or null where a run does not have it.
async function dataOf(number) {
  const rows = await chunk("d", Math.floor(number / setup.chunk));
  const row = rows ? rows[number % setup.chunk] : [];
  return runs.map((_, run) => {
    const found = row[run];
    if (!found) return null;
    found.boxes = found.boxes || boxesOf(found.b);
    return { boxes: found.boxes, response: found.r || "", question: found.q || "", references: found.a || [], values: found.v || {} };
  });
}

// Of an image: its thumbnail, or null, and what is to be said of it.
async function thumbnailOf(number) {
  const place = index.file[number];
  if (!setup.images) return { image: null, note: ["no.images", {}] };
  if (place >= setup.thumbnails) return { image: null, note: ["note.budget", {}] };
  const part = await chunk("t", Math.floor(place / setup.chunk));
  const found = part ? part[place % setup.chunk] : ["", "note.error", { error: "" }];
  const [text, ...note] = Array.isArray(found) ? found : [found];
  const image = text ? await decoded(`data:image/jpeg;base64,${text}`) : null;
  return { image, note: note.length ? note : null };
}

async function decoded(source) {
  const image = new Image();
  image.src = source;
  try {
    await image.decode();
  } catch {
    return null;
  }
  return image;
}

const fileOf = (number) => index.files[index.file[number]];
// The length of the folder that all files with an absolute path have in common, which cards do not repeat.
const commonFolder = index && index.files.length > 1 && index.files.every((name) => /^([/\\]|[A-Za-z]:)/.test(name))
  ? index.files.reduce((folder, name) => {
    let length = 0;
    while (length < folder.length && folder[length] === name[length]) length += 1;
    return folder.slice(0, length);
  }).replace(/[^/\\]*$/, "").length : 0;
const sizeOf = (number) => [index.size[2 * number], index.size[2 * number + 1]];
const last = runs.length - 1;
const lastOf = (column, number) => index.runs[last][column][number];

// Where the file of an image is; null where that is not known.
function hrefOf(number) {
  if (setup.served) return setup.images ? `image/${index.file[number]}` : null;
  if (setup.images === null || setup.images === true) return null;
  const name = index.hrefs[fileOf(number)] || fileOf(number);
  return setup.images + name.split("/").map(encodeURIComponent).join("/");
}

const titleOf = (number) => (index.sample && index.sample[number] !== null ? index.sample[number] : index.id[number]);
const classOf = (place) => classes[place] || word("no.label");

function iou(a, b) {
  const width = Math.min(a.x2, b.x2) - Math.max(a.x1, b.x1);
  const height = Math.min(a.y2, b.y2) - Math.max(a.y1, b.y1);
  if (width <= 0 || height <= 0) return 0;
  const area = (box) => (box.x2 - box.x1) * (box.y2 - box.y1);
  return (width * height) / (area(a) + area(b) - width * height);
}

// For each box its best IoU with a box of the other kind and the same class; null where there is none.
function bestIous(boxes) {
  const groups = new Map();
  for (const box of boxes) {
    const key = `${box.predicted}:${box.place}`;
    groups.set(key, [...(groups.get(key) || []), box]);
  }
  return boxes.map((box) => {
    const others = groups.get(`${!box.predicted}:${box.place}`) || [];
    return others.length ? Math.max(...others.map((other) => iou(box, other))) : null;
  });
}
