// Asks for the members' page with the token, and shows that page's own text here.
const form = document.querySelector("[data-token]");
const said = document.querySelector("[data-answer]");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await fetch("/members/", { headers: { authorization: `Bearer ${form.token.value.trim()}` } });
  if (!answer.ok) {
    said.textContent = `The edge answered ${answer.status}: this token does not open it.`;
    return;
  }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.querySelector("main").replaceChildren(...page.querySelector("main").children);
});
