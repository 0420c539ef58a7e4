// What a fleet's page does beyond being read: the ranking sorted and filtered, and every host's matrix drawn small.
"use strict";
(() => {
  const { make, figure } = page;
  const hidden = new Set(); // numbers of the hosts that the filter leaves out
  const changed = []; // what is to be called when they are others

  const setUpRanking = () => {
    const table = document.getElementById("hosts"), body = table.tBodies[0];
    const rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
    const words = rows.map((row) => row.textContent.toLowerCase());
    const compare = new Intl.Collator("en", { numeric: true }).compare;
    heads.forEach((head, column) => {
      const button = make("button", { type: "button" }, head.textContent);
      head.replaceChildren(button);
      const numeric = rows.some((row) => row.cells[column].dataset.v !== undefined);
      button.addEventListener("click", () => {
        const sorted = head.getAttribute("aria-sort");
        const down = sorted ? sorted === "ascending" : numeric; // figures begin with the greatest
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const value = (row) => (numeric ? row.cells[column].dataset.v : row.cells[column].textContent);
        const order = [...rows].sort((a, b) => {
          const [one, other] = [value(a), value(b)];
          if (one === undefined || other === undefined) return (one === undefined) - (other === undefined); // those without one are last
          return (down ? -1 : 1) * (numeric ? one - other : compare(one, other));
        });
        body.append(...order);
      });
    });
    const find = document.getElementById("find"), found = document.getElementById("found");
    const filter = () => {
      const wanted = find.value.toLowerCase().split(/\s+/).filter(Boolean);
      hidden.clear();
      rows.forEach((row, number) => {
        row.hidden = !wanted.every((word) => words[number].includes(word));
        if (row.hidden) hidden.add(number);
      });
      found.textContent = wanted.length ? `${rows.length - hidden.size} of ${rows.length} hosts` : "";
      changed.forEach((call) => call());
    };
    find.addEventListener("input", filter);
    if (find.value) filter(); // the browser kept it
  };

  // A cell is [row, column, name, the hosts' median, sigma, limit]; the last three are null where hosts cannot be compared.
  const MARGIN = 2, UNMEASURED = "#8a8f94"; // pixels around a matrix, for its frame
  const zOf = (cell, value) => (cell[3] === null || value === null ? null : (value - cell[3]) / cell[4]);
  const isApart = (cell, value) => cell[3] !== null && value !== null && Math.abs(value - cell[3]) > cell[5];
  const shareOf = (cell, value, view) => { // from 0, the best or the usual, to 1
    if (view.by === "distance") return Math.abs(zOf(cell, value)) / view.full_z;
    const { low, high, size, reversed } = view.quantity;
    const share = high > low ? (value / size - low) / (high - low) : 0;
    return reversed ? 1 - share : share;
  };
  const colourOf = (cell, value, view) => {
    if (value === null || (view.by === "distance" && cell[3] === null)) return UNMEASURED;
    return view.colours[Math.round((view.colours.length - 1) * Math.min(Math.max(shareOf(cell, value, view), 0), 1))];
  };

  // One host's matrix: its cells, those without a figure crossed out, and a frame around those that are apart.
  const draw = (tile, view) => {
    const part = tile.group.panels[view.number], { side } = part, context = tile.canvas.getContext("2d");
    const width = part.columns.length * side + 2 * MARGIN, height = part.rows.length * side + 2 * MARGIN;
    const sharp = Math.min(devicePixelRatio || 1, 3);
    Object.assign(tile.canvas, { width: width * sharp, height: height * sharp });
    Object.assign(tile.canvas.style, { width: `${width}px`, height: `${height}px` });
    context.setTransform(sharp, 0, 0, sharp, MARGIN * sharp, MARGIN * sharp);
    const apart = new Set();
    part.cells.forEach((cell, number) => {
      if (part.gone.has(`${tile.at} ${number}`)) return;
      const [row, column] = cell, value = part.values[tile.at][number];
      context.fillStyle = colourOf(cell, value, view);
      context.fillRect(column * side, row * side, side, side);
      if (value === null) cross(context, column * side, row * side, side);
      if (isApart(cell, value)) apart.add(row * part.columns.length + column);
    });
    if (apart.size) frame(context, apart, part);
  };
  const line = (context, x1, y1, x2, y2) => { context.moveTo(x1, y1); context.lineTo(x2, y2); };
  const cross = (context, x, y, side) => {
    context.strokeStyle = "#000";
    context.lineWidth = 1;
    context.beginPath();
    line(context, x, y, x + side, y + side);
    line(context, x + side, y, x, y + side);
    context.stroke();
  };
  const frame = (context, apart, { side, columns }) => { // not between two of them
    const wide = columns.length;
    context.beginPath();
    for (const cell of apart) {
      const column = cell % wide, x = column * side, y = Math.floor(cell / wide) * side;
      if (!apart.has(cell - wide)) line(context, x, y, x + side, y);
      if (!apart.has(cell + wide)) line(context, x, y + side, x + side, y + side);
      if (column === 0 || !apart.has(cell - 1)) line(context, x, y, x, y + side);
      if (column === wide - 1 || !apart.has(cell + 1)) line(context, x + side, y, x + side, y + side);
    }
    context.lineCap = "square";
    for (const [colour, thick] of [["#fff", 4], ["#c00", 2]]) {
      context.strokeStyle = colour;
      context.lineWidth = thick;
      context.stroke();
    }
  };

  const setUpTiles = () => {
    const place = document.getElementById("tiles"), panel = document.getElementById("details");
    if (!place) return;
    const data = JSON.parse(document.getElementById("fleet-data").textContent);
    const controls = document.querySelector(".controls");
    const chosen = (name) => controls.querySelector(`input[name="${name}"]:checked`).value;
    const cursor = make("div", { class: "cursor" }), aloud = make("p", { class: "aloud", role: "status" });
    const tiles = []; // {button, canvas, host, group, at}: `at` is the host's place in its group
    let shown = null, pinned = null, cellShown = null, closing = false;
    const many = data.hosts.length > 200, span = many ? 40 : 72; // pixels that a matrix is given
    place.classList.toggle("many", many);

    data.groups.forEach((group) => {
      group.tiles = group.hosts.map((number, at) => {
        const host = data.hosts[number], canvas = make("canvas", {});
        const bad = host.status === "ok" ? "" : host.status;
        const name = make("span", {}, `${host.odd ? "◆ " : bad ? "✕ " : ""}${host.name}`);
        const words = [host.name, bad, host.odd ? "odd" : "", host.compared ? `${host.apart} of ${host.compared} cells apart` : "", host.said];
        const button = make("button", { type: "button", class: `tile${host.odd ? " odd" : bad ? " not-ok" : ""}`, tabindex: "-1",
          title: host.name, "aria-label": words.filter(Boolean).join(", ") }, canvas, name);
        const tile = { button, canvas, host, number, group, at };
        tiles.push(tile);
        button.tile = tile;
        return tile;
      });
      group.box = make("div", { class: "tiles" });
      place.append(make("section", { class: "group", role: "group", "aria-label": group.model || "unnamed CPU" },
        make("h3", {}, `${group.model || "unnamed CPU"} `, make("small", {}, `${group.hosts.length} host${group.hosts.length > 1 ? "s" : ""}`)), group.box));
    });
    place.append(aloud);

    const now = () => {
      const number = Number(chosen("panel")), by = chosen("by");
      const { quantity, title } = data.panels[number];
      return { number, by, title, quantity: data.quantities[quantity], colours: data.colours, full_z: data.full_z };
    };
    const drawAll = () => {
      const view = now();
      const legend = view.by === "distance" ? "distance" : String(data.panels[view.number].quantity);
      for (const part of controls.querySelectorAll("[data-legend]")) part.hidden = part.dataset.legend !== legend;
      for (const group of data.groups) {
        const part = group.panels[view.number];
        group.box.parentElement.hidden = !part;
        if (!part) continue;
        part.side ??= Math.min(Math.max(Math.floor(span / Math.max(part.columns.length, part.rows.length)), 2), 32);
        part.gone ??= new Set(part.absent.map((pair) => pair.join(" ")));
        for (const tile of group.tiles) draw(tile, view);
      }
      letGo(false);
    };
    const names = new Intl.Collator("en", { numeric: true });
    const arrange = () => {
      const by_name = chosen("order") === "name";
      for (const group of data.groups) {
        const ordered = [...group.tiles].sort((a, b) => (by_name ? names.compare(a.host.name, b.host.name) : a.number - b.number));
        group.box.append(...ordered.map((tile) => tile.button));
      }
      filter();
    };
    const filter = () => {
      for (const tile of tiles) tile.button.hidden = hidden.has(tile.number);
      for (const group of data.groups) group.box.parentElement.hidden = !group.panels[now().number] || group.tiles.every((tile) => tile.button.hidden);
      if (!tiles.some((tile) => tile.button.tabIndex === 0 && isSeen(tile))) {
        const first = visible()[0];
        for (const tile of tiles) tile.button.tabIndex = -1;
        if (first) first.tabIndex = 0;
      }
    };
    const isSeen = (tile) => !tile.button.hidden && !tile.button.closest(".group").hidden;
    const visible = () => [...place.querySelectorAll(".tile")].filter((button) => isSeen(button.tile));

    // The cell of a tile that is farthest from the other hosts', or the first.
    const farthest = (tile) => {
      const part = tile.group.panels[now().number], values = part.values[tile.at];
      let best = 0, most = -1;
      part.cells.forEach((cell, number) => {
        const z = Math.abs(zOf(cell, values[number]) ?? -0.5);
        if (z > most) [best, most] = [number, z];
      });
      return best;
    };

    const rows = (pairs) => make("dl", {}, ...pairs.filter(([, words]) => words !== "").flatMap(([name, words]) => [make("dt", {}, name), make("dd", {}, words)]));
    const said = (value, view) => (value === null ? "not measured" : `${figure(value / view.quantity.size)} ${view.quantity.unit}`);
    const signed = (value, digits) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}`;
    const show = (tile, number, loud) => {
      if (tile === shown && number === cellShown) return;
      const view = now(), part = tile.group.panels[view.number], cell = part.cells[number];
      if (shown) shown.button.classList.remove("shown");
      [shown, cellShown] = [tile, number];
      tile.button.classList.add("shown");
      const { offsetLeft, offsetTop } = tile.canvas;
      Object.assign(cursor.style, { left: `${offsetLeft + MARGIN + cell[1] * part.side}px`, top: `${offsetTop + MARGIN + cell[0] * part.side}px`, width: `${part.side}px`, height: `${part.side}px` });
      tile.button.append(cursor);
      const box = tile.button.getBoundingClientRect();
      panel.classList.remove("closed");
      panel.classList.toggle("above", box.top + box.bottom > innerHeight);
      document.documentElement.classList.add("details-open");
      const value = part.values[tile.at][number], z = zOf(cell, value), { host } = tile;
      const gone = part.gone.has(`${tile.at} ${number}`);
      const mark = (part.marks.find(([at, which]) => at === tile.at && which === number) || [])[2] || "";
      const title = view.quantity.title + (view.title ? `, ${view.title}` : "");
      const where = `${part.rows[cell[0]]}, ${part.columns[cell[1]]}`;
      const close = make("button", { type: "button", class: "close" }, "Close");
      close.addEventListener("click", () => letGo(true));
      const facts = [
        ["value", gone ? "this host has no such cell" : said(value, view)],
        ["fleet's median", cell[3] === null ? "not known: it takes 3 hosts with the same CPU" : said(cell[3], view)],
        ["difference", z === null ? "" : `${signed(100 * (value / cell[3] - 1), 1)} %`],
        ["robust z", z === null ? "" : `${signed(z, 1)}${isApart(cell, value) ? ": apart" : ""}`], ["marks", mark],
      ];
      panel.replaceChildren(close, make("h3", {}, host.name), make("p", { class: "prompt" },
        [host.status === "ok" ? "" : host.status, host.odd ? "◆ odd" : "", host.said].filter(Boolean).join("; ")),
      make("h4", {}, title), make("p", { class: "cell-name" }, where), rows(facts), make("p", { class: "prompt" }, cell[2]));
      if (host.link) panel.append(make("p", {}, make("a", { href: host.link }, "This host's own report")));
      if (loud) aloud.textContent = [host.name, where, ...facts.filter(([, words]) => words).map((pair) => pair.join(" "))].join("; ");
    };
    const letGo = (back) => {
      const tile = pinned || shown, inside = pinned || panel.contains(document.activeElement);
      pinned = null;
      if (shown) shown.button.classList.remove("shown");
      shown = cellShown = null;
      cursor.remove();
      panel.classList.add("closed");
      document.documentElement.classList.remove("details-open");
      panel.replaceChildren(make("p", { class: "prompt" }, "Point at a host's cell to see its value, the fleet's median and how far apart they are. A click or Enter keeps it here, Esc lets go."));
      closing = true; // to return to a host is not to show it again
      if (back && tile && inside) tile.button.focus({ preventScroll: true });
      closing = false;
    };
    const pin = (tile, number) => { pinned = null; show(tile, number, false); pinned = tile; };

    const tileOf = (event) => { const button = event.target.closest(".tile"); return button && button.tile; };
    const cellAt = (tile, event) => {
      const part = tile.group.panels[now().number], box = tile.canvas.getBoundingClientRect();
      const column = Math.floor((event.clientX - box.left - MARGIN) / part.side), row = Math.floor((event.clientY - box.top - MARGIN) / part.side);
      const number = part.cells.findIndex((cell) => cell[0] === row && cell[1] === column);
      return number >= 0 ? number : shown === tile ? cellShown : farthest(tile);
    };
    place.addEventListener("mousemove", (event) => { const tile = tileOf(event); if (tile && !pinned) show(tile, cellAt(tile, event), false); });
    place.addEventListener("mouseleave", () => { if (!pinned && !place.contains(document.activeElement)) letGo(false); });
    place.addEventListener("focusin", (event) => { const tile = tileOf(event); if (tile && !pinned && !closing && tile !== shown) show(tile, farthest(tile), false); });
    place.addEventListener("click", (event) => {
      const tile = tileOf(event);
      if (!tile) return;
      const by_keys = event.detail === 0, number = by_keys ? (shown === tile ? cellShown : farthest(tile)) : cellAt(tile, event);
      if (!by_keys && tile === pinned && number === cellShown) { letGo(false); return; }
      moveTo(tile.button);
      pin(tile, number);
      if (by_keys) panel.focus();
    });
    const moveTo = (button) => {
      for (const tile of tiles) if (tile.button.tabIndex === 0) tile.button.tabIndex = -1;
      button.tabIndex = 0;
      button.focus();
    };
    const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    const neighbour = (button, key) => {
      const all = visible(), at = all.indexOf(button);
      if (key === "Home") return all[0];
      if (key === "End") return all[all.length - 1];
      const [down, across] = STEPS[key];
      if (across) return all[at + across];
      const from = button.getBoundingClientRect(); // the next row's that is nearest across
      const beyond = all.map((other) => [other, other.getBoundingClientRect()]).filter(([, box]) => (box.top - from.top) * down > 1);
      const line = down > 0 ? Math.min(...beyond.map(([, box]) => box.top)) : Math.max(...beyond.map(([, box]) => box.top));
      const near = beyond.filter(([, box]) => Math.abs(box.top - line) < 1).sort(([, a], [, b]) => Math.abs(a.left - from.left) - Math.abs(b.left - from.left));
      return near.length ? near[0][0] : null;
    };
    place.addEventListener("keydown", (event) => {
      const tile = tileOf(event);
      if (!tile || event.altKey || event.ctrlKey || event.metaKey || !(event.key in STEPS || ["Home", "End"].includes(event.key))) return;
      event.preventDefault();
      pinned = null;
      if (event.shiftKey && event.key in STEPS) {
        const part = tile.group.panels[now().number], from = part.cells[cellShown], [down, across] = STEPS[event.key];
        const next = part.cells.findIndex((cell) => cell[0] === from[0] + down && cell[1] === from[1] + across);
        if (next >= 0) show(tile, next, true);
        return;
      }
      const next = neighbour(tile.button, event.key);
      if (next) moveTo(next);
    });
    document.addEventListener("keydown", (event) => { if (event.key === "Escape" && shown) letGo(true); });
    for (const input of controls.querySelectorAll("input")) {
      input.addEventListener("change", input.name === "order" ? arrange : () => { drawAll(); filter(); });
    }
    changed.push(filter);
    drawAll();
    arrange();
  };

  document.addEventListener("DOMContentLoaded", () => { setUpRanking(); setUpTiles(); });
})();
