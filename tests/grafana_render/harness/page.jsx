// The page that becomes the picture: `window.drawPicture(picture)` draws what the driver asked Prometheus.
import "uplot/dist/uPlot.min.css";
import { createRoot } from "react-dom/client";
import { dateTime, EventBusSrv, ThemeContext } from "@grafana/data";
import { initPluginTranslations } from "@grafana/i18n";
import { GlobalStyles, PanelChrome, PanelContextProvider } from "@grafana/ui";
import { framesOf } from "./frames.js";
import { Heatmap } from "./heatmap.jsx";
import { Series } from "./series.jsx";
import { Stat } from "./stat.jsx";
import { SERIES_DEFAULTS, theme } from "./theme.js";

const HEADER = 92;
const DRAWN = { stat: Stat, timeseries: Series, heatmap: Heatmap };

window.drawPicture = async (picture) => {
  await initPluginTranslations("grafana", []);
  const timeRange = { from: dateTime(picture.from), to: dateTime(picture.to), raw: { from: "", to: "" } };
  const panels = await Promise.all(
    picture.placed.map(async (placed) => ({
      ...placed,
      frames: placed.panel.type === "row" ? [] : await framesOf(placed, placed.panel.type === "timeseries" ? SERIES_DEFAULTS : {}),
    })),
  );
  const height = HEADER + Math.max(...panels.map(({ at }) => at.y + at.height)) + 16;
  const context = { eventBus: new EventBusSrv(), eventsScope: "picture", sync: () => 0, app: "dashboard" };
  createRoot(document.getElementById("page")).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <PanelContextProvider value={context}>
        <div style={{ position: "relative", width: picture.width + 32, height, background: theme.colors.background.canvas, fontFamily: "Inter" }}>
          <Header picture={picture} timeRange={timeRange} />
          {panels.map((placed) => (
            <div
              key={`${placed.panel.id} ${placed.panel.title}`}
              style={{ position: "absolute", left: 16 + placed.at.x, top: HEADER + placed.at.y }}
            >
              {placed.panel.type === "row" ? (
                <RowTitle title={placed.panel.title} />
              ) : (
                <Panel placed={placed} timeRange={timeRange} annotations={picture.annotations} />
              )}
            </div>
          ))}
        </div>
      </PanelContextProvider>
    </ThemeContext.Provider>,
  );
};

function Panel({ placed, timeRange, annotations }) {
  const { panel, at, frames } = placed;
  const Drawn = DRAWN[panel.type];
  if (!Drawn) throw new Error(`a panel of the type ${panel.type} cannot be drawn`);
  return (
    <PanelChrome title={panel.title} description={panel.description} width={at.width} height={at.height}>
      {(width, height) =>
        frames.some(({ length }) => length) ? (
          <Drawn {...{ placed, panel, frames, width, height, timeRange, annotations }} />
        ) : (
          <Nothing text={panel.fieldConfig?.defaults?.noValue ?? "No data"} height={height} />
        )
      }
    </PanelChrome>
  );
}

const Nothing = ({ text, height }) => (
  <div className="nothing" style={{ height, display: "grid", placeItems: "center", color: theme.colors.text.secondary }}>{text}</div>
);

const RowTitle = ({ title }) => (
  <div style={{ height: 30, display: "flex", alignItems: "center", gap: 8, fontWeight: 500, color: theme.colors.text.primary }}>
    <svg width="12" height="12" viewBox="0 0 12 12"><path d="M2 4l4 4 4-4" fill="none" stroke="currentColor" strokeWidth="1.5" /></svg>
    {title}
  </div>
);

function Header({ picture, timeRange }) {
  const box = {
    display: "flex",
    height: 32,
    alignItems: "center",
    border: `1px solid ${theme.colors.border.medium}`,
    borderRadius: theme.shape.radius.default,
    background: theme.components.input.background,
  };
  const format = "YYYY-MM-DD HH:mm:ss";
  return (
    <div style={{ padding: "10px 16px 0", color: theme.colors.text.primary }}>
      <div style={{ height: 32, fontSize: 18, fontWeight: 500 }}>{picture.title}</div>
      <div style={{ display: "flex", gap: 12, alignItems: "center" }}>
        {picture.menus.map(({ label, text }) => (
          <div key={label} style={box}>
            <span style={{ padding: "0 8px", fontSize: 12, fontWeight: 500, color: theme.colors.text.secondary }}>{label}</span>
            <span style={{ padding: "0 12px 0 4px" }}>{text}</span>
          </div>
        ))}
        <div style={{ ...box, marginLeft: "auto", padding: "0 12px" }}>
          {timeRange.from.utc().format(format)} to {timeRange.to.utc().format("HH:mm:ss")} UTC
        </div>
      </div>
    </div>
  );
}
