// Runs the page's own modules in Node, for what needs no browser: a job from stdin, its answer to
// stdout, both JSON; bytes are base64.

import { createRequire } from "node:module";

import { Fault, FAULTS, onLinux, told } from "../../gateway/web/faults.js";
import { Improv, call, frame, wifiCall } from "../../gateway/web/improv.js";
import { md5 } from "../../gateway/web/md5.js";
import { fileSystem, protectedBy, readTable, split } from "../../gateway/web/official.js";
import { commit, degrees, placeFile, typed } from "../../gateway/web/place.js";
import { architectureFor, fileSystemOf, isMarked, planOf } from "../../gateway/web/plan.js";
import { Course, MOVES, SENTENCES } from "../../gateway/web/states.js";

globalThis.h3 = createRequire(import.meta.url)("../../gateway/web/vendor/h3-js/h3-js.umd.js");

const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
const base64 = (data) => Buffer.from(data).toString("base64");
const shown = (range) => ({ ...range, data: base64(range.data) });

async function guarded(work) {
  try {
    return { ok: await work() };
  } catch (error) {
    if (!(error instanceof Fault)) {
      throw error;
    }
    return { code: error.code, why: error.why };
  }
}

async function official(image, flashBytes) {
  const found = await split(bytes(image));
  return {
    ...found,
    ranges: found.ranges.map(shown),
    kept: protectedBy(found),
    space: fileSystem(found, flashBytes),
  };
}

async function plan({ image, files, found }) {
  const taken = await split(bytes(image));
  const made = planOf(taken, bytes(files), found);
  return { ...made, writes: made.writes.map(shown), space: fileSystemOf(taken, found), architecture: architectureFor(found.chip) };
}

const settled = (promise) => promise.then((value) => ({ value }), (error) => ({ code: error.code }));

/** Feed what a board sends to one call, in pieces, and say what came of it. */
async function improv({ ask, pieces }) {
  const sent = [];
  const text = [];
  const client = new Improv((data) => sent.push(base64(data)), (loose) => text.push(...loose));
  const [name, ...rest] = ask;
  const answer = settled(client[name](...rest, 300));
  for (const piece of pieces) {
    client.push(bytes(piece));
  }
  const came = await answer;
  return { ...came, sent, text: base64(text), state: client.state, url: client.url };
}

const JOBS = {
  split: ({ images, flashBytes }) => Promise.all(images.map((image) => guarded(() => official(image, flashBytes)))),
  plans: (cases) => Promise.all(cases.map((one) => guarded(() => plan(one)))),
  tables: (tables) => tables.map((table) => readTable(bytes(table))),
  md5: (inputs) => inputs.map((input) => md5(bytes(input))),
  marked: (inputs) => inputs.map((input) => isMarked(bytes(input), "cairn")),
  states: () => ({ moves: MOVES, sentences: SENTENCES }),
  faults: (linux) => Object.fromEntries(
    Object.keys(FAULTS).map((code) => [code, ["nothing", "part", "whole"].map((wrote) => told(new Fault(code), wrote, linux))]),
  ),
  linux: (agents) => agents.map((agent) => onLinux(agent)),
  course: (moves) => {
    const course = new Course();
    moves.forEach((to) => course.move(to));
    return course.states;
  },
  degrees: (values) => values.map(degrees),
  typed: (texts) => texts.map((text) => typed(text, 90)),
  places: (places) => Promise.all(places.map(async ({ lat, lon, resolution, salt, device }) => {
    const made = await commit(lat, lon, resolution, new Uint8Array(Buffer.from(salt, "hex")));
    return { made, file: placeFile(made, device) };
  })),
  frames: () => ({ state: base64(call(2)), wifi: base64(wifiCall("Küche", "geheim")), error: base64(frame(2, [3])) }),
  improv,
};

let input = "";
for await (const piece of process.stdin) {
  input += piece;
}
const { job, argument } = JSON.parse(input);
process.stdout.write(JSON.stringify(await JOBS[job](argument)));
