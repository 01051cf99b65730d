"""What is frozen into an image; package.json lists the same files for mip."""

package("cairn", base_path=".")  # noqa: F821 - the manifest language defines it
module("main.py", base_path=".")  # noqa: F821
