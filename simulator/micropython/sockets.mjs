// One board's way to the network: TCP and TLS streams and UDP requests over Node's sockets.
// TLS is done here, by Node's OpenSSL, with the CA that the board names. Everything that comes is
// kept until the board fetches it; `wake(handle)` tells it that there is something to fetch.
import dgram from "node:dgram";
import net from "node:net";
import tls from "node:tls";
import { Answers } from "./answers.mjs";

export const AGAIN = -1_000_000;
const TLS_FAULT = -1_000_001;
// As the ESP32's lwIP and newlib count.
const ERRNO = {
  ECONNREFUSED: 111, ECONNRESET: 104, EPIPE: 104, ETIMEDOUT: 116, EHOSTUNREACH: 118,
  ENETUNREACH: 114, ENOTFOUND: 202, EAI_AGAIN: 202,
};
const ENOTCONN = 128;
const WAITING_BYTES_MAX = 65_536;
const CONNECT_MS_MAX = 15_000; // so long a connection may hold virtual time
const ANSWER_MS_MAX = 5_000; // and so long a request without an answer
const DATAGRAM_MS_MAX = 1_000;

function pem(certificate) {
  if (certificate.subarray(0, 10).toString() === "-----BEGIN") return certificate;
  const lines = certificate.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

class Way {
  constructor(host, port) {
    this.host = host;
    this.port = port;
    this.socket = null;
    this.secure = false;
    this.connected = false;
    this.ended = false;
    this.closed = false;
    this.mute = false;
    this.errno = 0;
    this.fault = "";
    this.chunks = [];
    this.began = performance.now();
    this.answers = new Answers();
  }
}

export class Sockets {
  // tell(kind, values): what is worth telling; wake(handle): the board may fetch.
  constructor(options, tell, wake) {
    this.up = options.up;
    this.names = options.names;
    this.tell = tell;
    this.wakeBoard = wake;
    this.ways = new Map();
    this.last = 0;
    this.lastTraffic = -Infinity;
    this.bytesIn = 0;
    this.bytesOut = 0;
    this.opened = 0;
  }

  connect(host, port, ca) {
    const way = this.begin(host, port);
    const handle = this.last;
    if (!this.up) {
      setImmediate(() => this.fail(handle, { code: "EHOSTUNREACH", message: "Wi-Fi is down" }));
      return handle;
    }
    const [address, toPort] = this.resolve(host, port);
    way.secure = ca !== null;
    try {
      if (ca === null) way.socket = net.connect(toPort, address);
      else way.socket = this.secure(host, address, toPort, ca);
    } catch (error) {
      setImmediate(() => this.fail(handle, error));
      return handle;
    }
    way.socket.setNoDelay(true);
    way.socket.on(ca === null ? "connect" : "secureConnect", () => this.connected(handle));
    way.socket.on("data", (data) => this.arrived(handle, data));
    way.socket.on("end", () => this.ended(handle));
    way.socket.on("close", () => this.ended(handle));
    way.socket.on("drain", () => this.wake(handle));
    way.socket.on("error", (error) => this.fail(handle, error));
    return handle;
  }

  secure(host, address, port, ca) {
    const options = { host: address, port, ca: pem(ca), rejectUnauthorized: true };
    options.checkServerIdentity = (_, certificate) => tls.checkServerIdentity(host, certificate);
    if (!net.isIP(host)) options.servername = host;
    return tls.connect(options);
  }

  datagram(host, port, data) {
    const way = this.begin(host, port);
    const handle = this.last;
    way.connected = true;
    if (!this.up) {
      setImmediate(() => this.fail(handle, { code: "EHOSTUNREACH", message: "Wi-Fi is down" }));
      return handle;
    }
    const [address, toPort] = this.resolve(host, port);
    way.socket = dgram.createSocket(net.isIPv6(address) ? "udp6" : "udp4");
    way.socket.on("message", (answer) => this.arrived(handle, answer));
    way.socket.on("error", (error) => this.fail(handle, error));
    // A connected socket takes answers from that host and port alone, and hears of refusals.
    way.socket.connect(toPort, address, (error) => {
      if (error) this.fail(handle, error);
      else if (!way.closed) way.socket.send(data, (failed) => failed && this.fail(handle, failed));
    });
    this.sent(way, data);
    return handle;
  }

  begin(host, port) {
    const way = new Way(host, port);
    this.last += 1;
    this.opened += 1;
    this.ways.set(this.last, way);
    return way;
  }

  resolve(host, port) {
    const [address, toPort] = this.names[host] ?? [host, null];
    return [address, toPort ?? port];
  }

  // What the board calls: n bytes, 0 at the end, AGAIN, or an error.
  state(handle) {
    const way = this.ways.get(handle);
    if (way === undefined) return -ENOTCONN;
    if (way.errno) return way.errno;
    return way.connected ? 0 : AGAIN;
  }

  receive(handle, size) {
    const way = this.ways.get(handle);
    if (way === undefined || way.closed) return -ENOTCONN;
    if (way.mute) return AGAIN;
    if (way.chunks.length === 0) return way.errno || (way.ended ? 0 : AGAIN);
    const first = way.chunks[0];
    if (first.length <= size) way.chunks.shift();
    else way.chunks[0] = first.subarray(size);
    if (way.chunks.length === 0 && way.socket.isPaused?.()) way.socket.resume();
    return first.subarray(0, size);
  }

  send(handle, data) {
    const way = this.ways.get(handle);
    if (way === undefined || way.closed) return -ENOTCONN;
    if (way.mute) return 0;
    if (way.errno) return way.errno;
    if (way.socket.destroyed || way.socket.writableEnded) return -ERRNO.ECONNRESET;
    if (way.socket.writableLength > WAITING_BYTES_MAX) return AGAIN;
    way.socket.write(data);
    this.sent(way, data);
    return 0;
  }

  fault(handle) {
    return this.ways.get(handle)?.fault ?? "the stream is closed";
  }

  close(handle) {
    const way = this.ways.get(handle);
    if (way === undefined) return;
    way.closed = true;
    this.ways.delete(handle);
    if (way.socket instanceof dgram.Socket) this.closeDatagram(way);
    else if (way.connected && !way.errno && !way.mute) way.socket.end(() => way.socket.destroy());
    else way.socket?.destroy();
  }

  closeDatagram(way) {
    try {
      way.socket.close();
    } catch {
      return; // it was closed by its error
    }
  }

  // What the network does.
  sent(way, data) {
    this.bytesOut += data.length;
    this.lastTraffic = performance.now();
    way.answers.sent(data);
  }

  connected(handle) {
    const way = this.ways.get(handle);
    if (way === undefined) return;
    way.connected = true;
    this.lastTraffic = performance.now();
    this.tell("connect", { host: way.host, port: way.port, tls: way.secure, error: "" });
    this.wake(handle);
  }

  arrived(handle, data) {
    const way = this.ways.get(handle);
    this.bytesIn += data.length;
    this.lastTraffic = performance.now();
    if (way === undefined || way.mute) return;
    way.answers.came(data);
    way.chunks.push(data);
    // A board that does not read must not fill this computer's memory instead of its own.
    if (way.chunks.length > 64 && way.socket.pause) way.socket.pause();
    this.wake(handle);
  }

  ended(handle) {
    const way = this.ways.get(handle);
    if (way === undefined || way.ended || way.mute) return;
    if (!way.connected) this.fail(handle, { code: "ECONNRESET", message: "ended" });
    way.ended = true;
    if (!way.errno) this.tell("lost", { host: way.host, port: way.port, error: "end" });
    this.wake(handle);
  }

  fail(handle, error) {
    const way = this.ways.get(handle);
    if (way === undefined || way.errno || way.mute) return;
    const plain = ERRNO[error.code];
    way.fault = `${error.code ?? ""} ${error.message ?? ""}`.trim();
    way.errno = plain || !way.secure ? -(plain ?? ERRNO.ECONNRESET) : TLS_FAULT;
    const values = { host: way.host, port: way.port, error: way.fault };
    if (way.connected) this.tell("lost", values);
    else this.tell("connect", { ...values, tls: way.secure });
    this.wake(handle);
  }

  wake(handle) {
    if (this.ways.has(handle)) this.wakeBoard(handle);
  }

  // Wi-Fi goes or comes. Silent: nobody is told, and what is open never says anything again.
  setUp(up, silent) {
    this.up = up;
    if (up) return;
    for (const [handle, way] of this.ways) {
      if (silent) {
        way.mute = true;
        if (way.socket instanceof dgram.Socket) this.closeDatagram(way);
        else way.socket?.destroy();
      } else {
        this.fail(handle, { code: "ECONNRESET", message: "Wi-Fi went down" });
        if (way.socket instanceof dgram.Socket) this.closeDatagram(way);
        else way.socket?.destroy();
      }
    }
  }

  // Real milliseconds for which virtual time should wait; 0: nothing is under way.
  busyFor(holdMs) {
    const now = performance.now();
    let wait = this.lastTraffic + holdMs - now;
    for (const way of this.ways.values()) {
      if (way.mute || way.errno || way.ended) continue;
      if (!way.connected) wait = Math.max(wait, way.began + CONNECT_MS_MAX - now);
      else if (way.answers.due > 0) {
        const limit = way.socket instanceof dgram.Socket ? DATAGRAM_MS_MAX : ANSWER_MS_MAX;
        wait = Math.max(wait, way.answers.since + limit - now);
      }
    }
    return Math.max(0, wait);
  }

  quietFor() {
    return performance.now() - this.lastTraffic;
  }
}
