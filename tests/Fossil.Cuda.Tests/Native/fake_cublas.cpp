// cuBLAS without a device, beside fake_driver.cpp: handles, streams and contexts are checked as the real library would need them, and products are computed on host memory in float64, rounded once.
#include <atomic>
#include <cstdint>
#include <cstring>
#include <string>

#define EXPORT extern "C" __attribute__((visibility("default")))

extern "C" int fake_device();
extern "C" int fake_failure(const char *function);
extern "C" int fake_refuse(const char *why);

namespace
{
struct Handle { int device; bool has_stream; std::atomic<bool> is_used; };
std::atomic<int> handles, products;
enum { Success = 0, NotInitialized = 1, InvalidValue = 7, Float32 = 0, Float16 = 2, BFloat16 = 14 };

float load(const void *matrix, int type, int64_t at)
{
    if (type == Float32) return ((const float *)matrix)[at];
    if (type == Float16) return (float)((const _Float16 *)matrix)[at];
    const uint32_t word = (uint32_t)((const uint16_t *)matrix)[at] << 16;
    float value;
    memcpy(&value, &word, sizeof value);
    return value;
}

void store(void *matrix, int type, int64_t at, float value)
{
    if (type == Float32) ((float *)matrix)[at] = value;
    else if (type == Float16) ((_Float16 *)matrix)[at] = (_Float16)value;
    else
    {
        uint32_t word;
        memcpy(&word, &value, sizeof word);
        ((uint16_t *)matrix)[at] = (uint16_t)((word + 0x7fff + (word >> 16 & 1)) >> 16);
    }
}

bool is_type(int type) { return type == Float32 || type == Float16 || type == BFloat16; }
}

EXPORT void fake_cublas_reset() { handles = products = 0; }
EXPORT int fake_handles() { return handles; }
EXPORT int fake_products() { return products; }

EXPORT int cublasCreate_v2(void **handle)
{
    if (fake_device() < 0) return fake_refuse("A cuBLAS handle is made without a context."), NotInitialized;
    if (const auto code = fake_failure("cublasCreate_v2")) return code;
    handles++;
    *handle = new Handle{fake_device(), false, {false}};
    return Success;
}

EXPORT int cublasSetStream_v2(void *handle, void *stream)
{
    if (const auto code = fake_failure("cublasSetStream_v2")) return code;
    // The legacy default stream has two names.
    if (stream && stream != (void *)1) return fake_refuse("cuBLAS works on another stream than the default one."), InvalidValue;
    ((Handle *)handle)->has_stream = true;
    return Success;
}

EXPORT const char *cublasGetStatusName(int status)
{
    switch (status)
    {
        case 1: return "CUBLAS_STATUS_NOT_INITIALIZED";
        case 3: return "CUBLAS_STATUS_ALLOC_FAILED";
        case 7: return "CUBLAS_STATUS_INVALID_VALUE";
        case 13: return "CUBLAS_STATUS_EXECUTION_FAILED";
        case 15: return "CUBLAS_STATUS_NOT_SUPPORTED";
        default: return "CUBLAS_STATUS_UNKNOWN";
    }
}

// C (m, n) = alpha op(A) op(B) + beta C, all column by column.
EXPORT int cublasGemmEx(
    void *handle, int transposed_a, int transposed_b, int m, int n, int k, const void *alpha, const void *a, int type_a, int stride_a, const void *b, int type_b, int stride_b, const void *beta, void *c,
    int type_c, int stride_c, int compute, int algorithm)
{
    auto &own = *(Handle *)handle;
    if (own.is_used.exchange(true)) return fake_refuse("Two threads use one cuBLAS handle at once."), InvalidValue;
    struct Release { Handle &handle; ~Release() { handle.is_used = false; } } release{own};
    if (const auto code = fake_failure("cublasGemmEx")) return code;
    if (own.device != fake_device()) return fake_refuse("A cuBLAS handle is used with another device's context."), InvalidValue;
    if (!own.has_stream) return fake_refuse("A cuBLAS handle has no stream."), InvalidValue;
    if (compute != 68 || algorithm != -1) return fake_refuse("cuBLAS sums in another type than float32."), InvalidValue;
    // The types of cublasGemmEx's table that this library needs.
    if (!is_type(type_a) || type_a != type_b || (type_c != type_a && type_c != Float32)) return 15;
    if (m < 0 || n < 0 || k < 0 || stride_a < (transposed_a ? k : m) || stride_b < (transposed_b ? n : k) || stride_c < m || !a || !b || !c) return InvalidValue;
    products++;
    const float one = *(const float *)alpha, old = *(const float *)beta;
    for (int64_t column = 0; column < n; column++)
    {
        for (int64_t row = 0; row < m; row++)
        {
            double sum = 0;
            for (int64_t i = 0; i < k; i++)
                sum += (double)load(a, type_a, transposed_a ? row * stride_a + i : i * stride_a + row) * load(b, type_b, transposed_b ? i * stride_b + column : column * stride_b + i);
            store(c, type_c, column * stride_c + row, (float)(one * sum + (old == 0 ? 0 : old * load(c, type_c, column * stride_c + row))));
        }
    }
    return Success;
}
