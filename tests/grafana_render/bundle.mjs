// Bundles the page that draws the picture: `node bundle.mjs FOLDER` writes page.js and page.css there.
import { createRequire } from "node:module";
import { build } from "esbuild";

const [, , folder] = process.argv;
const here = createRequire(import.meta.url);

// Grafana's .mjs files import CommonJS packages as bundlers read them, and not as node does. What a plugin has found
// is read in that way: after node's, a default import would be the whole of module.exports.
const readAsBundlersDo = {
  name: "read-as-bundlers-do",
  setup(building) {
    building.onResolve({ filter: /.*/ }, async ({ path, importer, kind, resolveDir, pluginData }) => {
      if (pluginData === "asked") return undefined;
      const found = await building.resolve(path, { importer, kind, resolveDir, pluginData: "asked" });
      const taken = found.errors.length === 0 && found.namespace === "file" && found.path.endsWith(".mjs");
      return taken ? { path: found.path, sideEffects: found.sideEffects } : undefined;
    });
  },
};

await build({
  entryPoints: { page: here.resolve("./harness/page.jsx") },
  bundle: true,
  format: "iife",
  outdir: folder,
  jsx: "automatic",
  target: "chrome120",
  loader: { ".ttf": "empty", ".svg": "dataurl", ".png": "dataurl" },
  alias: { "react-custom-scrollbars-2": here.resolve("./harness/scrollbars.jsx") },
  define: { "process.env.NODE_ENV": '"production"', global: "globalThis" },
  plugins: [readAsBundlersDo],
  logLevel: "warning",
});
