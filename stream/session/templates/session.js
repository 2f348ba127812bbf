"use strict";
// Another sensitivity: everything that depends on it is in the page, for each of its steps.
const slider = document.getElementById("step");
const parts = (name) => [...document.querySelectorAll(`[data-${name}]`)];
const told = parts("at").map((node) => [node, JSON.parse(node.dataset.at)]);
const begins = parts("first"), ends = parts("until");

function show() {
  const step = Number(slider.value);
  for (const [node, texts] of told) node.textContent = texts[step];
  for (const node of begins) node.classList.toggle("off", step < Number(node.dataset.first));
  for (const node of ends) node.classList.toggle("off", step >= Number(node.dataset.until));
  slider.setAttribute("aria-valuetext", document.getElementById("step-words").textContent);
}

slider.addEventListener("input", show);
document.getElementById("choice").hidden = false;
show();
