#!/usr/bin/env bash
# Checks the CUDA kernels on a GPU: what they compute, their times, and both beside PEFT's eager formula. Two steps, as the machine with the GPU may have no .NET:
#   tools/cuda-check/run.sh build     here: the program (self-contained, under 40 MB), the kernels' sources and launches, into artifacts/cuda-check
#   tools/cuda-check/run.sh           there: runs what was built; results in $OUT (by default artifacts/cuda-check/results): results.json, and the logs. About five minutes on an H200.
# FOSSIL_CUDA_DRIVER, FOSSIL_NVRTC and FOSSIL_CUBLAS name libraries that are not where they are looked for; NVRTC and cuBLAS of an installed PyTorch are found.
set -uo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
built=$root/artifacts/cuda-check

if [ "${1:-}" = build ]; then
  set -e
  project=$root/tools/cuda-check/Fossil.CudaCheck
  rm -rf "$built"
  dotnet publish "$project" -c Release -o "$built" --nologo -v q -p:ForDevice=true
  FOSSIL_NVRTC=${FOSSIL_NVRTC:-$("$root/tools/cuda-check/nvrtc.sh")} "$built/Fossil.CudaCheck" dump --output "$built/kernels" --architecture "${ARCHITECTURE:-90}" --shard-sizes 16,64
  cp "$root/tools/cuda-check/cuda.py" "$built/"
  bytes=$(stat -c %s "$built/Fossil.CudaCheck")
  [ "$bytes" -lt $((40 << 20)) ] || { echo "The program has $bytes bytes, and may have 40 MB." >&2; exit 1; }
  du -sh "$built/Fossil.CudaCheck" "$built/kernels"
  exit 0
fi

out=${OUT:-$built/results}
mkdir -p "$out"
# NVRTC and cuBLAS that Python packages brought.
packaged() { python3 -c "import glob, sys, sysconfig; found = sorted(glob.glob(sysconfig.get_paths()['purelib'] + '/nvidia/**/' + sys.argv[1], recursive=True)); print(found[-1] if found else '')" "$1" 2>/dev/null; }
[ -n "${FOSSIL_NVRTC:-}" ] || export FOSSIL_NVRTC=$(packaged 'libnvrtc.so.1[0-9]')
[ -n "${FOSSIL_CUBLAS:-}" ] || export FOSSIL_CUBLAS=$(packaged 'libcublas.so.1[0-9]')
export FOSSIL_CUDA_CACHE=$out/cache
status=0
rm -f "$out"/*.json
timeout "${CHECK_SECONDS:-300}" "$built/Fossil.CudaCheck" run --output "$out/check.json" ${CHECK_OPTIONS:-} 2>&1 | tee "$out/check.log" || status=1
timeout "${PEFT_SECONDS:-200}" python3 "$built/cuda.py" "$built/kernels" --output "$out/peft.json" ${PEFT_OPTIONS:-} 2>&1 | tee "$out/peft.log" || status=1
# Steps of a decoder, if TorchSharp's native library runs on the libtorch of the PyTorch that is installed; a library of another version may also end the process.
libtorch=$(python3 -c "import os, torch; print(os.path.join(os.path.dirname(torch.__file__), 'lib'))" 2>/dev/null)
skip() { echo "skipped: a step: $1" | tee -a "$out/step.log"; printf '{"skipped": "%s"}\n' "$1" > "$out/step.json"; }
if [ -z "$libtorch" ]; then
  skip "there is no PyTorch, whose libtorch it would run on"
else
  timeout "${STEP_SECONDS:-120}" "$built/Fossil.CudaCheck" step --libtorch "$libtorch" --output "$out/step.json" ${STEP_OPTIONS:-} 2>&1 | tee "$out/step.log"
  ended=${PIPESTATUS[0]}
  if [ ! -s "$out/step.json" ]; then skip "TorchSharp's native library ended with $ended on the libtorch in $libtorch"; elif [ "$ended" -ne 0 ]; then status=1; fi
fi
rm -rf "$out/cache"
python3 - "$out" <<'MERGE'
import json, os, sys
parts = {name: os.path.join(sys.argv[1], name + ".json") for name in ("check", "peft", "step")}
results = {name: json.load(open(path)) for name, path in parts.items() if os.path.exists(path)}
json.dump(results, open(os.path.join(sys.argv[1], "results.json"), "w"), indent=1)
MERGE
exit $status
