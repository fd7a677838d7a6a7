// Boxes on a canvas: their colours, dashes and tags.
const LIMIT = 1e6;
const DRAWN = { crowd: 0, not_counted: 0, unknown_label: 1, true_positive: 2, false_negative: 3, false_positive: 3 }; // errors on top
const LINES = { // width and dash of an outcome
  true_positive: [2.2, []], false_negative: [3.2, [7, 4]], false_positive: [2.6, [9, 3, 2, 3]], crowd: [1.8, [2, 4]], not_counted: [1.8, [2, 4]],
  unknown_label: [2.2, [3, 3]],
};

function colourOf(box) {
  const { outcome, predicted } = box;
  if (outcome === "true_positive") return predicted ? setup.colours.true_positive : setup.colours.truth;
  return setup.colours[{ false_negative: "truth", false_positive: "false_positive", unknown_label: "unknown" }[outcome] || "crowd"];
}

// The size that boxes are drawn in: the image's or, where it is unknown, the bounds of all boxes.
function drawnSize(number, views) {
  const [width, height] = sizeOf(number);
  if (width > 0 && height > 0) return [width, height];
  const boxes = views.flatMap((view) => (view ? view.boxes : []));
  const most = (side) => boxes.reduce((found, box) => Math.max(found, box[side]), 1);
  return [most("x2"), most("y2")];
}

const hidden = (box) => state.hide.includes(box.predicted ? "p" : "t");

function tagOf(box) {
  const name = classOf(box.place).replace(/\s+/g, " ");
  const short = name.length > 22 ? `${name.slice(0, 21)}…` : name;
  return short + (box.outcome === "false_negative" ? " FN" : box.score === null ? "" : ` ${box.score.toFixed(2)}`);
}

// A free place for a tag near its box; null where all are taken and `must` is false.
function placeOf(rect, width, height, canvas, taken, must) {
  const [x, y, w, h] = rect;
  const inside = (value, most) => Math.max(0, Math.min(value, most));
  for (const top of [y - height, y, y + h, y + h - height]) {
    for (const left of [x, x + w - width]) {
      const spot = [inside(left, canvas.width - width), inside(top, canvas.height - height), width, height];
      if (!taken.some((t) => t[0] < spot[0] + width && spot[0] < t[0] + t[2] && t[1] < spot[1] + height && spot[1] < t[1] + t[3])) return spot;
    }
  }
  return must ? [inside(x, canvas.width - width), inside(y - height, canvas.height - height), width, height] : null;
}

// Draw an image and its boxes. `view` is {scale, x, y} of the image in canvas px, `ratio` device px in a CSS px.
function drawImage(canvas, image, size, boxes, view, { ratio, tags, font = 11, hover = null }) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  const wide = [view.x, view.y, size[0] * view.scale, size[1] * view.scale];
  context.imageSmoothingEnabled = !image || image.naturalWidth * 2 > wide[2];
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#80868d";
  if (image) context.drawImage(image, ...wide);
  else context.fillRect(...wide);
  const place = state.class === "" ? -1 : classes.indexOf(state.class);
  const shown = boxes.filter((box) => !hidden(box)).sort((a, b) => DRAWN[a.outcome] - DRAWN[b.outcome]);
  const rects = shown.map((box) => rectOf(box, view));
  shown.forEach((box, i) => strokeBox(context, rects[i], box, ratio, place >= 0 && box.place !== place, box === hover));
  if (tags && !state.hide.includes("l")) drawTags(context, canvas, shown, rects, { ratio, most: tags, font, hover });
}

function rectOf(box, view) {
  const at = (value, offset) => Math.max(-LIMIT, Math.min(LIMIT, value * view.scale + offset));
  const [x1, y1, x2, y2] = [at(box.x1, view.x), at(box.y1, view.y), at(box.x2, view.x), at(box.y2, view.y)];
  return [x1, y1, x2 - x1, y2 - y1];
}

function strokeBox(context, rect, box, ratio, faint, thick) {
  const [width, dash] = LINES[box.outcome];
  context.globalAlpha = faint ? 0.25 : 1;
  context.setLineDash([]);
  context.strokeStyle = "rgb(11 13 15 / 0.55)";
  context.lineWidth = (width + (thick ? 4 : 1.8)) * ratio;
  context.strokeRect(...rect);
  context.setLineDash(dash.map((part) => part * ratio));
  context.strokeStyle = colourOf(box);
  context.lineWidth = (width + (thick ? 2 : 0)) * ratio * (box.outcome === "true_positive" && !box.predicted ? 0.65 : 1);
  context.strokeRect(...rect);
  context.globalAlpha = 1;
}

const isOutside = ([x, y, w, h], canvas) => x > canvas.width || y > canvas.height || x + w < 0 || y + h < 0;

function drawTags(context, canvas, boxes, rects, { ratio, most, font, hover }) {
  const height = (font + 4) * ratio;
  const taken = [];
  context.font = `600 ${font * ratio}px system-ui, "Noto Sans", "Noto Sans CJK SC", sans-serif`;
  context.textBaseline = "middle";
  for (let i = boxes.length - 1; i >= 0; i -= 1) {
    if ((taken.length >= most && boxes[i] !== hover) || isOutside(rects[i], canvas)) continue;
    const text = tagOf(boxes[i]);
    const spot = placeOf(rects[i], context.measureText(text).width + 6 * ratio, height, canvas, taken, boxes[i] === hover);
    if (!spot) continue;
    taken.push(spot);
    context.fillStyle = colourOf(boxes[i]);
    context.fillRect(...spot);
    context.fillStyle = "#0d1013";
    context.fillText(text, spot[0] + 3 * ratio, spot[1] + height / 2);
  }
}

// The view that shows the whole image in the middle of a canvas.
function wholeView(canvas, size) {
  const scale = Math.min(canvas.width / size[0], canvas.height / size[1]);
  return { scale, x: (canvas.width - size[0] * scale) / 2, y: (canvas.height - size[1] * scale) / 2 };
}
