// The echo runs over a WebSocket, the clock over an answer that nobody may store.
const state = document.querySelector("[data-state]");
const form = document.querySelector("[data-echo]");
const log = document.querySelector("[data-log]");
const LINES_KEPT = 8;

const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/echo`);
const sent = [];

function show(word, open) {
  state.textContent = word;
  state.classList.toggle("open", open);
  form.querySelector("button").disabled = !open;
}

function send(text) {
  sent.push(performance.now());
  socket.send(text);
}

socket.addEventListener("open", () => {
  show("open", true);
  send("Signal acquired");
});
socket.addEventListener("close", () => show("closed", false));
socket.addEventListener("message", ({ data }) => {
  const line = document.createElement("li");
  const time = document.createElement("span");
  time.textContent = `${(performance.now() - sent.shift()).toFixed(1)} ms`;
  line.append(time, data);
  log.prepend(line);
  while (log.children.length > LINES_KEPT) log.lastChild.remove();
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  send(form.message.value);
});

async function ask() {
  const answer = await fetch("/api/time");
  const { time, asked } = await answer.json();
  const clock = document.querySelector("[data-clock]");
  clock.dateTime = time;
  clock.textContent = time.slice(11, 19);
  document.querySelector("[data-asked]").textContent = asked;
}

document.querySelector("[data-ask]").addEventListener("click", ask);
await ask();
