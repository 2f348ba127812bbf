"use strict";
// One disagreement at a time, by keys or buttons; without this script all of them stand one below the other.
const controls = document.getElementById("controls");
const cards = [...document.querySelectorAll(".card")];

if (controls) {
  const which = document.getElementById("which"), place = document.getElementById("place");
  let shown = cards, at = 0;

  function show(number, focus = true) {
    at = Math.max(0, Math.min(number, shown.length - 1));
    for (const card of cards) card.hidden = card !== shown[at];
    place.textContent = `${at + 1} of ${shown.length}`;
    document.getElementById("back").disabled = at === 0;
    document.getElementById("next").disabled = at === shown.length - 1;
    if (focus) shown[at].focus({ preventScroll: true });
  }

  function choose(kind) {
    const left = cards.filter((card) => !kind || card.dataset.kinds.split(" ").includes(kind));
    if (!left.length) return;
    which.value = kind;
    shown = left;
    show(0, false);
  }

  const steps = {
    ArrowRight: () => at + 1, n: () => at + 1, ArrowLeft: () => at - 1, b: () => at - 1,
    Home: () => 0, End: () => shown.length - 1,
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target === which) return;
    const option = /^[0-4]$/.test(event.key) ? which.options[Number(event.key)] : null;
    if (event.key in steps) show(steps[event.key]());
    else if (option && !option.disabled) choose(option.value);
    else return;
    event.preventDefault();
  });
  which.addEventListener("change", () => choose(which.value));
  document.getElementById("back").addEventListener("click", () => show(at - 1, false));
  document.getElementById("next").addEventListener("click", () => show(at + 1, false));
  controls.hidden = document.getElementById("keys").hidden = false;
  show(0, false);
}
