// The page /flash: one board from its port to its first accepted reading, step by step.

import { Fault, faultOf, told } from "./faults.js";
import { Flashing, describeImage, kib } from "./flashing.js";
import * as form from "./form.js";
import * as gateway from "./gateway.js";
import { Joining, firstReading } from "./joining.js";
import { commit, placeFile } from "./place.js";
import { at, mib } from "./plan.js";
import { Course, SENTENCES } from "./states.js";
import * as view from "./view.js";

const byId = (id) => document.getElementById(id);
const OTHER = "";
const STATION_ID = /^[a-z2-7]{26}$/;
// A station whose first reading takes longer than this has something in its way.
const LATE_S = 300;
const BEFORE_WRITING = new Set(["idle", "opening", "connecting", "inspecting", "ready"]);
const AFTER_WRITING = new Set(["done", "listening", "choosing", "joining"]);

class Page {
  constructor() {
    this.port = null;
    this.flashing = null;
    this.joining = null;
    this.place = null;
    this.own = null;
    this.offered = [];
    this.after = -1;
    this.following = null;
    this.retry = () => this.install();
    this.busy = false;
    this.begin();
  }

  begin(state = "idle") {
    this.course = new Course((to) => view.showState(to));
    this.course.states = [state];
    this.course.wrote = state === "done" ? "whole" : "nothing";
    if (this.flashing) {
      this.flashing.course = this.course;
    }
    view.showState(state);
  }

  /** Run one step; whatever it throws is shown, with what may be done about it. */
  async step(work) {
    if (this.busy) {
      return;
    }
    this.busy = true;
    view.hideFault();
    try {
      await work();
    } catch (error) {
      this.fail(error);
    } finally {
      this.busy = false;
    }
  }

  fail(error) {
    const fault = faultOf(error);
    const before = this.course.state;
    view.log(`${before}: ${fault.message}`);
    if (!this.course.over) {
      this.course.move("failed");
    }
    view.showState("failed", before);
    view.showFault(told(fault, this.course.wrote));
    byId("known").hidden = fault.code !== "board_silent";
    this.retry = this.wayBack(before, fault);
  }

  wayBack(before, fault) {
    if (AFTER_WRITING.has(before)) {
      return () => this.listenAgain();
    }
    if (before === "downloading" || before === "building") {
      return () => this.ready();
    }
    const samePort = this.port && fault.code !== "port_lost" && !(BEFORE_WRITING.has(before) && fault.code === "port_absent");
    return () => this.install(samePort ? this.port : null);
  }

  // ---- board

  async install(port = null) {
    await this.leave();
    this.begin();
    this.course.move("opening");
    this.port = port ?? (await chosen());
    this.flashing = new Flashing(this.port, this.course, view.log);
    const found = await this.flashing.look();
    view.showFacts("board-facts", [
      ["Chip", found.chip], ["Flash", mib(found.flashBytes)], ["MAC", found.mac, "digits"],
    ]);
    byId("kept").hidden = !found.provisioned;
    byId("lose").checked = false;
    this.flashing.gone.catch((fault) => this.course.state === "ready" && this.fail(fault));
    await this.offer(found.chip);
  }

  async offer(chip) {
    this.offered = (await gateway.images()).filter((one) => one.chip === chip);
    view.options("offered", [
      ...this.offered.map((one, i) => [String(i), `${one.name} (MicroPython ${one.version}, ${kib(one.bytes)})`]),
      [OTHER, "a file of mine"],
    ]);
    await this.imageChosen();
    view.focusOn("offered");
  }

  ready() {
    this.begin("ready");
    view.focusOn("write");
  }

  // ---- image

  async imageChosen() {
    const offered = this.offered[Number(byId("offered").value || NaN)];
    byId("own-image").hidden = Boolean(offered);
    view.say("image-error", "");
    if (offered) {
      this.showImage(offered);
      return;
    }
    const [file] = byId("file").files;
    this.own = file ? new Uint8Array(await file.arrayBuffer()) : null;
    view.showFacts("image-facts", []);
    if (this.own) {
      await this.lookAtFile();
    }
  }

  async lookAtFile() {
    try {
      const about = await describeImage(this.own);
      this.showImage(about);
      const { chip } = this.flashing.found;
      if (about.chip !== chip) {
        throw new Fault("image_other_chip", `It is for ${about.chip}, and the board is an ${chip}.`);
      }
    } catch (error) {
      const { what, why, do: advice } = told(faultOf(error), "nothing");
      this.own = null;
      view.say("image-error", `${what} ${why} ${advice[0]}`);
    }
  }

  showImage({ chip, version, sha256 }) {
    view.showFacts("image-facts", [
      ["For", chip], ["MicroPython", version || "does not say"], ["SHA-256", sha256, "digits"],
    ]);
  }

  // ---- writing

  async write() {
    const offered = this.offered[Number(byId("offered").value || NaN)] ?? null;
    if (!offered && !this.own) {
      if (!byId("image-error").textContent) {
        view.say("image-error", "Choose the official MicroPython image of this chip.");
      }
      byId("file").focus();
    }
    if (!form.check() || (!offered && !this.own)) {
      return;
    }
    const { lat, lon, resolution } = form.place();
    this.place = await commit(lat, lon, resolution);
    view.offerFile("place-file", placeFile(this.place, null));
    // A board that keeps its settings keeps its place, whose file its owner has.
    byId("place-save").hidden = this.flashing.found.provisioned;
    const choose = (architecture, bytes) => form.choice(this.place, architecture, bytes);
    const source = { image: offered ? null : this.own, offered };
    this.after = await gateway.position();
    const facts = await this.flashing.write(source, choose, view.showProgress);
    view.showFacts("write-facts", [
      ["MicroPython", facts.version], ["File system", `SHA-256 ${facts.files}`, "digits"],
      ...facts.kept.map((row) => [`Kept: ${row.name} at ${at(row.offset)}`, `unchanged, MD5 ${row.md5}`, "digits"]),
    ]);
    await this.listen();
  }

  // ---- Wi-Fi

  async listenAgain() {
    await this.leave();
    this.begin("done");
    await this.listen();
  }

  async listen() {
    byId("known").hidden = true;
    this.joining = new Joining(this.course, view.log);
    const station = await this.joining.listen(this.port, this.flashing.found.provisioned);
    if (station) {
      await this.follow(station);
      return;
    }
    this.course.move("choosing");
    await this.scan();
  }

  async scan() {
    const networks = await this.joining.networks();
    view.options("networks", [
      ...networks.map((one) => [one.ssid, `${one.ssid} (${one.rssi} dBm${one.secured ? "" : ", open"})`]),
      [OTHER, "another one"],
    ]);
    networkChosen();
    view.focusOn("networks");
  }

  async join() {
    const wifi = form.wifi();
    if (!wifi) {
      return;
    }
    try {
      const station = await this.joining.join(wifi.ssid, wifi.password);
      byId("password").value = "";
      await this.follow(station ?? this.joining.about.name);
    } catch (error) {
      if (error.code !== "wifi_refused") {
        throw error;
      }
      // The board is still there and asks again: nothing has failed that cannot be entered anew.
      const { what, why, do: advice } = told(error, "whole");
      this.course.move("choosing");
      view.say("wifi-error", `${what} ${why} ${advice.join(" ")}`);
      view.focusOn("password");
    }
  }

  // ---- first reading

  async followKnown() {
    const station = byId("known-id").value.trim().toLowerCase();
    if (!STATION_ID.test(station)) {
      view.say("known-error", "A station id has 26 characters, a to z and 2 to 7.");
      byId("known-id").focus();
      return;
    }
    this.begin("done");
    this.course.move("listening");
    await this.follow(station);
  }

  async follow(station) {
    if (!STATION_ID.test(station ?? "")) {
      throw new Fault("board_silent", "It joined, but did not name its station.");
    }
    this.course.move("following");
    if (this.place) {
      view.offerFile("place-file", placeFile(this.place, station));
    }
    view.clearEvents();
    view.showFacts("reading-facts", [["Station", station, "digits"]]);
    this.following = new AbortController();
    const clock = waiting();
    // What comes now may take minutes, and the page must answer meanwhile.
    this.busy = false;
    try {
      const reading = await firstReading(station, this.after, showEvent, this.following.signal);
      view.showFacts("reading-facts", [
        ["Station", station, "digits"], ["Message", reading.message_id, "digits"],
        ["Accepted", new Date(reading.recv_ms).toISOString()],
      ]);
      this.course.move("accepted");
      view.say("late", "");
      view.focusOn("another");
    } finally {
      clock();
    }
    await this.leave();
  }

  async another() {
    this.following?.abort();
    await this.leave();
    this.place = null;
    for (const id of ["board-facts", "write-facts", "reading-facts"]) {
      view.showFacts(id, []);
    }
    byId("place-save").hidden = true;
    byId("agree").checked = false;
    view.clearEvents();
    view.showProgress(0, "Nothing yet.");
    this.begin();
    view.focusOn("install");
  }

  async leave() {
    await this.joining?.close();
    await this.flashing?.close();
    this.joining = null;
  }
}

async function chosen() {
  try {
    return await navigator.serial.requestPort();
  } catch (error) {
    if (error.name === "NotFoundError") {
      throw new Fault("port_absent", "", { cause: error });
    }
    throw error;
  }
}

function showEvent(event, advice) {
  const time = new Date(event.recv_ms).toISOString().slice(11, 19);
  view.addEvent(time, event.kind ?? "message", event.position !== null, advice || (event.verdict === "ok" ? "" : event.verdict));
}

/** Show how long it has taken, and what to do when that is too long. @returns what ends it */
function waiting() {
  const since = Date.now();
  const show = () => {
    const seconds = Math.round((Date.now() - since) / 1000);
    view.say("waited", `Waiting for ${seconds} s. A station sends its first reading within some minutes.`);
    if (seconds >= LATE_S) {
      const { what, do: advice } = told(new Fault("reading_late"), "whole");
      view.say("late", `${what} ${advice.join(" ")} This page goes on waiting.`);
    }
  };
  const timer = setInterval(show, 1000);
  return () => {
    clearInterval(timer);
    view.say("waited", "");
  };
}

function networkChosen() {
  byId("other-network").hidden = byId("networks").value !== OTHER;
}

/** Say at once if this browser, or the way to this page, cannot do it. */
function ability() {
  if (!globalThis.isSecureContext) {
    return new Fault("serial_insecure");
  }
  return "serial" in navigator ? null : new Fault("serial_unsupported");
}

async function nameNetwork() {
  const known = await gateway.onboarding();
  view.say("network", `network ${known.name}${known.simulated ? ", simulated" : ""}`);
}

function wire(page) {
  const on = (id, event, work) => byId(id).addEventListener(event, (happened) => {
    happened.preventDefault();
    page.step(() => work());
  });
  on("install", "click", () => page.install());
  on("retry", "click", () => page.retry());
  on("station", "submit", () => page.write());
  on("wifi", "submit", () => page.join());
  on("known", "submit", () => page.followKnown());
  on("rescan", "click", () => page.scan());
  on("another", "click", () => page.another());
  on("offered", "change", () => page.imageChosen());
  on("file", "change", () => page.imageChosen());
  for (const id of ["lat", "lon", "resolution"]) {
    byId(id).addEventListener("input", form.showCell);
  }
  byId("here").addEventListener("click", form.takePlace);
  byId("networks").addEventListener("change", networkChosen);
  byId("reveal").addEventListener("change", () => {
    byId("password").type = byId("reveal").checked ? "text" : "password";
  });
  globalThis.addEventListener("beforeunload", (leaving) => {
    if (["flashing", "verifying", "verifying_protected"].includes(page.course.state)) {
      leaving.preventDefault();
    }
  });
}

const page = new Page();
wire(page);
const unable = ability();
if (unable) {
  byId("install").disabled = true;
  view.showFault({ ...told(unable, "nothing"), again: "" });
  byId("retry").hidden = true;
}
nameNetwork().catch((error) => view.log(String(error)));
document.body.dataset.ready = SENTENCES[page.course.state];
