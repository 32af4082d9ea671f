/* A stand-in for NVIDIA's libnvidia-ml.so.1: just what discovery calls.
 *
 * The file that FAKE_NVML_STATE names is read anew at each call, one fact a line:
 *
 *   init CODE                          opening the library answers CODE
 *   device UUID MIB MAJOR NAME...      a device; without this line it is lost
 *   trouble UUID WHAT NUMBER           WHAT: answer | mig | ecc | pages | pending | remap
 *                                      ("answer 15": every question to it fails with 15)
 *   xid SERIAL UUID CODE               an event, handed out once to who listens
 *   use UUID PID PERCENT TIME          a process used so much of it up to TIME
 *
 * As in the real library, openings are counted, and the number of devices is that of the first.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OK = 0, UNINITIALIZED = 1, INVALID = 2, UNSUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7, TIMEOUT = 10, LOST = 15 };
enum { MAX = 16, TEXT = 96 };

typedef struct { char uuid[TEXT]; int listening; } Handle;
typedef struct { int found; unsigned long long mib; int major; char name[TEXT]; } Device;
typedef struct {
    Handle *device;
    unsigned long long type, data;
    unsigned gpu_instance, compute_instance;
} Event;

static Handle handles[MAX];
static int opened, count, last_serial;
static int event_set;

static FILE *state(void) {
    const char *path = getenv("FAKE_NVML_STATE");
    return path ? fopen(path, "r") : NULL;
}

static Device lookup(const char *uuid) {
    Device device = {0};
    char line[256], id[TEXT];
    FILE *file = state();
    while (file && !device.found && fgets(line, sizeof line, file))
        device.found = sscanf(line, "device %95s %llu %d %95[^\n]", id, &device.mib, &device.major,
                              device.name) == 4 && !strcmp(id, uuid);
    if (file) fclose(file);
    return device;
}

static int trouble(const char *uuid, const char *what) {
    char line[256], id[TEXT], kind[TEXT];
    int number, answer = 0;
    FILE *file = state();
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "trouble %95s %95s %d", id, kind, &number) == 3 && !strcmp(id, uuid) &&
            !strcmp(kind, what))
            answer = number;
    if (file) fclose(file);
    return answer;
}

/* OK, or what every question to this device is answered with. */
static int reach(const Handle *handle) {
    if (!opened) return UNINITIALIZED;
    if (!lookup(handle->uuid).found) return LOST;
    return trouble(handle->uuid, "answer");
}

static int give(const Handle *handle, const char *what, unsigned *into) {
    int answer = reach(handle);
    if (answer == OK) *into = (unsigned)trouble(handle->uuid, what);
    return answer;
}

int nvmlInitWithFlags(unsigned flags) {
    char line[256];
    int code = OK;
    FILE *file = state();
    (void)flags;
    if (opened) {
        if (file) fclose(file);
        opened++;
        return OK;
    }
    count = 0;
    memset(handles, 0, sizeof handles);
    while (file && fgets(line, sizeof line, file)) {
        sscanf(line, "init %d", &code);
        if (count < MAX && sscanf(line, "device %95s", handles[count].uuid) == 1) count++;
    }
    if (file) fclose(file);
    opened = code == OK ? 1 : 0;
    return code;
}

int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

int nvmlShutdown(void) {
    if (!opened) return UNINITIALIZED;
    opened--;
    return OK;
}

int nvmlDeviceGetCount_v2(unsigned *into) {
    *into = (unsigned)count;
    return opened ? OK : UNINITIALIZED;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, Handle **into) {
    if ((int)index >= count) return INVALID;
    *into = &handles[index];
    return reach(*into);
}

int nvmlDeviceGetUUID(const Handle *handle, char *into, unsigned size) {
    snprintf(into, size, "%s", handle->uuid);
    return reach(handle);
}

int nvmlDeviceGetName(const Handle *handle, char *into, unsigned size) {
    snprintf(into, size, "%s", lookup(handle->uuid).name);
    return reach(handle);
}

int nvmlDeviceGetMemoryInfo(const Handle *handle, unsigned long long into[3]) {
    into[0] = into[1] = lookup(handle->uuid).mib << 20;
    into[2] = 0;
    return reach(handle);
}

int nvmlDeviceGetCudaComputeCapability(const Handle *handle, int *major, int *minor) {
    *major = lookup(handle->uuid).major;
    *minor = 0;
    return reach(handle);
}

int nvmlDeviceGetMigMode(const Handle *handle, unsigned *now, unsigned *pending) {
    if (lookup(handle->uuid).major < 8) return UNSUPPORTED;
    *pending = 0;
    return give(handle, "mig", now);
}

int nvmlDeviceGetTotalEccErrors(const Handle *handle, unsigned kind, unsigned counter,
                                unsigned long long *into) {
    unsigned errors = 0;
    int answer = give(handle, "ecc", &errors);
    *into = kind == 1 && counter == 0 ? errors : 0;
    return answer;
}

int nvmlDeviceGetRetiredPagesPendingStatus(const Handle *handle, unsigned *into) {
    return give(handle, "pages", into);
}

int nvmlDeviceGetRemappedRows(const Handle *handle, unsigned *correctable, unsigned *uncorrectable,
                              unsigned *pending, unsigned *failed) {
    if (lookup(handle->uuid).major < 8) return UNSUPPORTED;
    *correctable = *uncorrectable = 0;
    give(handle, "pending", pending);
    return give(handle, "remap", failed);
}

int nvmlEventSetCreate(int **into) {
    *into = &event_set;
    return opened ? OK : UNINITIALIZED;
}

int nvmlEventSetFree(int *set) {
    (void)set;
    return OK;
}

int nvmlDeviceRegisterEvents(Handle *handle, unsigned long long kinds, int *set) {
    handle->listening = set == &event_set && (kinds & 8);
    return reach(handle);
}

int nvmlEventSetWait_v2(int *set, Event *event, unsigned timeout_ms) {
    char line[256], id[TEXT];
    int serial, code, answer = TIMEOUT;
    FILE *file = state();
    (void)set;
    (void)timeout_ms;
    while (file && answer == TIMEOUT && fgets(line, sizeof line, file)) {
        if (sscanf(line, "xid %d %95s %d", &serial, id, &code) != 3 || serial <= last_serial)
            continue;
        last_serial = serial;
        for (int i = 0; i < count; i++)
            if (handles[i].listening && !strcmp(handles[i].uuid, id)) {
                *event = (Event){&handles[i], 8, (unsigned long long)code, 0xFFFFFFFF, 0xFFFFFFFF};
                answer = OK;
            }
    }
    if (file) fclose(file);
    return answer;
}

typedef struct {
    unsigned pid;
    unsigned long long time;
    unsigned sm, memory, encoder, decoder;
} Use;

int nvmlDeviceGetProcessUtilization(const Handle *handle, Use *into, unsigned *room,
                                    unsigned long long since) {
    char line[256], id[TEXT];
    unsigned pid, percent, found = 0;
    unsigned long long time;
    FILE *file = state();
    int answer = reach(handle);
    while (file && answer == OK && fgets(line, sizeof line, file)) {
        if (sscanf(line, "use %95s %u %u %llu", id, &pid, &percent, &time) != 4 ||
            strcmp(id, handle->uuid) || time <= since)
            continue;
        if (into && found < *room) into[found] = (Use){pid, time, percent, 0, 0, 0};
        found++;
    }
    if (file) fclose(file);
    if (answer != OK) return answer;
    if (!found) return NOT_FOUND;
    if (!into) {
        *room = found;
        return TOO_SMALL;
    }
    return OK;
}

const char *nvmlErrorString(int code) {
    switch (code) {
    case LOST: return "GPU is lost";
    case 9: return "Driver Not Loaded";
    case 18: return "Driver/library version mismatch";
    default: return "Unknown Error";
    }
}
