// Where the page is, and the moves between; nothing here does anything. Up to `done` the states are
// those of gateway/board/flash_states.py, and a test holds them together. A flashed board is no
// success yet: `accepted` is.

export const SENTENCES = Object.freeze({
  idle: "Nothing has begun.",
  opening: "Opening the port.",
  connecting: "Waking the chip's bootloader.",
  inspecting: "Looking at the chip, its flash and what must be kept.",
  ready: "The board is ready to be written.",
  downloading: "Downloading MicroPython.",
  building: "Building the board's program.",
  flashing: "Writing. Leave the cable plugged in.",
  verifying: "Reading back what was written.",
  verifying_protected: "Comparing what had to be kept.",
  rebooting: "Restarting the board.",
  done: "The board is flashed. It has not reported yet.",
  listening: "Waiting for the board to answer. The first start takes longer: it makes its key.",
  choosing: "The board asks for its Wi-Fi.",
  joining: "The board is joining the Wi-Fi.",
  following: "Waiting for the first reading that the gateway accepts.",
  accepted: "The gateway has accepted a signed reading of this board. It works.",
  failed: "It did not work.",
});

export const MOVES = Object.freeze({
  idle: ["opening", "failed"],
  opening: ["connecting", "failed"],
  connecting: ["inspecting", "connecting", "failed"],
  inspecting: ["ready", "connecting", "failed"],
  ready: ["downloading", "building", "failed"],
  downloading: ["building", "failed"],
  building: ["flashing", "failed"],
  flashing: ["verifying", "connecting", "failed"],
  verifying: ["verifying_protected", "connecting", "failed"],
  verifying_protected: ["rebooting", "connecting", "failed"],
  rebooting: ["done", "failed"],
  done: ["listening", "failed"],
  listening: ["choosing", "following", "failed"],
  choosing: ["joining", "listening", "failed"],
  joining: ["following", "choosing", "failed"],
  following: ["accepted", "failed"],
  accepted: [],
  failed: [],
});

/** The states that one board went through. told(state) is called at every move. */
export class Course {
  constructor(told = () => {}) {
    this.states = ["idle"];
    this.told = told;
    // nothing, part or whole: what of the flash was written.
    this.wrote = "nothing";
  }

  get state() {
    return this.states.at(-1);
  }

  get over() {
    return MOVES[this.state].length === 0;
  }

  /** Go on to another state. An illegal move is a bug. */
  move(to) {
    if (!MOVES[this.state].includes(to)) {
      throw new Error(`illegal move: ${this.state} -> ${to}`);
    }
    this.states.push(to);
    this.told(to);
  }
}
