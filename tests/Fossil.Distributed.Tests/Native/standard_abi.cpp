// An MPI library of one process with the standard ABI of MPI 5 (values of its mpi.h), which refuses every value of another ABI.
#include <cstdint>
#include <cstdio>
#include <cstring>

struct Status { int source, tag, error, internal[5]; };
static const intptr_t World = 0x101, Byte = 0x247, ErrorsReturn = 0x142, Copy = 0x4001, Request = 0x4002, NoRequest = 0x180;
static void* const InPlace = (void*)1;
static int finalized, initialized;
static char message[64];
static int messageBytes;

#define REQUIRE(condition) if (!(condition)) { std::fprintf(stderr, "%s: %s\n", __func__, #condition); return 16; }

extern "C" {
int MPI_Abi_get_version(int* major, int* minor) { *major = 1; *minor = 0; return 0; }
int MPI_Initialized(int* flag) { *flag = initialized; return 0; }
int MPI_Finalized(int* flag) { *flag = finalized; return 0; }
int MPI_Init_thread(int*, char***, int required, int* provided) { REQUIRE(required == 2048); initialized = 1; *provided = 4096; return 0; }
int MPI_Query_thread(int* provided) { *provided = 4096; return 0; }
int MPI_Finalize() { finalized = 1; return 0; }
int MPI_Get_library_version(char* text, int* length) { std::strcpy(text, "standard"); *length = 8; return 0; }
int MPI_Error_string(int code, char* text, int* length) { *length = std::sprintf(text, "error %d of the standard", code); return 0; }
int MPI_Comm_dup(intptr_t comm, intptr_t* copy) { REQUIRE(comm == World); *copy = Copy; return 0; }
int MPI_Comm_set_errhandler(intptr_t comm, intptr_t handler) { REQUIRE(comm == Copy && handler == ErrorsReturn); return 0; }
int MPI_Comm_rank(intptr_t comm, int* rank) { REQUIRE(comm == Copy); *rank = 0; return 0; }
int MPI_Comm_size(intptr_t comm, int* size) { REQUIRE(comm == Copy); *size = 1; return 0; }
int MPI_Abort(intptr_t, int) { return 0; }
int MPI_Cancel(intptr_t*) { return 0; }
int MPI_Ibcast(void*, int, intptr_t type, int root, intptr_t comm, intptr_t* request) { REQUIRE(type == Byte && root == 0 && comm == Copy); *request = Request; return 0; }
int MPI_Ialltoallv(const void* from, const int* count, const int* start, intptr_t type, void* to, const int* toCount, const int* toStart, intptr_t toType, intptr_t comm, intptr_t* request) {
  REQUIRE(type == Byte && toType == Byte && comm == Copy && count[0] == toCount[0]);
  std::memcpy((char*)to + toStart[0], (const char*)from + start[0], count[0]);
  *request = Request;
  return 0;
}
int MPI_Iallgatherv(const void* from, int, intptr_t, void*, const int*, const int*, intptr_t type, intptr_t comm, intptr_t* request) { REQUIRE(from == InPlace && type == Byte && comm == Copy); *request = Request; return 0; }
int MPI_Isend(const void* from, int bytes, intptr_t type, int, int, intptr_t comm, intptr_t* request) { REQUIRE(type == Byte && comm == Copy); std::memcpy(message, from, messageBytes = bytes); *request = Request; return 0; }
int MPI_Irecv(void* to, int, intptr_t type, int source, int, intptr_t comm, intptr_t* request) { REQUIRE(type == Byte && comm == Copy && source == -1); std::memcpy(to, message, messageBytes); *request = Request; return 0; }
int MPI_Test(intptr_t* request, int* flag, Status* status) { REQUIRE(*request == Request); *flag = 1; if (status) { std::memset(status, 0x7f, sizeof *status); status->source = 5; status->tag = 6; status->error = 0; } *request = NoRequest; return 0; }
}
