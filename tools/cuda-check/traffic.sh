#!/usr/bin/env bash
# Counts what a step at 4096x4096, r = 16, with products in bfloat16 moves and computes, by the emulation and in the PTX, and writes the table of docs/cuda.md. It needs no GPU.
set -euo pipefail
cd "$(dirname "$0")/../.."
tools/cuda-check/nvrtc.sh > /dev/null
FOSSIL_CUDA_TRAFFIC=1 dotnet test tests/Fossil.Cuda.Tests --nologo --filter TrafficTests
