
"use strict";
// Hovering over a chart shows the figures at that step; the page is complete without this script.
const reading = document.getElementById("reading");

function nearest(steps, step) {
  let low = 0, high = steps.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (steps[middle] <= step) low = middle; else high = middle;
  }
  return high >= 0 && Math.abs(steps[high] - step) < Math.abs(steps[low] - step) ? high : low;
}

function watch(chart, data) {
  const area = chart.querySelector(".area");
  let needle = null;
  function hide() {
    reading.hidden = true;
    if (needle) needle.remove();
    needle = null;
  }
  function show(event) {
    const box = area.getBoundingClientRect();
    const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    const step = data.first + share * (data.last - data.first);
    const heading = document.createElement("b");
    const count = Math.round(step);
    heading.textContent = data.x + " " + (data.ticks.length ? data.ticks[count - data.first] : count.toLocaleString("en"));
    reading.replaceChildren(heading);
    for (const [name, colour, steps, texts] of data.curves) {
      if (!steps.length) continue;
      const row = document.createElement("div"), swatch = document.createElement("i"), value = document.createElement("span");
      swatch.className = colour;
      value.textContent = texts[nearest(steps, step)];
      row.append(swatch, name, value);
      reading.append(row);
    }
    if (!needle) {
      needle = document.createElement("div");
      needle.className = "needle";
      area.append(needle);
    }
    needle.style.left = 100 * share + "%";
    reading.hidden = false;
    const left = event.clientX + 14, width = reading.offsetWidth, height = reading.offsetHeight;
    reading.style.left = Math.max(left + width > innerWidth - 8 ? event.clientX - width - 14 : left, 8) + "px";
    reading.style.top = Math.min(Math.max(event.clientY - height / 2, 8), Math.max(innerHeight - height - 8, 8)) + "px";
  }
  area.addEventListener("pointermove", show);
  area.addEventListener("pointerdown", show);
  area.addEventListener("pointerleave", hide);
  area.addEventListener("pointercancel", hide);
}

for (const source of document.querySelectorAll(".chart > script")) {
  watch(source.parentElement, JSON.parse(source.textContent));
}
