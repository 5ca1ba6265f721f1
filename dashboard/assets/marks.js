// Tens of thousands of small marks as one picture, worked out pixel by pixel: a browser without a graphics card takes
// twenty times as long to draw so many paths, and only begins when the script has long ended.
(function () {
  "use strict";
  const PARTS = 4; // of a pixel in which a mark's middle can lie, across and up
  const kept = new Map(); // masks, by shape and size

  // For each part of a pixel that the middle can lie in: the pixels that a mark covers, as seen from the middle's, and
  // how much of each. `reach` is how far it goes from its middle, in pixels.
  function masksOf(diamond, reach) {
    const name = `${diamond} ${reach}`;
    if (!kept.has(name)) {
      const masks = [];
      for (let part = 0; part < PARTS * PARTS; part++) {
        masks.push(maskOf(diamond, reach, ((part % PARTS) + 0.5) / PARTS, (Math.floor(part / PARTS) + 0.5) / PARTS));
      }
      kept.set(name, masks);
    }
    return kept.get(name);
  }

  function maskOf(diamond, reach, right, down) {
    const half = Math.ceil(reach) + 1;
    const covered = [];
    for (let row = -half; row <= half; row++) {
      for (let column = -half; column <= half; column++) {
        const [x, y] = [Math.abs(column + 0.5 - right), Math.abs(row + 0.5 - down)];
        const left = diamond ? (reach - x - y) / Math.SQRT2 : reach - Math.hypot(x, y);
        const cover = Math.min(1, Math.max(0, left + 0.5));
        if (cover) covered.push([column, row, cover]);
      }
    }
    return {
      half,
      columns: Int32Array.from(covered, (one) => one[0]),
      rows: Int32Array.from(covered, (one) => one[1]),
      covers: Float64Array.from(covered, (one) => one[2]),
    };
  }

  function rgb(color) {
    return [1, 3, 5].map((start) => parseInt(color.slice(start, start + 2), 16));
  }

  // A picture of marks, empty at first.
  window.livesegmentsMarks = function (width, height) {
    const image = new ImageData(width, height);
    const pixels = image.data;
    return {
      image,
      // A mark, its middle in pixels of the picture, over those before: `masks` as livesegmentsMarks.of gives them for
      // a shape and a size, `color` as livesegmentsMarks.rgb does.
      add: function (x, y, masks, color, alpha) {
        const [column, row] = [Math.floor(x), Math.floor(y)];
        const part = Math.floor((y - row) * PARTS) * PARTS + Math.floor((x - column) * PARTS);
        const { half, columns, rows, covers } = masks[part];
        const edge = column < half || row < half || column >= width - half || row >= height - half;
        const [red, green, blue] = color;
        const middle = row * width + column;
        for (let one = 0; one < covers.length; one++) {
          if (edge) {
            const [across, down] = [column + columns[one], row + rows[one]];
            if (across < 0 || down < 0 || across >= width || down >= height) continue;
          }
          const at = 4 * (middle + rows[one] * width + columns[one]);
          const over = covers[one] * alpha;
          if (pixels[at + 3] === 0) {
            pixels[at] = red;
            pixels[at + 1] = green;
            pixels[at + 2] = blue;
            pixels[at + 3] = 255 * over + 0.5;
          } else {
            const whole = over + (pixels[at + 3] / 255) * (1 - over);
            const share = over / whole;
            pixels[at] += (red - pixels[at]) * share;
            pixels[at + 1] += (green - pixels[at + 1]) * share;
            pixels[at + 2] += (blue - pixels[at + 2]) * share;
            pixels[at + 3] = 255 * whole + 0.5;
          }
        }
      },
    };
  };
  window.livesegmentsMarks.of = masksOf;
  window.livesegmentsMarks.rgb = rgb;
})();
