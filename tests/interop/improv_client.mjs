// The Improv SDK that browsers use, on a board behind a TCP port. Arguments: the port, and the
// SDK's folder. Standard input: a JSON list of calls, each [name, arguments...]; each answer is one
// line of JSON: {"answer"}, or {"error"} as the SDK tells it, and what it then knows of the board.

import { createReadStream } from "node:fs";
import { register } from "node:module";
import net from "node:net";
import { Readable, Writable } from "node:stream";
import { pathToFileURL } from "node:url";

// The SDK is written for bundlers: its modules name each other without an ending, and nothing
// says that they are modules.
const HOOK = `
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
export async function resolve(name, context, next) {
  const bare = name.startsWith(".") && !name.endsWith(".js");
  return next(bare ? name + ".js" : name, context);
}
export async function load(url, context, next) {
  if (!url.includes("/improv-wifi-serial-sdk/")) return next(url, context);
  return { format: "module", shortCircuit: true, source: await readFile(fileURLToPath(url)) };
}`;
register("data:text/javascript," + encodeURIComponent(HOOK));

const [port, folder] = process.argv.slice(2);
const { ImprovSerial } = await import(pathToFileURL(`${folder}/dist/serial.js`).href);

// What a SerialPort of a browser is to the SDK: two streams of bytes.
const socket = net.connect(Number(port), "127.0.0.1");
await new Promise((done, failed) => socket.once("connect", done).once("error", failed));
const { readable, writable } = {
  readable: Readable.toWeb(socket),
  writable: Writable.toWeb(socket),
};
const seen = [];
const quiet = { log() {}, error() {}, debug: (...what) => seen.push(what) };
const improv = new ImprovSerial({ readable, writable }, quiet);
const states = [];
improv.addEventListener("state-changed", () => states.push(improv.state));

let text = "";
for await (const part of createReadStream(null, { fd: 0 })) text += part;
for (const [name, ...given] of JSON.parse(text)) {
  let said;
  try {
    said = { answer: (await improv[name](...given)) ?? null };
  } catch (error) {
    said = { error: String(error.message ?? error) };
  }
  said.state = improv.state;
  said.states = states.splice(0);
  said.nextUrl = improv.nextUrl ?? null;
  console.log(JSON.stringify(said));
}
process.exit(0);
