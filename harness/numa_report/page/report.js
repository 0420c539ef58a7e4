// What the page does beyond being read: the theme's switch, and a cell's details by pointer and keyboard.
"use strict";
const page = (() => {
  const theme = { // remembered where the browser lets a page remember
    kept() { try { return localStorage.getItem("numa-theme") || "system"; } catch (error) { return "system"; } },
    keep(name) { try { localStorage.setItem("numa-theme", name); } catch (error) { /* then not */ } },
    set(name) {
      const dark = { system: "screen and (prefers-color-scheme: dark)", dark: "screen", light: "not all" };
      document.getElementById("dark").media = dark[name] || dark.system;
    },
  };
  theme.set(theme.kept()); // before anything is drawn
  document.documentElement.classList.add("with-script");

  const SVG = "http://www.w3.org/2000/svg";
  const make = (name, attributes = {}, ...children) => {
    const of_svg = ["svg", "g", "path", "rect", "circle", "line", "text", "title"].includes(name);
    const element = of_svg ? document.createElementNS(SVG, name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };
  const figure = (value) => (value === null ? "not known" : Math.abs(value) >= 1e8 || (value && Math.abs(value) < 1e-3)
    ? value.toExponential(2) : value.toLocaleString("en", Math.abs(value) >= 1000 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 4 }));

  const setUpTheme = () => {
    const box = document.getElementById("theme");
    box.hidden = false;
    for (const radio of box.querySelectorAll("input")) {
      radio.checked = radio.value === theme.kept();
      radio.addEventListener("change", () => { theme.keep(radio.value); theme.set(radio.value); });
    }
  };

  // The samples of a cell: a place for each round, samples in the order of time within it.
  const strip = (cell, unit) => {
    const width = 340, height = 190, left = 52, right = 8, top = 18, bottom = 34;
    const values = cell.rounds.flatMap((round) => round.slice(1));
    const known = [...values, cell.low, cell.high, cell.median].filter((value) => value !== null);
    let low = Math.min(...known), high = Math.max(...known);
    const room = (high - low || high || 1) * 0.08;
    low = Math.max(0, low - room); high += room;
    const y = (value) => top + (height - top - bottom) * (1 - (value - low) / (high - low));
    const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
      "aria-label": `${values.length} samples in ${cell.rounds.length} rounds, from ${figure(Math.min(...values))} to ${figure(Math.max(...values))} ${unit}` });
    svg.append(make("text", { x: 4, y: 11 }, unit));
    const [step, marked] = ticks(low, high);
    const digits = Math.min(Math.max(0, -Math.floor(Math.log10(step) + 1e-9)), 12);
    for (const tick of marked) {
      svg.append(make("path", { class: "axis", d: `M${left} ${y(tick)}H${width - right}` }),
        make("text", { x: left - 5, y: y(tick) + 4, "text-anchor": "end" },
          high < 1e7 ? tick.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }) : tick.toExponential(2)));
    }
    if (cell.low !== null && cell.high !== null) {
      svg.append(make("rect", { class: "interval", x: left, width: width - left - right, y: y(cell.high), height: Math.max(1, y(cell.low) - y(cell.high)) }));
    }
    if (cell.median !== null) svg.append(make("path", { class: "median", d: `M${left} ${y(cell.median)}H${width - right}` }));
    const disturbed = new Map();
    for (let at = 0; at < cell.disturbed.length; at += 2) disturbed.set(cell.disturbed[at], cell.disturbed[at + 1]);
    const each = (width - left - right) / cell.rounds.length;
    let place = 0;
    cell.rounds.forEach(([number, ...of_round], index) => {
      const begin = left + each * index;
      if (index) svg.append(make("path", { class: "axis", d: `M${begin} ${top}V${height - bottom}` }));
      if (cell.rounds.length <= 12 || index % Math.ceil(cell.rounds.length / 12) === 0) {
        svg.append(make("text", { x: begin + each / 2, y: height - bottom + 14, "text-anchor": "middle" }, String(number)));
      }
      of_round.forEach((value, order) => {
        const x = begin + each * (0.12 + 0.76 * (order + 0.5) / of_round.length);
        svg.append(disturbed.has(place)
          ? make("path", { class: "disturbed", d: `M${x - 3} ${y(value) - 3}l6 6m0 -6l-6 6` })
          : make("circle", { class: "sample", cx: x, cy: y(value), r: of_round.length > 60 ? 1.5 : 2.6 }));
        place += 1;
      });
    });
    svg.append(make("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, "round"));
    return svg;
  };

  const ticks = (low, high) => {
    const power = 10 ** Math.floor(Math.log10((high - low) / 4));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => (high - low) / size <= 6);
    const found = [];
    for (let value = Math.ceil(low / step) * step; value <= high; value += step) found.push(Number(value.toPrecision(10)));
    return [step, found];
  };

  const setUpDetails = () => {
    const panel = document.getElementById("details"), source = document.getElementById("data");
    if (!panel || !source) return;
    const data = JSON.parse(source.textContent);
    const said = (number) => data.strings[number];
    const prompt = () => panel.replaceChildren(make("p", { class: "prompt" }, "Point at a cell to see its samples, the command that measured it, and where its memory was. A click or Enter keeps it here, Esc lets go."));
    let pinned = null, shown = null, closing = false;

    const cellOf = (td) => Object.fromEntries(data.fields.map((field, index) => [field, data.cells[td.dataset.c][index]]));
    const rows = (pairs) => make("dl", {}, ...pairs.filter(([, words]) => words !== "").flatMap(([name, words]) => [make("dt", {}, name), make("dd", {}, words)]));

    const show = (td) => {
      if (!td || td === shown) return;
      if (shown) { shown.classList.remove("shown"); shown.removeAttribute("aria-describedby"); }
      shown = td;
      td.classList.add("shown");
      const box = td.getBoundingClientRect();
      panel.classList.remove("closed");
      panel.classList.toggle("above", box.top + box.bottom > innerHeight); // where it comes from an edge: not over the cell
      document.documentElement.classList.add("details-open");
      if (td.dataset.c === undefined) {
        panel.replaceChildren(make("p", { class: "prompt" }, "This cell is not in the plan."));
        return;
      }
      const cell = cellOf(td), { title, unit } = data.quantities[cell.quantity];
      const close = make("button", { type: "button", class: "close" }, "Close");
      close.addEventListener("click", () => letGo(true));
      const status = said(cell.status) + (cell.reason ? `: ${said(cell.reason)}` : "");
      panel.replaceChildren(close, make("h3", {}, title), make("p", { class: "cell-name" }, cell.cell));
      if (cell.rounds.length) panel.append(strip(cell, unit));
      if (cell.disturbed.length) panel.append(make("p", { class: "prompt disturbed-words" }, `× disturbed: ${[...new Set(cell.disturbed.filter((_, at) => at % 2).map(said))].join(", ")}`));
      if (cell.left_out) panel.append(make("p", { class: "prompt" }, `${cell.left_out} further samples are not drawn.`));
      panel.append(rows([
        ["median", cell.median === null ? "" : `${figure(cell.median)} ${unit}`],
        ["95 % interval", cell.low === null || cell.high === null ? "" : `${figure(cell.low)} to ${figure(cell.high)} ${unit}`],
        ["MAD", cell.mad === null ? "" : `${figure(cell.mad)} ${unit}`],
        ["samples", `${cell.count}${cell.rounds.length ? ` in ${cell.rounds.length} round${cell.rounds.length > 1 ? "s" : ""}` : ""}${cell.outliers ? `, ${cell.outliers} outlier${cell.outliers > 1 ? "s" : ""}` : cell.count ? ", no outliers" : ""}`],
        ["status", status], ["unlike others", said(cell.outlier)], ["placement", said(cell.placement)], ["where", said(cell.conditions)],
      ]));
      const summary = make("p", { id: "summary", hidden: "" }, `${cell.count} samples; ${status}; ${said(cell.placement)}`);
      panel.append(summary);
      td.setAttribute("aria-describedby", "summary");
      if (cell.command.length) panel.append(...commandOf(cell));
    };

    const commandOf = (cell) => {
      const words = make("pre", { tabindex: "0", "aria-label": "command" }, cell.command.map(said).join(" "));
      const copy = make("button", { type: "button" }, "Copy");
      copy.addEventListener("click", async () => {
        const range = document.createRange();
        range.selectNodeContents(words);
        getSelection().removeAllRanges();
        getSelection().addRange(range);
        try {
          await navigator.clipboard.writeText(words.textContent);
          copy.textContent = "Copied";
        } catch (error) {
          copy.textContent = document.execCommand("copy") ? "Copied" : "Selected: press Ctrl+C";
        }
      });
      return [make("h4", {}, "Measured by "), words, copy, make("p", { class: "prompt" }, `again by hand: sh ${said(cell.script)}`)];
    };

    const letGo = (back) => {
      const cell = pinned || shown, inside = pinned || panel.contains(document.activeElement);
      pinned = null;
      if (shown) { shown.classList.remove("shown"); shown.removeAttribute("aria-describedby"); }
      shown = null;
      panel.classList.add("closed");
      document.documentElement.classList.remove("details-open");
      prompt();
      closing = true;
      if (back && cell && inside) cell.focus();
      closing = false;
    };
    const pin = (td) => { pinned = null; show(td); pinned = td; };

    panel.hidden = false;
    prompt();
    for (const table of document.querySelectorAll("table.heat")) {
      table.setAttribute("role", "grid");
      const first = table.querySelector("td");
      if (first) first.tabIndex = 0;
    }
    const area = document.querySelector(".all-panels");
    const target = (event) => event.target.closest(".heat td");
    area.addEventListener("mouseover", (event) => { if (!pinned) show(target(event)); });
    area.addEventListener("mouseleave", () => { if (!pinned && !area.contains(document.activeElement)) letGo(false); });
    area.addEventListener("focusin", (event) => { if (!pinned && !closing) show(target(event)); });
    area.addEventListener("click", (event) => {
      const td = target(event);
      if (!td) return;
      if (td === pinned) { letGo(false); return; }
      moveTo(td);
      pin(td);
    });

    // One cell of a table is in the Tab order: the one last visited.
    const moveTo = (td) => {
      for (const other of td.closest("table").querySelectorAll("td[tabindex]")) other.removeAttribute("tabindex");
      td.tabIndex = 0;
      td.focus();
    };
    const neighbour = (td, key, ctrl) => {
      const body = td.closest("tbody"), row = td.parentElement, last = row.cells.length - 1;
      const at = (line, column) => body.rows[Math.min(Math.max(line, 0), body.rows.length - 1)].cells[Math.min(Math.max(column, 1), last)];
      const line = row.sectionRowIndex, column = td.cellIndex;
      switch (key) {
        case "ArrowLeft": return at(line, column - 1);
        case "ArrowRight": return at(line, column + 1);
        case "ArrowUp": return at(line - 1, column);
        case "ArrowDown": return at(line + 1, column);
        case "PageUp": return at(line - 8, column);
        case "PageDown": return at(line + 8, column);
        case "Home": return at(ctrl ? 0 : line, 1);
        case "End": return at(ctrl ? body.rows.length : line, last);
        default: return null;
      }
    };
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { letGo(true); return; }
      const td = target(event);
      if (!td || event.altKey || event.metaKey) return;
      const next = neighbour(td, event.key, event.ctrlKey);
      if (next) {
        event.preventDefault();
        pinned = null;
        moveTo(next);
      } else if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        pin(td);
        panel.focus();
      }
    });
  };

  document.addEventListener("DOMContentLoaded", () => { setUpTheme(); setUpDetails(); });
  return { make, figure };
})();
