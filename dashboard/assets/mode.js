// Light or dark: what the visitor chose here before, else what the machine prefers. The shell's store `mode` has it.
(function () {
  "use strict";
  const preferred = window.matchMedia("(prefers-color-scheme: dark)");

  const KEPT = "livesegments-mode";

  function chosen() {
    const kept = window.localStorage.getItem(KEPT);
    return kept === "dark" || kept === "light" ? kept : preferred.matches ? "dark" : "light";
  }

  document.documentElement.dataset.mode = chosen();

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    livesegments: {
      // The mode, after the switch was pressed if it was.
      mode: function (presses) {
        let mode = chosen();
        if (presses) {
          mode = mode === "dark" ? "light" : "dark";
          window.localStorage.setItem(KEPT, mode);
        }
        document.documentElement.dataset.mode = mode;
        return mode;
      },
    },
  });
})();
