// One board in its bootloader, over esptool-js: what the page does to a chip and no more.

import { ESPError, ESPLoader, Transport } from "./vendor/esptool-js/bundle.js";
import { Fault } from "./faults.js";
import { md5 } from "./md5.js";
import { hex, readTable } from "./official.js";

export const BAUD_SLOW = 115_200;
export const BAUD_FAST = 460_800;
const CHIPS = new Map([["ESP32", "esp32"], ["ESP32-S3", "esp32s3"], ["ESP32-C3", "esp32c3"]]);
const TABLE_OFFSET = 0x8000;
const TABLE_BYTES = 0xc00;
const ATTEMPTS = 4;
// Commands that esptool-js has no call for, as the ROM takes them.
const SPI_SET_PARAMS = 0x0b;
const READ_FLASH_SLOW = 0x0e;
const READ_PIECE = 64;
// esptool-js rounds what it erases up to whole blocks of this many bytes. Its own 16 kB would reach
// from the partition table into NVS; the ROM erases whole sectors by itself.
const ROM_BLOCK = 0x400;
const RESET_MS = 100;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function words(...values) {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => view.setUint32(4 * i, value, true));
  return bytes;
}

export class Loader {
  /**
   * Wake the bootloader of the board at a port that is not open.
   * @param {SerialPort} port
   * @param {(line: string) => void} log
   */
  static async connect(port, log, baud = BAUD_FAST) {
    const transport = new Transport(port);
    const terminal = { clean() {}, write: log, writeLine: log };
    const loader = new ESPLoader({ transport, baudrate: baud, romBaudrate: BAUD_SLOW, terminal });
    const made = new Loader(loader, port, log);
    try {
      await made.wake();
    } catch (error) {
      await made.close();
      throw error;
    }
    return made;
  }

  constructor(loader, port, log) {
    this.loader = loader;
    this.port = port;
    this.log = log;
    this.chip = null;
    this.mac = "";
    this.flashBytes = 0;
  }

  get fast() {
    return this.loader.IS_STUB && this.loader.baudrate > BAUD_SLOW;
  }

  async wake() {
    await this.detect();
    const chip = CHIPS.get(this.loader.chip.CHIP_NAME);
    if (!chip) {
      throw new Fault("chip_wrong", `It is an ${this.loader.chip.CHIP_NAME}.`);
    }
    this.chip = chip;
    await this.checkUnlocked();
    this.mac = await this.loader.chip.readMac(this.loader);
    await this.speedUp();
    await this.measure();
  }

  async detect() {
    try {
      await this.loader.detectChip("default_reset", ATTEMPTS);
    } catch (error) {
      // What a port throws is a DOMException; what a silent chip leads to is an ESPError.
      if (error instanceof DOMException) {
        throw new Fault(this.port.readable ? "port_lost" : "port_busy", "", { cause: error });
      }
      if (/Unexpected (chip ID|CHIP magic)/.test(error.message)) {
        throw new Fault("chip_wrong", `${error.message}`, { cause: error });
      }
      throw error instanceof ESPError ? new Fault("chip_silent", "", { cause: error }) : error;
    }
  }

  async checkUnlocked() {
    const flags = this.loader.securityInfoCache?.parsedFlags ?? {};
    if (this.loader.secureDownloadMode || flags.SECURE_BOOT_EN) {
      throw new Fault("chip_locked");
    }
    if (this.loader.securityInfoCache?.flashCryptCnt) {
      throw new Fault("chip_locked", "Its flash is encrypted.");
    }
  }

  /** Load the faster program into the chip's RAM; go on with its ROM where that is refused. */
  async speedUp() {
    try {
      await this.loader.runStub();
      if (this.loader.IS_STUB && this.loader.baudrate > BAUD_SLOW) {
        await this.loader.changeBaud();
      }
    } catch (error) {
      if (!(error instanceof ESPError)) {
        throw this.lost(error);
      }
      this.log(`Going on without the stub: ${error.message}`);
      if (!/failed with status/.test(error.message)) {
        // It may be half loaded: begin again.
        await this.loader.transport.disconnect();
        await this.detect();
      }
    }
    if (!this.loader.IS_STUB) {
      this.loader.FLASH_WRITE_SIZE = ROM_BLOCK;
      await this.loader.checkCommand("attach the flash", this.loader.ESP_SPI_ATTACH, words(0, 0));
    }
  }

  async measure() {
    const size = await this.loader.detectFlashSize();
    if (!size) {
      throw new Fault("chip_silent", "Its flash does not say how large it is.");
    }
    const unit = size.endsWith("MB") ? 2 ** 20 : 2 ** 10;
    this.flashBytes = parseInt(size, 10) * unit;
    if (!this.loader.IS_STUB) {
      const parameters = words(0, this.flashBytes, 0x10000, 0x1000, 0x100, 0xffff);
      await this.loader.checkCommand("set the flash's size", SPI_SET_PARAMS, parameters);
    }
  }

  /** The partition table on the board; null if there is none. */
  async table() {
    return readTable(await this.read(TABLE_OFFSET, TABLE_BYTES));
  }

  async read(offset, size) {
    if (this.loader.IS_STUB) {
      return this.readFast(offset, size);
    }
    const found = new Uint8Array(size);
    for (let place = 0; place < size; place += READ_PIECE) {
      const piece = await this.loader.checkCommand(
        "read flash", READ_FLASH_SLOW, words(offset + place, READ_PIECE), 0, READ_PIECE,
      );
      found.set(piece.slice(0, size - place), place);
    }
    return found;
  }

  /** Over the stub, which sends a digest behind the data that esptool-js leaves unread. */
  async readFast(offset, size) {
    const found = await this.loader.readFlash(offset, size);
    const digest = hex(await this.loader.transport.read(this.loader.DEFAULT_TIMEOUT));
    if (found.length !== size || digest !== md5(found)) {
      throw new Fault("flash_failed", "What was read from the flash arrived damaged.");
    }
    return found;
  }

  /** MD5 of a region, in hex. */
  async md5(offset, size) {
    const answer = await this.loader.flashMd5sum(offset, size);
    // The stub sends bytes; the ROM sends their hex digits as text.
    return answer.length === 32 ? answer : new TextDecoder().decode(unhex(answer));
  }

  /** Write one range, compressed. onProgress(part of 1). */
  async write(range, onProgress) {
    const size = range.data.length;
    const data = new Uint8Array(Math.ceil(size / 4) * 4).fill(0xff);
    data.set(range.data);
    try {
      await this.loader.writeFlash({
        fileArray: [{ data, address: range.offset }],
        // Nothing is changed on the way: what is verified is what the file says.
        flashMode: "keep", flashFreq: "keep", flashSize: "keep",
        eraseAll: false,
        compress: true,
        reportProgress: (_, sent, total) => onProgress(total ? sent / total : 1),
      });
    } catch (error) {
      throw this.lost(error, "flash_failed", `At ${range.name}: `);
    }
  }

  /** Compare a range with what the flash holds. */
  async verify(range) {
    let found;
    try {
      found = await this.md5(range.offset, range.data.length);
    } catch (error) {
      throw this.lost(error, "flash_failed", `Reading back ${range.name}: `);
    }
    if (found !== md5(range.data)) {
      throw new Fault("flash_mismatch", `Its MD5 is another one: ${range.name}.`);
    }
  }

  /** Let go of the bootloader and start what is in the flash. The port is closed then. */
  async restart() {
    await this.port.setSignals({ dataTerminalReady: false, requestToSend: true });
    await pause(RESET_MS);
    await this.port.setSignals({ dataTerminalReady: false, requestToSend: false });
    await this.close();
  }

  async close() {
    try {
      await this.loader.transport.disconnect();
    } catch {
      // It is closed or gone already.
    }
  }

  lost(error, code = "flash_failed", where = "") {
    if (error instanceof Fault) {
      return error;
    }
    if (error instanceof DOMException || !this.port.readable) {
      return new Fault("port_lost", "", { cause: error });
    }
    return new Fault(code, `${where}${error.message.trim().split("\n")[0]}.`, { cause: error });
  }
}

const unhex = (digits) => Uint8Array.from(digits.match(/../g), (pair) => parseInt(pair, 16));
