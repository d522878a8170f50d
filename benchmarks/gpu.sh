#!/usr/bin/env bash
# Correctness and speed on a machine with one NVIDIA GPU, in 12 minutes at most, without a network:
#   benchmarks/gpu.sh --output gpu.md                    # what is installed here
#   benchmarks/gpu.sh --wheels FOLDER --output gpu.md    # pip install --no-index from a folder first
#   benchmarks/gpu.sh --device cpu --tiny                # does the script itself work?
# PYTHON names the interpreter; else that of .venv, else python3. Other options: --help.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
limit=720

wheels=
options=()
while (($#)); do
    case $1 in
        --wheels)
            wheels=${2:?--wheels needs a folder}
            shift 2
            ;;
        *)
            options+=("$1")
            shift
            ;;
    esac
done

python=${PYTHON:-}
if [[ -z $python ]]; then
    python=python3
    [[ -x $root/.venv/bin/python ]] && python=$root/.venv/bin/python
fi

if [[ -n $wheels ]]; then
    if ! compgen -G "$wheels/*.whl" >/dev/null; then
        echo "gpu.sh: --wheels: found no *.whl in $wheels" >&2
        exit 2
    fi
    place=$(mktemp -d)
    trap 'rm -rf "$place"' EXIT
    "$python" -m venv "$place/venv"
    # what is installed already, such as a build of torch for this GPU, serves; not by
    # --system-site-packages, which does not see those of another environment
    folders=$("$python" -c 'import sys; print(*[p for p in sys.path if "-packages" in p], sep="\n")')
    python=$place/venv/bin/python
    echo "$folders" >"$("$python" -c 'import site; print(site.getsitepackages()[0])')/installed.pth"
    "$python" - "$root/pyproject.toml" >"$place/requirements.txt" <<'END'
import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["project"]
print(*project["dependencies"], *project["optional-dependencies"]["lora"], sep="\n")
END
    "$python" -m pip install -q --disable-pip-version-check --no-index --find-links "$wheels" \
        -r "$place/requirements.txt"
fi

export HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error TOKENIZERS_PARALLELISM=true
export HF_HUB_DISABLE_PROGRESS_BARS=1 PYTHONPATH=$root/src:$root${PYTHONPATH:+:$PYTHONPATH}
# the parts end by themselves 40 seconds earlier; what hangs is ended, and the table so far is kept
left=$((limit - SECONDS))
timeout --kill-after=5 $((left - 5)) "$python" -m benchmarks.gpu --seconds $((left - 40)) \
    ${options[@]+"${options[@]}"}
