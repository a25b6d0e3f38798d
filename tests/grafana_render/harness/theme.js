// Grafana's dark theme, and the panel's own settings where the JSON leaves them out.
import { createTheme, standardTransformers, standardTransformersRegistry } from "@grafana/data";

export const theme = createTheme({ colors: { mode: "dark" } });

// The defaults of Grafana's own time series panel, which is no part of @grafana/ui.
export const SERIES_DEFAULTS = {
  drawStyle: "line",
  lineInterpolation: "linear",
  lineWidth: 1,
  fillOpacity: 0,
  gradientMode: "none",
  barAlignment: 0,
  barWidthFactor: 0.6,
  showPoints: "auto",
  pointSize: 5,
  stacking: { mode: "none", group: "A" },
  axisPlacement: "auto",
  axisLabel: "",
  axisColorMode: "text",
  axisBorderShow: false,
  axisCenteredZero: false,
  scaleDistribution: { type: "linear" },
  hideFrom: { tooltip: false, viz: false, legend: false },
  insertNulls: false,
  spanNulls: false,
  thresholdsStyle: { mode: "off" },
};

standardTransformersRegistry.setInit(() =>
  Object.values(standardTransformers).map((each) => ({
    id: each.id,
    name: each.name,
    transformation: () => Promise.resolve(each),
    isDefault: true,
  })),
);

// Grafana's registry of field options lives in its server's front end; this one takes whatever the JSON sets.
export function fieldOptions(defaults) {
  const item = (id) => ({
    id,
    name: id,
    path: id.replace(/^custom\./, ""),
    isCustom: id.startsWith("custom."),
    process: (value) => value,
    shouldApply: () => true,
  });
  const { custom = {}, ...standard } = defaults;
  const ids = [...Object.keys(standard), ...Object.keys(custom).map((name) => `custom.${name}`)];
  return { list: () => ids.map(item), getIfExists: item };
}
