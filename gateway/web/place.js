// The exact place of a station, which never leaves this browser: what goes out is the public
// scoring cell and a salted commitment, the same bytes as gateway/board/place.py makes.

import { Fault } from "./faults.js";
import { hex, sha256 } from "./official.js";

const DIGITS = 6;
const SALT_BYTES = 32;
const FORMAT = "cairn-place-1";
export const FINE = 9;
export const COARSE = 7;

/** Decimal degrees as they are committed to: six decimals, no "-0.000000". */
export function degrees(value) {
  const text = value.toFixed(DIGITS);
  return Number(text) === 0 ? text.replace("-", "") : text;
}

/** Degrees that somebody typed, "52,52" or "52.52"; null if they are none or out of range. */
export function typed(text, limit) {
  const plain = text.trim().replace(",", ".");
  const value = Number(plain);
  return /^[+-]?\d{1,3}(\.\d*)?$/.test(plain) && Math.abs(value) <= limit ? value : null;
}

/** The cell that everybody will see, of the place as it is committed to. */
export function scoringCell(lat, lon, resolution) {
  return globalThis.h3.latLngToCell(Number(degrees(lat)), Number(degrees(lon)), resolution);
}

/** Centre of a cell and its usual size, for people. */
export function describeCell(cell) {
  const [lat, lon] = globalThis.h3.cellToLatLng(cell);
  const across = globalThis.h3.getResolution(cell) === COARSE ? "2.5 km" : "350 m";
  return `cell ${cell}, some ${across} across, centre ${lat.toFixed(4)}, ${lon.toFixed(4)}`;
}

/**
 * A place with a fresh salt.
 * @returns {Promise<{lat: string, lon: string, salt: string, scoring_cell: string, place_commitment: string}>}
 */
export async function commit(lat, lon, resolution, salt = crypto.getRandomValues(new Uint8Array(SALT_BYTES))) {
  if (salt.length !== SALT_BYTES) {
    throw new Fault("page_bug", "A salt of another length.");
  }
  const [north, east] = [degrees(lat), degrees(lon)];
  const text = new TextEncoder().encode(`${north},${east}`);
  const bytes = new Uint8Array(SALT_BYTES + text.length);
  bytes.set(salt);
  bytes.set(text, SALT_BYTES);
  return {
    lat: north,
    lon: east,
    salt: hex(salt),
    scoring_cell: scoringCell(lat, lon, resolution),
    place_commitment: await sha256(bytes),
  };
}

/** The owner's file: without it nobody, the owner included, can show later where the station is. */
export function placeFile(place, device) {
  const { lat, lon, salt, scoring_cell, place_commitment } = place;
  const content = { format: FORMAT, device, lat, lon, salt, scoring_cell, place_commitment };
  return { name: device ? `cairn-place-${device}.json` : "cairn-place.json", text: `${JSON.stringify(content, null, 1)}\n` };
}
