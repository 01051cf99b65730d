// The board's two pieces of machine code, as functions of the host: on a chip they stand outside
// the collected heap too, and make no garbage in it. What they do is written in
// firmware/cairn/field25519_viper.py and sha512_viper.py.
const P = 2n ** 255n - 19n;
const LIMBS = 20;
const MASK64 = (1n << 64n) - 1n;

export function kernels(memory) {
  const view = () => new DataView(memory().buffer);

  function read(address) {
    const data = view();
    let value = 0n;
    for (let limb = LIMBS - 1; limb >= 0; limb--) {
      value = value * 8192n + BigInt(data.getInt32(address + 4 * limb, true));
    }
    return value;
  }

  function write(address, value) {
    const data = view();
    let rest = ((value % P) + P) % P;
    for (let limb = 0; limb < LIMBS; limb++) {
      data.setInt32(address + 4 * limb, Number(rest & 8191n), true);
      rest >>= 13n;
    }
  }

  function element(table, place) {
    const bytes = memory();
    let value = 0n;
    for (let byte = 32; byte >= 0; byte--) value = (value << 8n) | BigInt(bytes[table + 33 * place + byte]);
    return value & ((1n << 260n) - 1n);
  }

  function run(base, program, table, digits) {
    const bytes = memory();
    const start = program;
    const register = (number) => base + 80 * number;
    while (bytes[program]) {
      const [operation, target, first, second] = bytes.subarray(program, program + 4);
      let value;
      if (operation === 6) {
        const negative = bytes[digits] >> 6;
        const last = first === second;
        const place = 3 * (bytes[digits] & 63) + first + negative * (second - first);
        value = element(table, place) * (negative && last ? -1n : 1n);
        if (last) digits += 1;
      } else {
        const a = read(register(first));
        if (operation === 2) {
          value = a;
          for (let times = 0; times < second; times++) value = (value * value) % P;
        } else {
          const b = operation === 4 ? 0n : read(register(second));
          value = operation === 1 ? a * b : operation === 3 ? a - b : a + b;
        }
      }
      write(register(target), value);
      program = bytes[program + 4] || bytes[digits] > 127 ? program + 4 : start;
    }
  }

  const rotate = (x, by) => ((x >> by) | (x << (64n - by))) & MASK64;

  function compress(state, block, constants) {
    const data = view();
    const w = [];
    for (let i = 0; i < 16; i++) w.push(data.getBigUint64(block + 8 * i, false));
    for (let i = 16; i < 80; i++) {
      const s0 = rotate(w[i - 15], 1n) ^ rotate(w[i - 15], 8n) ^ (w[i - 15] >> 7n);
      const s1 = rotate(w[i - 2], 19n) ^ rotate(w[i - 2], 61n) ^ (w[i - 2] >> 6n);
      w.push((w[i - 16] + s0 + w[i - 7] + s1) & MASK64);
    }
    const before = [];
    for (let i = 0; i < 8; i++) before.push(data.getBigUint64(state + 8 * i, true));
    let [a, b, c, d, e, f, g, h] = before;
    for (let i = 0; i < 80; i++) {
      const s1 = rotate(e, 14n) ^ rotate(e, 18n) ^ rotate(e, 41n);
      const key = data.getBigUint64(constants + 8 * i, true);
      const t1 = (h + s1 + ((e & f) ^ (~e & MASK64 & g)) + key + w[i]) & MASK64;
      const s0 = rotate(a, 28n) ^ rotate(a, 34n) ^ rotate(a, 39n);
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) & MASK64;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) & MASK64, c, b, a, (t1 + t2) & MASK64];
    }
    [a, b, c, d, e, f, g, h].forEach((word, i) =>
      data.setBigUint64(state + 8 * i, (before[i] + word) & MASK64, true),
    );
  }

  return { run, compress };
}
