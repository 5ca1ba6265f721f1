// Customers on the map: tens of thousands of points on a canvas beneath Plotly's figure, which has the axes, the
// middles of segments and the lasso. Plotly's own way to draw so many makes functions out of text, which the
// Content-Security-Policy of these pages forbids.
(function () {
  "use strict";
  const NEAR = 9; // pixels from a point at which it is meant
  const SHOWN = 0.75;
  const FADED = 0.1;
  const AROUND = 0.25; // what is painted beyond each edge, as a share of the map: there while somebody pans
  const CLOSE = [0.4, 2.5]; // of what was painted: enlarged or shrunk beyond that it is painted anew
  const REST = 150; // milliseconds after which whoever moved about has come to rest
  const drawn = new WeakMap(); // by Plotly's element
  const painted = new WeakMap(); // likewise: the ranges that are on the canvas
  const lassoed = new WeakMap(); // by points: which of them are inside the newest shape

  function place(axis, value) {
    const [from, to] = axis.range;
    return axis._offset + ((value - from) / (to - from)) * axis._length;
  }

  function pixels(gd, points) {
    const { xaxis, yaxis } = gd._fullLayout;
    const bottom = yaxis._offset + yaxis._length;
    const [low, high] = yaxis.range;
    return (index) => [
      place(xaxis, points.x[index]),
      bottom - ((points.y[index] - low) / (high - low)) * yaxis._length,
    ];
  }

  // The canvas, in a window as large as the axes that cuts off what lies beyond them.
  function canvasOf(gd) {
    const holder = gd.querySelector(".svg-container");
    let canvas = holder.querySelector("canvas.points");
    if (!canvas) {
      const clip = document.createElement("div");
      clip.className = "points-window";
      clip.setAttribute("aria-hidden", "true");
      canvas = document.createElement("canvas");
      canvas.className = "points";
      clip.append(canvas);
      holder.prepend(clip);
    }
    return canvas;
  }

  function within(corners, x, y) {
    let inside = false;
    for (let here = 0, before = corners.length - 1; here < corners.length; before = here++) {
      const [ax, ay] = corners[before];
      const [bx, by] = corners[here];
      if (ay !== by && y >= Math.min(ay, by) && y < Math.max(ay, by) && x < ax + ((y - ay) * (bx - ax)) / (by - ay)) {
        inside = !inside;
      }
    }
    return inside;
  }

  // The corners of the newest shape that was drawn; null where there is none.
  function shape(gd) {
    const shapes = gd._fullLayout.selections || [];
    const last = shapes[shapes.length - 1];
    if (!last) return null;
    if (last.type === "rect") {
      return [[last.x0, last.y0], [last.x1, last.y0], [last.x1, last.y1], [last.x0, last.y1]].map((one) => one.map(Number));
    }
    return [...String(last.path).matchAll(/[ML]?(-?[\d.]+(?:e[+-]?\d+)?),(-?[\d.]+(?:e[+-]?\d+)?)/g)].map((one) => [
      Number(one[1]),
      Number(one[2]),
    ]);
  }

  // Which points are inside the shape; null where there is none. Worked out once for each shape.
  function chosen(gd, points) {
    const corners = shape(gd);
    if (!corners) return null;
    const asked = JSON.stringify(corners);
    const known = lassoed.get(points);
    if (known && known.asked === asked) return known.inside;
    const inside = points.x.map((x, index) => within(corners, x, points.y[index]));
    lassoed.set(points, { asked, inside });
    return inside;
  }

  // Whether two records of what is painted are of the same picture.
  function same(before, now) {
    const { x, y, ...rest } = now;
    const alike = (one, other) => one[0] === other[0] && one[1] === other[1];
    return (
      Boolean(before) &&
      alike(before.x, x) &&
      alike(before.y, y) &&
      Object.keys(rest).every((name) => before[name] === rest[name])
    );
  }

  function paint(gd) {
    const points = drawn.get(gd);
    if (!points || !gd._fullLayout || !gd._fullLayout.xaxis || gd._fullLayout.scene) return;
    const { xaxis, yaxis } = gd._fullLayout;
    const [width, height] = [xaxis._length * (1 + 2 * AROUND), yaxis._length * (1 + 2 * AROUND)];
    const [left, top] = [xaxis._offset - xaxis._length * AROUND, yaxis._offset - yaxis._length * AROUND];
    const canvas = canvasOf(gd);
    const scale = window.devicePixelRatio || 1;
    const clip = canvas.parentElement.style;
    clip.left = `${xaxis._offset}px`;
    clip.top = `${yaxis._offset}px`;
    clip.width = `${xaxis._length}px`;
    clip.height = `${yaxis._length}px`;
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    canvas.style.left = `${left - xaxis._offset}px`;
    canvas.style.top = `${top - yaxis._offset}px`;
    const at = pixels(gd, points);
    const inside = chosen(gd, points);
    const now = { points, inside, scale, x: xaxis.range, y: yaxis.range, width: xaxis._length, height: yaxis._length };
    canvas.style.transform = "";
    if (same(painted.get(gd), now)) return;
    const colors = points.colors.map(window.livesegmentsMarks.rgb);
    const size = (points.x.length > 5000 ? 2.2 : 3) * scale;
    const [disc, diamond] = [window.livesegmentsMarks.of(false, size), window.livesegmentsMarks.of(true, 2 * size)];
    const marks = window.livesegmentsMarks(canvas.width, canvas.height);
    for (let index = 0; index < points.x.length; index++) {
      const [x, y] = at(index);
      if (x < left || x > left + width || y < top || y > top + height) continue;
      marks.add(
        (x - left) * scale,
        (y - top) * scale,
        points.far[index] ? diamond : disc,
        colors[points.group[index]],
        inside === null || inside[index] ? SHOWN : FADED
      );
    }
    canvas.getContext("2d").putImageData(marks.image, 0, 0);
    canvas.dataset.points = String(points.x.length);
    painted.set(gd, { ...now, x: [...now.x], y: [...now.y] });
  }

  // While somebody pans or zooms, what is painted is moved along, and painted anew only where it does not reach.
  function move(gd) {
    const before = painted.get(gd);
    if (!before || !drawn.get(gd) || !gd._fullLayout || !gd._fullLayout.xaxis || gd._fullLayout.scene) return;
    const { xaxis, yaxis } = gd._fullLayout;
    const [[left, right], [low, high]] = [xaxis.range, yaxis.range];
    const across = (before.x[1] - before.x[0]) / (right - left);
    const up = (before.y[1] - before.y[0]) / (high - low);
    const x = ((before.x[0] - left) / (right - left)) * before.width;
    const y = ((high - before.y[1]) / (high - low)) * before.height;
    const reaches = (start, stretch, length) =>
      start - AROUND * stretch * length <= 0 && start + (1 + AROUND) * stretch * length >= length;
    const close = [across, up].every((one) => one > CLOSE[0] && one < CLOSE[1]);
    if (!close || !reaches(x, across, before.width) || !reaches(y, up, before.height)) return paint(gd);
    const canvas = canvasOf(gd);
    canvas.style.transformOrigin = `${AROUND * before.width}px ${AROUND * before.height}px`;
    canvas.style.transform = `translate(${x}px, ${y}px) scale(${across}, ${up})`;
  }

  function hideTip() {
    const tip = document.getElementById("points-tip");
    if (tip) tip.hidden = true;
  }

  function showTip(gd, event) {
    const points = drawn.get(gd);
    if (!points || event.buttons || !gd._fullLayout || !gd._fullLayout.xaxis) return hideTip();
    const box = gd.getBoundingClientRect();
    const at = pixels(gd, points);
    let nearest = -1;
    let least = NEAR * NEAR;
    for (let index = 0; index < points.x.length; index++) {
      const [x, y] = at(index);
      const far = (x - event.clientX + box.left) ** 2 + (y - event.clientY + box.top) ** 2;
      if (far < least) [nearest, least] = [index, far];
    }
    if (nearest < 0) return hideTip();
    let tip = document.getElementById("points-tip");
    if (!tip) {
      tip = document.createElement("div");
      tip.id = "points-tip";
      document.body.append(tip);
    }
    const lines = [
      points.ids[nearest],
      points.names[points.group[nearest]],
      ...points.told.map((one) => `${one.before}${written(one.values[nearest], one.percent)}${one.after}`),
    ];
    tip.replaceChildren(
      ...lines.map((line, number) => {
        const part = document.createElement(number ? "div" : "strong");
        part.textContent = line; // whatever a customer is called, it is text
        return part;
      })
    );
    tip.hidden = false;
    const room = window.innerWidth - event.clientX;
    tip.style.left = room < 260 ? "auto" : `${event.clientX + 14}px`;
    tip.style.right = room < 260 ? `${room + 14}px` : "auto";
    tip.style.top = `${event.clientY + 14}px`;
  }

  function written(value, percent) {
    if (value === null) return "?";
    if (percent) return `${Math.round(100 * value)} %`;
    return value.toLocaleString("en", { maximumFractionDigits: Math.abs(value) < 100 ? 1 : 0 });
  }

  function follow(gd) {
    let waiting = null;
    let turned = -Infinity; // when somebody last moved about
    let rest = null;
    const soon = (act) => {
      // Painting does what moving does, too.
      if (waiting === null) {
        requestAnimationFrame(() => {
          const todo = waiting;
          waiting = null;
          todo(gd);
        });
        waiting = act;
      } else if (act === paint) {
        waiting = paint;
      }
    };
    // Between two turns of a wheel Plotly says that all has ended: painting waits until it has.
    const settle = () => {
      clearTimeout(rest);
      const left = turned + REST - performance.now();
      if (left <= 0) return soon(paint);
      soon(move);
      rest = setTimeout(settle, left);
    };
    for (const name of ["plotly_afterplot", "plotly_relayout"]) gd.on(name, settle);
    gd.on("plotly_relayouting", () => {
      turned = performance.now();
      soon(move);
    });
    gd.addEventListener("mousemove", (event) => showTip(gd, event));
    gd.addEventListener("mouseleave", hideTip);
    gd.addEventListener("mousedown", hideTip);
  }

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    livesegments_points: {
      // Of what Plotly says while somebody moves about, only what tells of shapes: the server need not hear of zooms.
      shapes: function (told) {
        const drawing = Object.keys(told || {}).some((name) => name.startsWith("selections"));
        return drawing ? told : window.dash_clientside.no_update;
      },
      // Draws the points beneath the figure of that id; nothing where there are none, as in depth.
      show: function (points, figure, id) {
        const begin = (tries) => {
          const gd = document.querySelector(`#${id} .js-plotly-plot`) || document.querySelector(`#${id}.js-plotly-plot`);
          if (!gd || !gd.on || !gd._fullLayout) {
            if (tries) setTimeout(() => begin(tries - 1), 50);
            return;
          }
          const known = drawn.has(gd);
          drawn.set(gd, points);
          if (!known) follow(gd);
          const canvas = gd.querySelector(".points-window");
          if (canvas && !points) canvas.remove();
          paint(gd);
        };
        begin(100);
        return window.dash_clientside.no_update;
      },
    },
  });
})();
