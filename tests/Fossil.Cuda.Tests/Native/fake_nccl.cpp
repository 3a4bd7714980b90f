// NCCL without a device, beside fake_driver.cpp: arguments are checked as the real library would, and memory travels as files between processes, in the order of the stream that it was put on. The
// tests say which version it is and which function fails.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <unistd.h>
#include <vector>

#define EXPORT extern "C" __attribute__((visibility("default")))

extern "C" int fake_device();
extern "C" int fake_is_stream(void *stream);
extern "C" void fake_put(void *stream, void (*work)(void *), void *argument);

namespace
{
enum { Success = 0, SystemError = 2, InvalidArgument = 4, InvalidUsage = 5 };
struct Id { char folder[128]; };
struct Communicator
{
    std::string folder;
    int rank, size, device;
    std::map<std::pair<int, int>, long> sent, received;
    std::atomic<int> error{0};
    std::atomic<bool> is_aborted{false};
};
struct Message { bool is_sent; Communicator *communicator; int peer; char *memory; size_t bytes; void *stream; };

thread_local int depth;
thread_local std::vector<Message> group;
thread_local std::string last_error;
std::string failing;
int version_code = 22103;
std::atomic<int> messages_sent;

int refuse(const std::string &why, int code = InvalidArgument) { last_error = why; return code; }

int failure(const char *function)
{
    const auto length = strlen(function);
    if (failing.compare(0, length, function) || failing.size() <= length || failing[length] != ':') return Success;
    last_error = "as the test asked";
    return atoi(failing.c_str() + length + 1);
}

std::string name(const Communicator &communicator, int from, int to, long number) { return communicator.folder + "/" + std::to_string(from) + "-" + std::to_string(to) + "-" + std::to_string(number); }

// A message is whole when it has its name.
void write(const Communicator &communicator, const std::string &file, const char *memory, size_t bytes)
{
    messages_sent++;
    const auto part = file + ".part";
    const auto out = fopen(part.c_str(), "wb");
    if (!out || fwrite(memory, 1, bytes, out) != bytes || fclose(out)) abort();
    if (rename(part.c_str(), file.c_str())) abort();
}

void read(Communicator &communicator, const std::string &file, char *memory, size_t bytes)
{
    while (access(file.c_str(), R_OK))
    {
        if (communicator.is_aborted || communicator.error) return;
        usleep(50);
    }
    const auto in = fopen(file.c_str(), "rb");
    if (!in) abort();
    // One that is longer or shorter than what is waited for is a mistake that the real library hangs at.
    if (fread(memory, 1, bytes, in) != bytes || fgetc(in) != EOF) communicator.error = InvalidUsage;
    fclose(in);
    unlink(file.c_str());
}

int put(const std::vector<Message> &messages)
{
    if (messages.empty()) return Success;
    struct Work { std::vector<Message> messages; };
    fake_put(messages[0].stream, [](void *argument)
    {
        const auto work = (Work *)argument;
        for (const bool is_sent : {true, false})
        {
            for (const auto &message : work->messages)
            {
                if (message.is_sent != is_sent) continue;
                auto &communicator = *message.communicator;
                if (communicator.is_aborted || communicator.error) continue;
                if (is_sent) write(communicator, name(communicator, communicator.rank, message.peer, communicator.sent[{communicator.rank, message.peer}]++), message.memory, message.bytes);
                else read(communicator, name(communicator, message.peer, communicator.rank, communicator.received[{message.peer, communicator.rank}]++), message.memory, message.bytes);
            }
        }
        delete work;
    }, new Work{messages});
    return Success;
}

int add(bool is_sent, const void *memory, size_t bytes, int type, int peer, void *communicator, void *stream)
{
    const auto joined = (Communicator *)communicator;
    if (!joined) return refuse("no communicator");
    if (type != 1) return refuse("not counted in bytes: type " + std::to_string(type));
    if (!memory) return refuse("no memory");
    if (peer < 0 || peer >= joined->size) return refuse("no such rank: " + std::to_string(peer));
    if (!stream || !fake_is_stream(stream)) return refuse("not a stream beside libtorch's");
    if (fake_device() != joined->device) return refuse("the communicator's device is not the current one", InvalidUsage);
    group.push_back({is_sent, joined, peer, (char *)memory, bytes, stream});
    if (depth) return Success;
    const auto alone = std::move(group);
    group.clear();
    return put(alone);
}
}

// The tests' side: the version's number, and "function:code" for one that fails ("async" is what goes wrong later).
EXPORT void fake_nccl(int version, const char *fails) { version_code = version; failing = fails; }
EXPORT int fake_nccl_messages() { return messages_sent; }

// The library's.
EXPORT int ncclGetVersion(int *version)
{
    *version = version_code;
    return failure("ncclGetVersion");
}
EXPORT int ncclGetUniqueId(Id *id)
{
    snprintf(id->folder, sizeof id->folder, "/tmp/fossil-nccl-XXXXXX");
    return mkdtemp(id->folder) ? failure("ncclGetUniqueId") : SystemError;
}
EXPORT int ncclCommInitRank(void **communicator, int size, Id id, int rank)
{
    if (fake_device() < 0) return refuse("no device is current", InvalidUsage);
    if (rank < 0 || rank >= size) return refuse("no such rank: " + std::to_string(rank));
    if (const auto code = failure("ncclCommInitRank")) return code;
    const auto made = new Communicator();
    made->folder = id.folder;
    made->rank = rank;
    made->size = size;
    made->device = fake_device();
    // All come before anyone goes on.
    write(*made, made->folder + "/rank-" + std::to_string(rank), "", 0);
    for (int other = 0; other < size; other++)
    {
        while (access((made->folder + "/rank-" + std::to_string(other)).c_str(), R_OK)) usleep(100);
    }
    *communicator = made;
    return Success;
}
EXPORT int ncclCommAbort(void *communicator)
{
    ((Communicator *)communicator)->is_aborted = true;
    fprintf(stderr, "fake NCCL: a communicator is aborted\n");
    return failure("ncclCommAbort");
}
EXPORT int ncclCommDestroy(void *communicator) { return communicator ? failure("ncclCommDestroy") : refuse("no communicator"); }
EXPORT int ncclCommGetAsyncError(void *communicator, int *error)
{
    if (!communicator) return refuse("no communicator");
    *error = ((Communicator *)communicator)->error;
    if (*error) last_error = "of the stream";
    if (const auto asked = failure("async")) *error = asked;
    return failure("ncclCommGetAsyncError");
}
EXPORT const char *ncclGetErrorString(int code)
{
    static const char *const names[] = {
        "no error", "unhandled cuda error", "unhandled system error", "internal error", "invalid argument", "invalid usage", "remote process exited or there was a network error", "NCCL operation in progress"};
    return code >= 0 && code < 8 ? names[code] : "unknown result code";
}
EXPORT const char *ncclGetLastError(void *communicator) { return last_error.c_str(); }
EXPORT int ncclGroupStart()
{
    if (const auto code = failure("ncclGroupStart")) return code;
    depth++;
    return Success;
}
EXPORT int fake_nccl_depth() { return depth; }
EXPORT int ncclGroupEnd()
{
    if (!depth) return refuse("no group has begun", InvalidUsage);
    if (--depth) return Success;
    const auto all = std::move(group);
    group.clear();
    if (const auto code = failure("ncclGroupEnd")) return code;
    return put(all);
}
EXPORT int ncclSend(const void *memory, size_t count, int type, int peer, void *communicator, void *stream)
{
    const auto code = failure("ncclSend");
    return code ? code : add(true, memory, count, type, peer, communicator, stream);
}
EXPORT int ncclRecv(void *memory, size_t count, int type, int peer, void *communicator, void *stream)
{
    const auto code = failure("ncclRecv");
    return code ? code : add(false, memory, count, type, peer, communicator, stream);
}
EXPORT int ncclBroadcast(const void *from, void *to, size_t count, int type, int root, void *communicator, void *stream)
{
    if (const auto code = failure("ncclBroadcast")) return code;
    const auto joined = (Communicator *)communicator;
    if (!joined) return refuse("no communicator");
    if (from != to) return refuse("not in place");
    ncclGroupStart();
    int code = 0;
    if (joined->rank != root) code = add(false, to, count, type, root, communicator, stream);
    else
    {
        for (int rank = 0; rank < joined->size && !code; rank++) if (rank != root) code = add(true, from, count, type, rank, communicator, stream);
    }
    const auto ended = ncclGroupEnd();
    return code ? code : ended;
}
EXPORT int ncclAllGather(const void *from, void *to, size_t count, int type, void *communicator, void *stream)
{
    if (const auto code = failure("ncclAllGather")) return code;
    const auto joined = (Communicator *)communicator;
    if (!joined) return refuse("no communicator");
    if (from != (char *)to + joined->rank * count) return refuse("not in place");
    ncclGroupStart();
    int code = 0;
    for (int rank = 0; rank < joined->size && !code; rank++)
    {
        if (rank == joined->rank) continue;
        code = add(true, from, count, type, rank, communicator, stream);
        if (!code) code = add(false, (char *)to + rank * count, count, type, rank, communicator, stream);
    }
    const auto ended = ncclGroupEnd();
    return code ? code : ended;
}
