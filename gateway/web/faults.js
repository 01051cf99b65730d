// What can go wrong, in words: what happened, why, what to do, and whether trying again is safe.
// Codes are those of the command line where it knows the same fault (docs/troubleshooting.md).

/** code: a key of FAULTS; why: what is known about this one, a sentence. */
export class Fault extends Error {
  constructor(code, why = "", options = {}) {
    super(`${code}: ${why}`, options);
    this.code = code;
    this.why = why;
  }
}

const AGAIN = "Press Try again.";
const BOOT = "Hold the button BOOT (some boards: IO0 or FLASH), press and release RESET (or EN), "
  + "let go of BOOT, then press Try again.";
const CABLE = "Use a cable that carries data. Many only charge: the board lights up and nothing appears.";
const CLOSE = "Close what else uses the port: Arduino, Thonny, mpremote, another tab with this page.";
const PLUG = "Plug the board in again, straight into the computer and not into a hub.";
// Only Linux asks for it, so only there it is said.
const DIALOUT = "Let your user use serial ports: sudo usermod -a -G dialout $USER, then log in again.";

export const FAULTS = Object.freeze({
  serial_unsupported: {
    what: "This browser cannot talk to a board.",
    why: "It has no Web Serial.",
    do: ["Use Chrome, Edge or another Chromium on a computer (not a phone).",
      "Or flash from the command line: cairn board flash."],
  },
  serial_insecure: {
    what: "The browser does not let this page talk to a board.",
    why: "The page came over plain HTTP from another machine, and Web Serial needs HTTPS or localhost.",
    do: ["Open it through a tunnel: ssh -L 8080:127.0.0.1:8080 GATEWAY, then http://localhost:8080/flash.",
      "Or put a proxy with TLS in front of the gateway."],
  },
  port_absent: {
    what: "No port was chosen.",
    why: "The list was closed, or the board is not in it.",
    do: ["Look at the board: its power light must be on.", CABLE, DIALOUT,
      "Boards with a CP210x or CH34x need its driver on Windows and macOS; look at the chip beside the USB socket.",
      AGAIN],
  },
  port_busy: {
    what: "The port cannot be opened.",
    why: "Another program holds it, or your user may not use it.",
    do: [CLOSE, DIALOUT, AGAIN],
  },
  port_lost: {
    what: "The board is gone.",
    why: "Its port vanished while it was in use: the cable moved, or the board lost its power.",
    do: [PLUG, "Use another cable if it happens again.", AGAIN],
  },
  chip_silent: {
    what: "The chip does not answer.",
    why: "The port is open, but the chip's bootloader did not start.",
    do: [BOOT, CABLE, "Take away what is wired to IO0, IO2 and IO12."],
  },
  chip_wrong: {
    what: "Cairn does not run on this chip.",
    do: ["Take a board with an ESP32, an ESP32-S3 or an ESP32-C3."],
    final: true,
  },
  chip_locked: {
    what: "The chip cannot be written.",
    why: "Its secure download mode, secure boot or flash encryption is on, which cannot be undone.",
    do: ["Take another board."],
    final: true,
  },
  flash_too_small: {
    what: "The flash of this board is too small.",
    do: ["Take a board with 4 MB of flash or more."],
    final: true,
  },
  image_not_official: {
    what: "The file is no official MicroPython image.",
    do: ["Take the .bin of your board from micropython.org/download (not .app-bin, not .uf2)."],
  },
  image_other_chip: {
    what: "The image is for another chip.",
    do: ["Take the image of this board's chip from micropython.org/download."],
  },
  nvs_in_the_way: {
    what: "Writing this image would destroy the board's key.",
    do: ["Take an official image for a board with this flash size.",
      "A board whose key may go: erase it first with esptool, and know that it becomes another station."],
  },
  gateway_unreachable: {
    what: "The gateway does not answer.",
    why: "This page came from it, but now it is not reached.",
    do: ["See that the gateway runs: cairn gateway doctor.", AGAIN],
  },
  image_refused: {
    what: "The gateway does not make the board's file system.",
    do: ["Mend what it names, then press Try again."],
  },
  image_damaged: {
    what: "A file arrived damaged.",
    why: "Its SHA-256 is not the one that the gateway names.",
    do: [AGAIN],
  },
  flash_failed: {
    what: "Writing failed.",
    do: [CABLE, PLUG, BOOT],
  },
  flash_mismatch: {
    what: "What was written is not what the flash holds.",
    why: "Its MD5 is another one.",
    do: [AGAIN, PLUG, "If it happens at the same place again, the flash chip is worn or broken: take another board."],
  },
  nvs_changed: {
    what: "The region with the board's key changed.",
    why: "Its MD5 before and after is not the same, although nothing was written there.",
    do: ["Do not rely on this board's key: look at its station id against its label.",
      "Report this with the protocol below; it must not happen."],
    wrote: "Everything else was written and verified.",
    final: true,
  },
  board_silent: {
    what: "The board is written, but it does not ask for a Wi-Fi.",
    why: "It has not started, or it already has a Wi-Fi and a configuration.",
    do: ["Press RESET (or EN) on the board, then Try again.",
      "A board that was in use before keeps its Wi-Fi: enter its station id below to follow it.",
      "See what it says: cairn board doctor."],
  },
  wifi_refused: {
    what: "The board cannot join this Wi-Fi.",
    why: "The name or the password is wrong, the network is 5 GHz only, or too far away.",
    do: ["Check name and password: upper and lower case count.", "ESP32 boards know 2.4 GHz only.",
      "Bring the board closer to the access point, and enter them again."],
  },
  reading_late: {
    what: "The board is in the Wi-Fi, but no reading of it was accepted.",
    do: ["Walk the whole way from sensor to gateway: cairn board doctor."],
  },
  page_bug: {
    what: "The page failed.",
    do: ["Load it again.", "Report this with the protocol below."],
  },
});

/** Whether the page runs on Linux, where a user must be allowed to use serial ports. */
export const onLinux = (agent = globalThis.navigator?.userAgent ?? "") => /Linux|CrOS/.test(agent) && !/Android/.test(agent);

/**
 * All that a person is told.
 * @param {Fault} fault
 * @param {"nothing"|"part"|"whole"} wrote what of the flash was written
 * @param {boolean} linux
 */
export function told(fault, wrote, linux = onLinux()) {
  const known = FAULTS[fault.code];
  return {
    code: fault.code,
    what: known.what,
    why: fault.why || known.why || "",
    do: known.do.filter((line) => line !== DIALOUT || linux),
    wrote: known.wrote ?? WROTE[wrote],
    again: known.final
      ? "Trying again will not help."
      : "Trying again is safe: the board's key is never written over.",
    final: Boolean(known.final),
  };
}

const WROTE = Object.freeze({
  nothing: "Nothing was written to the board.",
  part: "Part of the flash was written, so the board may not start. Its key and settings were not touched.",
  whole: "The board is written and verified. Its key and settings were not touched.",
});

/** Whatever was thrown, as a Fault. */
export function faultOf(error, code = "page_bug") {
  return error instanceof Fault ? error : new Fault(code, said(error), { cause: error });
}

function said(error) {
  const text = error instanceof Error ? error.message : String(error);
  const line = text.trim().split("\n")[0];
  return line.endsWith(".") ? line : `${line}.`;
}
