// One boot of one board: a MicroPython interpreter in a worker thread, its time and its hardware.
// The interpreter is called for one coroutine step at a time: its collector works between calls.
// This thread ends when the main thread ends it; a board that halts says so and waits for that.
import crypto from "node:crypto";
import path from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { Flash } from "./flash.mjs";
import { kernels } from "./kernels.mjs";
import { AGAIN, Sockets } from "./sockets.mjs";

const { options, boot, application } = workerData;
const { loadMicroPython } = await import(workerData.interpreter);
const beats = new Int32Array(workerData.beats);
const rate = 1 + options.drift_ppm / 1_000_000;
const STEPS_A_TURN = 50;
const REAL_TIME_MS_MAX = 20;

let ticks = 0; // what the board's own clock shows
let counter = 0;
const world = () => boot.at + Math.floor(ticks / rate);
const ticksAt = (at) => Math.floor((at - boot.at) * rate);
const tell = (kind, values = {}) => parentPort.postMessage({ kind, at: world(), ...values });

// The board's own random generator: of this computer, or the same in every run of a seed.
function entropy(size) {
  if (options.seed === null) return crypto.randomBytes(size);
  const parts = [];
  for (let have = 0; have < size; have += 32) {
    counter += 1;
    const name = `${options.seed} ${boot.number} ${counter}`;
    parts.push(crypto.createHash("sha256").update(name).digest());
  }
  return Buffer.concat(parts).subarray(0, size);
}

// Stop inside a call of the interpreter, as a chip without power does: nothing comes after it.
function halt(kind, values) {
  tell(kind, values);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

const flash = new Flash(
  boot.entries,
  options.flash_bytes,
  boot.arm,
  () => entropy(4).readUInt32BE() / 2 ** 32,
  (operation) => tell("flash", { operation }),
  (operation) => halt("off", { why: "cut", operation: `${operation.kind} ${operation.name}` }),
);

let interpreter = null;
let python = {}; // the functions of the board that this thread calls
let wakeLoop = () => {};
const sockets = new Sockets({ up: options.wifi, names: options.names }, tell, (handle) => {
  python.wake?.(handle);
  // Not from inside the call of a board that has just asked for something.
  if (running) wakeLoop();
  else setImmediate(standing);
});

const memory = () => interpreter._module.HEAPU8;
const bytesAt = (address, length) => Buffer.from(memory().subarray(address, address + length));
const put = (data, address) => memory().set(data, address);

function received(handle, address, size) {
  const data = sockets.receive(handle, size);
  if (typeof data === "number") return data;
  put(data, address);
  return data.length;
}

const host = {
  stat: (name) => flash.stat(name),
  load: (name, address) => put(flash.load(name), address),
  list: (name) => flash.list(name),
  blocks: (free) => flash.blocks(free),
  store: (name, address, length, append) => flash.store(name, bytesAt(address, length), append),
  remove: (name) => flash.remove(name),
  rename: (name, to) => flash.rename(name, to),
  mkdir: (name) => flash.mkdir(name),
  entropy: (address, length) => put(entropy(length), address),
  connect: (name, port, address, length) =>
    sockets.connect(name, port, length < 0 ? null : bytesAt(address, length)),
  datagram: (name, port, address, length) =>
    sockets.datagram(name, port, bytesAt(address, length)),
  state: (handle) => sockets.state(handle),
  receive: received,
  send: (handle, address, length) => sockets.send(handle, bytesAt(address, length)),
  fault: (handle) => sockets.fault(handle),
  close: (handle) => sockets.close(handle),
  // Times go over as text: this bridge cuts whole numbers to 32 bits.
  now: () => String(world()),
  clock: () => (boot.clock === null ? "" : String(world() + boot.clock)),
  set_clock(utc) {
    boot.clock = Number(utc) - world();
    parentPort.postMessage({ kind: "clock", error: boot.clock });
  },
  rssi: () => (sockets.up ? options.rssi_dbm : null),
  battery: () => options.battery_mv,
  samples: () => JSON.stringify(options.samples),
  retained_size: () => (options.retained && boot.retained !== null ? boot.retained.length : -1),
  retained: (address) => put(boot.retained, address),
  retain(address, length) {
    if (!options.retained) return false;
    boot.retained = length === 0 ? null : bytesAt(address, length);
    parentPort.postMessage({ kind: "retain", data: boot.retained });
    return true;
  },
  report: (code, detail) => tell("report", { code, detail }),
  radio: (radio, channel, power_cdbm, address, length) =>
    tell("radio", { radio, channel, power_cdbm, frame: bytesAt(address, length).toString("hex") }),
  listen: (radio, channel) => tell("listen", { radio, channel }),
  recover(stage) {
    tell("recover", { stage });
    if (options.recovers_at !== null && stage >= options.recovers_at) sockets.setUp(true, false);
    else if (sockets.up) sockets.setUp(true, sockets.setUp(false, false));
  },
  halt: (kind, detail) => halt(kind, JSON.parse(detail)),
  tick: (now) => {
    ticks = now;
    Atomics.add(beats, 0, 1);
  },
};

// Time. `step` gives the ticks at which it ran a step, or -1.
let target = null; // {id, until, hold}: where the main thread wants it
let free = null; // {at, wall, rate}: real time
let running = false;

const step = (limit) => python.step(limit + 0.5); // halves: whole numbers are cut to 32 bits
const turn = () => new Promise((resolve) => setImmediate(resolve));
const pause = (ms) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    wakeLoop = () => {
      clearTimeout(timer);
      resolve();
    };
  });

async function runOn() {
  if (running) return;
  running = true;
  for (let steps = 1; target !== null || free !== null; steps++) {
    if (steps % STEPS_A_TURN === 0) await turn();
    if (target !== null) await towardsTarget();
    else if (free !== null) await inRealTime();
  }
  running = false;
}

async function towardsTarget() {
  const { id, until, hold } = target;
  const wait = hold > 0 ? sockets.busyFor(hold) : 0;
  if (step(wait > 0 ? ticks : until) >= 0) return;
  if (wait > 0 && ticks < until) {
    Atomics.add(beats, 0, 1);
    await pause(Math.min(wait, 50));
    return;
  }
  ticks = Math.max(ticks, until);
  python.stand(until + 0.5);
  target = null;
  parentPort.postMessage({ kind: "stood", id });
}

async function inRealTime() {
  const until = ticksAt(free.at + (Date.now() - free.wall) * free.rate);
  if (step(until) >= 0) return;
  ticks = Math.max(ticks, until);
  python.stand(until + 0.5);
  const next = python.next();
  const left = next < 0 ? REAL_TIME_MS_MAX : (next - ticks) / free.rate;
  await pause(Math.min(Math.max(left, 0), REAL_TIME_MS_MAX));
}

// What comes while it stands wakes tasks, which run at once.
function standing() {
  if (running) return wakeLoop();
  for (let steps = 0; step(ticks) >= 0; steps++);
}

const answer = ({ id }, values) => parentPort.postMessage({ kind: "answer", id, ...values });
const orders = {
  run(order) {
    free = null;
    target = { id: order.id, until: ticksAt(order.to), hold: order.hold };
  },
  free(order) {
    free = order.free;
  },
  stop() {
    free = null;
  },
  frame({ radio, channel, rssi, snr, at, data }) {
    python.hear(JSON.stringify([radio, channel, rssi, snr, Math.max(0, ticksAt(at)), data]));
  },
  wifi(order) {
    options.wifi = order.up;
    options.recovers_at = order.recovers_at;
    sockets.setUp(order.up, order.silent);
  },
  set(order) {
    Object.assign(options, order.values);
    sockets.names = options.names;
    if ("chips" in order.values) python.set_chips(JSON.stringify(options.chips));
  },
  arm(order) {
    flash.arm = order.arm;
  },
  clock(order) {
    boot.clock = order.error;
  },
  cut(order) {
    halt("off", { why: order.why, operation: "" });
  },
  evaluate(order) {
    const script = `import json\n_answer = json.dumps(${order.expression})\n`;
    try {
      interpreter.runPython(script);
      answer(order, { text: interpreter.globals.get("_answer") });
    } catch (error) {
      answer(order, { error: String(error.message) });
    }
  },
  count(order) {
    const { bytesIn, bytesOut, opened } = sockets;
    answer(order, { counts: { bytesIn, bytesOut, opened, quiet_ms: sockets.quietFor() } });
  },
};

let line = [];
function print(bytes) {
  for (const byte of bytes) {
    if (byte !== 10) line.push(byte);
    else {
      tell("print", { text: Buffer.from(line).toString() });
      line = [];
    }
  }
}

// All of the interpreter's memory but spare bytes, so that its heap cannot grow.
function takeTheRest(module, spare) {
  const held = [];
  for (let size = 1 << 20; size >= 4096; ) {
    const block = module._malloc(size);
    if (block) held.push(block);
    else size >>= 1;
  }
  for (let freed = 0; freed < spare && held.length > 0; freed += 4096) module._free(held.pop());
}

// An image of ROMFS in the application is mounted, where code stays in place.
const ROMFS = "rom.romfs";

async function begin() {
  const rom = application.find(([name]) => name === ROMFS)?.[1];
  interpreter = await loadMicroPython({
    heapsize: options.heap_bytes ?? 1024 * 1024,
    romfs: rom && new Uint8Array(rom),
    stdout: print,
    stderr: print,
    linebuffer: false,
  });
  if (options.heap_bytes !== null) takeTheRest(interpreter._module, options.heap_spare_bytes);
  interpreter.registerJsModule("_host", host);
  interpreter.registerJsModule("_kernels", kernels(memory));
  for (const [name, data] of application) {
    if (name === ROMFS) continue;
    interpreter.FS.mkdirTree(path.posix.dirname(`/lib/${name}`));
    interpreter.FS.writeFile(`/lib/${name}`, data);
  }
  interpreter.runPython("import sys\nsys.path.insert(0, '/lib')");
  if (rom) interpreter.runPython("sys.path.insert(0, '/rom')");
  interpreter.globals.set("_options", JSON.stringify({ ...options, ...boot.facts }));
  interpreter.runPython("from simulator.micropython import board as _boards");
  interpreter.runPython("board = _boards.power_on(_options)\nloop = board.loop\nimport gc, json");
  interpreter.runPython(options.program);
  interpreter.runPython("_boards.begin(board, run)");
  for (const name of ["step", "stand", "next", "wake", "hear", "set_chips"]) {
    interpreter.runPython(`_f = board.${name}`);
    python[name] = interpreter.globals.get("_f");
  }
}

try {
  await begin();
  tell("up", { boot: boot.number, cause: boot.facts.cause });
} catch (error) {
  halt("exception", { text: String(error.message ?? error) });
}
// Only now: what was ordered meanwhile waits in the port.
parentPort.on("message", (order) => {
  orders[order.do](order);
  if (order.do === "run" || order.do === "free") runOn();
  else standing();
});
