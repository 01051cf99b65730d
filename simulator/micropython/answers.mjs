// How many answers a connection still waits for, seen from its bytes: MQTT packets in both
// directions, or any protocol of one request and one answer. Virtual time waits for them.

const CONNECT = 1;
const REQUESTS = new Set([CONNECT, 8, 12]); // and SUBSCRIBE, PINGREQ
const ANSWERS = new Set([2, 4, 9, 13]); // CONNACK, PUBACK, SUBACK, PINGRESP
const PUBLISH = 3;
const QOS = 0x06;

// Calls packet(first byte) for each MQTT packet that begins in a stream of pieces.
class Frames {
  constructor(packet) {
    this.packet = packet;
    this.left = 0; // of a body that has begun
    this.head = []; // of a header that has begun
  }

  feed(data) {
    for (let at = 0; at < data.length; ) {
      const skipped = Math.min(this.left, data.length - at);
      this.left -= skipped;
      at += skipped;
      if (at === data.length) return;
      this.head.push(data[at++]);
      const last = this.head[this.head.length - 1];
      if (this.head.length === 1 || last & 0x80) continue;
      this.left = this.head.slice(1).reduceRight((size, byte) => size * 128 + (byte & 0x7f), 0);
      this.packet(this.head[0]);
      this.head = [];
    }
  }
}

export class Answers {
  constructor() {
    this.due = 0;
    this.since = 0; // of the last progress while something was due
    this.isMqtt = null;
    this.outward = new Frames((first) => this.asked(first));
    this.inward = new Frames((first) => this.answered(first));
  }

  sent(data) {
    this.isMqtt ??= data[0] >> 4 === CONNECT;
    if (this.isMqtt) this.outward.feed(data);
    else this.began(1);
  }

  came(data) {
    if (this.isMqtt) this.inward.feed(data);
    else this.due = 0;
  }

  asked(first) {
    const kind = first >> 4;
    if (REQUESTS.has(kind) || (kind === PUBLISH && first & QOS)) this.began(this.due + 1);
  }

  answered(first) {
    if (!ANSWERS.has(first >> 4)) return;
    this.due = Math.max(0, this.due - 1);
    this.since = performance.now();
  }

  began(due) {
    if (this.due === 0) this.since = performance.now();
    this.due = due;
  }
}
