// The station list comes from the JSON API, and each station from its own address when it is chosen.
const list = document.querySelector("[data-stations]");
const panel = document.querySelector("[data-station]");
const map = document.querySelector("[data-map]");

const element = (name, text) => Object.assign(document.createElement(name), { textContent: text });

const degrees = (value, positive, negative) => `${Math.abs(value).toFixed(1)}° ${value < 0 ? negative : positive}`;

const place = ({ latitude, longitude }) => `${degrees(latitude, "N", "S")}, ${degrees(longitude, "E", "W")}`;

async function load(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`the API answered ${answer.status}`);
  return answer.json();
}

let chosen;

async function choose(id) {
  chosen = id;
  const station = await load(`/api/stations/${id}`);
  if (chosen !== id) return; // a later choice was quicker
  for (const button of list.querySelectorAll("button")) button.setAttribute("aria-pressed", button.dataset.id === id);
  for (const point of map.children) point.classList.toggle("chosen", point.dataset.id === id);
  const facts = document.createElement("dl");
  const rows = { Place: place(station), Dish: station.dish, Opened: station.opened };
  for (const [term, fact] of Object.entries(rows)) facts.append(element("dt", term), element("dd", fact));
  panel.replaceChildren(element("h2", station.name), facts, element("p", station.note));
}

function point({ id, name, latitude, longitude }) {
  const circle = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  const attributes = { cx: longitude + 180, cy: 90 - latitude, r: 2.6, tabindex: 0, role: "button", "aria-label": name };
  for (const [key, value] of Object.entries(attributes)) circle.setAttribute(key, value);
  circle.dataset.id = id;
  circle.addEventListener("click", () => choose(id));
  circle.addEventListener("keydown", (event) => event.key === "Enter" && choose(id));
  return circle;
}

function row(station) {
  const button = element("button", station.name);
  button.type = "button";
  button.dataset.id = station.id;
  button.append(element("span", place(station)));
  button.addEventListener("click", () => choose(station.id));
  const item = document.createElement("li");
  item.append(button);
  return item;
}

try {
  const stations = await load("/api/stations");
  list.replaceChildren(...stations.map(row));
  map.replaceChildren(...stations.map(point));
  await choose(stations[0].id);
} catch (error) {
  list.replaceChildren(element("li", `The list did not come: ${error.message}.`));
}
