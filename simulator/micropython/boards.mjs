// The boards as the main thread keeps them: what outlives an interpreter (flash, retained memory,
// counts), and which worker thread is running whose boot.
import { Worker } from "node:worker_threads";
import { apply, fromFiles } from "./flash.mjs";

const WORKER = new URL("./worker.mjs", import.meta.url);
const CAUSES = { restart: 4, exception: 4, watchdog: 2, sleep: 5 };

function asText({ kind, name, to = "", data = null }) {
  const text = data === null ? "" : Buffer.from(data).toString("hex");
  return { operation: kind, name, to, data: text };
}

export class Board {
  // say(kind, at, values): an event of this board; stood(): it reached what run() asked for.
  constructor(id, options, files, shared, say) {
    this.id = id;
    this.options = options;
    this.entries = fromFiles(files);
    this.shared = shared;
    this.say = say;
    this.retained = null;
    this.clock = options.held ? 0 : null; // its error in ms, null: never set
    this.boots = 0;
    this.operations = 0;
    this.worker = null;
    this.state = "off";
    this.wake = null; // {at, cause}: comes on by itself
    this.arm = null; // {left, part, back_ms, cause, keep_retained}
    this.order = null; // the run that it is on: {id, to, hold, done}
    this.free = null;
    this.booted = null;
    this.asked = new Map();
    this.beats = new SharedArrayBuffer(4);
    this.lastBeat = { count: -1, at: 0 };
    this.ended = Promise.resolve();
  }

  // Switch on at world time `at`; resolves when the program is imported.
  async boot(at, cause) {
    await this.ended;
    this.boots += 1;
    this.state = "on";
    this.wake = null;
    const boot = {
      at,
      number: this.boots,
      entries: new Map(this.entries),
      retained: this.retained,
      clock: this.clock,
      arm: this.arm === null ? null : { left: this.arm.left, part: this.arm.part },
      facts: { cause, boot: this.boots },
    };
    const { interpreter, application } = this.shared;
    const { options, beats } = this;
    const workerData = { options, boot, application, interpreter, beats };
    const up = new Promise((resolve) => (this.booted = resolve));
    const worker = new Worker(WORKER, { workerData, stdout: true, stderr: true });
    this.worker = worker;
    let output = "";
    for (const stream of [worker.stdout, worker.stderr]) {
      stream.on("data", (data) => (output = (output + data).slice(-4000)));
    }
    this.touch();
    worker.on("message", (message) => this.worker === worker && this.hear(message));
    worker.on("error", ({ stack }) => this.worker === worker && this.broke(`${stack}\n${output}`));
    worker.on("exit", () => this.worker === worker && this.broke(`the worker ended\n${output}`));
    await up;
  }

  hear(message) {
    const { kind } = message;
    if (kind === "flash") {
      this.operations += 1;
      if (this.arm !== null) this.arm.left -= 1;
      apply(this.entries, message.operation);
      if (this.options.tell_flash) this.say("flash", message.at, asText(message.operation));
    } else if (kind === "retain") this.retained = message.data;
    else if (kind === "clock") this.clock = message.error;
    else if (kind === "stood") this.reached(message.id);
    else if (kind === "answer") this.answer(message);
    else if (kind === "up") {
      const { at, kind: _, ...values } = message;
      this.say("up", at, values);
      this.settleBoot();
    } else if (kind === "off" || kind in CAUSES) this.halted(message);
    else {
      const { at, kind: _, ...values } = message;
      this.say(kind, at, values);
    }
  }

  // The worker halted and waits for its end.
  halted({ kind, at, ...values }) {
    this.end();
    this.say(kind, at, values);
    if (kind === "off") this.powerLost(at, values);
    else {
      const wait = kind === "sleep" ? values.duration_ms : this.options.restart_ms;
      this.sleepUntil(at + Math.max(1, wait), CAUSES[kind]);
    }
    this.settleBoot();
    this.goOn(at);
  }

  powerLost(at, { why }) {
    const arm = why === "cut" ? this.arm : null;
    const keep = arm === null ? this.keepRetained : arm.keep_retained;
    if (!keep) this.forget();
    this.arm = null;
    this.state = "off";
    if (arm === null || arm.back_ms === null) return;
    this.sleepUntil(at + Math.max(1, arm.back_ms), arm.cause);
  }

  // What a chip loses with its power: RTC memory, and the clock that has no battery of its own.
  forget() {
    this.retained = null;
    if (!this.options.held) this.clock = null;
  }

  sleepUntil(at, cause) {
    this.state = "asleep";
    this.wake = { at, cause };
  }

  end() {
    const worker = this.worker;
    this.worker = null;
    if (worker !== null) this.ended = worker.terminate();
    for (const { reject } of this.asked.values()) reject(new Error("the board went off"));
    this.asked.clear();
  }

  settleBoot() {
    this.booted?.();
    this.booted = null;
  }

  // A thread that died of something else than its board's fate.
  broke(text) {
    this.end();
    this.state = "off";
    this.say("broken", this.order?.to ?? 0, { text });
    this.settleBoot();
    this.goOn(0);
  }

  // Runs.
  run(order) {
    this.order = order;
    this.free = null;
    this.touch();
    this.goOn(0);
  }

  async goOn() {
    const { order, free } = this;
    const limit = order !== null ? order.to : free === null ? -1 : Infinity;
    if (this.state === "asleep" && this.wake.at <= limit) {
      const { at, cause } = this.wake;
      if (order === null) return this.wakeInRealTime(at, cause);
      await this.boot(at, cause);
    }
    if (this.order !== order || this.free !== free) return;
    if (order !== null) {
      if (this.state !== "on") this.reached(order.id);
      else this.post({ do: "run", id: order.id, to: order.to, hold: order.hold });
    } else if (free !== null) this.post({ do: "free", free });
  }

  wakeInRealTime(at, cause) {
    const { free } = this;
    const wait = free.wall + (at - free.at) / free.rate - Date.now();
    setTimeout(async () => {
      if (this.free !== free || this.state !== "asleep") return;
      await this.boot(at, cause);
      if (this.free === free) this.post({ do: "free", free });
    }, Math.max(0, wait));
  }

  runFree(free) {
    this.free = free;
    this.order = null;
    this.goOn();
  }

  stop() {
    this.free = null;
    this.post({ do: "stop" });
  }

  reached(id) {
    const { order } = this;
    if (order === null || order.id !== id) return;
    this.order = null;
    order.done();
  }

  // Orders.
  post(order) {
    this.worker?.postMessage(order);
  }

  set(values) {
    Object.assign(this.options, values);
    this.post({ do: "set", values });
  }

  setArm(arm) {
    this.arm = arm;
    this.post({ do: "arm", arm: arm === null ? null : { left: arm.left, part: arm.part } });
  }

  setClock(error) {
    this.clock = error;
    this.post({ do: "clock", error });
  }

  // Between two steps: what was written before is heard before.
  cut(keepRetained, why) {
    this.keepRetained = keepRetained;
    if (this.state === "on") {
      const over = new Promise((resolve) => (this.booted = resolve));
      this.post({ do: "cut", why });
      return over;
    }
    if (!keepRetained) this.forget();
    this.state = "off";
    this.wake = null;
    return Promise.resolve();
  }

  ask(id, order) {
    if (this.worker === null) return Promise.reject(new Error(`the board is ${this.state}`));
    return new Promise((resolve, reject) => {
      this.asked.set(id, { resolve, reject });
      this.post({ ...order, id });
    });
  }

  answer({ id, error, ...rest }) {
    const { resolve, reject } = this.asked.get(id) ?? {};
    this.asked.delete(id);
    if (error !== undefined) reject?.(new Error(error));
    else resolve?.(rest);
  }

  // A step that never ends: a chip's watchdog would see that nothing is fed.
  touch() {
    this.lastBeat = { count: Atomics.load(new Int32Array(this.beats), 0), at: Date.now() };
  }

  checkBeat(limitMs, at) {
    if (this.worker === null || (this.order === null && this.free === null)) return;
    const count = Atomics.load(new Int32Array(this.beats), 0);
    if (count !== this.lastBeat.count) return this.touch();
    if (this.free !== null || Date.now() - this.lastBeat.at < limitMs) return;
    if (this.options.watchdog_ms) this.halted({ kind: "watchdog", at, hung: true });
    else this.broke(`a step did not end within ${limitMs} ms`);
  }
}
