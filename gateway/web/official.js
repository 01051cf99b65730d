// Takes the official MicroPython image apart, by its own partition table: the same as
// gateway/device/official.py, and held to the same results by a test. The file is padded with 0xFF
// across NVS, where a board keeps its key: written as it is, it would erase it.

import { Fault } from "./faults.js";
import { md5 } from "./md5.js";

export const SECTOR_BYTES = 0x1000;
const ERASED = 0xff;

// Where each chip's ROM looks for the bootloader, by the chip id in an image's header.
const CHIPS = new Map([[0, ["esp32", 0x1000]], [5, ["esp32c3", 0]], [9, ["esp32s3", 0]]]);
const OTHER_CHIPS = new Map([
  [2, "ESP32-S2"], [12, "ESP32-C2"], [13, "ESP32-C6"], [16, "ESP32-H2"], [18, "ESP32-P4"],
]);

const IMAGE_MAGIC = 0xe9;
const HEADER_BYTES = 24;
const SEGMENT_BYTES = 8;
const CHECKSUM_SEED = 0xef;
const SEGMENTS_MAX = 16;
const ROW_BYTES = 32;
const ROW_MAGIC = 0x50aa;
const SUM_MAGIC = Uint8Array.from([0xeb, 0xeb, ...Array(14).fill(ERASED)]);
const TABLE_OFFSET = 0x8000;
const TABLE_BYTES = 0xc00;
const TABLE_OFFSET_MAX = 0x20000;
// What a table says is asked for as memory.
const FLASH_BYTES_MAX = 128 * 2 ** 20;

const [APP, DATA] = [0, 1];
const [FACTORY, OTA_0, OTA_LAST] = [0x00, 0x10, 0x1f];
const [OTADATA, NVS, NVS_KEYS] = [0x00, 0x02, 0x04];
export const FILE_SYSTEM = "vfs";
const UF2_FILE_SYSTEM = "ffat";
const NAME = "MicroPython";
const BANNER = /MicroPython (v?\d+\.\d+[A-Za-z0-9_.+-]*)/;

/** Whether it is NVS, or holds the keys of an encrypted one. */
export const keepsKeys = (one) => one.kind === DATA && (one.subtype === NVS || one.subtype === NVS_KEYS);
const end = (partition) => partition.offset + partition.size;
const upTo = (place, unit) => Math.ceil(place / unit) * unit;
/** Where the last sector ends that writing a range erases. */
export const erasedTo = (range) => upTo(range.offset + range.data.length, SECTOR_BYTES);

const notOne = (why) => new Fault("image_not_official", `${why}.`);

/**
 * What an official image is made of. Throws a Fault if it is none, or is damaged.
 * @param {Uint8Array} image
 * @returns {Promise<{chip: string, version: string, flashBytes: number, tableOffset: number,
 *   partitions: object[], ranges: {name: string, offset: number, data: Uint8Array}[]}>}
 */
export async function split(image) {
  // Merged from 0, where an ESP32's bootloader does not begin.
  const lead = isErased(image.subarray(0, SECTOR_BYTES)) && image.length >= SECTOR_BYTES ? SECTOR_BYTES : 0;
  const boot = await readImage(image.subarray(lead), "bootloader");
  const [chip, start] = chipOf(boot.chipId);
  if (lead && lead !== start) {
    throw notOne("It begins with an empty sector, where the bootloader must be");
  }
  // From here on a place in the file is a place in the flash.
  const flash = new Uint8Array(start - lead + image.length).fill(ERASED, 0, start - lead);
  flash.set(image, start - lead);
  const [tableOffset, partitions] = findTable(flash, start + boot.size);
  checkPlaces(partitions, tableOffset);
  checkKeysEmpty(flash, partitions);
  const ranges = [
    { name: "bootloader", offset: start, data: flash.slice(start, start + boot.size) },
    { name: "partition table", offset: tableOffset, data: flash.slice(tableOffset, tableOffset + TABLE_BYTES) },
    ...(await contents(flash, partitions, boot.chipId)),
  ];
  ranges.sort((one, other) => one.offset - other.offset);
  return { chip, version: version(ranges), flashBytes: boot.flashBytes, tableOffset, partitions, ranges };
}

/** Where keys are kept. */
export const protectedBy = (official) => official.partitions.filter(keepsKeys);

/** Where the file system is on a chip with that much flash. */
export function fileSystem(official, flashBytes) {
  const named = official.partitions.find((one) => one.kind === DATA && one.name === FILE_SYSTEM);
  if (named) {
    return named;
  }
  const start = Math.max(...official.partitions.map(end));
  return { name: FILE_SYSTEM, kind: DATA, subtype: 0x81, offset: start, size: Math.max(flashBytes - start, 0) };
}

/** The rows of a partition table; null if it is none: no rows, or its checksum is wrong. */
export function readTable(data) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const rows = [];
  for (let place = 0; place + ROW_BYTES <= Math.min(data.length, TABLE_BYTES); place += ROW_BYTES) {
    if (SUM_MAGIC.every((byte, i) => data[place + i] === byte)) {
      const sum = hex(data.subarray(place + SUM_MAGIC.length, place + ROW_BYTES));
      return rows.length && sum === md5(data.subarray(0, place)) ? rows : null;
    }
    if (view.getUint16(place, true) !== ROW_MAGIC) {
      break;
    }
    rows.push(row(data, view, place));
  }
  // Without a checksum row it may be half of a table.
  return null;
}

function row(data, view, place) {
  const label = data.subarray(place + 12, place + 28);
  const length = label.indexOf(0);
  const named = label.subarray(0, length < 0 ? label.length : length);
  return {
    name: Array.from(named, (byte) => (byte < 0x80 ? String.fromCharCode(byte) : "\ufffd")).join(""),
    kind: data[place + 2],
    subtype: data[place + 3],
    offset: view.getUint32(place + 4, true),
    size: view.getUint32(place + 8, true),
  };
}

/** Read an ESP image at the start of data, and check its checksum and its SHA-256. */
async function readImage(data, what) {
  if (data.length < HEADER_BYTES || data[0] !== IMAGE_MAGIC) {
    throw notOne(`Where its ${what} must be, there is none`);
  }
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const [segments, sizeAndSpeed, chipId, hashed] = [data[1], data[3], view.getUint16(12, true), data[23]];
  if (!(segments > 0 && segments <= SEGMENTS_MAX)) {
    throw notOne(`Its ${what} has ${segments} segments`);
  }
  let place = HEADER_BYTES;
  let checksum = CHECKSUM_SEED;
  for (let i = 0; i < segments; i += 1) {
    if (place + SEGMENT_BYTES > data.length) {
      throw notOne(`Its ${what} ends too early`);
    }
    const length = view.getUint32(place + 4, true);
    place += SEGMENT_BYTES;
    for (const byte of data.subarray(place, place + length)) {
      checksum ^= byte;
    }
    place += length;
  }
  // The checksum is the last byte of a block of 16.
  place = Math.floor(place / 16) * 16 + 16;
  const size = place + (hashed ? 32 : 0);
  if (size > data.length) {
    throw notOne(`Its ${what} ends too early`);
  }
  if (data[place - 1] !== checksum) {
    throw notOne(`The checksum of its ${what} is wrong`);
  }
  if (hashed && hex(data.subarray(place, size)) !== (await sha256(data.subarray(0, place)))) {
    throw notOne(`The SHA-256 of its ${what} is wrong`);
  }
  return { chipId, size, flashBytes: 2 ** (20 + (sizeAndSpeed >> 4)) };
}

function chipOf(chipId) {
  const found = CHIPS.get(chipId);
  if (!found) {
    throw new Fault("image_other_chip", `It is for ${OTHER_CHIPS.get(chipId) ?? `chip ${chipId}`}.`);
  }
  return found;
}

function findTable(flash, after) {
  const first = upTo(after, SECTOR_BYTES);
  const offsets = [TABLE_OFFSET];
  for (let offset = first; offset <= TABLE_OFFSET_MAX; offset += SECTOR_BYTES) {
    offsets.push(offset);
  }
  for (const offset of offsets) {
    const found = offset >= first ? readTable(flash.subarray(offset, offset + TABLE_BYTES)) : null;
    if (found) {
      return [offset, found];
    }
  }
  throw notOne("It has no partition table with a right checksum: it is a single application, or damaged");
}

function checkPlaces(partitions, tableOffset) {
  if (!partitions.some(keepsKeys)) {
    throw notOne("Its partition table has no NVS, where a board keeps its key");
  }
  if (partitions.some((one) => one.name === UF2_FILE_SYSTEM)) {
    throw notOne("It is an image for TinyUF2, whose file system is another one");
  }
  let freeFrom = tableOffset + SECTOR_BYTES;
  for (const one of partitions.toSorted((a, b) => a.offset - b.offset)) {
    if (one.offset % SECTOR_BYTES || one.size % SECTOR_BYTES || !one.size) {
      throw notOne(`Its partition '${one.name}' is not made of whole sectors`);
    }
    if (one.offset < freeFrom) {
      throw notOne(`Its partition '${one.name}' lies over another one`);
    }
    freeFrom = end(one);
  }
  if (freeFrom > FLASH_BYTES_MAX) {
    throw notOne("Its partition table is for more flash than any chip has");
  }
}

function checkKeysEmpty(flash, partitions) {
  for (const one of partitions) {
    if (keepsKeys(one) && !isErased(flash.subarray(one.offset, end(one)))) {
      throw notOne(`It has something in '${one.name}': a copy of a board, with its key`);
    }
  }
}

async function contents(flash, partitions, chipId) {
  const found = [];
  let bootable = false;
  for (const one of partitions) {
    const inside = flash.slice(one.offset, end(one));
    const range = (data) => found.push({ name: one.name, offset: one.offset, data });
    if (one.kind === DATA && one.subtype === OTADATA) {
      // What an old one says would start an old application.
      range(new Uint8Array(one.size).fill(ERASED));
    } else if (keepsKeys(one) || isErased(inside)) {
      continue;
    } else if (one.kind === APP) {
      range(await application(inside, one, chipId));
      bootable ||= one.subtype === FACTORY || one.subtype === OTA_0;
    } else if (one.name !== FILE_SYSTEM) {
      range(inside);
    }
  }
  if (!bootable) {
    throw notOne("It has a partition table, and no application in it");
  }
  return found;
}

async function application(inside, partition, chipId) {
  const known = partition.subtype === FACTORY || (partition.subtype >= OTA_0 && partition.subtype <= OTA_LAST);
  if (!known) {
    throw notOne(`Its application '${partition.name}' is of a kind that is not known`);
  }
  const read = await readImage(inside, `application '${partition.name}'`);
  if (read.chipId !== chipId) {
    throw notOne("Its bootloader and its application are for different chips");
  }
  return inside.slice(0, read.size);
}

function version(ranges) {
  // One character a byte, so that nothing is lost.
  const texts = ranges.map((one) => new TextDecoder("latin1").decode(one.data));
  if (!texts.some((text) => text.includes(NAME))) {
    throw notOne("MicroPython is not in it");
  }
  for (const text of texts) {
    const banner = BANNER.exec(text);
    if (banner) {
      return banner[1];
    }
  }
  return "";
}

export const isErased = (data) => data.every((byte) => byte === ERASED);

export function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export async function sha256(data) {
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", data)));
}
