// A time series panel, and the marks of the annotations that all panels with a time axis share.
import { TimeSeries } from "@grafana/ui";
import { theme } from "./theme.js";

export function Series({ frames, panel, width, height, timeRange, annotations }) {
  const { legend, tooltip } = panel.options;
  return (
    <TimeSeries
      frames={frames}
      structureRev={1}
      timeRange={timeRange}
      timeZone="utc"
      width={width}
      height={height}
      legend={{ calcs: [], displayMode: "list", placement: "bottom", showLegend: true, ...legend }}
      options={{ tooltip }}
    >
      {(builder) => {
        markAnnotations(builder, annotations);
        return null;
      }}
    </TimeSeries>
  );
}

export function markAnnotations(builder, annotations) {
  if (builder.marked) return;
  builder.marked = true;
  builder.addHook("draw", (plot) => {
    const { ctx, bbox } = plot;
    const pixels = devicePixelRatio;
    ctx.save();
    for (const { color, times } of annotations) {
      ctx.strokeStyle = ctx.fillStyle = theme.visualization.getColorByName(color);
      ctx.lineWidth = pixels;
      for (const time of times) {
        const x = Math.round(plot.valToPos(time, "x", true));
        ctx.setLineDash([3 * pixels, 3 * pixels]);
        ctx.beginPath();
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, bbox.top + bbox.height);
        ctx.stroke();
        ctx.beginPath();
        ctx.moveTo(x - 4 * pixels, bbox.top + bbox.height);
        ctx.lineTo(x + 4 * pixels, bbox.top + bbox.height);
        ctx.lineTo(x, bbox.top + bbox.height - 5 * pixels);
        ctx.fill();
      }
    }
    ctx.restore();
  });
}
