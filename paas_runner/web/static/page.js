// Takes the page anew every few seconds; without it the page works as it is, by its links.
"use strict";
(() => {
  const seconds = Number(document.getElementById("main")?.dataset.refresh);
  if (!seconds) return;
  let running = sessionStorage.getItem("refresh") !== "off";

  const button = document.createElement("button");
  button.type = "button";
  button.className = "refresh";
  const label = () => {
    button.textContent = running ? "Stop refreshing" : "Go on refreshing";
  };
  button.addEventListener("click", () => {
    running = !running;
    sessionStorage.setItem("refresh", running ? "on" : "off");
    label();
  });
  label();
  document.querySelector("header.top").append(button);

  const openOnes = (main) => [...main.querySelectorAll("details")].map((each) => each.open);

  const isInUse = (main) => {
    const selection = getSelection();
    const focused = document.activeElement;
    const field = focused && main.contains(focused) && focused.matches("input, select");
    return field || (selection && !selection.isCollapsed && main.contains(selection.anchorNode));
  };

  const take = async () => {
    const main = document.getElementById("main");
    if (!running || document.hidden || isInUse(main)) return;
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "error" });
    if (!answer.ok) throw new Error(answer.statusText);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const taken = fresh.getElementById("main");
    if (!taken || isInUse(main)) return;
    const opened = openOnes(main);
    [...taken.querySelectorAll("details")].forEach((each, at) => (each.open = Boolean(opened[at])));
    const href = main.contains(document.activeElement) && document.activeElement.getAttribute("href");
    const scrolled = [...main.querySelectorAll(".wide")].map((each) => each.scrollLeft);
    main.replaceChildren(...taken.childNodes);
    [...main.querySelectorAll(".wide")].forEach((each, at) => (each.scrollLeft = scrolled[at] ?? 0));
    if (href !== false && href !== null) {
      [...main.querySelectorAll("a")].find((each) => each.getAttribute("href") === href)?.focus();
    }
    document.title = fresh.title;
    document.body.classList.remove("stale");
  };

  setInterval(() => take().catch(() => document.body.classList.add("stale")), seconds * 1000);
})();
