// Runs a Python script on real MicroPython: node micropython.mjs SCRIPT [LOCAL=REMOTE ...]
// LOCAL is a file or a directory, copied to REMOTE in the interpreter's memory file system.
// The script may await at its top level. Its stdout is ours; an uncaught exception goes to stderr
// and ends with code 1.
import fs from "node:fs";
import path from "node:path";
import { loadMicroPython } from "@micropython/micropython-webassembly-pyscript";

const [script, ...copies] = process.argv.slice(2);
const interpreter = await loadMicroPython({
  stdout: (bytes) => fs.writeSync(1, bytes),
  linebuffer: false,
});

function copyIn(local, remote) {
  if (fs.statSync(local).isDirectory()) {
    interpreter.FS.mkdirTree(remote);
    for (const name of fs.readdirSync(local)) {
      if (name !== "__pycache__") copyIn(path.join(local, name), `${remote}/${name}`);
    }
  } else {
    interpreter.FS.mkdirTree(path.posix.dirname(remote));
    interpreter.FS.writeFile(remote, fs.readFileSync(local));
  }
}

for (const copy of copies) {
  const at = copy.lastIndexOf("=");
  copyIn(copy.slice(0, at), copy.slice(at + 1));
}

try {
  await interpreter.runPythonAsync(fs.readFileSync(script, "utf8"));
} catch (error) {
  fs.writeSync(2, String(error.message ?? error) + "\n");
  process.exit(1);
}
