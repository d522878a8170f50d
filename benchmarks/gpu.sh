#!/usr/bin/env bash
# What a machine with one NVIDIA GPU shows, in at most 12 minutes and without a network:
#
#   benchmarks/gpu.sh --output gpu.md                     # torch and the rest are installed already
#   benchmarks/gpu.sh --wheels FOLDER --output gpu.md     # installs from a folder of wheels (pip download)
#
# --python PYTHON takes another interpreter; what follows -- goes to python -m benchmarks.gpu.
# gpu.md is the table for benchmarks/README.md. Exit status 1: a row could not be had, 2: no GPU.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() { sed -n '2,9p' "$0" | cut -c3-; }

python=python3 wheels="" output=""
while [ $# -gt 0 ]; do
  case "$1" in
    --wheels) wheels=${2:?--wheels needs a folder}; shift 2 ;;
    --output) output=${2:?--output needs a file}; shift 2 ;;
    --python) python=${2:?--python needs an interpreter}; shift 2 ;;
    --) shift; break ;;
    -h|--help) usage; exit 0 ;;
    *) echo "unknown argument: $1" >&2; usage >&2; exit 2 ;;
  esac
done
[ -n "$output" ] || { echo "--output is missing" >&2; usage >&2; exit 2; }

if [ -n "$wheels" ]; then
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  # what is installed already, torch first of all, stays in use
  "$python" -m venv --system-site-packages "$folder"
  python=$folder/bin/python
  "$python" - > "$folder/requirements.txt" <<'EOF'
import tomllib
with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)["project"]
print("\n".join(project["dependencies"] + project["optional-dependencies"]["lora"]))
EOF
  "$python" -m pip install -q --no-index --find-links "$wheels" -r "$folder/requirements.txt"
fi

export PYTHONPATH="$PWD/src:$PWD${PYTHONPATH:+:$PYTHONPATH}" HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
# all rows together; the last one may run over the 10 minutes after which none starts
timeout 720 "$python" -m benchmarks.gpu --output "$output" "$@"
