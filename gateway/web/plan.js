// What is written where, and what must not be touched: the rules of gateway/board/flash_plan.py.
// Nothing here talks to a board.

import { Fault } from "./faults.js";
import { erasedTo, fileSystem, keepsKeys, protectedBy } from "./official.js";

// MicroPython's own layout, to look for a key where a board has no table.
export const USUAL_NVS = Object.freeze({ name: "nvs", kind: 1, subtype: 2, offset: 0x9000, size: 0x6000 });
// In clear in the NVS of a board with a key: the name of our part of it. Of a board that was set up:
// the name of its configuration there.
export const KEY_MARK = "cairn";
export const CONFIG_MARK = "config";
const ARCHITECTURES = Object.freeze({ esp32: "xtensawin", esp32s3: "xtensawin", esp32c3: "rv32imc" });

const end = (row) => row.offset + row.size;
const overlaps = (range, row) => range.offset < end(row) && row.offset < erasedTo(range);
const same = (one, other) => one.offset === other.offset && one.size === other.size;
export const at = (offset) => `0x${offset.toString(16)}`;
const place = (row) => `${at(row.offset)} to ${at(end(row))}`;
export const mib = (bytes) => `${Number((bytes / 2 ** 20).toFixed(2))} MiB`;

/** The machine code that a chip runs. */
export const architectureFor = (chip) => ARCHITECTURES[chip];

/** Where a board keeps its key: as its own table says, else where MicroPython has it. */
export function keyRows(table) {
  const rows = (table ?? []).filter(keepsKeys);
  return rows.length ? rows : [USUAL_NVS];
}

/** Whether a region has a mark in it. */
export const isMarked = (data, mark) => new TextDecoder("latin1").decode(data).includes(mark);

/**
 * Where the file system goes. Throws a Fault if the image is for another chip, for more flash, or
 * keeps NVS elsewhere than a board with a key.
 * @param {{chip: string, flashBytes: number, table: object[]|null, keyed: boolean}} found the board
 */
export function fileSystemOf(official, found) {
  if (official.chip !== found.chip) {
    throw new Fault("image_other_chip", `It is for ${official.chip}, and the board is an ${found.chip}.`);
  }
  const space = fileSystem(official, found.flashBytes);
  const needed = Math.max(official.flashBytes, end(space), ...official.partitions.map(end));
  if (needed > found.flashBytes || !space.size) {
    throw new Fault("flash_too_small",
      `It has ${mib(found.flashBytes)}, and the image needs ${mib(needed)} and room for a file system.`);
  }
  const kept = protectedBy(official);
  // Found elsewhere, the key would be left behind and a new one made.
  const moved = (found.keyed ? keyRows(found.table) : [])
    .find((row) => !kept.some((other) => same(row, other)));
  if (moved) {
    throw inTheWay(`The image has no NVS where the board's is (${place(moved)})`);
  }
  return space;
}

/**
 * Everything to be written in order, if nothing of it touches what is kept; throws a Fault else.
 * @param {object} official what split() gave
 * @param {Uint8Array} files the board's file system
 * @param {object} found the board
 * @returns {{writes: object[], kept: object[]}}
 */
export function planOf(official, files, found) {
  const space = fileSystemOf(official, found);
  if (files.length > space.size) {
    throw new Fault("flash_too_small", "The file system does not fit into its partition.");
  }
  const kept = protectedBy(official);
  const writes = [...official.ranges, { name: "file system", offset: space.offset, data: files }];
  for (const one of writes) {
    const hit = kept.find((row) => overlaps(one, row));
    if (hit) {
      throw inTheWay(`Writing ${one.name} would erase ${hit.name} (${place(hit)})`);
    }
  }
  return { writes: writes.sort((one, other) => one.offset - other.offset), kept };
}

const inTheWay = (why) => new Fault("nvs_in_the_way", `${why}.`);
