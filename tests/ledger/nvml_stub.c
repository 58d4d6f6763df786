/* A library that answers as NVIDIA's does for two GPUs whose counters rise by 1 kJ a reading. The second has no counter. */
#include <stdio.h>
#include <string.h>

typedef struct gpu { int index; } *device;
static struct gpu gpus[2] = {{0}, {1}};
static unsigned long long millijoules = 5000000ULL;

int nvmlInitWithFlags(unsigned int flags) { return 0; }
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int result) { return "Not Supported"; }
int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, device *handle) { *handle = &gpus[index]; return 0; }
int nvmlDeviceGetName(device handle, char *name, unsigned int length) { strncpy(name, "NVIDIA H200", length); return 0; }
int nvmlDeviceGetUUID(device handle, char *uuid, unsigned int length) {
    snprintf(uuid, length, "GPU-%d", handle->index);
    return 0;
}
int nvmlDeviceGetEnforcedPowerLimit(device handle, unsigned int *milliwatts) { *milliwatts = 650000; return 0; }
int nvmlDeviceGetTotalEnergyConsumption(device handle, unsigned long long *energy) {
    if (handle->index == 1) return 3; /* NVML_ERROR_NOT_SUPPORTED */
    *energy = millijoules;
    millijoules += 1000000ULL;
    return 0;
}
