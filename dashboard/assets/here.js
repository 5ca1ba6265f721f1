// On a phone the links to pages scroll: the one of this page comes into sight.
(function () {
  "use strict";
  let shown = null;

  new MutationObserver(function () {
    const here = document.querySelector("nav .here");
    if (!here || here.href === shown) return;
    shown = here.href;
    const nav = here.closest("nav");
    nav.scrollLeft = here.offsetLeft - (nav.clientWidth - here.offsetWidth) / 2;
  }).observe(document.documentElement, { childList: true, subtree: true, attributes: true, attributeFilter: ["class"] });
})();
