// Turns a front end's source into what jest runs, as react-scripts does by Babel: JSX and modules to CommonJS, and
// `jest.mock` above everything.
const babel = require('@babel/core');
const esbuild = require('esbuild');

module.exports = {
  process(source, path) {
    const {code} = esbuild.transformSync(source, {loader: 'jsx', format: 'cjs', target: 'es2021', sourcefile: path});
    return babel.transformSync(code, {
      babelrc: false, compact: false, configFile: false, filename: path, plugins: [require('babel-plugin-jest-hoist')],
    }).code;
  },
};
