// Writes a picture again with 256 colours: `node quantize.mjs FROM INTO`.
import { readFileSync, writeFileSync } from "node:fs";
import UPNG from "upng-js";

const [, , from, into] = process.argv;
const whole = readFileSync(from);
const image = UPNG.decode(whole.buffer.slice(whole.byteOffset, whole.byteOffset + whole.length));
writeFileSync(into, Buffer.from(UPNG.encode([UPNG.toRGBA8(image)[0]], image.width, image.height, 256)));
