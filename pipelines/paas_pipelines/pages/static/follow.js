// Follows the outputs of a task that runs; without it the page shows what there was, and can be taken anew.
"use strict";
(() => {
  const MOST = 1_000_000; // characters of each output that are kept on the page
  const SEQUENCES = /\x1b(?:\[[0-?]*[ -\/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -\/]*[0-~])/g;
  const UNSEEN = /[^\P{C}\n\t]|[\p{Zl}\p{Zp}]/gu;
  const plain = (text) => text.replace(SEQUENCES, "").replace(/\r\n?/g, "\n").replace(UNSEEN, "·");

  const address = document.getElementById("logs")?.dataset.follow;
  if (!address) return;
  const source = new EventSource(address);
  for (const log of document.querySelectorAll("pre.log")) {
    log.scrollTop = log.scrollHeight;
    source.addEventListener(log.id, (event) => {
      const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
      log.append(plain(JSON.parse(event.data)));
      while (log.textContent.length > MOST && log.childNodes.length > 1) log.firstChild.remove();
      if (isAtEnd) log.scrollTop = log.scrollHeight;
      document.getElementById("state").textContent = "running";
    });
  }
  source.addEventListener("open", () => document.body.classList.remove("stale"));
  source.addEventListener("error", () => document.body.classList.add("stale")); // it tries again, unless refused
  source.addEventListener("end", () => {
    source.close();
    location.reload(); // with the exit code and the times
  });
})();
