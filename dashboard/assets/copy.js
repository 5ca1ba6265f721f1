// Copies what an element holds as text; where the browser lets no page copy (plain HTTP elsewhere), it is marked instead.
(function () {
  "use strict";

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    livesegments_copy: {
      copy: async function (presses, id) {
        const part = document.getElementById(id);
        if (!presses || !part) return window.dash_clientside.no_update;
        if (navigator.clipboard) {
          try {
            await navigator.clipboard.writeText(part.textContent);
            return "Copied";
          } catch (refused) {
            // Marked below.
          }
        }
        window.getSelection().selectAllChildren(part);
        return "Marked: copy it now";
      },
    },
  });
})();
