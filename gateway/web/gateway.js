// What the page asks of the gateway that served it. No key is sent, and no secret.

import { Fault } from "./faults.js";
import { sha256 } from "./official.js";

// Nobody has this id: asking for it tells how far the log of messages goes.
const NOBODY = "a".repeat(26);

async function asked(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { cache: "no-store", credentials: "omit", ...options });
  } catch (error) {
    throw new Fault("gateway_unreachable", "", { cause: error });
  }
  if (!answer.ok) {
    throw await refusal(answer);
  }
  return answer;
}

async function refusal(answer) {
  const problem = await answer.json().catch(() => ({}));
  const said = [problem.title, problem.detail, problem.do].filter(Boolean).join(" ");
  const fault = new Fault("image_refused", said || `It answered with status ${answer.status}.`);
  fault.problem = problem.code ?? null;
  return fault;
}

const json = async (path) => (await asked(path)).json();

/** What a board must know of this network. */
export const onboarding = () => json("v1/onboarding");

/** Official images that this gateway offers. */
export const images = async () => (await json("v1/flash/images")).images;

/** One of them, as bytes. */
export async function image(offered) {
  const answer = await asked(`v1/flash/images/${encodeURIComponent(offered.name)}`);
  return checked(new Uint8Array(await answer.arrayBuffer()), offered.sha256);
}

/** The board's file system for these choices. @returns {Promise<{data: Uint8Array, sha256: string}>} */
export async function boardImage(choice) {
  const answer = await asked("v1/flash/image", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(choice),
  });
  const digest = answer.headers.get("Cairn-Sha256");
  return { data: await checked(new Uint8Array(await answer.arrayBuffer()), digest), sha256: digest };
}

async function checked(data, digest) {
  if ((await sha256(data)) !== digest) {
    throw new Fault("image_damaged");
  }
  return data;
}

/** What the gateway has seen of a station. */
export const seen = (station) => json(`v1/onboarding/${station}`);

/** What was refused so far, with advice for whoever sent it. */
export const verdicts = async () => (await json("v1/verdicts")).verdicts;

/** How far the log of messages goes now, so that nothing that comes later is missed. */
export const position = async () => (await seen(NOBODY)).position;

/**
 * Every message of one station from behind a position, as it is judged.
 * @returns {() => void} ends it
 */
export function follow(station, after, onEvent, onState) {
  const source = new EventSource(`v1/events?after=${after}`);
  source.addEventListener("message", (message) => {
    const event = JSON.parse(message.data);
    if (event.device === station) {
      onEvent(event);
    }
  });
  source.addEventListener("open", () => onState(true));
  source.addEventListener("error", () => onState(false));
  return () => source.close();
}
