// From a flashed board to its first accepted reading: Wi-Fi over the cable, then the gateway's
// events. Only an accepted reading is success.

import { Fault } from "./faults.js";
import * as gateway from "./gateway.js";
import { Improv, ImprovError, ImprovRefused, State } from "./improv.js";
import { Line } from "./line.js";

// A new board makes its key first, and an ESP32 takes its time for that.
const ANSWER_MS = 90_000;
const CALL_MS = 15_000;
const SCAN_MS = 30_000;
const JOIN_MS = 60_000;
const REJOIN_MS = 30_000;
const ASK_MS = 1_000;
const ADVICE_TRIES = 10;
const STATION = /#station=([a-z2-7]{26})/;

/** The board's console after its restart. */
export class Joining {
  constructor(course, log) {
    this.course = course;
    this.log = log;
    this.line = null;
    this.improv = null;
    this.about = null;
  }

  /**
   * Wait for the board. patient: it was set up before, and may be joining its own Wi-Fi just now.
   * @returns {Promise<string|null>} its station id, if it needs no Wi-Fi
   */
  async listen(port, patient) {
    this.course.move("listening");
    const decoder = new TextDecoder();
    const onText = (bytes) => this.log(decoder.decode(bytes, { stream: true }));
    this.improv = new Improv((bytes) => this.line.write(bytes).catch(() => {}), onText);
    this.line = await Line.open(port, (bytes) => this.improv.push(bytes), (fault) => this.lost(fault));
    try {
      await this.improv.currentState(ANSWER_MS);
      this.about = await this.improv.info(CALL_MS);
      const until = Date.now() + (patient ? REJOIN_MS : 0);
      while (this.improv.state !== State.PROVISIONED && Date.now() < until) {
        await new Promise((resolve) => setTimeout(resolve, ASK_MS));
        await this.improv.currentState(CALL_MS);
      }
    } catch (error) {
      throw error instanceof ImprovRefused ? new Fault("board_silent", "", { cause: error }) : error;
    }
    return this.improv.state === State.PROVISIONED ? stationOf(this.improv.url) : null;
  }

  /** Networks that the board hears; none if it cannot say. */
  async networks() {
    try {
      return await this.improv.scan(SCAN_MS);
    } catch (error) {
      if (error instanceof ImprovRefused) {
        this.log(`No list of networks: ${error.message}`);
        return [];
      }
      throw error;
    }
  }

  /** Give the board its Wi-Fi. @returns {Promise<string|null>} its station id */
  async join(ssid, password) {
    this.course.move("joining");
    try {
      return stationOf(await this.improv.provision(ssid, password, JOIN_MS));
    } catch (error) {
      if (!(error instanceof ImprovRefused)) {
        throw error;
      }
      const silent = error.code === ImprovError.TIMEOUT;
      throw new Fault("wifi_refused", silent ? "The board did not say in time whether it joined." : "", { cause: error });
    }
  }

  /** The cable went: whoever waits for an answer is told. */
  lost(fault) {
    const waiting = this.improv.waiting;
    if (waiting) {
      this.improv.settle(waiting.reject, fault);
    }
    this.log(fault.message);
  }

  async close() {
    await this.line?.close();
    this.line = null;
  }
}

export function stationOf(url) {
  return STATION.exec(url ?? "")?.[1] ?? null;
}

/**
 * Follow a station to its first accepted reading from behind a position of the log.
 * @param {(event: object, advice: string) => void} onEvent every message of it, as it is judged
 * @param {AbortSignal} signal
 * @returns {Promise<object>} the reading, once it is accepted
 */
export function firstReading(station, after, onEvent, signal) {
  return new Promise((resolve, reject) => {
    const stop = gateway.follow(station, after, async (event) => {
      const refused = event.position === null;
      onEvent(event, refused ? await advice(event.verdict) : "");
      if (!refused && event.kind === "readings") {
        stop();
        resolve(event);
      }
    }, () => {});
    signal.addEventListener("abort", () => {
      stop();
      reject(new Fault("reading_late"));
    });
  });
}

/** What the sender of a refused message is told to do. The gateway writes refusals down late. */
async function advice(verdict) {
  for (let i = 0; i < ADVICE_TRIES; i += 1) {
    const found = (await gateway.verdicts().catch(() => [])).find((one) => one.verdict === verdict);
    if (found) {
      return `${found.what} ${found.do}`;
    }
    await new Promise((resolve) => setTimeout(resolve, ASK_MS));
  }
  return verdict;
}
