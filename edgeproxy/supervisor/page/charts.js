// Numbers as text, and as small drawings. Nothing here knows where they come from.

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [120, 40];

const THIN = "\u202f"; // a narrow space that does not break
const COUNT = [[1e9, "G"], [1e6, "M"], [1e4, "k", 1e3], [1, ""]];
const BYTES = [[1e12, "TB"], [1e9, "GB"], [1e6, "MB"], [1e3, "kB"], [1, "B"]];

// As many digits as make a difference: two from 10 on, three for what is counted in thousands and more.
function digits(value, most = 10) {
  return value.toFixed(value && value < most - 0.05 ? (value < 0.1 ? 2 : 1) : 0);
}

function scaled(value, units) {
  const [from, name, size = from] = units.find(([from]) => value >= from * 0.9995) ?? units.at(-1);
  const shown = size === 1 && Number.isInteger(value) ? `${value}` : digits(value / size, size === 1 ? 10 : 100);
  return name ? shown + THIN + name : shown;
}

export const count = (value) => scaled(value, COUNT);

export const bytes = (value) => scaled(Math.round(value), BYTES);

export function percent(share) {
  if (share === null) return "–";
  return `${(share * 100).toFixed(share === 0 || share > 0.9995 ? 0 : 1)}${THIN}%`;
}

export function seconds(value) {
  if (value === null) return "–";
  if (value < 1) return `${digits(value * 1000)}${THIN}ms`;
  return value < 120 ? `${digits(value)}${THIN}s` : duration(value);
}

export function duration(value) {
  const [size, name] = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]].find(([size]) => value >= size * 1.5 || size === 1);
  return `${Math.round(value / size)}${THIN}${name}`;
}

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// A line over time, oldest first; where a value is null there is a gap. `most` is the top of the scale, if it is fixed.
export function line(svg, values, label, most) {
  const top = most ?? Math.max(...values.filter((value) => value !== null), 1e-9) * 1.1;
  const at = (value, place) => [
    values.length > 1 ? (place / (values.length - 1)) * WIDTH : WIDTH,
    HEIGHT - (Math.min(value, top) / top) * HEIGHT,
  ].map((number) => number.toFixed(2)).join(" ");
  const runs = [];
  values.forEach((value, place) => {
    if (value === null) return;
    const last = runs.at(-1);
    if (last && last.end === place - 1) {
      last.points.push(at(value, place));
      last.end = place;
    } else runs.push({ start: place, end: place, points: [at(value, place)] });
  });
  const x = (place) => ((place / Math.max(1, values.length - 1)) * WIDTH).toFixed(2);
  const over = runs.map((run) => `M${run.points.join("L")}`).join("");
  const under = runs.map((run) => `M${x(run.start)} ${HEIGHT}L${run.points.join("L")}L${x(run.end)} ${HEIGHT}Z`).join("");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  svg.replaceChildren(element("path", { class: "under", d: under }), element("path", { d: over }));
}

// Rows of a table: `cells` makes what stands in a row from an item. Rows stay where they are, so that focus does too.
export function rows(body, items, cells, empty = "Nothing yet") {
  if (!items.length) {
    const cell = document.createElement("td");
    cell.className = "empty";
    cell.colSpan = 9;
    cell.textContent = empty;
    const row = document.createElement("tr");
    row.append(cell);
    body.replaceChildren(row);
    return;
  }
  if (body.querySelector(".empty")) body.replaceChildren();
  while (body.rows.length > items.length) body.deleteRow(-1);
  items.forEach((item, place) => {
    const row = body.rows[place] ?? body.insertRow();
    cells(item).forEach((fill, column) => fill(row.cells[column] ?? row.insertCell()));
  });
}

// What may stand in a cell.
export const text = (value, kind = "") => (cell) => {
  cell.className = kind;
  if (cell.textContent !== value) cell.textContent = value;
};

export const number = (value, kind = "") => text(value, `n ${kind}`.trim());

export const bar = (share, kind = "") => (cell) => {
  cell.className = `bar ${kind}`.trim();
  if (!cell.firstElementChild) {
    const frame = document.createElement("span");
    frame.append(document.createElement("span"));
    cell.append(frame);
  }
  cell.firstElementChild.firstElementChild.style.width = `${(share * 100).toFixed(1)}%`;
};

// A word behind a coloured mark.
export const marked = (mark, value, kind = "") => (cell) => {
  cell.className = kind;
  if (!cell.firstElementChild) cell.append(document.createElement("span"), document.createElement("span"));
  const [sign, words] = cell.children;
  sign.setAttribute("aria-hidden", "true");
  for (const [key, of] of Object.entries(mark)) sign.setAttribute(key, of);
  if (words.textContent !== value) words.textContent = value;
};
