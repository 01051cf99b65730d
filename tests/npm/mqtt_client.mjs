// One session of npm `mqtt`. Reads a job on stdin: {url, ca, name, password, clean, subscribe,
// publish: [[topic, hex], ...], receive, acknowledge}; connects, subscribes, publishes at QoS 1 all
// at once, waits until `receive` messages came, and writes what it saw as JSON. With acknowledge
// false it acknowledges no message, and leaves without a DISCONNECT.
import { readFileSync } from "fs";
import mqtt from "mqtt";

const job = JSON.parse(readFileSync(0, "utf8"));
const client = mqtt.connect(job.url, {
  ca: job.ca ? readFileSync(job.ca) : undefined,
  clientId: job.name,
  username: job.name,
  password: job.password,
  clean: job.clean,
  protocolVersion: 4,
  reconnectPeriod: 0,
  connectTimeout: 20_000,
});
const seen = { present: null, granted: [], acknowledged: 0, messages: [], error: null };
let enough;
const received = new Promise((resolve) => (enough = resolve));

function record({ topic, payload, qos, retain, dup }) {
  seen.messages.push({ topic, payload: payload.toString("hex"), qos, retain, dup });
  if (seen.messages.length >= job.receive) enough();
}

function finish(error) {
  seen.error = error ? String(error.code ?? error.message) : null;
  client.end(!job.acknowledge, () => process.stdout.write(JSON.stringify(seen)));
}

if (job.acknowledge) client.on("message", (_topic, _payload, packet) => record(packet));
else client.handleMessage = (packet) => record(packet);
client.on("error", finish);
client.on("connect", async ({ sessionPresent }) => {
  try {
    seen.present = sessionPresent;
    if (job.subscribe.length) {
      const granted = await client.subscribeAsync(job.subscribe, { qos: 1 });
      seen.granted = granted.map(({ qos }) => qos);
    }
    await Promise.all(
      job.publish.map(async ([topic, hex]) => {
        await client.publishAsync(topic, Buffer.from(hex, "hex"), { qos: 1 });
        seen.acknowledged += 1;
      }),
    );
    if (job.receive) await received;
    finish(null);
  } catch (error) {
    finish(error);
  }
});
