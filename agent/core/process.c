/* CPU time and resident memory of the own process. No state; any thread. */
#include "core/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { STATM_BYTES_MAX = 256, MS_PER_S = 1000, NS_PER_MS = 1000000 };

uint64_t process_cpu_ms(void)
{
    struct timespec used = {0};

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * MS_PER_S + (uint64_t)used.tv_nsec / NS_PER_MS;
}

uint64_t process_statm_bytes(const char *text, uint64_t page_bytes)
{
    char *end;

    errno = 0;
    (void)strtoull(text, &end, 10);
    if (end == text || *end != ' ') {
        return 0;
    }
    const char *resident = end + 1;
    uint64_t pages = strtoull(resident, &end, 10);

    if (end == resident || errno != 0 || *resident == '-' || pages > UINT64_MAX / page_bytes) {
        return 0;
    }
    return pages * page_bytes;
}

uint64_t process_resident_bytes(void)
{
    char text[STATM_BYTES_MAX];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return 0;
    }
    ssize_t length = read(fd, text, sizeof(text) - 1);

    (void)close(fd);
    if (length <= 0) {
        return 0;
    }
    text[length] = '\0';
    return process_statm_bytes(text, (uint64_t)sysconf(_SC_PAGESIZE));
}

void process_show(struct metric_cells *cells)
{
    metric_set(cells, METRIC_PROCESS_CPU, process_cpu_ms());
    metric_set(cells, METRIC_PROCESS_RESIDENT, process_resident_bytes());
}
