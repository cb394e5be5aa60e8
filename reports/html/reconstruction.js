// Draw every picture of the page for the setting that the controls, or the address behind #, ask for.
const payload = JSON.parse(document.querySelector("#payload").textContent);
const { settings, columns } = payload;
const { modalities, given, numbers, shares, budgets, places } = settings;
const columnOf = Object.fromEntries(columns.map((column) => [column.name, column]));
const labelOf = (name) => columnOf[name]?.label ?? name;
const tokensPerModality = payload.grid[0] * payload.grid[1];

// What the reader has chosen: a place in `numbers`, a place in `shares`.
const state = { number: 0, shares: 0, pasted: true };

function nearest(candidates, wanted) {
  const distance = (place) => shares[place].reduce((sum, share, i) => sum + (share - wanted[i]) ** 2, 0);
  return candidates.reduce((best, place) => (distance(place) < distance(best) - 1e-9 ? place : best));
}
const anyShares = [...shares.keys()];
const alone = (name) => nearest(anyShares, modalities.map((other) => Number(other === name)));
const even = () => nearest(anyShares, modalities.map((name) => given.includes(name) / given.length));
const sharesOf = (name) => {
  const place = modalities.indexOf(name);
  return [...new Set(shares.map((own) => own[place]))].sort((a, b) => a - b);
};
const percent = (share) => `${Math.round(100 * share)} %`;

// Give one modality a share and let the others divide the rest as they did before.
function withShare(name, share) {
  const at = modalities.indexOf(name);
  const current = shares[state.shares];
  const rest = 1 - current[at];
  const others = modalities.filter((other) => other !== name && given.includes(other));
  const wanted = modalities.map((other, i) => {
    if (i === at) return share;
    if (!others.includes(other)) return 0;
    return (1 - share) * (rest > 0 ? current[i] / rest : 1 / others.length);
  });
  return nearest(anyShares.filter((place) => Math.abs(shares[place][at] - share) < 1e-9), wanted);
}

function inWords(place) {
  const budget = budgets[place];
  const visible = budget.reduce((a, b) => a + b);
  const parts = modalities.map((name, i) => {
    const all = budget[i] === tokensPerModality ? " (all)" : "";
    return `${budget[i]} ${labelOf(name)}${all}`;
  });
  const limit = visible < numbers[state.number] ? "; there are no more to show" : "";
  return `${visible} of ${tokensPerModality * modalities.length} tokens visible: ${parts.join(", ")}${limit}`;
}

// A cell of a sheet is a picture: 0 is the target, n + 1 the prediction under budget n.
function cellOf(sheet, number) {
  const [height, width] = sheet.cell;
  return [(number % payload.sheet_columns) * width, Math.floor(number / payload.sheet_columns) * height, width, height];
}

async function loadSheet(column, uri) {
  const image = new Image();
  await new Promise((loaded, failed) => Object.assign(image, { onload: loaded, onerror: failed, src: uri }));
  const stored = document.createElement("canvas");
  [stored.width, stored.height] = [image.width, image.height];
  const context = stored.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const sheet = { stored: context, shown: stored, cell: column.cell };
  if (column.kind === "depth") sheet.shown = coloured(context);
  return sheet;
}

function coloured(grey) {
  const { width, height } = grey.canvas;
  const pixels = grey.getImageData(0, 0, width, height);
  const scale = payload.depth_colours.map((text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16)));
  for (let at = 0; at < pixels.data.length; at += 4) pixels.data.set(scale[pixels.data[at]], at);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas;
}

// Call `draw` with the box of every patch of a sample that is visible under a budget.
function eachVisible(name, sample, place, draw) {
  const [height, width] = columnOf[name].cell;
  const [rows, across] = payload.grid;
  const [patchHeight, patchWidth] = [height / rows, width / across];
  const visible = budgets[place][modalities.indexOf(name)] ?? 0;
  (payload.ranks[name]?.[sample] ?? []).forEach((rank, token) => {
    if (rank < visible) draw((token % across) * patchWidth, Math.floor(token / across) * patchHeight, patchWidth, patchHeight);
  });
}

function drawTarget(context, sheet) {
  context.drawImage(sheet.shown, ...cellOf(sheet, 0), 0, 0, sheet.cell[1], sheet.cell[0]);
}

function drawVisible(context, sheet, name, sample, place) {
  const [left, top] = cellOf(sheet, 0);
  eachVisible(name, sample, place, (x, y, width, height) =>
    context.drawImage(sheet.shown, left + x, top + y, width, height, x, y, width, height));
}

function drawPrediction(context, sheet, place) {
  context.drawImage(sheet.shown, ...cellOf(sheet, place + 1), 0, 0, sheet.cell[1], sheet.cell[0]);
}

// White where prediction and target agree, dark red where they are half the range apart or of different classes.
function drawDifference(context, sheet, name, sample, place) {
  const read = (number) => sheet.stored.getImageData(...cellOf(sheet, number));
  const [target, made] = [read(0), read(place + 1)];
  const labels = columnOf[name].kind === "labels";
  for (let at = 0; at < made.data.length; at += 4) {
    const errors = [0, 1, 2].map((i) => Math.abs(made.data[at + i] - target.data[at + i]));
    const unlabelled = labels && target.data[at] + target.data[at + 1] + target.data[at + 2] === 0;
    const share = labels ? Number(!unlabelled && Math.max(...errors) > 8) : Math.min(1, (2 * (errors[0] + errors[1] + errors[2])) / 765);
    made.data.set([255 - 115 * share, 255 - 235 * share, 255 - 235 * share], at);
  }
  context.putImageData(made, 0, 0);
  context.fillStyle = "#fff";
  if (state.pasted) eachVisible(name, sample, place, (...box) => context.fillRect(...box));
}

function drawCanvas(canvas, sheets) {
  const { column: name, row } = canvas.dataset;
  const sample = Number(canvas.dataset.sample);
  const sheet = sheets[name][sample];
  const context = canvas.getContext("2d");
  const source = row.startsWith("alone:") ? row.slice(6) : null;
  const place = source ? places.at(-1)[alone(source)] : places[state.number][state.shares];
  context.clearRect(0, 0, canvas.width, canvas.height);
  if (row === "target") drawTarget(context, sheet);
  else if (row === "visible") drawVisible(context, sheet, name, sample, place);
  else if (row === "difference") drawDifference(context, sheet, name, sample, place);
  else {
    drawPrediction(context, sheet, place);
    if (source || state.pasted) drawVisible(context, sheet, name, sample, place);
  }
}

function showControls() {
  const own = shares[state.shares];
  const number = document.querySelector("#number");
  number.value = state.number;
  number.setAttribute("aria-valuetext", `${numbers[state.number]} tokens`);
  document.querySelector("#setting").textContent = inWords(places[state.number][state.shares]);
  document.querySelector("#pasted").checked = state.pasted;
  for (const name of given) {
    const share = own[modalities.indexOf(name)];
    const slider = document.querySelector(`[data-share="${name}"]`);
    const choices = sharesOf(name);
    slider.min = Math.min(0, choices.length - 2);
    slider.max = choices.length - 1;
    slider.value = choices.indexOf(share);
    slider.setAttribute("aria-valuetext", percent(share));
    document.querySelector(`[data-share-of="${name}"]`).textContent = percent(share);
  }
  for (const button of document.querySelectorAll("[data-only]")) {
    const place = button.dataset.only ? alone(button.dataset.only) : even();
    button.setAttribute("aria-pressed", String(place === state.shares));
  }
  document.querySelectorAll("#triangle circle").forEach((point, place) => {
    point.classList.toggle("current", place === state.shares);
    point.setAttribute("r", place === state.shares ? 7 : 3.5);
  });
}

function toAddress() {
  const own = shares[state.shares].map((share, i) => `${modalities[i]}=${Math.round(100 * share)}`);
  const parts = [`tokens=${numbers[state.number]}`, ...own, ...(state.pasted ? [] : ["pasted=no"])];
  history.replaceState(null, "", `#${parts.join("&")}`);
}

function fromAddress() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const tokens = Number(asked.get("tokens") ?? payload.start);
  const off = (place) => Math.abs(numbers[place] - tokens);
  state.number = [...numbers.keys()].reduce((best, place) => (off(place) < off(best) ? place : best), 0);
  const wanted = modalities.map((name) => Number(asked.get(name) ?? 0) / 100);
  state.shares = modalities.some((name) => asked.has(name)) ? nearest(anyShares, wanted) : even();
  state.pasted = asked.get("pasted") !== "no";
}

function makeTriangle(choose) {
  const triangle = document.querySelector("#triangle");
  if (!triangle) return;
  const corners = [[85, 18], [22, 116], [148, 116]];
  const add = (kind, attributes, text = "") => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", kind);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.textContent = text;
    triangle.append(element);
  };
  const at = (own) => [0, 1].map((axis) => own.reduce((sum, share, i) => sum + share * (corners[given.indexOf(modalities[i])]?.[axis] ?? 0), 0));
  add("polygon", { points: corners.map((corner) => corner.join(",")).join(" ") });
  for (const own of shares) add("circle", { cx: at(own)[0], cy: at(own)[1], r: 3.5 });
  corners.forEach(([x, y], i) => add("text", { x, y: i ? y + 17 : y - 8, "text-anchor": "middle" }, labelOf(given[i])));
  const pick = (event) => {
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(triangle.getScreenCTM().inverse());
    const off = (place) => Math.hypot(at(shares[place])[0] - x, at(shares[place])[1] - y);
    choose(anyShares.reduce((best, place) => (off(place) < off(best) ? place : best)));
  };
  triangle.addEventListener("pointerdown", (event) => { triangle.setPointerCapture(event.pointerId); pick(event); });
  triangle.addEventListener("pointermove", (event) => { if (event.buttons) pick(event); });
}

function listen(update) {
  const choose = (place) => update({ shares: place });
  document.querySelector("#number").addEventListener("input", (event) => update({ number: Number(event.target.value) }));
  document.querySelector("#pasted").addEventListener("input", (event) => update({ pasted: event.target.checked }));
  for (const slider of document.querySelectorAll("[data-share]")) {
    const { share } = slider.dataset;
    slider.addEventListener("input", () => choose(withShare(share, sharesOf(share)[slider.value])));
  }
  for (const button of document.querySelectorAll("[data-only]")) {
    button.addEventListener("click", () => choose(button.dataset.only ? alone(button.dataset.only) : even()));
  }
  makeTriangle(choose);
}

async function main() {
  const sheets = {};
  for (const column of columns) {
    sheets[column.name] = await Promise.all(column.sheets.map((uri) => loadSheet(column, uri)));
  }
  const canvases = document.querySelectorAll("canvas[data-row]");
  const show = () => {
    showControls();
    canvases.forEach((canvas) => drawCanvas(canvas, sheets));
  };
  listen((change) => {
    Object.assign(state, change);
    show();
    toAddress();
  });
  addEventListener("hashchange", () => { fromAddress(); show(); });
  const scale = document.querySelector("#depth-scale");
  if (scale) scale.style.background = `linear-gradient(to right, ${payload.depth_colours.filter((_, i) => i % 15 === 0).join(", ")})`;
  fromAddress();
  show();
  document.documentElement.dataset.drawn = "yes";
}
main();
