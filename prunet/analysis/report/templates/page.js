"use strict";

const specs = JSON.parse(document.getElementById("specs").textContent);
const views = {};

function hidden() {
  const off = document.querySelectorAll(".legend input:not(:checked)");
  return [...off].map((box) => box.value);
}

async function draw(name) {
  const { view } = await vegaEmbed(document.getElementById(name), specs[name], {
    mode: "vega-lite", renderer: "svg", actions: false,
  });
  views[name] = view;
  await view.signal("hidden", hidden()).runAsync();
}

// Switching a line off switches it off in every figure that has it.
for (const box of document.querySelectorAll(".legend input")) {
  box.addEventListener("change", () => {
    for (const other of document.querySelectorAll(".legend input")) {
      if (other.value === box.value) other.checked = box.checked;
    }
    for (const view of Object.values(views)) view.signal("hidden", hidden()).runAsync();
  });
}

for (const choice of document.querySelectorAll("input[name=density]")) {
  choice.addEventListener("change", () => {
    for (const [name, spec] of Object.entries(specs)) {
      const { scale } = spec.encoding.x;
      if (!scale.reverse) continue;
      scale.type = choice.value;
      draw(name);
    }
  });
}

function sort(table, column, descending) {
  const body = table.tBodies[0];
  const key = (row) => row.cells[column].dataset.value;
  const rows = [...body.rows].sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    if (x === "" || y === "") return (x === "") - (y === "");  // what is not known comes last
    const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
    return descending ? -order : order;
  });
  body.append(...rows);
}

for (const button of document.querySelectorAll("#cells th button")) {
  button.addEventListener("click", () => {
    const heading = button.parentElement;
    const descending = heading.ariaSort === "ascending";
    for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    sort(heading.closest("table"), heading.cellIndex, descending);
  });
}

for (const name of Object.keys(specs)) draw(name);
