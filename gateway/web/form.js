// What the owner entered about the station, checked field by field.

import { COARSE, FINE, describeCell, scoringCell, typed } from "./place.js";

const byId = (id) => document.getElementById(id);
const value = (id) => byId(id).value.trim();
const LATITUDE_MAX = 90;
const LONGITUDE_MAX = 180;

/** Mark fields and say what is wrong with them; "" if nothing is. */
function tell(errorId, fields, text) {
  byId(errorId).textContent = text;
  for (const id of fields) {
    byId(id).setAttribute("aria-invalid", text ? "true" : "false");
  }
  return text === "";
}

/** The place as entered, null while there is none. */
export function place() {
  const lat = typed(value("lat"), LATITUDE_MAX);
  const lon = typed(value("lon"), LONGITUDE_MAX);
  const resolution = Number(value("resolution")) === COARSE ? COARSE : FINE;
  return lat === null || lon === null ? null : { lat, lon, resolution };
}

/** Show which cell will be public before anybody agrees. A new cell asks again. */
export function showCell() {
  const found = place();
  const cell = found && scoringCell(found.lat, found.lon, found.resolution);
  const shown = byId("cell");
  if (shown.dataset.cell === (cell ?? "")) {
    return;
  }
  shown.dataset.cell = cell ?? "";
  byId("agree").checked = false;
  shown.textContent = cell ? `Public: ${describeCell(cell)}.` : "";
}

function checkPlace() {
  if (!place()) {
    const text = "Enter latitude (-90 to 90) and longitude (-180 to 180) in degrees, such as 52.520008.";
    const wrong = [typed(value("lat"), LATITUDE_MAX), typed(value("lon"), LONGITUDE_MAX)];
    return tell("place-error", ["lat", "lon"].filter((_, i) => wrong[i] === null), text);
  }
  tell("place-error", ["lat", "lon", "agree"], "");
  return byId("agree").checked
    || tell("place-error", ["agree"], "Without a public cell a station cannot join: agree to it first.");
}

/** Sensors as `cairn board provision --sensor` takes them. */
export function sensors() {
  const checked = [...byId("sensors").querySelectorAll("input:checked")].map((box) => box.value);
  const others = byId("others").value.split("\n").map((line) => line.trim()).filter(Boolean);
  return [...checked, ...others];
}

const checkSensors = () =>
  tell("sensors-error", ["others"], sensors().length ? "" : "Choose at least one sensor: a station has something to report.");

function checkOwner() {
  const fits = /^((0x)?[0-9a-fA-F]{40})?$/.test(value("owner"));
  return tell("owner-error", ["owner"], fits ? "" : "An owner is 40 hex digits, with or without 0x in front.");
}

/** [gain in 0.01 dBi, height in 0.1 m], null if neither is given, undefined if half is. */
function antenna() {
  const texts = ["gain", "height"].map((id) => value(id).replace(",", "."));
  if (texts.every((text) => text === "")) {
    return null;
  }
  const numbers = texts.map((text) => (/^-?\d{1,3}(\.\d+)?$/.test(text) ? Number(text) : NaN));
  return numbers.some(Number.isNaN) ? undefined : [Math.round(numbers[0] * 100), Math.round(numbers[1] * 10)];
}

const checkAntenna = () =>
  tell("antenna-error", ["gain", "height"], antenna() === undefined ? "Give both, in dBi and metres, or neither." : "");

const checkKept = () => tell("kept-error", ["lose"], byId("kept").hidden || byId("lose").checked
  ? "" : "Let it send them first, or agree that they may be lost.");

/** Whether everything fits; else what does not is marked, and the first of it has the focus. */
export function check() {
  const fits = [checkPlace(), checkSensors(), checkOwner(), checkAntenna(), checkKept()].every(Boolean);
  if (!fits) {
    const first = byId("station").querySelector('[aria-invalid="true"]');
    first?.closest("details")?.setAttribute("open", "");
    first?.focus();
  }
  return fits;
}

/** The choices that go to the gateway: never the exact place. */
export function choice(committed, architecture, partitionBytes) {
  const mast = antenna();
  const [sampleS, messageS] = value("rhythm").split(",").map(Number);
  return {
    architecture: value("architecture") || architecture,
    partition_bytes: partitionBytes,
    scoring_cell: committed.scoring_cell,
    place_commitment: committed.place_commitment,
    antenna: mast && { gain_cdbi: mast[0], height_dm: mast[1] },
    owner: value("owner") || null,
    sensors: sensors(),
    sample_s: sampleS,
    message_s: messageS,
  };
}

/** Fill in where this computer is, if its user lets it be known. It stays here. */
export function takePlace() {
  const say = (text) => tell("place-error", [], text);
  if (!navigator.geolocation) {
    say("This browser does not know where it is. Enter the place by hand.");
    return;
  }
  say("");
  navigator.geolocation.getCurrentPosition(
    ({ coords }) => {
      byId("lat").value = coords.latitude.toFixed(6);
      byId("lon").value = coords.longitude.toFixed(6);
      showCell();
    },
    () => say("The browser did not give its place. Enter it by hand."),
    { enableHighAccuracy: true, timeout: 15_000 },
  );
}

const bytesOf = (text) => new TextEncoder().encode(text).length;

/** The Wi-Fi as entered; null if no network can be called so, or have such a password. */
export function wifi() {
  const ssid = byId("networks").value || byId("ssid").value;
  const password = byId("password").value;
  const named = bytesOf(ssid) >= 1 && bytesOf(ssid) <= 32;
  if (!tell("wifi-error", ["ssid"], named ? "" : "Name the network, in at most 32 bytes.")) {
    byId("ssid").focus();
    return null;
  }
  const fits = password === "" || (bytesOf(password) >= 8 && bytesOf(password) <= 64);
  if (!tell("wifi-error", ["password"], fits ? "" : "A Wi-Fi password has 8 to 64 characters; an open network has none.")) {
    byId("password").focus();
    return null;
  }
  return { ssid, password };
}
