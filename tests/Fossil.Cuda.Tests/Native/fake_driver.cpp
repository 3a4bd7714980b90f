// A CUDA driver without a device: contexts, modules and launches are checked as the real one would, and a launch runs the emulated kernel on host memory. What a module has is read from its PTX; the
// tests say which emulations have the kernels, and which function fails.
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <dlfcn.h>
#include <functional>
#include <map>
#include <mutex>
#include <regex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace
{
struct Kernel { std::string name; std::vector<int> sizes; std::vector<bool> are_pointers; };
struct Module { std::map<std::string, Kernel> kernels; };
using Emulation = const char *(*)(const char *, const unsigned int *, const unsigned int *, void **);

std::mutex lock;
std::map<std::string, int> failures, launches_of;
std::string last_error, log_text;
std::atomic<int> launches, loads;
std::vector<Emulation> emulations;
std::atomic<long long> bytes_to_device;
int architecture = 300, driver_version = 13050, devices = 1;
bool is_capturing;
thread_local std::vector<void *> contexts;
int contexts_of_devices[16];

// The device whose primary context this is; negative for none.
int device_of(const void *context) { return context >= contexts_of_devices && context < contexts_of_devices + devices ? (int)((const int *)context - contexts_of_devices) : -1; }

// What the tests set for a function; 0 for success.
int failure(const char *function)
{
    std::lock_guard<std::mutex> guard(lock);
    const auto found = failures.find(function);
    return found == failures.end() ? 0 : found->second;
}

int refuse(const std::string &why, int code = 1)
{
    std::lock_guard<std::mutex> guard(lock);
    if (last_error.empty()) last_error = why;
    return code;
}
}

#define EXPORT extern "C" __attribute__((visibility("default")))

// The tests' side.
EXPORT void fake_reset(int new_architecture, int new_version, int new_devices, int capturing)
{
    std::lock_guard<std::mutex> guard(lock);
    failures.clear();
    last_error.clear();
    architecture = new_architecture;
    driver_version = new_version;
    devices = new_devices;
    is_capturing = capturing;
    launches_of.clear();
    launches = loads = 0;
    bytes_to_device = 0;
}
EXPORT void fake_fail(const char *function, int code) { std::lock_guard<std::mutex> guard(lock); failures[function] = code; }
EXPORT const char *fake_error() { return last_error.empty() ? nullptr : last_error.c_str(); }
EXPORT int fake_launches() { return launches; }
EXPORT int fake_launches_of(const char *kernel) { std::lock_guard<std::mutex> guard(lock); return launches_of[kernel]; }
EXPORT int fake_loads() { return loads; }
EXPORT int fake_contexts() { return (int)contexts.size(); }
EXPORT int fake_device() { return contexts.empty() ? -1 : device_of(contexts.back()); }
EXPORT int fake_failure(const char *function) { return failure(function); }
EXPORT int fake_refuse(const char *why) { return refuse(why); }
// One more whose kernels launches run; null for none at all.
EXPORT void fake_emulation(void *run)
{
    if (run) emulations.push_back((Emulation)run);
    else emulations.clear();
}

// The driver's.
EXPORT int cuInit(unsigned int flags)
{
    // A process that has no test in it names the emulations in its environment.
    if (const auto named = getenv("FOSSIL_FAKE_CUDA_KERNELS"))
    {
        std::stringstream files(named);
        for (std::string file; std::getline(files, file, ':');)
        {
            const auto library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
            if (!library) return refuse(file + " cannot be loaded.");
            fake_emulation(dlsym(library, "fossil_launch"));
        }
    }
    return failure("cuInit");
}
EXPORT int cuDriverGetVersion(int *version) { *version = driver_version; return failure("cuDriverGetVersion"); }
EXPORT int cuDeviceGetCount(int *count) { *count = devices; return failure("cuDeviceGetCount"); }
EXPORT int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return ordinal < devices ? failure("cuDeviceGet") : 101; }
EXPORT int cuDeviceGetAttribute(int *value, int attribute, int device)
{
    *value = attribute == 75 ? architecture / 10 : attribute == 76 ? architecture % 10 : attribute == 16 ? 4 : -1;
    return *value < 0 ? 1 : failure("cuDeviceGetAttribute");
}
EXPORT int cuDevicePrimaryCtxRetain(void **context, int device) { *context = &contexts_of_devices[device]; return failure("cuDevicePrimaryCtxRetain"); }
EXPORT int cuCtxPushCurrent_v2(void *context)
{
    if (device_of(context) < 0) return refuse("Another context than the device's primary one is pushed.");
    contexts.push_back(context);
    return failure("cuCtxPushCurrent_v2");
}
EXPORT int cuCtxPopCurrent_v2(void **context)
{
    if (contexts.empty()) return refuse("A context is popped that nobody pushed.");
    *context = contexts.back();
    contexts.pop_back();
    return 0;
}
EXPORT int cuStreamIsCapturing(void *stream, int *status) { *status = is_capturing; return failure("cuStreamIsCapturing"); }
EXPORT int cuGetErrorName(int code, const char **name)
{
    static const std::map<int, const char *> names = {
        {1, "CUDA_ERROR_INVALID_VALUE"}, {2, "CUDA_ERROR_OUT_OF_MEMORY"}, {100, "CUDA_ERROR_NO_DEVICE"}, {101, "CUDA_ERROR_INVALID_DEVICE"}, {209, "CUDA_ERROR_NO_BINARY_FOR_GPU"},
        {218, "CUDA_ERROR_INVALID_PTX"}, {222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION"}, {500, "CUDA_ERROR_NOT_FOUND"}, {701, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"}, {719, "CUDA_ERROR_LAUNCH_FAILED"}};
    const auto found = names.find(code);
    if (found == names.end()) return 1;
    *name = found->second;
    return 0;
}
EXPORT int cuGetErrorString(int code, const char **text) { *text = "as the test asked"; return 0; }

// Memory of the device is the host's. What is done on the default stream is done at once; another stream does its work in order on a thread of its own, so that what nobody waits for comes late.
// An event knows when it was recorded, and whether its stream has come to it.
namespace
{
struct Event { timespec at; std::atomic<bool> has_come{true}; };
std::map<const void *, size_t> allocations;

struct Stream
{
    std::mutex lock;
    std::condition_variable changed;
    std::deque<std::function<void()>> work;

    Stream() { std::thread([this] { run(); }).detach(); }

    void put(std::function<void()> one)
    {
        std::lock_guard<std::mutex> guard(lock);
        work.push_back(std::move(one));
        changed.notify_one();
    }

    void run()
    {
        for (;;)
        {
            std::unique_lock<std::mutex> guard(lock);
            changed.wait(guard, [this] { return !work.empty(); });
            const auto one = std::move(work.front());
            work.pop_front();
            guard.unlock();
            one();
        }
    }
};
std::vector<Stream *> streams;

void put(void *stream, std::function<void()> one)
{
    if (stream) ((Stream *)stream)->put(std::move(one));
    else one();
}

bool is_stream(void *stream)
{
    std::lock_guard<std::mutex> guard(lock);
    for (const auto known : streams) if (known == stream) return true;
    return !stream;
}

int allocate(void **address, size_t bytes, const char *function)
{
    if (contexts.empty()) return refuse(std::string(function) + " without a context.", 201);
    if (const auto code = failure(function)) return code;
    *address = aligned_alloc(512, (bytes + 511) / 512 * 512);
    std::lock_guard<std::mutex> guard(lock);
    allocations[*address] = bytes;
    return *address ? 0 : 2;
}
}
EXPORT long long fake_bytes_to_device() { return bytes_to_device; }
EXPORT int fake_allocations() { std::lock_guard<std::mutex> guard(lock); return (int)allocations.size(); }
EXPORT int cuMemAlloc_v2(void **address, size_t bytes) { return allocate(address, bytes, "cuMemAlloc_v2"); }
EXPORT int cuMemHostAlloc(void **address, size_t bytes, unsigned int flags) { return allocate(address, bytes, "cuMemHostAlloc"); }
EXPORT int cuMemFreeHost(void *address)
{
    std::lock_guard<std::mutex> guard(lock);
    if (!allocations.erase(address)) return 1;
    free(address);
    return 0;
}
EXPORT int fake_is_stream(void *stream) { return is_stream(stream); }
EXPORT void fake_put(void *stream, void (*work)(void *), void *argument) { put(stream, [=] { work(argument); }); }
EXPORT int cuStreamCreate(void **stream, unsigned int flags)
{
    if (contexts.empty()) return refuse("A stream is made without a context.", 201);
    if (flags != 1) return refuse("A stream is made that waits for the default one.");
    if (const auto code = failure("cuStreamCreate")) return code;
    const auto made = new Stream();
    std::lock_guard<std::mutex> guard(lock);
    streams.push_back(made);
    *stream = made;
    return 0;
}
EXPORT int cuStreamWaitEvent(void *stream, void *event, unsigned int flags)
{
    if (!stream || !is_stream(stream) || flags) return refuse("Not a stream that waits.");
    put(stream, [=] { while (!((Event *)event)->has_come) std::this_thread::yield(); });
    return failure("cuStreamWaitEvent");
}
EXPORT int cuEventQuery(void *event)
{
    if (const auto code = failure("cuEventQuery")) return code;
    return ((Event *)event)->has_come ? 0 : 600;
}
EXPORT int cuMemsetD8Async(void *to, unsigned char value, size_t bytes, void *stream)
{
    if (!is_stream(stream)) return refuse("Not a stream.");
    put(stream, [=] { memset(to, value, bytes); });
    return failure("cuMemsetD8Async");
}
EXPORT int cuMemcpyDtoHAsync_v2(void *to, const void *from, size_t bytes, void *stream)
{
    if (!is_stream(stream)) return refuse("Not a stream.");
    put(stream, [=] { memcpy(to, from, bytes); });
    return failure("cuMemcpyDtoHAsync_v2");
}
EXPORT int cuMemFree_v2(void *address)
{
    std::lock_guard<std::mutex> guard(lock);
    if (!allocations.erase(address)) return 1;
    free(address);
    return 0;
}
EXPORT int cuMemcpyHtoDAsync_v2(void *to, const void *from, size_t bytes, void *stream)
{
    if (contexts.empty()) return refuse("A copy without a context.", 201);
    if (const auto code = failure("cuMemcpyHtoDAsync_v2")) return code;
    if (!is_stream(stream)) return refuse("Not a stream.");
    put(stream, [=] { memcpy(to, from, bytes); });
    bytes_to_device += bytes;
    return 0;
}
EXPORT int cuMemcpyDtoDAsync_v2(void *to, const void *from, size_t bytes, void *stream) { memcpy(to, from, bytes); return failure("cuMemcpyDtoDAsync_v2"); }
EXPORT int cuMemcpyDtoH_v2(void *to, const void *from, size_t bytes) { memcpy(to, from, bytes); return failure("cuMemcpyDtoH_v2"); }
EXPORT int cuEventCreate(void **event, unsigned int flags) { *event = new Event(); return failure("cuEventCreate"); }
EXPORT int cuEventRecord(void *event, void *stream)
{
    if (!is_stream(stream)) return refuse("Not a stream.");
    const auto recorded = (Event *)event;
    recorded->has_come = false;
    put(stream, [=] { clock_gettime(CLOCK_MONOTONIC, &recorded->at); recorded->has_come = true; });
    return failure("cuEventRecord");
}
EXPORT int cuEventSynchronize(void *event)
{
    while (!((Event *)event)->has_come) std::this_thread::yield();
    return failure("cuEventSynchronize");
}
EXPORT int cuEventElapsedTime(float *milliseconds, void *first, void *second)
{
    const auto &from = ((Event *)first)->at, &to = ((Event *)second)->at;
    *milliseconds = (float)((to.tv_sec - from.tv_sec) * 1e3 + (to.tv_nsec - from.tv_nsec) / 1e6);
    return failure("cuEventElapsedTime");
}
EXPORT int cuDeviceGetName(char *name, int length, int device) { strncpy(name, "a device of the tests", length); return 0; }

// PTX: the kernels and the sizes of their parameters are in it.
EXPORT int cuModuleLoadData(void **module, const void *image)
{
    if (contexts.empty()) return refuse("A module is loaded without a context.", 201);
    if (const auto code = failure("cuModuleLoadData")) return code;
    const std::string ptx((const char *)image);
    if (ptx.find(".version") == std::string::npos) return 218;
    auto loaded = new Module();
    static const std::regex entry(R"(\.entry\s+(\w+)\(([^)]*)\))"), parameter(R"(\.param\s+(?:\.align\s+\d+\s+)?\.([usbf])(\d+))");
    for (std::sregex_iterator at(ptx.begin(), ptx.end(), entry), end; at != end; ++at)
    {
        Kernel kernel{(*at)[1], {}};
        const std::string parameters = (*at)[2];
        for (std::sregex_iterator each(parameters.begin(), parameters.end(), parameter); each != end; ++each) kernel.sizes.push_back(std::stoi((*each)[2]) / 8);
        // A pointer is a parameter that the kernel makes an address of global memory.
        const auto body = ptx.substr(at->position(), ptx.find("\n}", at->position()) - at->position());
        std::map<std::string, int> registers;
        static const std::regex load(R"(ld\.param\.\w+\s+(%\w+),\s*\[\w+_param_(\d+)\])"), address(R"(cvta\.to\.global\.u64\s+%\w+,\s*(%\w+))");
        for (std::sregex_iterator each(body.begin(), body.end(), load); each != end; ++each) registers[(*each)[1]] = std::stoi((*each)[2]);
        kernel.are_pointers.resize(kernel.sizes.size());
        for (std::sregex_iterator each(body.begin(), body.end(), address); each != end; ++each)
        {
            const auto found = registers.find((*each)[1]);
            if (found != registers.end()) kernel.are_pointers[found->second] = true;
        }
        loaded->kernels.emplace(kernel.name, kernel);
    }
    loads++;
    *module = loaded;
    return 0;
}
EXPORT int cuModuleGetFunction(void **function, void *module, const char *name)
{
    auto &kernels = ((Module *)module)->kernels;
    const auto found = kernels.find(name);
    if (found == kernels.end()) return 500;
    *function = &found->second;
    return failure("cuModuleGetFunction");
}

// Offset and size of a parameter, as of CUDA 12.4.
EXPORT int cuFuncGetParamInfo(void *function, size_t index, size_t *offset, size_t *size)
{
    const auto &kernel = *(Kernel *)function;
    if (index >= kernel.sizes.size()) return 1;
    *offset = 0;
    for (size_t i = 0; i < index; i++) *offset = (*offset + kernel.sizes[i] + kernel.sizes[i + 1] - 1) / kernel.sizes[i + 1] * kernel.sizes[i + 1];
    *size = kernel.sizes[index];
    return failure("cuFuncGetParamInfo");
}

namespace
{
int run(const Kernel &kernel, const std::array<unsigned int, 3> &grid, const std::array<unsigned int, 3> &block, std::vector<uint64_t> values)
{
    std::vector<void *> copies;
    for (auto &value : values) copies.push_back(&value);
    std::lock_guard<std::mutex> guard(lock);
    const char *error = nullptr;
    for (const auto run : emulations)
    {
        error = run(kernel.name.c_str(), grid.data(), block.data(), copies.data());
        if (!error || strcmp(error, "There is no such kernel.")) break;
    }
    if (!error) return 0;
    if (last_error.empty()) last_error = kernel.name + ": " + error;
    return 719;
}
}

EXPORT int cuLaunchKernel(
    void *function, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z, unsigned int block_x, unsigned int block_y, unsigned int block_z, unsigned int shared, void *stream, void **arguments, void **extra)
{
    if (contexts.empty()) return refuse("A kernel is launched without a context.", 201);
    if (const auto code = failure("cuLaunchKernel")) return code;
    const auto &kernel = *(Kernel *)function;
    if (!is_stream(stream) || extra || shared) return refuse(kernel.name + " is not launched on a stream, or with what it has not.");
    // This library's own streams are for the sums over ranks; all else follows on libtorch's operations.
    const bool is_of_ranks = kernel.name.find("ranks") != std::string::npos || kernel.name.find("_gradients") != std::string::npos || kernel.name == "give_back";
    if (!stream == is_of_ranks) return refuse(kernel.name + " is launched on the wrong stream.");
    if (!grid_x || !grid_y || !grid_z || grid_x > 0x7fffffffu || grid_y > 65535 || grid_z > 65535) return refuse(kernel.name + " has a grid outside of the device's limits.");
    if (!block_x || !block_y || !block_z || block_x * block_y * block_z > 1024) return refuse(kernel.name + " has a block outside of the device's limits.");
    // The real driver copies as many bytes of each as the kernel declares.
    std::vector<uint64_t> values(kernel.sizes.size());
    for (size_t i = 0; i < kernel.sizes.size(); i++)
    {
        if (!arguments[i]) return refuse(kernel.name + " lacks an argument.");
        memcpy(&values[i], arguments[i], kernel.sizes[i]);
        // Below are the numbers of this library's launches, above its addresses.
        const bool looks_like_pointer = values[i] > 0xffffffffffull && (int64_t)values[i] > 0;
        if (kernel.are_pointers[i] ? values[i] && !looks_like_pointer : looks_like_pointer) return refuse(kernel.name + " has a number where it takes a pointer, or the other way round: argument " + std::to_string(i) + ".");
    }
    {
        std::lock_guard<std::mutex> guard(lock);
        launches++;
        launches_of[kernel.name]++;
    }
    const std::array<unsigned int, 3> grid = {grid_x, grid_y, grid_z}, block = {block_x, block_y, block_z};
    if (!stream) return run(kernel, grid, block, values);
    put(stream, [=, &kernel] { run(kernel, grid, block, values); });
    return 0;
}
