"use strict";
// Has a worker solve the page's puzzle and goes on with the answer. All words stand in the page.
(() => {
  const box = document.querySelector("[data-check]");
  const { puzzle, next, rest, worker, start, working, done, failed } = box.dataset;
  const [, , bits, seed] = puzzle.split(".");
  const mark = document.querySelector(".mark");
  const ring = mark.querySelector(".ring");
  const status = box.querySelector("[role=status]");
  const progress = box.querySelector("progress");
  const button = box.querySelector("button");
  const usual = 2 ** bits; // attempts, on average

  const solve = () => {
    button.hidden = true;
    progress.hidden = false;
    status.textContent = working;
    const solver = new Worker(worker);
    const give_up = () => {
      solver.terminate();
      progress.hidden = true;
      status.textContent = failed;
      button.hidden = false;
    };
    solver.onerror = give_up;
    solver.onmessage = ({ data }) => {
      if (data.answer === undefined) {
        const share = 1 - Math.exp(-data.tried / usual); // how likely it was to be done by now
        progress.value = Math.round(100 * share);
        ring.style.strokeDashoffset = 100 - 98 * share;
        return;
      }
      progress.value = 100;
      ring.style.strokeDashoffset = 0;
      mark.classList.add("finished");
      status.textContent = done;
      location.replace(`${next}${puzzle}.${data.answer}${rest}`);
    };
    solver.postMessage({ seed, bits: Number(bits) });
  };

  button.addEventListener("click", solve);
  if (start === "itself") solve();
  else button.hidden = false;
})();
