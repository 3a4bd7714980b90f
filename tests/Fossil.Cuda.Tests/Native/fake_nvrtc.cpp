// NVRTC without a compiler, for its error paths: each function says what the test asked for. Built once more without nvrtcGetCUBIN, as NVRTC before CUDA 11.2 was.
#include <cstring>
#include <map>
#include <string>
#include <vector>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace
{
std::map<std::string, int> failures;
std::vector<int> architectures;
std::string log_text;
int major_version, minor_version, programs, compilations;

int failure(const char *function)
{
    const auto found = failures.find(function);
    return found == failures.end() ? 0 : found->second;
}

int give(const std::string &text, char *to) { memcpy(to, text.c_str(), text.size() + 1); return 0; }

// PTX of no kernels: a driver loads it.
const std::string ptx = ".version 8.0\n.target sm_90\n.address_size 64\n";
}

// The tests' side.
EXPORT void fake_nvrtc_reset(int major, int minor, const int *known, int count, const char *log)
{
    failures.clear();
    architectures.assign(known, known + count);
    log_text = log;
    major_version = major;
    minor_version = minor;
    programs = compilations = 0;
}
EXPORT void fake_nvrtc_fail(const char *function, int code) { failures[function] = code; }
EXPORT int fake_nvrtc_programs() { return programs; }
EXPORT int fake_nvrtc_compilations() { return compilations; }

// NVRTC's.
EXPORT int nvrtcVersion(int *major, int *minor) { *major = major_version; *minor = minor_version; return failure("nvrtcVersion"); }
EXPORT int nvrtcGetNumSupportedArchs(int *count) { *count = (int)architectures.size(); return failure("nvrtcGetNumSupportedArchs"); }
EXPORT int nvrtcGetSupportedArchs(int *all)
{
    for (size_t i = 0; i < architectures.size(); i++) all[i] = architectures[i];
    return failure("nvrtcGetSupportedArchs");
}
EXPORT const char *nvrtcGetErrorString(int code)
{
    static const char *const names[] = {"NVRTC_SUCCESS", "NVRTC_ERROR_OUT_OF_MEMORY", "NVRTC_ERROR_PROGRAM_CREATION_FAILURE", "NVRTC_ERROR_INVALID_INPUT", "NVRTC_ERROR_INVALID_PROGRAM", "NVRTC_ERROR_INVALID_OPTION", "NVRTC_ERROR_COMPILATION"};
    return code < 7 ? names[code] : "NVRTC_ERROR unknown";
}
EXPORT int nvrtcCreateProgram(void **program, const char *source, const char *name, int headers, const char *const *header, const char *const *include)
{
    if (const auto code = failure("nvrtcCreateProgram")) return code;
    programs++;
    *program = &programs;
    return 0;
}
EXPORT int nvrtcDestroyProgram(void **program)
{
    programs--;
    *program = nullptr;
    return failure("nvrtcDestroyProgram");
}
EXPORT int nvrtcCompileProgram(void *program, int count, const char *const *options) { compilations++; return failure("nvrtcCompileProgram"); }
EXPORT int nvrtcGetProgramLogSize(void *program, size_t *size) { *size = log_text.size() + 1; return failure("nvrtcGetProgramLogSize"); }
EXPORT int nvrtcGetProgramLog(void *program, char *log) { return give(log_text, log); }
EXPORT int nvrtcGetPTXSize(void *program, size_t *size) { *size = ptx.size() + 1; return failure("nvrtcGetPTXSize"); }
EXPORT int nvrtcGetPTX(void *program, char *text) { return give(ptx, text); }
#ifndef WITHOUT_MACHINE_CODE
EXPORT int nvrtcGetCUBINSize(void *program, size_t *size) { *size = ptx.size() + 1; return failure("nvrtcGetCUBINSize"); }
EXPORT int nvrtcGetCUBIN(void *program, char *image) { return give(ptx, image); }
#endif
