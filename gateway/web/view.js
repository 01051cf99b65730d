// What the page shows. All text goes in as text, never as markup.

import { SENTENCES } from "./states.js";

const byId = (id) => document.getElementById(id);
const STEPS = ["board", "station", "write", "wifi", "reading"];
const OF_STATE = {
  idle: "board", opening: "board", connecting: "board", inspecting: "board", ready: "station",
  downloading: "write", building: "write", flashing: "write", verifying: "write",
  verifying_protected: "write", rebooting: "write", done: "write",
  listening: "wifi", choosing: "wifi", joining: "wifi", following: "reading", accepted: "reading",
};
const LOG_LINES_MAX = 2_000;
const lines = [];

function element(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

/** Show where the course is. before: the state that failed, if it did. */
export function showState(state, before = null) {
  byId("state").textContent = SENTENCES[state];
  document.body.dataset.state = state;
  const current = OF_STATE[state === "failed" ? before : state];
  const over = state === "accepted";
  STEPS.forEach((name, i) => {
    const item = byId(`step-${name}`);
    const at = STEPS.indexOf(current);
    const now = i === at && !over;
    const failed = now && state === "failed";
    const done = i < at || over;
    item.classList.toggle("done", done);
    item.classList.toggle("failed", failed);
    item.classList.toggle("shown", over && name === "reading");
    item.toggleAttribute("aria-current", now);
    if (now) {
      item.setAttribute("aria-current", "step");
    }
    item.querySelector(".mark").textContent = failed ? "failed" : now ? "now" : done ? "done" : "";
  });
  // A form is there only while the board waits for it.
  byId("wifi").hidden = !(state === "choosing" || state === "joining");
  for (const control of byId("wifi").elements) {
    control.disabled = state === "joining";
  }
  byId("again").hidden = !(over || state === "following");
}

/** Bring a step that has just become due into view, and its first control the focus. */
export function focusOn(id) {
  byId(id).focus({ preventScroll: true });
  byId(id).scrollIntoView({ block: "center" });
}

export function showFault(told) {
  byId("fault-what").textContent = told.what;
  byId("fault-why").textContent = told.why;
  byId("fault-do").replaceChildren(...told.do.map((line) => element("li", line)));
  byId("fault-wrote").textContent = told.wrote;
  byId("fault-again").textContent = told.again;
  byId("fault-code").textContent = told.code;
  byId("retry").hidden = told.final;
  byId("fault").hidden = false;
  byId("fault").focus();
}

export function hideFault() {
  byId("fault").hidden = true;
}

/** A list of [name, value]; digits are set in a fixed width. */
export function showFacts(id, facts) {
  const rows = facts.flatMap(([name, text, kind = ""]) => [element("dt", name), element("dd", text, kind)]);
  byId(id).replaceChildren(...rows);
  byId(id).hidden = facts.length === 0;
}

export function say(id, text) {
  byId(id).textContent = text;
  if (byId(id).classList.contains("note")) {
    byId(id).hidden = text === "";
  }
}

export function showProgress(part, text) {
  byId("progress").value = part;
  byId("write-what").textContent = text;
}

export function options(id, rows) {
  const made = rows.map(([value, text]) => {
    const option = element("option", text);
    option.value = value;
    return option;
  });
  byId(id).replaceChildren(...made);
}

/** One message of the station: time, what it is, and how it was judged. */
export function addEvent(time, kind, accepted, text) {
  const item = element("li", `${time} ${kind}: `);
  item.append(element("strong", accepted ? "accepted" : "refused", accepted ? "good" : "bad"));
  item.append(text ? `. ${text}` : "");
  byId("events").append(item);
}

export function clearEvents() {
  byId("events").replaceChildren();
}

export function log(text) {
  for (const line of text.split(/\r\n|\n|\r/)) {
    if (line.trim()) {
      lines.push(line);
    }
  }
  lines.splice(0, Math.max(lines.length - LOG_LINES_MAX, 0));
  const shown = byId("log");
  shown.textContent = lines.join("\n");
  shown.scrollTop = shown.scrollHeight;
}

/** Offer a text for download. The address of one before it is given up. */
export function offerFile(id, { name, text }) {
  const link = byId(id);
  if (link.href.startsWith("blob:")) {
    URL.revokeObjectURL(link.href);
  }
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = name;
}
