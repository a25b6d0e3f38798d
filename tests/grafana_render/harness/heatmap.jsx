// A heatmap of a histogram's buckets. Grafana's own panel is no part of @grafana/ui: the cells are drawn here, on a
// canvas, from the same series and in the colours that its options name; axes and frame are Grafana's.
import * as chromatic from "d3-scale-chromatic";
import { getValueFormat, formattedValueToString } from "@grafana/data";
import { ScaleDirection, ScaleOrientation } from "@grafana/schema";
import { UPlotChart, UPlotConfigBuilder } from "@grafana/ui";
import { markAnnotations } from "./series.jsx";
import { theme } from "./theme.js";

const LEGEND_HEIGHT = 34;
// Schemes that run from light to dark, which Grafana turns round on a dark ground.
const TURNED_IN_THE_DARK = new Set(["Oranges", "Blues", "Greens", "Greys", "Purples", "Reds", "YlOrRd", "YlOrBr", "BuPu", "YlGnBu"]);
const ALWAYS_TURNED = new Set(["Spectral", "RdYlGn", "RdYlBu", "RdBu"]);

export function Heatmap({ placed, width, height, timeRange, annotations }) {
  const { panel } = placed;
  const [answer] = placed.answers;
  const { bounds, times, cells } = cellsOf(answer);
  const counts = cells.flat().filter((count) => count > (panel.options.filterValues?.le ?? 1e-9));
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  const colors = palette(panel.options.color);
  const colorOf = (count) =>
    colors[most === least ? colors.length - 1 : Math.min(colors.length - 1, Math.floor(((count - least) / (most - least)) * colors.length))];

  const builder = new UPlotConfigBuilder("utc");
  const unit = panel.options.yAxis?.unit ?? "short";
  builder.addScale({
    scaleKey: "x",
    isTime: true,
    orientation: ScaleOrientation.Horizontal,
    direction: ScaleDirection.Right,
    range: () => [timeRange.from.valueOf(), timeRange.to.valueOf()],
  });
  builder.addAxis({ scaleKey: "x", isTime: true, placement: "bottom", theme, timeZone: "utc", grid: { show: false } });
  builder.addScale({
    scaleKey: "y",
    isTime: false,
    orientation: ScaleOrientation.Vertical,
    direction: ScaleDirection.Up,
    range: () => [0, bounds.length],
  });
  builder.addAxis({
    scaleKey: "y",
    placement: "left",
    theme,
    splits: () => bounds.map((_, row) => row + 0.5),
    values: () => bounds.map((bound) => nameOf(bound, unit)),
    grid: { show: false },
    ticks: { show: false },
  });
  builder.addSeries({ scaleKey: "y", pxAlign: false, lineWidth: 0, show: true, theme, pathBuilder: () => null, pointsFilter: () => [] });
  builder.addHook("draw", (plot) => drawCells(plot, answer, { bounds, times, cells }, colorOf, counts, panel.options));
  markAnnotations(builder, annotations);
  builder.setPrepData(() => [times, times.map(() => null)]);
  return (
    <div>
      <UPlotChart config={builder} data={[times, times.map(() => null)]} width={width} height={height - LEGEND_HEIGHT} />
      <Scale colors={colors} least={least} most={most} />
    </div>
  );
}

/** Prometheus' buckets count all below their bound: each row is its bucket less the one below. */
function cellsOf({ series }) {
  const sorted = series
    .map(({ labels, points }) => ({ bound: Number(labels.le.replace("+Inf", "Infinity")), points: new Map(points) }))
    .sort((one, other) => one.bound - other.bound);
  const times = [...new Set(sorted.flatMap(({ points }) => [...points.keys()]))].sort((one, other) => one - other);
  const cells = sorted.map(({ points }, row) =>
    times.map((time) => Math.max(0, (points.get(time) ?? 0) - (row ? (sorted[row - 1].points.get(time) ?? 0) : 0))),
  );
  return { bounds: sorted.map(({ bound }) => bound), times, cells };
}

function drawCells(plot, { step, exemplars }, { bounds, times, cells }, colorOf, counts, options) {
  const { ctx } = plot;
  const gap = (options.cellGap ?? 1) * devicePixelRatio;
  const floor = counts.length ? Math.min(...counts) : Infinity;
  const x = (time) => plot.valToPos(time, "x", true);
  const y = (row) => plot.valToPos(row, "y", true);
  ctx.save();
  ctx.beginPath();
  ctx.rect(plot.bbox.left, plot.bbox.top, plot.bbox.width, plot.bbox.height);
  ctx.clip();
  cells.forEach((row, at) =>
    row.forEach((count, column) => {
      if (count < floor) return;
      ctx.fillStyle = colorOf(count);
      const [left, right] = [x(times[column] - step), x(times[column])];
      ctx.fillRect(left, y(at + 1), right - left - gap, y(at) - y(at + 1) - gap);
    }),
  );
  ctx.fillStyle = options.exemplars?.color ?? "rgba(255,0,255,0.7)";
  for (const [time, seconds] of slowest(exemplars, bounds, step)) {
    const size = 3.5 * devicePixelRatio;
    const [left, top] = [x(time), y(bounds.findIndex((bound) => seconds <= bound) + 0.5)];
    ctx.beginPath();
    ctx.moveTo(left, top - size);
    ctx.lineTo(left + size, top);
    ctx.lineTo(left, top + size);
    ctx.lineTo(left - size, top);
    ctx.fill();
  }
  ctx.restore();
}

/** The slowest exemplar of each bucket in twelve steps: all of them would hide the cells. */
function slowest(exemplars, bounds, step) {
  const kept = new Map();
  for (const exemplar of exemplars) {
    const cell = `${Math.floor(exemplar[0] / (12 * step))} ${bounds.findIndex((bound) => exemplar[1] <= bound)}`;
    if (!kept.has(cell) || kept.get(cell)[1] < exemplar[1]) kept.set(cell, exemplar);
  }
  return kept.values();
}

function palette({ scheme = "Oranges", steps = 64, reverse = false, mode }) {
  const interpolate = chromatic[`interpolate${mode === "opacity" ? "Oranges" : scheme}`];
  const turned = ALWAYS_TURNED.has(scheme) || TURNED_IN_THE_DARK.has(scheme) ? !reverse : reverse;
  const colors = Array.from({ length: steps }, (_, step) => interpolate(step / (steps - 1)));
  return turned ? colors.reverse() : colors;
}

const nameOf = (bound, unit) => (bound === Infinity ? "+Inf" : formattedValueToString(getValueFormat(unit)(bound)));

function Scale({ colors, least, most }) {
  const short = (count) => formattedValueToString(getValueFormat("short")(count, 1));
  return (
    <div style={{ width: 320, margin: "6px 0 0 46px", color: theme.colors.text.secondary, ...theme.typography.bodySmall }}>
      <div style={{ height: 8, background: `linear-gradient(to right, ${colors.join(",")})` }} />
      <div style={{ display: "flex", justifyContent: "space-between" }}>
        <span>{short(least)}</span>
        <span>{short((least + most) / 2)}</span>
        <span>{short(most)}</span>
      </div>
    </div>
  );
}
