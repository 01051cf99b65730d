// The main thread: JSON lines of simulator/micropython/host.py in, what the boards do out.
// Started as: node host.mjs MICROPYTHON_MODULE HUNG_MS. It ends when its standard input does.
import fs from "node:fs";
import readline from "node:readline";
import { pathToFileURL } from "node:url";
import { Board } from "./boards.mjs";
import { fromFiles } from "./flash.mjs";

const BEAT_CHECK_MS = Math.min(1_000, Number(process.argv[3]) / 4);
const HUNG_MS = Number(process.argv[3]); // a step that takes longer never ends

const boards = new Map();
const shared = { interpreter: pathToFileURL(process.argv[2]).href, application: [] };
let worldMs = 0;

const write = (message) => fs.writeSync(1, JSON.stringify(message) + "\n");
const bytes = (text) => Buffer.from(text, "hex");
const files = (listed) => Object.entries(listed).map(([name, text]) => [name, bytes(text)]);

function named(order) {
  return order.boards.map((id) => {
    const board = boards.get(id);
    if (board === undefined) throw new Error(`there is no board ${id}`);
    return board;
  });
}

const only = (order) => named(order)[0];

const commands = {
  begin(order) {
    shared.application = files(order.application);
    worldMs = order.at;
  },
  add(order) {
    const id = order.boards[0];
    if (boards.has(id)) throw new Error(`there is a board ${id} already`);
    const say = (kind, at, values) => write({ event: kind, board: id, at, ...values });
    boards.set(id, new Board(id, order.options, files(order.files), application(order), say));
  },
  async boot(order) {
    await Promise.all(named(order).map((board) => bootOne(board, order.cause)));
  },
  async run_to(order) {
    const waits = named(order).map(
      (board) =>
        new Promise((done) => board.run({ id: order.id, to: order.to, hold: order.hold, done })),
    );
    await Promise.all(waits);
    worldMs = Math.max(worldMs, order.to);
  },
  real_time(order) {
    const free = { at: worldMs, wall: Date.now(), rate: order.rate };
    for (const board of named(order)) board.runFree(free);
  },
  pause(order) {
    worldMs = order.at;
    for (const board of named(order)) board.stop();
  },
  async cut(order) {
    await Promise.all(named(order).map((board) => board.cut(order.keep_retained, "cut()")));
  },
  arm(order) {
    for (const board of named(order)) board.setArm(order.arm);
  },
  wifi(order) {
    for (const board of named(order)) {
      board.options.wifi = order.up;
      board.options.recovers_at = order.recovers_at;
      board.post(order);
    }
  },
  set(order) {
    for (const board of named(order)) board.set(order.values);
  },
  clock(order) {
    for (const board of named(order)) board.setClock(order.error);
  },
  frame(order) {
    only(order).post(order);
  },
  flash(order) {
    const entries = [...only(order).entries].filter(([, data]) => data !== null);
    const text = (data) => Buffer.from(data).toString("hex");
    return Object.fromEntries(entries.map(([name, data]) => [name, text(data)]));
  },
  set_flash(order) {
    const board = only(order);
    if (board.state === "on") throw new Error("the board is on");
    if (order.data === null) board.entries.delete(order.name);
    else {
      const added = fromFiles([[order.name, bytes(order.data)]]);
      for (const entry of added) board.entries.set(...entry);
    }
  },
  async counts(order) {
    const board = only(order);
    const none = { bytesIn: 0, bytesOut: 0, opened: 0, quiet_ms: null };
    // It may go off before it answers.
    const { counts } = await board.ask(order.id, { do: "count" }).catch(() => ({ counts: none }));
    return { ...counts, boots: board.boots, operations: board.operations, state: board.state };
  },
  async evaluate(order) {
    const { expression } = order;
    const { text } = await only(order).ask(order.id, { do: "evaluate", expression });
    return text;
  },
  memory() {
    const { rss } = process.memoryUsage();
    return { rss, workers: [...boards.values()].filter((board) => board.worker !== null).length };
  },
  quit() {
    setImmediate(() => process.exit(0));
  },
};

function application(order) {
  return { ...shared, application: [...shared.application, ...files(order.extra)] };
}

async function bootOne(board, cause) {
  if (board.state === "on") throw new Error(`board ${board.id} is on`);
  await board.boot(worldMs, cause);
}

async function take(text) {
  const order = JSON.parse(text);
  try {
    write({ id: order.id, ok: (await commands[order.do](order)) ?? null });
  } catch (error) {
    write({ id: order.id, error: String(error.message ?? error) });
  }
}

setInterval(() => {
  for (const board of boards.values()) board.checkBeat(HUNG_MS, worldMs);
}, BEAT_CHECK_MS).unref();
const lines = readline.createInterface({ input: process.stdin });
lines.on("line", take).on("close", () => process.exit(0));
