// Improv over serial, version 1: how a board with no Wi-Fi is told one. Bytes in, frames out; the
// board's console text may stand between frames and is passed on.

export const State = Object.freeze({ STOPPED: 0, READY: 2, PROVISIONING: 3, PROVISIONED: 4 });
export const Rpc = Object.freeze({ WIFI: 1, STATE: 2, INFO: 3, SCAN: 4 });
export const Kind = Object.freeze({ STATE: 1, ERROR: 2, RPC: 3, RESULT: 4 });
// Errors as the standard numbers them; TIMEOUT is also ours.
export const ImprovError = Object.freeze({
  NONE: 0, INVALID_PACKET: 1, UNKNOWN_COMMAND: 2, UNABLE_TO_CONNECT: 3, BAD_HOSTNAME: 5,
  TIMEOUT: 254, UNKNOWN: 255,
});
// Its last byte is the version.
const HEADER = [...new TextEncoder().encode("IMPROV"), 1];
const NEWLINE = 10;
const HEAD_LENGTH = 9;

const checksum = (bytes) => bytes.reduce((sum, byte) => (sum + byte) & 0xff, 0);

/** @returns {Uint8Array} one frame, with the newline that ends it */
export function frame(kind, data) {
  const bytes = [...HEADER, kind, data.length, ...data];
  return Uint8Array.from([...bytes, checksum(bytes), NEWLINE]);
}

/** @returns {Uint8Array} a remote procedure call */
export function call(command, data = []) {
  return frame(Kind.RPC, [command, data.length, ...data]);
}

/** @returns {Uint8Array} the call that gives the board its Wi-Fi */
export function wifiCall(ssid, password) {
  const encoder = new TextEncoder();
  const [name, secret] = [encoder.encode(ssid), encoder.encode(password)];
  return call(Rpc.WIFI, [name.length, ...name, secret.length, ...secret]);
}

/** @returns {string[]} the texts of a result, behind its command */
export function texts(data) {
  const end = Math.min(2 + data[1], data.length);
  const found = [];
  for (let at = 2; at < end; at += data[at] + 1) {
    found.push(new TextDecoder().decode(data.slice(at + 1, at + 1 + data[at])));
  }
  return found;
}

/** Finds frames in what a board sends. onText gets every byte that belongs to none. */
export class Parser {
  constructor(onFrame, onText = () => {}) {
    this.onFrame = onFrame;
    this.onText = onText;
    this.held = [];
  }

  push(bytes) {
    const loose = [];
    for (const byte of bytes) {
      this.held.push(byte);
      this.settle(loose);
    }
    if (loose.length) {
      this.onText(Uint8Array.from(loose));
    }
  }

  settle(loose) {
    while (this.held.length && !this.mayBegin()) {
      loose.push(this.held.shift());
    }
    if (this.held.length < HEAD_LENGTH || this.held.length < HEAD_LENGTH + this.held[8] + 1) {
      return;
    }
    const whole = this.held;
    const sum = whole.at(-1);
    if (checksum(whole.slice(0, -1)) === sum) {
      this.held = [];
      this.onFrame(whole[7], Uint8Array.from(whole.slice(HEAD_LENGTH, -1)));
    } else {
      // A frame that a boot message or noise broke: the next one may begin inside it.
      this.held = [];
      loose.push(whole[0]);
      for (const byte of whole.slice(1)) {
        this.held.push(byte);
        this.settle(loose);
      }
    }
  }

  mayBegin() {
    return this.held.slice(0, HEADER.length).every((byte, i) => byte === HEADER[i]);
  }
}

/** Thrown by a call that the board refused or did not answer; `code` is one of ImprovError. */
export class ImprovRefused extends Error {
  constructor(code) {
    super(`Improv error ${code}`);
    this.code = code;
  }
}

/** Improv over two functions: write(bytes), and push() for what was read. One call at a time. */
export class Improv {
  constructor(write, onText) {
    this.write = write;
    this.state = null;
    // Where a board that has joined says to go on; it names the station.
    this.url = "";
    this.waiting = null;
    this.parser = new Parser((kind, data) => this.taken(kind, data), onText);
  }

  push(bytes) {
    this.parser.push(bytes);
  }

  /** Ask until the board answers; it may still be booting. @returns {Promise<number>} */
  async currentState(timeoutMs, everyMs = 1000) {
    const asking = setInterval(() => this.write(call(Rpc.STATE)), everyMs);
    try {
      await this.ask(Rpc.STATE, call(Rpc.STATE), timeoutMs);
    } finally {
      clearInterval(asking);
    }
    return this.state;
  }

  async info(timeoutMs) {
    const [firmware, version, chip, name] = await this.ask(Rpc.INFO, call(Rpc.INFO), timeoutMs);
    return { firmware, version, chip, name };
  }

  /** @returns {Promise<{ssid: string, rssi: number, secured: boolean}[]>} strongest first */
  async scan(timeoutMs) {
    const rows = await this.ask(Rpc.SCAN, call(Rpc.SCAN), timeoutMs, []);
    const networks = rows.map(([ssid, rssi, auth]) => ({ ssid, rssi: Number(rssi), secured: auth !== "NO" }));
    return networks.sort((one, other) => other.rssi - one.rssi);
  }

  /** @returns {Promise<string>} where to go on, "" if the board does not say */
  async provision(ssid, password, timeoutMs) {
    const [url] = await this.ask(Rpc.WIFI, wifiCall(ssid, password), timeoutMs);
    return url ?? "";
  }

  ask(command, bytes, timeoutMs, rows = null) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.settle(reject, new ImprovRefused(ImprovError.TIMEOUT)), timeoutMs);
      this.waiting = { command, rows, resolve, reject, timer };
      this.write(bytes);
    });
  }

  settle(how, value) {
    if (this.waiting) {
      clearTimeout(this.waiting.timer);
      this.waiting = null;
      how(value);
    }
  }

  taken(kind, data) {
    const waiting = this.waiting;
    if (kind === Kind.STATE) {
      this.state = data[0];
      // A provisioned board answers this call with a result too, which names its address.
      if (waiting?.command === Rpc.STATE && data[0] !== State.PROVISIONED) {
        this.settle(waiting.resolve, []);
      }
    } else if (kind === Kind.ERROR && data[0] !== ImprovError.NONE && waiting) {
      this.settle(waiting.reject, new ImprovRefused(data[0]));
    } else if (kind === Kind.RESULT) {
      const found = texts(data);
      if (data[0] === Rpc.WIFI || data[0] === Rpc.STATE) {
        this.url = found[0] ?? "";
      }
      if (waiting?.command === data[0]) {
        this.result(waiting, found);
      }
    }
  }

  result(waiting, found) {
    if (waiting.rows === null) {
      this.settle(waiting.resolve, found);
    } else if (found.length) {
      waiting.rows.push(found);
    } else {
      this.settle(waiting.resolve, waiting.rows);
    }
  }
}
