// A chart draws what the table beside it says: one truth, for eyes and for ears.
(() => {
  const drawn = new Map();
  // `light-dark()` is resolved only where a colour is used: a probe is asked.
  const probe = document.createElement("i");
  probe.hidden = true;
  document.body.append(probe);
  const ink = (name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const washed = (rgb, share) => rgb.replace("rgb(", "rgba(").replace(")", `, ${share})`);

  const columns = (table) => {
    const width = table.tHead.rows[0].cells.length;
    const found = Array.from({ length: width }, () => []);
    for (const row of table.tBodies[0].rows)
      for (let n = 0; n < width; n += 1) {
        const told = row.cells[n].dataset.v;
        found[n].push(told === undefined || told === "" ? null : Number(told));
      }
    return found;
  };

  const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const KINDS = {
    // time, ours, others, limit: others stand on top of ours
    rate: (data) => {
      const [at, ours, others, limit] = data;
      const both = ours.map((one, n) => (one === null ? null : one + (others[n] ?? 0)));
      const stepped = uPlot.paths.stepped({ align: 1 });
      return {
        data: [at, both, ours, limit],
        series: [
          { label: "ours and others", stroke: ink("--series-2"), fill: washed(ink("--series-2"), 0.3), width: 1.2, paths: stepped },
          { label: "ours", stroke: ink("--series-1"), fill: washed(ink("--series-1"), 0.45), width: 1.2, paths: stepped },
          { label: "limit", stroke: ink("--series-3"), dash: [5, 4], width: 1.4, paths: stepped },
        ],
        says: (n) => `${clock.format(at[n] * 1000)}: ours ${ours[n] ?? "–"}, others ${others[n] ?? "–"}, limit ${limit[n] ?? "–"}`,
      };
    },
    line: (data) => ({
      data,
      series: [{ stroke: ink("--series-1"), fill: washed(ink("--series-1"), 0.14), width: 1.6 }],
      says: (n) => `${clock.format(data[0][n] * 1000)}: ${data[1][n] ?? "–"}`,
    }),
  };

  const draw = (place) => {
    const table = document.getElementById(place.dataset.table);
    if (!table) return;
    const kind = KINDS[place.dataset.chart](columns(table));
    const old = drawn.get(place);
    if (old) {
      old.kind = kind;
      old.plot.setData(kind.data);
      return;
    }
    const axis = {
      stroke: ink("--muted"), font: "11px system-ui, sans-serif", grid: { stroke: ink("--line"), width: 1 },
      ticks: { show: false },
    };
    const readout = document.getElementById(place.dataset.readout);
    const holder = { kind };
    const plot = new uPlot(
      {
        width: place.clientWidth, height: place.classList.contains("low") ? 150 : 230,
        padding: [8, 6, 0, 0],
        legend: { show: false },
        cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
        scales: { y: { range: (_, __, high) => [0, Math.max(1, high) * 1.08] } },
        axes: [
          { ...axis, space: 70, values: (_, ticks) => ticks.map((one) => clock.format(one * 1000)) },
          { ...axis, size: 46, space: 34 },
        ],
        series: [{}, ...kind.series],
        hooks: {
          setCursor: [({ cursor }) => {
            if (readout) readout.textContent = cursor.idx == null ? "" : holder.kind.says(cursor.idx);
          }],
        },
      },
      kind.data,
      place,
    );
    holder.plot = plot;
    plot.root.setAttribute("aria-hidden", "true");
    drawn.set(place, holder);
    size.observe(place);
  };

  const size = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const plot = drawn.get(target)?.plot;
      if (plot && target.clientWidth && plot.width !== target.clientWidth)
        plot.setSize({ width: target.clientWidth, height: plot.height });
    }
  });

  const drawAll = () => {
    for (const [place, { plot }] of drawn)
      if (!place.isConnected) {
        plot.destroy();
        drawn.delete(place);
      }
    document.querySelectorAll("[data-chart]").forEach(draw);
  };
  const again = () => {
    for (const { plot } of drawn.values()) plot.destroy();
    drawn.clear();
    drawAll();
  };
  document.addEventListener("drawn", drawAll);
  document.addEventListener("themed", again);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  drawAll();
})();
