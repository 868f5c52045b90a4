"use strict";
const form = document.querySelector("form"), find = form.querySelector("input[type=search]");
const all = [...document.querySelectorAll("details")];
const opened = new Map(all.map(each => [each, each.open]));
const texts = new Map();
const MOST_OPEN = 200;

const parts = each => [...each.children].filter(child => child.tagName === "DETAILS");

function text(each) {
  if (!texts.has(each)) {
    const own = [...each.children].filter(child => child.tagName !== "DETAILS");
    texts.set(each, own.map(child => child.textContent).join(" ").toLowerCase());
  }
  return texts.get(each);
}

function filter() {
  const wanted = find.value.trim().toLowerCase();
  const statuses = new Set([...form.querySelectorAll("input:checked")].map(box => box.value));
  const everything = !wanted && !form.querySelector("input[type=checkbox]:not(:checked)");
  let count = 0;
  const inside = [];
  function visit(each, named) {
    named = named || text(each).includes(wanted);
    const itself = named && statuses.has(each.dataset.s);
    const within = parts(each).map(part => visit(part, named)).some(Boolean);
    each.hidden = !itself && !within;
    count += itself;
    if (within) inside.push(each);
    return itself || within;
  }
  all.filter(each => each.parentElement.tagName === "MAIN").forEach(each => visit(each, false));
  if (everything) all.forEach(each => { each.open = opened.get(each); });
  else if (count <= MOST_OPEN) inside.forEach(each => { each.open = true; });
  form.querySelector("output").textContent = everything ? "" : `${count} of ${all.length} shown`;
}

form.querySelectorAll("input[type=checkbox]").forEach(box => {
  const count = all.filter(each => each.dataset.s === box.value).length;
  box.parentElement.append(` ${count}`);
  box.parentElement.hidden = !count;
});
form.hidden = false;
form.addEventListener("input", filter);
form.addEventListener("submit", event => event.preventDefault());
form.addEventListener("click", event => {
  if (event.target.tagName === "BUTTON") all.forEach(each => { each.open = event.target.value === "Open" && !each.hidden; });
});
filter();
