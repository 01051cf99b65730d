// Web Serial for a test: the same interface over a function that the test exposes. What the browser
// itself would refuse (a second open, a close while a stream is locked) is refused here too.
(() => {
  const ask = (verb, ...rest) => globalThis.testSerial(verb, ...rest);
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const lostError = () => new DOMException("The device has been lost.", "NetworkError");
  globalThis.violations = [];
  document.addEventListener("securitypolicyviolation", (event) => {
    globalThis.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
  });

  class Port extends EventTarget {
    constructor() {
      super();
      this.readable = null;
      this.writable = null;
      this.connected = true;
    }

    getInfo() {
      return {};
    }

    async open({ baudRate }) {
      if (this.readable) {
        throw new DOMException("The port is already open.", "InvalidStateError");
      }
      if (!(await ask("open", baudRate))) {
        throw new DOMException("Failed to open serial port.", "NetworkError");
      }
      this.turn = {};
      const turn = this.turn;
      this.readable = new ReadableStream({
        pull: (controller) => this.pull(controller, turn),
      });
      this.writable = new WritableStream({
        write: async (chunk) => {
          if (!(await ask("write", btoa(String.fromCharCode(...chunk))))) {
            this.lost();
            throw lostError();
          }
        },
      });
    }

    async pull(controller, turn) {
      while (this.turn === turn) {
        const piece = await ask("read");
        if (this.turn !== turn) {
          return;
        }
        if (piece === null) {
          controller.error(lostError());
          this.lost();
          return;
        }
        if (piece) {
          controller.enqueue(Uint8Array.from(atob(piece), (one) => one.charCodeAt(0)));
          return;
        }
        await pause(4);
      }
    }

    lost() {
      if (this.connected) {
        this.connected = false;
        this.turn = null;
        this.readable = null;
        this.writable = null;
        this.dispatchEvent(new Event("disconnect"));
      }
    }

    async setSignals(signals) {
      if (!this.readable) {
        throw new DOMException("The port is closed.", "InvalidStateError");
      }
      await ask("signals", signals);
    }

    async close() {
      if (!this.readable) {
        throw new DOMException("The port is already closed.", "InvalidStateError");
      }
      if (this.readable.locked || this.writable.locked) {
        throw new TypeError("Cannot cancel a locked stream");
      }
      this.turn = null;
      this.readable = null;
      this.writable = null;
      await ask("close");
    }
  }

  const ports = [];
  const serial = new (class extends EventTarget {
    async requestPort() {
      if (!(await ask("choose"))) {
        throw new DOMException("No port selected by the user.", "NotFoundError");
      }
      ports.splice(0, ports.length, new Port());
      return ports[0];
    }

    async getPorts() {
      return [...ports];
    }
  })();
  Object.defineProperty(navigator, "serial", { value: serial, configurable: true });
})();
