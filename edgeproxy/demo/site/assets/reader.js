// Sends what is drawn, chosen or written to the models at the edge.
const slate = document.querySelector("[data-slate]");
const brush = slate.getContext("2d");
const read = document.querySelector("[data-read]");
const sure = document.querySelector("[data-sure]");
const remark = document.querySelector("[data-remark]");
const language = document.querySelector("[data-language]");
const certain = document.querySelector("[data-certain]");
const you = document.querySelector("[data-you]");
const visited = document.querySelector("[data-visit]");
const names = new Intl.DisplayNames(["en"], { type: "language" });
let pending = 0;
let last = null;

function wipe() {
  brush.fillStyle = "#fff";
  brush.fillRect(0, 0, slate.width, slate.height);
  read.textContent = "–";
  sure.textContent = "Draw one.";
}

function at(event) {
  const box = slate.getBoundingClientRect();
  return [(event.clientX - box.left) * slate.width / box.width, (event.clientY - box.top) * slate.height / box.height];
}

slate.addEventListener("pointerdown", (event) => {
  slate.setPointerCapture(event.pointerId);
  last = at(event);
});

slate.addEventListener("pointermove", (event) => {
  if (!last) return;
  const next = at(event);
  brush.strokeStyle = "#000";
  brush.lineWidth = 26;
  brush.lineCap = "round";
  brush.beginPath();
  brush.moveTo(...last);
  brush.lineTo(...next);
  brush.stroke();
  last = next;
});

slate.addEventListener("pointerup", () => {
  last = null;
  slate.toBlob(classify, "image/png");
});

document.querySelector("[data-wipe]").addEventListener("click", wipe);
document.querySelector("[data-file]").addEventListener("change", (event) => {
  if (event.target.files[0]) classify(event.target.files[0]);
});

async function classify(picture) {
  const turn = ++pending;
  const answer = await fetch("/v2/models/digits/predict", {
    method: "POST",
    headers: { "content-type": picture.type },
    body: picture,
  });
  const told = await answer.json().catch(() => ({}));
  if (turn !== pending) return;
  if (!answer.ok) {
    sure.textContent = told.error || `The edge answered ${answer.status}.`;
    return;
  }
  const [best, next] = told.labels;
  read.textContent = best.label;
  sure.textContent = `${percent(best.probability)} sure; else ${next.label} (${percent(next.probability)}). Answered by the ${told.by}.`;
}

async function recognise(text) {
  const answer = await fetch("/v2/models/language-id/predict", {
    method: "POST",
    headers: { "content-type": "text/plain" },
    body: text,
  });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    certain.textContent = told.error || `The edge answered ${answer.status}.`;
    return;
  }
  const [best, next] = told.labels;
  language.textContent = names.of(best.label);
  certain.textContent = `${percent(best.probability)} sure; else ${names.of(next.label)} (${percent(next.probability)}).`;
}

// A question without a body asks about its own head.
async function visit() {
  const answer = await fetch("/v2/models/bot-score/predict", { method: "POST" });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    visited.textContent = told.error || `The edge answered ${answer.status}.`;
    return;
  }
  const score = told.outputs.probability[0][0];
  you.textContent = score < 0.5 ? "A browser" : "A program";
  visited.textContent = `The head of this page's request looks like a program's by ${percent(score)}.`;
}

function percent(share) {
  return `${(share * 100).toFixed(share > 0.01 && share < 0.99 ? 0 : 1)} %`;
}

remark.addEventListener("submit", (event) => {
  event.preventDefault();
  recognise(remark.remark.value);
});
wipe();
visit();
