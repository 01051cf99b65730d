"""Set-up on machines unlike this one: no ensurepip, no root, an old Python, nothing changed.

The real scripts run with a PATH of their own, where `python3`, `id` and `apt-get` are stand-ins
that behave as those machines' do.
"""

import json
import os
import shutil
import subprocess

import pytest

TOOLS = [
    "sh",
    "dirname",
    "cat",
    "cksum",
    "sed",
    "grep",
    "touch",
    "mkdir",
    "chmod",
    "rm",
    "pwd",
    "env",
]

PYTHON = """#!/bin/sh
case "$*" in
*version_info*) exit {too_old} ;;
-VV) echo "Python 3.11.2" ;;
"-m venv --clear .venv")
    mkdir -p .venv/bin
    [ -e {root}/has-ensurepip ] || {{ echo "ensurepip is not available"; exit 1; }}
    echo "$(pwd)/.venv" >.venv/bin/pip
    cat >.venv/bin/python <<'END'
#!/bin/sh
echo "$*" >>{root}/pip.log
echo "noise from pip"
[ "$4" = install ] && touch .venv/bin/cairn && chmod +x .venv/bin/cairn
exit 0
END
    chmod +x .venv/bin/python ;;
esac
"""


@pytest.fixture
def machine(repo_root, tmp_path):
    """Return a function that runs .ci/setup in a copy of the project on a made-up machine."""
    project = tmp_path / "a project"
    project.mkdir()
    for name in (".ci", "pyproject.toml", "constraints.txt"):
        source = repo_root / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, project / name)
    path = tmp_path / "bin"
    path.mkdir()
    for tool in TOOLS:
        if found := shutil.which(tool):
            (path / tool).symlink_to(found)

    def script(name, text):
        (path / name).write_text(text)
        (path / name).chmod(0o755)

    def run(*, root, too_old=0):
        script("python3", PYTHON.format(root=tmp_path, too_old=too_old))
        script("id", f"#!/bin/sh\necho {0 if root else 1000}\n")
        script("apt-get", f'#!/bin/sh\necho "$*" >>{tmp_path}/apt.log\n{APT}'.format(tmp_path))
        return subprocess.run(
            [project / ".ci" / "setup"],
            env={"PATH": str(path)},
            capture_output=True,
            text=True,
            check=False,
        )

    run.log = lambda name: (tmp_path / name).read_text() if (tmp_path / name).exists() else ""
    return run


APT = 'case "$*" in *python3-venv) touch {}/has-ensurepip ;; esac\n'


def test_root_on_stock_debian_installs_venv_and_goes_on(machine):
    done = machine(root=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "install -y -qq python3-venv" in machine.log("apt.log")
    installs = [line for line in machine.log("pip.log").splitlines() if " install " in line]
    assert len(installs) == 2
    assert all("--only-binary :all:" in line for line in installs)
    assert "hatchling==" in installs[0]


def test_others_on_stock_debian_are_told_what_to_install(machine):
    done = machine(root=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].endswith("apt-get install python3-venv")
    assert machine.log("apt.log") == ""


def test_old_python_is_refused_by_name(machine):
    done = machine(root=True, too_old=1)
    assert (done.returncode, done.stdout) == (1, "")
    assert "python3 is not Python 3.11 or newer" in done.stderr


def test_second_run_does_nothing(machine):
    machine(root=True)
    before = machine.log("pip.log")
    done = machine(root=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert machine.log("pip.log") == before


@pytest.mark.slow
def test_make_demo_prints_one_json_object(repo_root):
    # As a user calls it: below another make it would announce its directory on stdout.
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "demo", "ARGS=--once --json"],
        cwd=repo_root,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["audit"]["ok"] is True
