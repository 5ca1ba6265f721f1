// Draws the figures of the report in the colours of the page, and again when these change.
"use strict";
const figures = JSON.parse(document.getElementById("figures").textContent);

function theme() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    font: getComputedStyle(document.body).fontFamily,
    ink: colour("ink"), quiet: colour("quiet"), line: colour("line"), card: colour("card"),
    colours: [0, 1, 2, 3, 4, 5, 6, 7].map((number) => colour(`c${number}`)),
    scales: {
      sequential: [[0, colour("few")], [0.5, colour("some")], [1, colour("many")]],
      diverging: [[0, colour("against")], [0.5, colour("none")], [1, colour("with")]],
    },
  };
}

function axis(look, own) {
  return {
    gridcolor: look.line, linecolor: look.line, zeroline: false, zerolinecolor: look.quiet,
    tickfont: { color: look.quiet, size: 11 }, automargin: true, fixedrange: true, ticks: "", ...own,
    title: { ...(own || {}).title, font: { size: 12, color: look.quiet } },
  };
}

function draw() {
  const look = theme();
  figures.forEach((figure, number) => {
    const data = figure.data.map((trace) => ({
      ...trace,
      colorscale: look.scales[trace.colorscale],
      ...(trace.texttemplate ? { textfont: { color: look.ink } } : {}), // plotly's own choice is hard to read
    }));
    const layout = {
      ...figure.layout,
      autosize: true,
      height: undefined, // the card's
      colorway: look.colours,
      font: { family: look.font, size: 12, color: look.ink },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 8, r: 12, t: 10, b: 8 },
      dragmode: false, // a finger on a figure scrolls the page
      hoverlabel: { bgcolor: look.card, bordercolor: look.line, font: { color: look.ink, family: look.font } },
      xaxis: axis(look, figure.layout.xaxis),
      yaxis: axis(look, figure.layout.yaxis),
      shapes: (figure.layout.shapes || []).map((shape) => ({
        ...shape, line: { color: look.colours[1], width: 2, dash: "dot" },
      })),
    };
    Plotly.react(`plot-${number}`, data, layout, { displayModeBar: false, scrollZoom: false });
  });
}

draw();
const resized = new ResizeObserver((changes) => changes.forEach(({ target }) => Plotly.Plots.resize(target)));
document.querySelectorAll(".plot").forEach((plot) => resized.observe(plot));
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
