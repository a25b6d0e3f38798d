// What Prometheus answered, as Grafana's data frames: names by the legend's format, then the panel's field options.
import { lastValueFrom } from "rxjs";
import {
  applyFieldOverrides,
  FieldColorModeId,
  FieldType,
  ThresholdsMode,
  toDataFrame,
  transformDataFrame,
} from "@grafana/data";
import { fieldOptions, theme } from "./theme.js";

const NUMBERS = { NaN, Infinity, "-Infinity": -Infinity };
const number = (value) => (typeof value === "string" ? NUMBERS[value] : value);

export async function framesOf(placed, customDefaults = {}) {
  const { panel, answers } = placed;
  const frames = answers.flatMap((answer) => answer.series.map((each) => seriesFrame(answer, each)));
  const transformed = panel.transformations?.length
    ? await lastValueFrom(transformDataFrame(panel.transformations, frames, { interpolate: (text) => text }))
    : frames;
  const defaults = panel.fieldConfig?.defaults ?? {};
  const colored = {
    color: { mode: customDefaults.drawStyle ? FieldColorModeId.PaletteClassic : FieldColorModeId.Thresholds },
    thresholds: { mode: ThresholdsMode.Absolute, steps: [{ color: "green", value: -Infinity }] },
    ...defaults,
    custom: { ...customDefaults, ...defaults.custom },
  };
  if (colored.thresholds.steps[0]?.value === null) colored.thresholds.steps[0].value = -Infinity;
  return applyFieldOverrides({
    data: transformed,
    fieldConfig: { defaults: colored, overrides: panel.fieldConfig?.overrides ?? [] },
    fieldConfigRegistry: fieldOptions(colored),
    replaceVariables: (text) => text,
    theme,
    timeZone: "utc",
  });
}

function seriesFrame({ target, step }, { labels, points }) {
  const filled = target.instant ? points : withGaps(points, step);
  return toDataFrame({
    refId: target.refId,
    fields: [
      { name: "Time", type: FieldType.time, values: filled.map(([at]) => at), config: { interval: step } },
      {
        name: "Value",
        type: FieldType.number,
        values: filled.map(([, value]) => number(value)),
        labels,
        config: { displayNameFromDS: legendOf(target, labels) },
      },
    ],
  });
}

function withGaps(points, step) {
  const filled = [];
  for (const point of points) {
    const last = filled.at(-1);
    if (last && point[0] - last[0] > 1.5 * step) filled.push([last[0] + step, null]);
    filled.push(point);
  }
  return filled;
}

function legendOf({ legendFormat, expr }, labels) {
  if (legendFormat && legendFormat !== "__auto")
    return legendFormat.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, name) => labels[name] ?? "");
  const { __name__: name = "", ...others } = labels;
  const told = Object.entries(others).map(([label, value]) => `${label}="${value}"`);
  return told.length || name ? `${name}{${told.join(", ")}}` : expr;
}
