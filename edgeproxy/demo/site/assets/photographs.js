// Says under each photograph what was sent for it: chosen by what the browser can show and how wide it shows it.
const sent = (image) => {
  const entry = performance.getEntriesByName(image.currentSrc).at(-1);
  const format = entry?.contentType?.replace("image/", "").toUpperCase();
  const size = entry?.encodedBodySize ? `${Math.max(1, Math.round(entry.encodedBodySize / 1000))} kB` : "";
  return [format, `${image.naturalWidth} × ${image.naturalHeight}`, size].filter(Boolean).join(" · ");
};

// The timing of a load is there a moment after it.
const tell = (image) => requestAnimationFrame(() => {
  image.closest("figure").querySelector("[data-sent]").textContent = sent(image);
});

for (const image of document.querySelectorAll(".gallery img")) {
  if (image.complete && image.naturalWidth) tell(image);
  image.addEventListener("load", () => tell(image));
}
