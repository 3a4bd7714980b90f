#!/usr/bin/env bash
# Compiles every emitted source for every architecture with NVIDIA's compiler, fails on spills, local memory, or more registers than the launches' occupancy leaves, and writes the table of docs/cuda.md.
# It needs no GPU. An argument names shard sizes ("16,64-100"); without one it is 1 to 130, 256, 512 and 1024: some 2,300 compilations, about 75 minutes on a core; as many at once as there are processors (taskset says fewer). It goes on where it was broken off.
set -euo pipefail
cd "$(dirname "$0")/../.."
tools/cuda-check/nvrtc.sh > /dev/null
FOSSIL_CUDA_MATRIX=${1:-1-130,256,512,1024} dotnet test tests/Fossil.Cuda.Tests --nologo --filter MatrixTests
