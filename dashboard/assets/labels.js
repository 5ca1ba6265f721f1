// Dash's sliders and lists of choices take no label: a <label id="x-label"> names those in #x, and in what follows it.
(function () {
  "use strict";
  const NAMELESS = "[role=slider]:not([aria-label]), [role=listbox]:not([aria-label]), input:not([aria-label])";

  function name() {
    for (const label of document.querySelectorAll("label[id$='-label']")) {
      const named = [document.getElementById(label.id.slice(0, -"-label".length)), label.nextElementSibling];
      for (const part of named.filter((one) => one)) {
        const inside = part.matches(NAMELESS) ? [part] : [];
        for (const one of [...inside, ...part.querySelectorAll(NAMELESS)]) {
          if (!one.closest("label")) one.setAttribute("aria-label", label.textContent);
        }
      }
    }
  }

  let due = false;
  new MutationObserver(function () {
    if (due) return;
    due = true;
    window.requestAnimationFrame(function () {
      due = false;
      name();
    });
  }).observe(document.documentElement, { childList: true, subtree: true });
})();
