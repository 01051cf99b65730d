// One board's flash as its interpreter sees it: names, bytes, and where the power goes.
// Every operation is told to the main thread, which keeps what a power cut leaves; a message that
// was posted arrives even if this thread is stopped right after it by its own hand.

export const ENOENT = 2;
const EEXIST = 17;
const ENOTEMPTY = 39;
const ENOSPC = 28;
const BLOCK_BYTES = 4096;
const DIRECTORY_BYTES = 2 * BLOCK_BYTES;
const FIXED_BYTES = 2 * BLOCK_BYTES; // the superblock pair
const DIRECTORY = null;

// What an operation does to the names; the main thread calls it too.
export function apply(entries, operation) {
  const { kind, name, data, to } = operation;
  if (kind === "mkdir") entries.set(name, DIRECTORY);
  else if (kind === "store") entries.set(name, data);
  else if (kind === "append") entries.set(name, Buffer.concat([entries.get(name), data]));
  else if (kind === "remove") entries.delete(name);
  else if (kind === "rename") {
    entries.set(to, entries.get(name));
    entries.delete(name);
  }
}

export function fromFiles(files) {
  const entries = new Map();
  for (const [name, data] of files) {
    const parts = name.split("/");
    for (let depth = 1; depth < parts.length; depth++) {
      entries.set(parts.slice(0, depth).join("/"), DIRECTORY);
    }
    entries.set(name, data);
  }
  return entries;
}

const blocksOf = (size) => Math.ceil(size / BLOCK_BYTES);

function usedBytes(entries) {
  let used = FIXED_BYTES;
  for (const data of entries.values()) {
    used += data === DIRECTORY ? DIRECTORY_BYTES : blocksOf(data.length) * BLOCK_BYTES;
  }
  return used;
}

export class Flash {
  // arm: null or {left, part} (operations until the cut); random: () => [0, 1); done(operation)
  // and cut(): called for what happened; cut() does not return.
  constructor(entries, bytesMax, arm, random, done, cut) {
    this.entries = entries;
    this.bytesMax = bytesMax;
    this.arm = arm;
    this.random = random;
    this.done = done;
    this.cut = cut;
  }

  stat(path) {
    const name = path.slice(1);
    if (!name) return -2;
    if (!this.entries.has(name)) return -1;
    const data = this.entries.get(name);
    return data === DIRECTORY ? -2 : data.length;
  }

  load(path) {
    return this.entries.get(path.slice(1));
  }

  list(path) {
    const prefix = path === "/" ? "" : path.slice(1) + "/";
    if (prefix && this.entries.get(path.slice(1)) !== DIRECTORY) return null;
    const found = [];
    for (const [name, data] of this.entries) {
      const inner = name.slice(prefix.length);
      if (!name.startsWith(prefix) || !inner || inner.includes("/")) continue;
      found.push(inner + "\t" + (data === DIRECTORY ? "" : data.length));
    }
    return found.join("\n");
  }

  blocks(free) {
    const bytes = free ? Math.max(0, this.bytesMax - usedBytes(this.entries)) : this.bytesMax;
    return Math.floor(bytes / BLOCK_BYTES);
  }

  store(path, data, append) {
    const name = path.slice(1);
    const parent = name.slice(0, Math.max(0, name.lastIndexOf("/")));
    if (parent && this.entries.get(parent) !== DIRECTORY) return ENOENT;
    if (append && !this.entries.has(name)) return ENOENT;
    const operation = { kind: append ? "append" : "store", name, data };
    const before = append ? this.entries.get(name).length : 0;
    const blocks = blocksOf(before + data.length) - blocksOf(before);
    // As littlefs does it: a new content is written beside the old one before that is let go.
    const after = usedBytes(this.entries) + blocks * BLOCK_BYTES;
    if (blocks > 0 && after > this.bytesMax) return ENOSPC;
    return this.operate(operation);
  }

  remove(path) {
    const name = path.slice(1);
    if (!this.entries.has(name)) return ENOENT;
    for (const other of this.entries.keys()) if (other.startsWith(name + "/")) return ENOTEMPTY;
    return this.operate({ kind: "remove", name });
  }

  rename(path, toPath) {
    const name = path.slice(1);
    if (!this.entries.has(name)) return ENOENT;
    return this.operate({ kind: "rename", name, to: toPath.slice(1) });
  }

  mkdir(path) {
    const name = path.slice(1);
    if (this.entries.has(name)) return EEXIST;
    if (usedBytes(this.entries) + DIRECTORY_BYTES > this.bytesMax) return ENOSPC;
    return this.operate({ kind: "mkdir", name });
  }

  operate(operation) {
    if (this.arm !== null && this.arm.left-- <= 0) {
      const kept = this.whatIsKept(operation);
      if (kept !== null) this.done(kept);
      this.cut(operation);
    }
    apply(this.entries, operation);
    this.done(operation);
    return 0;
  }

  // The part of an operation that was on its way when the power went.
  whatIsKept(operation) {
    const part = this.arm.part;
    if (part === "none") return null;
    if (part === "whole") return operation;
    if (operation.data?.length > 0) {
      const size = Math.floor(this.random() * (operation.data.length + 1));
      return { ...operation, data: operation.data.subarray(0, size) };
    }
    return this.random() < 0.5 ? operation : null;
  }
}
