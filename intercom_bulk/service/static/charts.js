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

  const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", timeZone: "UTC" });
  const minute = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: "UTC" });
  const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];
  // Seconds that an axis spans at least, so that the first moments of a run are not stretched over all of it: `least`.
  const KINDS = {
    // time, ours, others, limit: others stand on top of ours
    rate: (data) => {
      const [at, ours, others, limit] = data;
      const both = ours.map((one, n) => (one === null ? null : one + (others[n] ?? 0)));
      const bars = uPlot.paths.bars({ size: [0.88, 60], align: 1 });
      const end = at.length ? [at.at(-1) + 10] : []; // a window lasts ten seconds: the limit is drawn to the end of it
      return {
        data: [[...at, ...end], [...both, null], [...ours, null], [...limit, limit.at(-1)]],
        least: 180,
        series: [
          { label: "ours and others", fill: ink("--series-2"), width: 0, paths: bars, points: { show: false } },
          { label: "ours", fill: ink("--series-1"), width: 0, paths: bars, points: { show: false } },
          { label: "limit", stroke: ink("--series-3"), dash: [5, 4], width: 1.6, paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } },
        ],
        says: (n) => n >= at.length ? "" : `${clock.format(at[n] * 1000)}: ours ${ours[n] ?? "–"}, others ${others[n] ?? "–"}, limit ${limit[n] ?? "–"}`,
      };
    },
    line: (data) => ({
      data,
      least: 60,
      series: [{ stroke: ink("--series-1"), fill: washed(ink("--series-1"), 0.14), width: 1.6, points: { show: false } }],
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
        scales: {
          x: { range: (_, low, high) => [Math.min(low, high - kind.least), high] },
          y: { range: (_, __, high) => [0, Math.max(1, high) * 1.08] },
        },
        axes: [
          { ...axis, space: 74, size: 26, incrs: STEPS, values: (_, ticks, __, ___, step) => ticks.map((one) => (step < 60 ? clock : minute).format(one * 1000)) },
          { ...axis, size: 46, space: 34, values: (_, ticks) => ticks.map((one) => one.toLocaleString("en")) },
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
