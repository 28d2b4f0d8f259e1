#!/usr/bin/env bash
# Everything that needs a GPU, in one run of ten minutes and without a network.
#
#   OUT=results benchmarks/on_gpu.sh DATA                    everything
#   OUT=results benchmarks/on_gpu.sh DATA tests speed        some parts: tests, speed, train
#   DRY=1 OUT=results benchmarks/on_gpu.sh DATA              on the CPU and for seconds, to test the script
#
# DATA holds MNIST/raw (.gz or not), facades/train, facades/val, photos/train, photos/val and monet, and in wheels/ the
# packages that are missing on the machine. What is done is in OUT at once: tests.log, found.json and gpu.md of the
# speed (gpu.py), and a log, a grid and a model file of each training. PYTHON, WORKERS, ROUNDS, MINUTES (of dcgan and
# pix2pix: "2 4") and LIMIT (seconds in all, 570; cyclegan trains for what is left of them) may be set. A part that
# fails does not keep the next one from running; the exit status is then 1.
set -uo pipefail
cd "$(dirname "$0")/.."
data=$1
shift
parts=${*:-tests speed train}
python=${PYTHON:-python3} failed=0 device=cuda count=10000 closing=45
limit=${LIMIT:-570}
read -r dcgan pix2pix <<<"${MINUTES:-2 4}"
speed=(--rounds "${ROUNDS:-3}")
if [ -n "${DRY:-}" ]; then
  device=cpu count=256 dcgan=0.05 pix2pix=0.05 limit=0
  speed=(--rounds 1 --seconds 0.01 --dry)
fi
mkdir -p "$OUT" runs/gpu
export PYTHONUNBUFFERED=1 PYTHONPATH="$PWD/src${PYTHONPATH:+:$PYTHONPATH}"

run() {
  echo "--- $SECONDS s: $*"
  "$@" || { failed=1; echo "FAILED: $*"; }
}
ganvas() { "$python" -m ganvas "$@"; }
trained() { # METHOD MINUTES DATA...: trains, and writes what it has learned
  local method=$1 minutes=$2
  shift 2
  {
    run ganvas train "$method" "$@" --run "runs/gpu/$method" --device $device --minutes "$minutes"
    run "$python" benchmarks/gpu_images.py "$method" "$data" "$OUT"
  } 2>&1 | tr '\r' '\n' | tee "$OUT/$method.log"
}
scored() { # METHOD DATA...
  local method=$1
  shift
  run ganvas evaluate "runs/gpu/$method" "$@" --out "runs/gpu/$method-report" --overwrite --device $device 2>&1 |
    tee -a "$OUT/$method.log"
}

if ls "$data"/wheels/*.whl >/dev/null 2>&1; then
  site=$PWD/runs/gpu/site
  [ -e "$site" ] || run "$python" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --target "$site" "$data"/wheels/*.whl
  export PYTHONPATH="$PYTHONPATH:$site"
fi
digits=$data
if ls "$data"/MNIST/raw/*.gz >/dev/null 2>&1; then
  digits=runs/gpu/data
  mkdir -p $digits/MNIST/raw
  for file in "$data"/MNIST/raw/*.gz; do gunzip -c "$file" >"$digits/MNIST/raw/$(basename "${file%.gz}")"; done
fi

for part in $parts; do
  case $part in
    tests)
      run "$python" -m pytest -n "${WORKERS:-8}" -p no:cacheprovider -p no:benchmark tests/test_gpu.py -rA --tb=short \
        >"$OUT/tests.log" 2>&1
      grep -E "^(FAILED|ERROR|E  )|[0-9] (passed|failed|skipped)" "$OUT/tests.log" | cut -c1-200 | head -n 40
      ;;
    speed)
      run "$python" benchmarks/gpu.py --data-root "$digits" "${speed[@]}"
      cp runs/gpu/found.json docs/results/gpu.md "$OUT/" 2>/dev/null
      ;;
    train)
      trained dcgan "$dcgan" --data mnist --data-root "$digits"
      scored dcgan --data mnist --data-root "$digits" --features digits --count $count
      trained pix2pix "$pix2pix" --data "$data/facades/train" --side ba --size 256
      scored pix2pix --data "$data/facades/val" --side ba --features none
      rest=$((limit - SECONDS - closing))
      [ $rest -lt 3 ] && rest=3
      trained cyclegan "$(printf '%d.%02d' $((rest / 60)) $((rest % 60 * 100 / 60)))" \
        --data "$data/photos/train" --target "$data/monet" --size 128
      ;;
  esac
done
echo "--- $SECONDS s"
exit $failed
