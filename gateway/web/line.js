// The console of a running board, over the port that flashed it.

import { Fault } from "./faults.js";
import { BAUD_SLOW } from "./loader.js";

const TRIES_MS = 15_000;
const PAUSE_MS = 250;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Line {
  /** Open the port. A chip with USB of its own comes back under a new port after a restart. */
  static async open(port, onBytes, onLost) {
    const until = Date.now() + TRIES_MS;
    const known = port.getInfo();
    for (;;) {
      for (const one of [port, ...(await twins(port, known))]) {
        try {
          await one.open({ baudRate: BAUD_SLOW });
          return new Line(one, onBytes, onLost);
        } catch (error) {
          if (Date.now() > until) {
            throw new Fault(port.connected === false ? "port_lost" : "port_busy", "", { cause: error });
          }
        }
      }
      await pause(PAUSE_MS);
    }
  }

  constructor(port, onBytes, onLost) {
    this.port = port;
    this.closing = false;
    this.reader = port.readable.getReader();
    this.reading = this.read(onBytes, onLost);
  }

  async read(onBytes, onLost) {
    try {
      for (;;) {
        const { value, done } = await this.reader.read();
        if (done) {
          break;
        }
        onBytes(value);
      }
    } catch (error) {
      if (!this.closing) {
        onLost(new Fault("port_lost", "", { cause: error }));
      }
    } finally {
      this.reader.releaseLock();
    }
  }

  async write(bytes) {
    const writer = this.port.writable.getWriter();
    try {
      await writer.write(bytes);
    } finally {
      writer.releaseLock();
    }
  }

  async close() {
    this.closing = true;
    try {
      await this.reader.cancel();
      await this.reading;
      await this.port.close();
    } catch {
      // It is closed or gone already.
    }
  }
}

async function twins(port, known) {
  const ports = known.usbVendorId === undefined ? [] : await navigator.serial.getPorts();
  return ports.filter((one) => {
    const info = one.getInfo();
    return one !== port && info.usbVendorId === known.usbVendorId && info.usbProductId === known.usbProductId;
  });
}
