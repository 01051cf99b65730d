// From a chosen port to a flashed board. Every step that may go wrong is a state; what is thrown is
// a Fault. It shows nothing: whoever runs it is told.

import { Fault } from "./faults.js";
import * as gateway from "./gateway.js";
import { BAUD_FAST, BAUD_SLOW, Loader } from "./loader.js";
import { md5 } from "./md5.js";
import { sha256, split } from "./official.js";
import { CONFIG_MARK, KEY_MARK, architectureFor, at, fileSystemOf, isMarked, keyRows, planOf } from "./plan.js";

const SURE_TRIES = 3;

/** One board in its bootloader, and what was found on it. */
export class Flashing {
  /**
   * @param {SerialPort} port
   * @param {Course} course
   * @param {(line: string) => void} log
   */
  constructor(port, course, log) {
    this.port = port;
    this.course = course;
    this.log = log;
    this.loader = null;
    this.found = null;
    this.gone = new Promise((_, reject) => {
      port.addEventListener("disconnect", () => reject(new Fault("port_lost")), { once: true });
    });
    // Somebody may be waiting for nothing just now.
    this.gone.catch(() => {});
  }

  /** What it gives, unless the board vanishes first: a lost port else shows only by silence. */
  guarded(promise) {
    promise.catch(() => {});
    return Promise.race([promise, this.gone]);
  }

  /** Wake the chip and look at it: to `ready`. */
  async look(baud = BAUD_FAST) {
    this.course.move("connecting");
    this.loader = await this.guarded(Loader.connect(this.port, this.log, baud));
    this.course.move("inspecting");
    this.found = await this.guarded(this.inspected());
    this.course.move("ready");
    return this.found;
  }

  async inspected() {
    const { chip, mac, flashBytes } = this.loader;
    const table = await this.loader.table();
    let [keyed, provisioned] = [false, false];
    for (const row of keyRows(table)) {
      if (row.offset + row.size <= flashBytes) {
        const data = await this.contents(row);
        keyed ||= isMarked(data, KEY_MARK);
        provisioned ||= isMarked(data, KEY_MARK) && isMarked(data, CONFIG_MARK);
      }
    }
    return { chip, mac, flashBytes, table, keyed, provisioned };
  }

  /** What a region holds. An erased one is not read: over the ROM that takes long. */
  async contents(row) {
    const erased = new Uint8Array(row.size).fill(0xff);
    const blank = (await this.loader.md5(row.offset, row.size)) === md5(erased);
    return blank ? erased : this.loader.read(row.offset, row.size);
  }

  /**
   * Everything up to the restart: to `done`.
   * @param {{image: Uint8Array|null, offered: object|null}} source the user's file, or the gateway's
   * @param {(architecture: string, partitionBytes: number) => Promise<object>} choose
   * @param {(part: number, text: string) => void} told
   * @returns {Promise<object>} facts about what was written
   */
  async write(source, choose, told) {
    const official = await split(await this.fetched(source, told));
    const space = fileSystemOf(official, this.found);
    this.course.move("building");
    told(0, "The gateway builds the board's file system.");
    const choice = await choose(architectureFor(this.found.chip), space.size);
    const built = await gateway.boardImage(choice);
    const kept = await this.through(() => planOf(official, built.data, this.found), told);
    this.course.wrote = "whole";
    this.course.move("rebooting");
    await this.loader.restart();
    this.course.move("done");
    return { version: official.version, files: built.sha256, kept };
  }

  async fetched({ image, offered }, told) {
    if (image) {
      return image;
    }
    this.course.move("downloading");
    told(0, `Taking ${offered.name} from the gateway.`);
    return gateway.image(offered);
  }

  /** Write and verify; a line that is too fast or too bad is tried once more at the lowest rate. */
  async through(planned, told) {
    const plan = planned();
    const before = await this.guarded(this.sums(plan.kept));
    try {
      return await this.guarded(this.attempt(plan, before, told));
    } catch (error) {
      if (error.code !== "flash_failed" || !this.loader.fast) {
        throw error;
      }
      this.log(`${error.why} Again at ${BAUD_SLOW} baud.`);
    }
    const { mac } = this.found;
    await this.loader.close();
    await this.look(BAUD_SLOW);
    if (this.found.mac !== mac) {
      throw new Fault("chip_wrong", `It began with ${mac}, and now ${this.found.mac} is on the port.`);
    }
    this.course.move("building");
    return this.guarded(this.attempt(planned(), before, told));
  }

  async attempt(plan, before, told) {
    this.course.move("flashing");
    this.course.wrote = "part";
    const total = plan.writes.reduce((sum, one) => sum + one.data.length, 0);
    let done = 0;
    for (const one of plan.writes) {
      const text = `Writing ${one.name} at ${at(one.offset)}, ${kib(one.data.length)}.`;
      await this.loader.write(one, (part) => told((done + part * one.data.length) / total, text));
      done += one.data.length;
    }
    this.course.move("verifying");
    told(1, "Reading back what was written.");
    for (const one of plan.writes) {
      await this.loader.verify(one);
    }
    this.course.move("verifying_protected");
    told(1, "Comparing what had to be kept.");
    const after = await this.sums(plan.kept);
    const changed = plan.kept.find((_, i) => before[i] !== after[i]);
    if (changed) {
      throw new Fault("nvs_changed", `'${changed.name}' has another MD5 than before.`);
    }
    return plan.kept.map((row, i) => ({ name: row.name, offset: row.offset, md5: after[i] }));
  }

  async sums(rows) {
    const found = [];
    for (const row of rows) {
      found.push(await this.sureMd5(row));
    }
    return found;
  }

  /** What two answers in a row agree on: a wrong one must neither hide nor feign a change. */
  async sureMd5(row) {
    let answer = await this.loader.md5(row.offset, row.size);
    for (let i = 0; i < SURE_TRIES; i += 1) {
      const before = answer;
      answer = await this.loader.md5(row.offset, row.size);
      if (answer === before) {
        return answer;
      }
    }
    throw new Fault("flash_failed", `The MD5 of ${row.name} is another one each time.`);
  }

  async close() {
    await this.loader?.close();
    this.loader = null;
  }
}

/** What an image says of itself, before anything is written; throws a Fault if it is none. */
export async function describeImage(data) {
  const official = await split(data);
  return { chip: official.chip, version: official.version, sha256: await sha256(data) };
}

export const kib = (bytes) => `${Math.ceil(bytes / 1024)} KiB`;
