// A stat panel: Grafana's BigValue for each value, with its own arranging.
import { getDisplayValueAlignmentFactors, getFieldDisplayValues, VizOrientation } from "@grafana/data";
import { BigValue, VizRepeater } from "@grafana/ui";
import { theme } from "./theme.js";

export function Stat({ frames, panel, width, height }) {
  const options = panel.options;
  const values = () =>
    getFieldDisplayValues({
      fieldConfig: panel.fieldConfig,
      reduceOptions: { values: false, calcs: ["lastNotNull"], ...options.reduceOptions },
      replaceVariables: (text) => text,
      theme,
      data: frames,
      sparkline: options.graphMode !== "none",
      timeZone: "utc",
    });
  const orientation = options.orientation ?? VizOrientation.Auto;
  return (
    <VizRepeater
      getValues={values}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={({ value, width: itemWidth, height: itemHeight, alignmentFactors, count }) => (
        <BigValue
          value={value.display}
          count={count}
          sparkline={value.sparkline}
          colorMode={options.colorMode}
          graphMode={options.graphMode}
          justifyMode={options.justifyMode}
          textMode={textMode(options, frames)}
          alignmentFactors={alignmentFactors}
          text={options.text}
          width={itemWidth}
          height={itemHeight}
          theme={theme}
          wideLayout={options.wideLayout}
        />
      )}
      width={width}
      height={height}
      source={frames}
      itemSpacing={3}
      renderCounter={1}
      autoGrid
      orientation={orientation}
    />
  );
}

// As the panel does: a name beside a value that stands alone tells nothing.
const textMode = ({ textMode: mode }, frames) =>
  mode === "auto" ? (frames.length > 1 ? "value_and_name" : "value") : mode;
